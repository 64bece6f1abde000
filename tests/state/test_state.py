"""Claims of `state`: all is read and judged before a State exists, or one error says what is wrong."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

from mirrorlist_snapshot.embedded_ipv4 import OwnPrefixes
from mirrorlist_snapshot.format import encode
from mirrorlist_snapshot.input_file import SNAPSHOT
from mirrorlistd.answering.answer import answer
from mirrorlistd.config import Config
from mirrorlistd.errors import ConfigError, GeoError, StateError
from mirrorlistd.request.client_address import NetworkSet, Trust
from mirrorlistd.state.inputs import read
from mirrorlistd.state.loading import load
from support.snapshot_files import seal
from support.worlds import at, compiled, hosts, mirror, network

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirrorlistd.state.state import State

NETWORK = network({f"m{number}": mirror("DE") for number in range(9)} | {"far": mirror("JP")})
DATA = encode(compiled(NETWORK, serial=42))


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    """A good snapshot."""
    path = tmp_path / "mirrors.mls"
    path.write_bytes(DATA)
    return path


def listed(state: State, query: str = "repo=r") -> list[str]:
    """The mirrors that a German client gets (its address is in a network of the Bonn region)."""
    return hosts(answer(state.decider, query.encode(), at("131.220.1.1"), Random(0)))


def test_a_state_is_what_the_configuration_names(snapshot: Path) -> None:
    """The snapshot's serial, the settings of lists, whom to trust and whom to tell all come from the one Config."""
    state = load(
        Config(
            snapshot=snapshot,
            minimum=3,
            limit=4,
            trusted_proxies=("192.0.2.0/24", "unix"),
            forwarded_header="x-real-ip",
            explain_networks=("203.0.113.0/24",),
            access_log=True,
            redirect_scheme="https",
            nat64_prefixes=("2001:db8:64::/96",),
        )
    )
    own = OwnPrefixes.parse(["2001:db8:64::/96"])
    assert (state.decider.settings.redirect_scheme, state.decider.settings.own_prefixes) == ("https", own)
    assert state.trust.believes("2001:db8:64::192.0.2.9")
    assert (state.serial, state.source, state.access_log) == (42, str(snapshot), True)
    assert (state.decider.settings.minimum, state.decider.settings.limit) == (3, 4)
    assert state.trust == Trust.parse(["192.0.2.0/24", "unix"], "x-real-ip", own_prefixes=own)
    assert state.explain_networks == NetworkSet.parse(["203.0.113.0/24"])
    assert len(listed(state)) == 4
    assert "far" not in listed(state, "repo=r&limit=100")


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    """A snapshot of a format version that this server does not read is refused, and the message says what to do."""
    data = encode(compiled(NETWORK, serial=7))
    path = tmp_path / "new.mls"
    path.write_bytes(seal(data[:8] + b"\2\0" + data[10:]))
    with pytest.raises(StateError, match="expected format version 1, found version 2; upgrade mirrorlistd"):
        load(Config(snapshot=path))


def test_a_state_survives_its_file(snapshot: Path) -> None:
    """Overwritten in place, truncated and deleted: what was loaded answers as before."""
    state = load(Config(snapshot=snapshot))
    before = sorted(listed(state))
    snapshot.write_bytes(b"\xff" * len(DATA))
    os.truncate(snapshot, 0)
    snapshot.unlink()
    assert sorted(listed(state)) == before


def make_nothing(_: Path) -> None:
    """Leave the path empty."""


def make_loop(path: Path) -> None:
    """Put a link there that leads to itself."""
    path.symlink_to(path)


def make_folder(path: Path) -> None:
    """Put a folder there."""
    path.mkdir()


def make_pipe(path: Path) -> None:
    """Put a pipe there, with nobody at its other end."""
    os.mkfifo(path)


def make_empty(path: Path) -> None:
    """Put an empty file there."""
    path.touch()


def make_truncated(path: Path) -> None:
    """Put all but the last byte there."""
    path.write_bytes(DATA[:-1])


def make_longer(path: Path) -> None:
    """Put one byte more than there should be."""
    path.write_bytes(DATA + b"\0")


def make_flipped(path: Path) -> None:
    """Put it there with one bit wrong, in the middle."""
    half = len(DATA) // 2
    path.write_bytes(DATA[:half] + bytes([DATA[half] ^ 4]) + DATA[half + 1 :])


def make_source(path: Path) -> None:
    """Put the source there instead of what is compiled from it."""
    path.write_text("[categories.c]\n")


def make_huge(path: Path) -> None:
    """Put a file there that is larger than any snapshot (and takes no room)."""
    with path.open("wb") as file:
        file.truncate(SNAPSHOT.size + 1)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (make_nothing, "cannot be read: No such file"),
        (make_loop, "cannot be read: Too many levels"),
        (make_folder, "not a regular file"),
        (make_pipe, "not a regular file"),
        (make_empty, "expected a snapshot file"),
        (make_truncated, "was cut off"),
        (make_longer, "was appended"),
        (make_flipped, "SHA-256"),
        (make_source, "expected a snapshot file"),
        (make_huge, f"more than the {SNAPSHOT.size}"),
    ],
)
@pytest.mark.timeout(20)
def test_what_cannot_be_served_is_one_error(tmp_path: Path, make: Callable[[Path], None], words: str) -> None:
    """Whatever lies at the path: a StateError that begins with the path, and no hang."""
    path = tmp_path / "mirrors.mls"
    make(path)
    with pytest.raises(StateError) as refused:
        load(Config(snapshot=path))
    assert str(refused.value).startswith(f"{path}: ")
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.slow
def test_a_file_that_is_written_to_is_told_from_a_corrupt_one(tmp_path: Path) -> None:
    """Somebody writes while it is read: the error says that and what to do instead, not that a digest is off."""
    path = tmp_path / "busy.mls"
    with path.open("wb") as file:
        file.truncate(64 << 20)
    done = threading.Event()

    def write() -> None:
        with path.open("r+b", buffering=0) as file:
            while not done.is_set():
                os.pwrite(file.fileno(), b"x", 5)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with pytest.raises(StateError, match=r"changed while it was read \(.*\); replace snapshots by rename"):  # noqa: PT012 - until it is seen
            for _ in range(100):
                with read(Config(snapshot=path), start=True) as inputs:
                    if isinstance(inputs.snapshot, StateError):
                        raise inputs.snapshot
    finally:
        done.set()
        writer.join()


def test_other_parts_raise_their_own_errors(snapshot: Path, tmp_path: Path) -> None:
    """A geo database or a setting that is wrong is told as what it is, however good the snapshot."""
    with pytest.raises(GeoError, match="nowhere"):
        load(Config(snapshot=snapshot, geo=tmp_path / "nowhere.mmdb"))
    with pytest.raises(GeoError, match="mirrors"):
        load(Config(snapshot=snapshot, asn=snapshot))
    with pytest.raises(ConfigError, match="/0 would let"):
        load(Config(snapshot=snapshot, trusted_proxies=("0.0.0.0/0",)))
    with pytest.raises(ConfigError, match="here"):
        load(Config(snapshot=snapshot, explain_networks=("here",)))


def test_the_built_in_snapshot_is_served() -> None:
    """Without a snapshot there are real mirrors of real projects, for clients everywhere."""
    state = load(Config())
    assert state.source == "built-in"
    names = {repository.name for repository in state.decider.index.snapshot.repositories}
    assert {"debian", "ubuntu", "cran", "pypi"} <= names
    for client in ("193.0.6.139", "202.12.29.205", "127.0.0.1", "2001:db8::1"):
        reply = answer(state.decider, b"repo=debian", at(client), Random(0))
        assert len(hosts(reply)) > 4


@pytest.mark.parametrize(
    ("config", "served"),
    [
        (Config(hosts=("127.0.0.1",)), True),
        (Config(hosts=("127.0.0.2", "::1")), True),
        (Config(hosts=("0.0.0.0",)), False),
        (Config(hosts=("::",)), False),
        (Config(hosts=("192.0.2.1",)), False),
        (Config(hosts=("127.0.0.1", "2001:db8::1")), False),
        (Config(hosts=("0.0.0.0",), demo=True), True),
        (Config(hosts=(), uds=Path("/run/http")), False),
        (Config(hosts=("127.0.0.1",), uds=Path("/run/http")), False),
        (Config(hosts=(), uds=Path("/run/http"), demo=True), True),
    ],
)
def test_the_built_in_snapshot_is_for_loopback(config: Config, served: bool) -> None:
    """Elsewhere nobody should find out in production that it is an example that they serve, unless they say so."""
    if served:
        assert load(config).source == "built-in"
        return
    with pytest.raises(StateError, match="--snapshot FILE, or --demo"):
        load(config)


def test_one_s_own_snapshot_is_for_everybody(snapshot: Path) -> None:
    """The rule is about the example, not about addresses."""
    assert load(Config(snapshot=snapshot, hosts=("0.0.0.0", "::"), uds=Path("/run/http"))).serial == 42
