"""Signatures: what a trusted key has signed as it is passes, everything else is refused with its reason."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_public_key,
)
from hypothesis import given
from hypothesis import strategies as st

from mirrorlist_snapshot import format as snapshot_format
from mirrorlist_snapshot.errors import KeyFileError, SignatureError, SnapshotError
from mirrorlist_snapshot.signing import SigningKey, TrustedKeys
from oracles import independent_reader
from support.snapshot_command import SOURCE, json_of, run
from support.snapshot_files import plain, seal, small_snapshot

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SMALL = snapshot_format.encode(small_snapshot())
KEY, OTHER = SigningKey.generate(), SigningKey.generate()
SIGNED = snapshot_format.reissue(SMALL, serial=43, signer=KEY)


def trusting(*keys: SigningKey) -> TrustedKeys:
    """Keys that are trusted."""
    return TrustedKeys({key.key_id: key.private.public_key() for key in keys})


def test_a_signature_is_what_the_specification_says(tmp_path: Path) -> None:
    """With FORMAT.md and the public key alone, anybody can tell who has signed a file."""
    _, public = KEY.write(tmp_path / "2026")
    key = load_pem_public_key(public.read_bytes())
    assert isinstance(key, Ed25519PublicKey)
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    assert independent_reader.key_id(raw) == SIGNED[104:112]
    key.verify(SIGNED[112:176], SIGNED[:72])
    assert independent_reader.read(SIGNED) == plain(replace(small_snapshot(), serial=43))


def test_the_content_stays_the_same() -> None:
    """Another serial and a signature change the header alone; without a signer the file is unsigned again."""
    assert SIGNED[192:] == SMALL[192:]
    assert snapshot_format.header(SIGNED).key_id == KEY.key_id.hex()
    assert snapshot_format.reissue(SIGNED, serial=42) == SMALL
    for serial in (-1, 1 << 63):
        with pytest.raises(SnapshotError, match="serial"):
            snapshot_format.reissue(SMALL, serial=serial)
    with pytest.raises(SnapshotError, match="digest"):
        snapshot_format.reissue(SMALL[:-8] + b"damaged!", serial=1, signer=KEY)


def test_any_one_of_the_trusted_keys_will_do() -> None:
    """While keys are rotated, both the old and the new one are trusted; whose it was is told."""
    assert trusting(KEY).verify(SIGNED) == KEY.key_id.hex()
    assert trusting(OTHER, KEY).verify(memoryview(SIGNED)) == KEY.key_id.hex()
    with pytest.raises(SignatureError, match=f"found one by key {KEY.key_id.hex()}; sign with a trusted key, or trust"):
        trusting(OTHER).verify(SIGNED)
    with pytest.raises(SignatureError, match="found an unsigned snapshot"):
        trusting(KEY).verify(SMALL)


@given(place=st.integers(0, 8 * len(SIGNED) - 1))
def test_no_bit_can_be_changed(place: int) -> None:
    """A signed file with any one bit changed is refused: by the key, or by the digest that the key has signed."""
    changed = bytearray(SIGNED)
    changed[place // 8] ^= 1 << place % 8
    for data in (bytes(changed), seal(bytes(changed))):  # by chance, and by somebody who makes the digests right
        if data != SIGNED:
            with pytest.raises(SnapshotError):
                use(data)


def use(data: bytes) -> None:
    """What a server does."""
    trusting(KEY).verify(data)
    snapshot_format.decode(data)


def test_serial_and_time_are_covered() -> None:
    """Who has no key can neither make an old file look new nor take the signature of another file."""
    older = snapshot_format.reissue(SMALL, serial=41, signer=KEY)
    for forged in (
        SIGNED[:24] + older[24:32] + SIGNED[32:],
        SIGNED[:32] + bytes(8) + SIGNED[40:],
        older[:104] + SIGNED[104:176] + older[176:],
    ):
        with pytest.raises(SignatureError, match="not by key"):
            trusting(KEY).verify(seal(forged))


def test_key_files(tmp_path: Path) -> None:
    """A private key is readable for its owner alone, comes back as it was, and is never overwritten."""
    private, public = KEY.write(tmp_path / "a.b")
    assert (private.name, public.name) == ("a.b.key", "a.b.pub")
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert SigningKey.read(private).key_id == KEY.key_id
    assert TrustedKeys.read([public]).verify(SIGNED)
    private.unlink()
    with pytest.raises(KeyFileError, match=r"a\.b\.pub: is there already"):
        OTHER.write(tmp_path / "a.b")
    assert not private.exists()


def elliptic(form: Callable[[Any], bytes]) -> bytes:
    """A key of another kind."""
    return form(generate_private_key(SECP256R1()))


def private_pem(key: Any, encryption: Any = None) -> bytes:
    """A private key as a file has it."""
    data: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())
    return data


def public_pem(key: Any) -> bytes:
    """Its public key as a file has it."""
    data: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return data


@pytest.mark.parametrize(
    ("data", "private", "public"),
    [
        pytest.param(b"", "expected an unencrypted Ed25519", "expected an Ed25519", id="empty"),
        pytest.param(b"\xff" * 99, "expected an unencrypted Ed25519", "expected an Ed25519", id="noise"),
        pytest.param(elliptic(private_pem), ".*another kind", "is a private key", id="another kind, private"),
        pytest.param(elliptic(public_pem), "expected an unencrypted", ".*another kind", id="another kind, public"),
        pytest.param(private_pem(KEY.private), None, "is a private key", id="private"),
        pytest.param(public_pem(KEY.private), "expected an unencrypted", None, id="public"),
        pytest.param(
            private_pem(KEY.private, BestAvailableEncryption(b"secret")),
            "expected an unencrypted",
            "is a private key",
            id="encrypted",
        ),
    ],
)
def test_what_is_no_key(tmp_path: Path, data: bytes, private: str | None, public: str | None) -> None:
    """A file that is not the key that is needed is refused, and the message names it."""
    path = tmp_path / "key.pem"
    path.write_bytes(data)
    for read, complaint in ((SigningKey.read, private), (lambda one: TrustedKeys.read([one]), public)):
        if complaint is None:
            read(path)
        else:
            with pytest.raises(KeyFileError, match=rf"key\.pem: {complaint}"):
                read(path)


@pytest.mark.parametrize("read", [SigningKey.read, lambda path: TrustedKeys.read([path])])
def test_key_files_that_cannot_be_read(tmp_path: Path, read: Callable[[Path], object]) -> None:
    """A missing file, a folder, a pipe without a writer and a file of a gigabyte are refused at once, by name."""
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1 << 30)
    for path, found in (
        (tmp_path / "missing", "cannot be read"),
        (tmp_path, "is not a regular file but a folder"),
        (tmp_path / "pipe", "is not a regular file but a pipe"),
        (tmp_path / "large", "has 1073741824 bytes"),
    ):
        with pytest.raises(KeyFileError, match=rf"{path}: {found}"):
            read(path)


@pytest.mark.process
def test_the_commands(tmp_path: Path) -> None:
    """keygen, compile --sign-key, inspect and verify --trusted-key, as an operator goes through them."""
    (tmp_path / "good.toml").write_text(SOURCE)
    made = json_of(run(tmp_path, "keygen", "one", "--json"))
    assert made["private"] == "one.key"
    run(tmp_path, "keygen", "two")
    assert "is there already" in run(tmp_path, "keygen", "one", code=1).stderr
    signed = run(tmp_path, "compile", "good.toml", "-o", "a.mls", "--sign-key", "one.key", "--json")
    assert json_of(signed)["key_id"] == made["key_id"]
    assert f"signed by key {made['key_id']}" in run(tmp_path, "inspect", "a.mls").stdout
    assert "(not checked)" in run(tmp_path, "verify", "a.mls").stdout
    good = run(tmp_path, "verify", "a.mls", "--trusted-key", "two.pub", "--trusted-key", "one.pub")
    assert f"signed by trusted key {made['key_id']}" in good.stdout
    refused = run(tmp_path, "verify", "a.mls", "--trusted-key", "two.pub", "--json", code=1)
    assert "a.mls: expected a signature by a trusted key" in json_of(refused)["error"]
    missing = run(tmp_path, "compile", "good.toml", "-o", "a.mls", "--sign-key", "one.pub", code=1)
    assert "one.pub: expected an unencrypted Ed25519 private key" in missing.stderr
