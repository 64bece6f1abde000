"""The file format under damage and malice: a file loads and can be served, or SnapshotError says why not."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import msgpack  # type: ignore[import-untyped] # it has no types
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrorlist_snapshot import format as snapshot_format
from mirrorlist_snapshot.errors import SnapshotError
from mirrorlist_snapshot.format import container
from mirrorlist_snapshot.model import (
    DirectoryTable,
)
from mirrorlist_snapshot.tables import KeyTable, write_integers
from support.snapshot_files import cases, seal, small_snapshot, use, with_sections
from support.snapshots import mirror, snapshot_of

if TYPE_CHECKING:
    from collections.abc import Callable

SMALL = small_snapshot()
WRITTEN = snapshot_format.encode(SMALL)


@pytest.mark.slow
def test_every_flipped_bit_is_noticed() -> None:
    """No bit of an unsigned file can change without the reader refusing the file."""
    data = bytearray(WRITTEN)
    for position in range(len(data)):
        for bit in range(8):
            data[position] ^= 1 << bit
            with pytest.raises(SnapshotError):
                snapshot_format.decode(bytes(data))
            data[position] ^= 1 << bit


def test_every_truncation_and_addition_is_noticed() -> None:
    """A file cut off anywhere, or with something appended, is refused."""
    data = WRITTEN
    for length in range(len(data)):
        with pytest.raises(SnapshotError):
            snapshot_format.decode(data[:length])
    for more in (b"\0", bytes(8), data):
        with pytest.raises(SnapshotError, match="appended"):
            snapshot_format.decode(data + more)


def loads_or_refuses(data: bytes) -> bool:
    """Whether a file loads; then it can also be used and verified without any other error."""
    try:
        snapshot = snapshot_format.decode(data)
    except SnapshotError:
        return False
    use(snapshot)
    try:
        snapshot_format.verify(data)
    except SnapshotError:
        return True
    return True


@pytest.mark.slow
def test_flipped_bits_under_right_digests_load_or_are_refused() -> None:
    """The parser itself stands every flipped bit: one error type, or a snapshot that can be served."""
    data = bytearray(WRITTEN)
    outcomes: set[bool] = set()
    for position in range(192, len(data)):
        for bit in (0, 3, 7):
            data[position] ^= 1 << bit
            outcomes.add(loads_or_refuses(seal(bytes(data))))
            data[position] ^= 1 << bit
    assert outcomes == {True, False}


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    """A good file with pieces overwritten, moved, doubled or cut out, under right digests."""
    data = bytearray(WRITTEN)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(192, max(192, len(data) - 1)))
        end = draw(st.integers(start, min(len(data), start + 40)))
        source = draw(st.integers(0, len(data)))
        piece = draw(
            st.binary(max_size=16)
            | st.just(bytes(data[source : source + 24]))
            | st.sampled_from(
                [b"\xff" * 4, b"\xff" * 8, b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\x91" * 64]
            )
        )
        data[start : end if draw(st.booleans()) else start + len(piece)] = piece
    return seal(bytes(data))


@settings(max_examples=400)
@given(data=mutations())
def test_mutated_files_load_or_are_refused(data: bytes) -> None:
    """Whatever is done to a file, it loads or raises SnapshotError, also where every digest is right."""
    loads_or_refuses(data)


@given(data=st.binary(max_size=300) | st.binary(max_size=300).map(lambda rest: snapshot_format.MAGIC + rest))
def test_noise_is_refused(data: bytes) -> None:
    """Bytes that are no snapshot raise SnapshotError and nothing else."""
    with pytest.raises(SnapshotError):
        snapshot_format.decode(data)


@pytest.mark.parametrize(
    ("damage", "message"),
    cases(
        [
            (lambda _: b"", "expected a snapshot file, found an empty file; name a file made by compile"),
            (lambda _: b"[mirrors]\n", "starts with the bytes 5b 6d 69 72 72 6f 72 73; name a file made by compile"),
            (lambda _: b"\x96\0", "starts with the bytes 96 00; name"),
            (lambda data: data.replace(b"\r\n", b"\n"), "not as text"),
            (lambda data: bytes(byte & 127 for byte in data), "not as text"),
            (lambda data: data[:100], "found 100: the file was cut off; copy it again$"),
            (lambda data: data[:-8], "the file was cut off; copy it again$"),
            (lambda data: data + bytes(8), "something was appended; copy it again$"),
            (lambda data: data[:30] + b"\1" + data[31:], "SHA-256 check"),
            (lambda data: data[:-8] + b"damaged!", "SHA-256 digest"),
            (
                lambda data: seal(data[:8] + b"\2\0" + data[10:]),
                "expected format version 1, found version 2; upgrade mirrorlistd",
            ),
            (lambda data: seal(data[:8] + b"\0\0" + data[10:]), "newer mirrorlist-snapshot"),
            (lambda data: seal(data[:12] + b"\2" + data[13:]), "flags"),
            (lambda data: data[:180] + b"\1" + data[181:], "zeros"),
            (lambda data: data[:112] + b"\1" + data[113:], "zeros"),
            (lambda data: seal(data[:31] + b"\x80" + data[32:]), "serial below"),
            (lambda data: seal(data[:10] + b"\xff\xff" + data[12:]), "table of contents"),
        ]
    ),
)
def test_messages_name_the_remedy(damage: Callable[[bytes], bytes], message: str) -> None:
    """What is wrong with a file as a whole is said so that an operator knows what to do."""
    with pytest.raises(SnapshotError, match=message) as caught:
        snapshot_format.decode(damage(WRITTEN))
    assert caught.value.expected
    assert caught.value.found
    assert caught.value.fix


def packed(value: object) -> bytes:
    """A section of msgpack."""
    data: bytes = msgpack.packb(value)
    return data


@pytest.mark.parametrize(
    ("section", "content", "message"),
    cases(
        [
            ("Mirrors", b"", "array of maps"),
            ("Mirrors", packed({}), "array of maps"),
            ("Mirrors", packed([1]), "a map"),
            ("Mirrors", packed([{}]), "string as name"),
            ("Mirrors", packed([{"name": 1}]), "string as name"),
            ("Mirrors", packed([{"name": b"m"}]), "string as name"),
            ("Mirrors", packed([{"name": "m", "bandwidth": True}]), "integer as bandwidth"),
            ("Mirrors", packed([{"name": "m", "bandwidth": -1}]), "integer as bandwidth"),
            ("Mirrors", packed([{"name": "m", "bandwidth": 1.0}]), "integer as bandwidth"),
            ("Mirrors", packed([{"name": "m", "active": 1}]), "true or false"),
            ("Mirrors", packed([{"name": "m", "country": 1}]), "string as country"),
            ("Mirrors", packed([{"name": "m", "country": "nl"}]), "capital letters"),
            ("Mirrors", packed([{"name": "m", "asns": 7}]), "array as asns"),
            ("Mirrors", packed([{"name": "m", "asns": ["7"]}]), "integers as asns"),
            ("Mirrors", packed([{"name": "m", "allowed": [1]}]), "array of strings"),
            ("Mirrors", packed([{"name": "m", "exclusive": [0]}]), "exclusive"),
            ("Mirrors", packed([{"name": "m", "contents": [1]}]), "map in contents"),
            ("Mirrors", packed([{"name": "m"}]) + b"\0", "end of the section"),
            ("Mirrors", b"\x91" * 5000, "bad msgpack"),
            ("Mirrors", b"\x91\x81\xa4name\xc7\0\1", "bad msgpack"),
            ("Mirrors", b"\x91\x81\xa4name\xa1\xff", "bad msgpack"),
            ("Category", packed([{"name": "c", "kind": "closed"}]), "listed or open"),
            ("Aliases", packed([]), "a map"),
            ("Aliases", packed({"a": 1}), "array of strings"),
            ("Aliases", packed({b"a": "tex"}), "strings as keys"),
            ("Aliases", packed({1: "tex"}), "bad msgpack"),
            ("Override", packed({"neighbours": {"NL": 1}}), "neighbours"),
            ("Override", packed({"neighbours": {"NL": ["BE"]}}), "neighbours"),
            ("Override", packed({"never": {"NL": 1}}), "never"),
            ("Override", packed({"continents": {"NL": None}}), "continents"),
            ("Places", packed(["NL", None]), "array of strings"),
            ("Place4", b"", "netblock table"),
            ("Place4", b"\xff" * 12, "netblock table"),
            ("ChainRow", b"", "chain 0"),
            ("ChainRow", bytes(7), "whole number"),
            ("ChainHit", bytes(3), "netblock matches"),
            ("ChainHit", bytes([0, 0, 129, 0]) * 4, "length up to 128"),
            ("ChainHit", bytes([0, 0, 24, 2]) * 4, "exclusive 0 or 1"),
            ("ChainHit", bytes([9, 0, 24, 0]) * 4, "mirrors below 4"),
            ("Sets", bytes([0, 0, 16]), "mirrors below 4"),
            ("Sets", b"", "set numbers below 0"),
            ("DirKeys", b"\xff" * 64, "key table"),
            ("DirSets", bytes(6), "set numbers"),
            ("DirSets", b"\xff" * 8, "set numbers below 3"),
            ("FileRows", bytes(8), "1 to 256"),
            ("FileRows", bytes(4), "rows of files"),
            ("FileVers", bytes(160), "1 to 256"),
            ("FileVers", b"\xff" * 320, "times"),
            ("FileVers", (bytes(8) + b"\xff" * 152) * 2, "sizes"),
            ("FileVers", (bytes(16) + b"\xff" * 144) * 2, "masks"),
            ("meta", packed({"observed": -1}), "integer as observed"),
            ("meta", packed({"observed": 1 << 62}), "time of observation"),
            ("health", packed({}), "array of maps"),
            ("health", packed([{}] * 5), "at most 4 items"),
            ("health", packed([{"mirror": 4}]), "ascending mirrors below 4"),
            ("health", packed([{"mirror": 1}, {"mirror": 1}]), "ascending mirrors below 4"),
            ("health", packed([{"checked": 1 << 62}]), "a time of health"),
            ("health", packed([{"weight": 101}]), "a weight of health up to 100"),
            ("health", packed([{"families": [6, 4]}]), "4 and 6 as families"),
            ("health", packed([{"current": [2]}]), "repository below 2"),
            ("health", packed([{"lagging": [1], "lags": []}]), "1 lags"),
            ("health", packed([{"down": [{}]}]), "string as url"),
            ("health", packed([{"down": [{"url": "a", "category": 2}]}]), "category below 2"),
            ("health", packed([{"down": [{"url": "a", "family": 5}]}]), "0, 4 or 6"),
            ("health", packed([{"down": [{"url": "a\n"}]}]), "printable"),
            ("health", packed([{"old": [{"state": "fresh"}]}]), "late, stale, missing as state"),
            ("health", packed([{"old": [{}]}]), "unit below 0"),
            ("units", packed([{"path": "a", "category": 2}]), "category below 2"),
            ("units", packed([{"path": "a", "directories": [1]}]), "array of strings"),
            ("units", packed([{"path": "a", "directories": ["\x1b["]}]), "printable"),
        ]
    ),
)
def test_hostile_sections_are_refused(section: str, content: bytes, message: str) -> None:
    """Types, counts and references are checked when a file is read, each with its own message."""
    data = with_sections(WRITTEN, {section: content})
    with pytest.raises(SnapshotError, match=message):
        snapshot_format.decode(data)


MEBIBYTE = 1 << 20


def ranges_6(count: int) -> bytes:
    """A netblock table of so many IPv6 ranges."""
    starts = b"".join(number.to_bytes(16, "big") for number in range(count))
    return count.to_bytes(4, "little") + starts + bytes(4 * count)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("section", "content"),
    cases(
        [
            ("Mirrors", lambda: b"\xdd\xff\xff\xff\xff"),
            ("Mirrors", lambda: b"\xdd" + (8 * MEBIBYTE).to_bytes(4, "big") + b"\x80" * 8 * MEBIBYTE),
            ("Mirrors", lambda: packed([{"name": str(n), "x": [{}] * 50_000} for n in range(24)])),
            ("Mirrors", lambda: packed([{"name": "m", "x": [[]] * 8 * MEBIBYTE}])),
            ("Override", lambda: packed({"x": [{}] * 8 * MEBIBYTE})),
            ("Places", lambda: packed([""] * 8 * MEBIBYTE)),
            ("Aliases", lambda: b"\xdf\xff\xff\xff\xff" + bytes(8 * MEBIBYTE)),
            ("DirKeys", lambda: b"\xff\xff\xff\xff" + bytes(8 * MEBIBYTE)),
            # What can be kept: short items that become large objects.
            ("Mirrors", lambda: packed([{"name": str(n)} for n in range(60_000)])),
            ("Mirrors", lambda: packed([{"name": str(n), "denied": ["DE"] * 300_000} for n in range(8)])),
            ("Mirrors", lambda: packed([{"name": str(n), "netblocks": ["::/0"] * 150_000} for n in range(8)])),
            ("Mirrors", lambda: packed([{"name": str(n), "asns": [7] * 900_000} for n in range(8)])),
            ("Category", lambda: packed([{"name": str(n)} for n in range(65_000)])),
            ("Repos", lambda: packed([{"name": f"{n:07}", "directories": [{}]} for n in range(100_000)])),
            ("Repos", lambda: packed([{"name": str(n), "directories": [{}] * 900_000} for n in range(8)])),
            ("ChainRow", lambda: write_integers("I", [0, *range(1_000_000)])),
            ("Client6", lambda: ranges_6(400_000)),
            ("units", lambda: packed([{"path": "a"}] * 900_000)),
            ("units", lambda: packed([{"path": "a", "directories": ["b"] * 400_000}] * 8)),
            ("health", lambda: packed([{"mirror": n, "current": [0] * 900_000} for n in range(4)])),
        ]
    ),
)
def test_hostile_sizes_take_bounded_memory(section: str, content: Callable[[], bytes]) -> None:
    """Counts and nesting that promise or unfold to far more than the file take at most 12 times its size."""
    built = content()
    more = {"ChainHit": bytes([0, 0, 8, 0]) * (len(built) // 4 - 2)} if section == "ChainRow" else {}
    data = with_sections(WRITTEN, {section: built} | more)
    tracemalloc.start()
    try:
        loads_or_refuses(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < max(12 * len(data), MEBIBYTE)


def test_rows_that_go_to_and_fro_are_refused() -> None:
    """Rows that would give a thousand chains the same thousand matches do not get to be unpacked."""
    count = 1000
    rows = bytes(8) + (count.to_bytes(4, "little") + bytes(4)) * count + count.to_bytes(4, "little")
    data = with_sections(WRITTEN, {"ChainRow": rows, "ChainHit": bytes(4 * count)})
    tracemalloc.start()
    try:
        with pytest.raises(SnapshotError, match="chains"):
            snapshot_format.decode(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MEBIBYTE


def test_sections_that_are_not_in_order_are_refused() -> None:
    """A section that occurs twice, and padding that is not zero, are refused under right digests."""
    header, found = container.unpack(memoryview(WRITTEN))
    parts = [(name, bytes(content)) for name, content in found.items()]
    twice = container.pack(header.serial, header.built, [*parts, parts[-1]])
    with pytest.raises(SnapshotError, match="twice"):
        snapshot_format.decode(twice)
    (_, first), *_ = parts
    end = 192 + 24 * len(parts) + len(first)
    assert len(first) % 8
    padded = WRITTEN[:end] + b"\1" + WRITTEN[end + 1 :]
    with pytest.raises(SnapshotError, match="after section meta"):
        snapshot_format.decode(seal(padded))


def test_tables_are_not_unpacked() -> None:
    """Reading 20,000 directories allocates less than their bytes: tables stay views into the file."""
    keys = [b"\0\0" + b"releases/%05d/Everything" % number for number in range(20_000)]
    table = DirectoryTable(keys=KeyTable.build([b"\0\0", *keys]), sets=[0] * 20_001)
    data = snapshot_format.encode(snapshot_of([mirror("m")], directories=table))
    tracemalloc.start()
    try:
        snapshot = snapshot_format.decode(data)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < len(data) // 8
    assert snapshot.directories.find(0, b"releases/00007/Everything") == 0
