"""The file format: what is written is read, nothing else is, and FORMAT.md says how."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgpack  # type: ignore[import-untyped] # it has no types
import pytest
from hypothesis import given, settings

from mirrorlist_snapshot import format as snapshot_format
from mirrorlist_snapshot.errors import SnapshotError
from mirrorlist_snapshot.format import container
from mirrorlist_snapshot.health import Freshness, MirrorHealth, OldUnit, Unit
from oracles import independent_reader
from support.paths import DATA, ROOT
from support.snapshot_files import plain, seal, small_snapshot, use, with_sections
from support.snapshots import mirror, netblocks, snapshot_of, snapshots

if TYPE_CHECKING:
    from mirrorlist_snapshot.model import Snapshot

SMALL = small_snapshot()
WRITTEN = snapshot_format.encode(SMALL)


@pytest.mark.slow
@settings(max_examples=80)
@given(snapshot=snapshots())
def test_round_trip(snapshot: Snapshot) -> None:
    """Any snapshot that is written reads back the same, passes every check, and is written the same again."""
    data = snapshot_format.encode(snapshot)
    read = snapshot_format.verify(data)
    assert plain(read) == plain(snapshot)
    assert snapshot_format.encode(read) == data
    use(read)


@pytest.mark.slow
@settings(max_examples=80)
@given(snapshot=snapshots())
def test_a_reader_written_from_the_specification_reads_the_same(snapshot: Snapshot) -> None:
    """FORMAT.md is enough to write a reader from: one that was reads what ours reads."""
    data = snapshot_format.encode(snapshot)
    assert independent_reader.read(data) == plain(snapshot_format.decode(data))


def test_the_example_in_the_specification_is_what_is_written() -> None:
    """FORMAT.md's hex example is, byte for byte, what the writer gives for the snapshot that it describes."""
    text = (ROOT / "snapshot" / "FORMAT.md").read_text(encoding="utf-8")
    block = re.search(r"```hex\n(.*?)```", text, re.DOTALL)
    assert block
    lines = [line.partition("#")[0].split() for line in block[1].splitlines()]
    data = bytes.fromhex(" ".join(" ".join(words[1:]) for words in lines))
    assert data == snapshot_format.encode(snapshot_of([mirror("m", "DE")]))
    assert [int(words[0], 16) for words in lines[1:]] == [int(words[0], 16) + len(words) - 1 for words in lines[:-1]]


def test_files_of_version_1_stay_readable() -> None:
    """A file of version 1 that was written once and for all reads as it was meant, and is still written the same."""
    data = (DATA / "version-1.mls").read_bytes()
    assert plain(snapshot_format.verify(data)) == plain(SMALL)
    assert snapshot_format.header(data).version == 1
    assert data == WRITTEN


def test_digest_is_of_the_content() -> None:
    """Serial and build time change the file and not the content digest; a changed mirror changes it."""
    later = replace(SMALL, serial=SMALL.serial + 1, built=SMALL.built + 1)
    digest = snapshot_format.digest(WRITTEN)
    assert snapshot_format.encode(later) != WRITTEN
    assert snapshot_format.digest(snapshot_format.encode(later)) == digest
    changed = snapshot_format.encode(replace(SMALL, mirrors=(*SMALL.mirrors[:3], mirror("new"))))
    assert snapshot_format.digest(changed) != digest


def test_the_order_of_mappings_does_not_change_the_bytes() -> None:
    """Snapshots that say the same give the same bytes, in whatever order their maps were filled."""
    backwards = replace(
        SMALL,
        aliases=dict(sorted(SMALL.aliases.items(), reverse=True)),
        files=dict(sorted(SMALL.files.items(), reverse=True)),
        overrides=replace(SMALL.overrides, continents=dict(sorted(SMALL.overrides.continents.items(), reverse=True))),
    )
    assert snapshot_format.encode(backwards) == WRITTEN


def test_a_signed_file_is_read() -> None:
    """A signature, which this version cannot check, is no reason to refuse a file: compilers may be newer."""
    signed = WRITTEN[:104] + b"key-id--" + b"s" * 64 + WRITTEN[176:]
    signed = seal(signed[:12] + b"\1" + signed[13:])
    assert snapshot_format.header(signed).signed
    assert plain(snapshot_format.decode(signed)) == plain(SMALL)


def test_unknown_sections() -> None:
    """A reader skips an unknown section with a small first letter, and refuses one with a capital."""
    skipped = with_sections(WRITTEN, {"extra": b"anything"})
    assert plain(snapshot_format.decode(skipped)) == plain(SMALL)
    assert ("extra", 8) in snapshot_format.sections(skipped)
    with pytest.raises(SnapshotError, match="Extra; upgrade mirrorlistd"):
        snapshot_format.decode(with_sections(WRITTEN, {"Extra": b"anything"}))


def test_every_section_but_meta_is_required() -> None:
    """A file without one of its sections is refused; without `meta` it only has no generator."""
    for name, _ in snapshot_format.sections(WRITTEN):
        data = with_sections(WRITTEN, {name: None})
        if name == "meta":
            assert plain(snapshot_format.decode(data)) == plain(replace(SMALL, generator=""))
        else:
            with pytest.raises(SnapshotError, match=f"section {name}"):
                snapshot_format.decode(data)


def test_networks_of_autonomous_systems_are_optional() -> None:
    """The sections that say who announces a network are left out where they are empty; older readers skip them."""
    assert not {"asn4", "asn6"} & {name for name, _ in snapshot_format.sections(WRITTEN)}
    data = snapshot_format.encode(replace(SMALL, asn_netblocks=netblocks({ipaddress.ip_network("192.0.2.0/24"): 680})))
    assert [name for name, _ in snapshot_format.sections(data)][-1] == "asn4"
    read = snapshot_format.verify(data).asn_netblocks
    assert [read.find(bytes(one)) for one in ((192, 0, 2, 255), (192, 0, 3, 0), bytes(16))] == [680, 0, 0]
    assert plain(snapshot_format.decode(with_sections(data, {"asn4": None}))) == plain(SMALL)
    with pytest.raises(SnapshotError, match="netblock table"):
        snapshot_format.decode(with_sections(data, {"asn6": b"\1\0\0\0"}))


def test_health_is_optional() -> None:
    """What was observed is a section of its own, the last one; without it nothing else in a snapshot differs."""
    assert "health" not in {name for name, _ in snapshot_format.sections(WRITTEN)}
    late = OldUnit(
        unit=Unit(category="linux", path="40/repomd.xml", directories=("40",)),
        state=Freshness.LATE,
        offered=True,
        since=7,
        lag=50_000,
        reason="repomd.xml of yesterday",
    )
    health = {2: MirrorHealth(checked=9, lags={"linux-40": 50_000, "tex": 0}, old=(late,))}
    data = snapshot_format.encode(replace(SMALL, health=health, observed=9))
    assert [name for name, _ in snapshot_format.sections(data)][-2:] == ["units", "health"]
    read = snapshot_format.verify(data)
    assert (read.observed, dict(read.health)) == (9, health)
    assert plain(snapshot_format.decode(with_sections(data, {"units": None, "health": None}))) == plain(
        replace(SMALL, observed=9)
    )


def test_unknown_keys_are_ignored() -> None:
    """A key that a newer compiler writes into a map does not disturb an older reader."""
    _, parts = container.unpack(memoryview(WRITTEN))
    changes: dict[str, bytes | None] = {}
    for name in ("Category", "Mirrors", "Repos"):
        items: list[dict[str, Any]] = msgpack.unpackb(parts[name])
        for item in items:
            item["new"] = [1, {"x": None}]
        changes[name] = msgpack.packb(items)
    overrides: dict[str, Any] = msgpack.unpackb(parts["Override"])
    changes["Override"] = msgpack.packb(overrides | {"new": 1.5})
    assert plain(snapshot_format.decode(with_sections(WRITTEN, changes))) == plain(SMALL)
