"""Ed25519 signatures over the header of a snapshot, which covers content, serial and build time.

Keys are PEM files that openssl(1) can read and write: PKCS #8 and SubjectPublicKeyInfo. A snapshot names its signing
key by 8 bytes of the public key's SHA-256, so that several keys can be trusted at once while keys are rotated. Import
this module only where keys are used: it loads a library that nothing else needs.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from mirrorlist_snapshot import format as snapshot_format
from mirrorlist_snapshot.errors import InputFileError, KeyFileError, SignatureError
from mirrorlist_snapshot.input_file import KEY_FILE, read_file

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

PRIVATE_SUFFIX: Final = ".key"
PUBLIC_SUFFIX: Final = ".pub"
_KEY_ID: Final = 8
"""Bytes, as the format has room for."""
_MAKE: Final = "make keys with mirrorlist-snapshot keygen"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key, with which `compile`, `publish` and `rollback` sign."""

    private: Ed25519PrivateKey

    @classmethod
    def read(cls, path: Path) -> SigningKey:
        """Read a private key; raise KeyFileError."""
        try:
            key = load_pem_private_key(_read(path), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: it wants a password
            raise KeyFileError(f"{path}: expected an unencrypted Ed25519 private key in PEM; {_MAKE}") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyFileError(f"{path}: expected an Ed25519 private key, found another kind of key; {_MAKE}")
        return cls(key)

    @classmethod
    def generate(cls) -> SigningKey:
        """Return a new key."""
        return cls(Ed25519PrivateKey.generate())

    @property
    def key_id(self) -> bytes:
        """The id by which snapshots name the key."""
        return key_id(self.private.public_key())

    def sign(self, covered: bytes) -> bytes:
        """Return a signature of 64 bytes; equal bytes get equal signatures."""
        return self.private.sign(covered)

    def write(self, name: Path) -> tuple[Path, Path]:
        """Write `name`.key (readable for its owner only) and `name`.pub; raise KeyFileError if one of them exists."""
        public = self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        private = self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        paths = tuple(name.with_name(name.name + suffix) for suffix in (PRIVATE_SUFFIX, PUBLIC_SUFFIX))
        for path in paths:
            if path.exists():  # checked before either is written: half a pair is useless
                raise KeyFileError(
                    f"{path}: is there already, and a lost key cannot be made again; choose another name"
                )
        for path, data, mode in zip(paths, (private, public), (0o600, 0o644), strict=True):
            _write(path, data, mode)
        return paths[0], paths[1]


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """Public keys; any one of them must have signed a snapshot."""

    keys: dict[bytes, Ed25519PublicKey]
    """By key id."""

    @classmethod
    def read(cls, paths: Iterable[Path]) -> TrustedKeys:
        """Read public keys, one a file; raise KeyFileError."""
        keys = [_public_key(path) for path in paths]
        return cls({key_id(key): key for key in keys})

    def verify(self, data: bytes | memoryview) -> str:
        """Return the id, in hexadecimal, of the trusted key that has signed a file.

        Raise SignatureError if none has, and SnapshotError if the header is damaged. The signature covers the content
        digest; `format.decode` checks the digest against the content.
        """
        trusted = ", ".join(key.hex() for key in self.keys)
        expected = f"a signature by a trusted key ({trusted})"
        found = snapshot_format.signature(data)
        if found is None:
            raise SignatureError(expected, "an unsigned snapshot", "sign it: publish or compile with --sign-key")
        signer, signature, covered = found
        key = self.keys.get(signer)
        if key is None:
            raise SignatureError(expected, f"one by key {signer.hex()}", "sign with a trusted key, or trust that one")
        try:
            key.verify(signature, covered)
        except InvalidSignature:
            raise SignatureError(expected, f"one that is not by key {signer.hex()}", "do not use the file") from None
        return signer.hex()


def key_id(key: Ed25519PublicKey) -> bytes:
    """Return the first 8 bytes of the SHA-256 of the public key's 32 bytes."""
    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).digest()[:_KEY_ID]


def _public_key(path: Path) -> Ed25519PublicKey:
    data = _read(path)
    if b"PRIVATE KEY" in data:
        raise KeyFileError(f"{path}: is a private key, which does not belong here; name the {PUBLIC_SUFFIX} file")
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyFileError(f"{path}: expected an Ed25519 public key in PEM; {_MAKE}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise KeyFileError(f"{path}: expected an Ed25519 public key, found another kind of key; {_MAKE}")
    return key


def _read(path: Path) -> bytes:
    try:
        return read_file(path, KEY_FILE)
    except InputFileError as error:
        raise KeyFileError(str(error)) from error


def _write(path: Path, data: bytes, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor is not a path
            file.write(data)
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        raise KeyFileError(f"{path}: cannot be written: {error.strerror}") from error
