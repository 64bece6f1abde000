"""Tables that are searched in place, held against searches that are plainly right."""

from __future__ import annotations

import ipaddress
from bisect import bisect_left
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mirrorlist_snapshot.errors import SnapshotError
from mirrorlist_snapshot.model import DirectoryTable
from mirrorlist_snapshot.tables import (
    MAX_KEY,
    KeyTable,
    NetTable,
    flatten,
    read_u16s,
    read_u32s,
    read_u64s,
    steps_within,
    write_integers,
)
from support.snapshots import NETWORKS, Network

KEYS = st.lists(st.binary(max_size=6), max_size=30, unique=True).map(sorted)
READERS = {"H": read_u16s, "I": read_u32s, "Q": read_u64s}


@given(keys=KEYS, others=st.lists(st.binary(max_size=6)))
def test_keys_are_found(keys: list[bytes], others: list[bytes]) -> None:
    """A key's row is its place among the sorted keys, and -1 for any other key."""
    table = KeyTable(KeyTable.build(keys).data)
    table.check()
    assert len(table) == len(keys)
    assert list(table) == keys == [table[row] for row in range(len(table))]
    for key in keys + others:
        assert table.find(key) == (bisect_left(keys, key) if key in keys else -1)
    for row in (-1, len(keys)):
        with pytest.raises(IndexError):
            table[row]


@given(keys=KEYS, data=st.data())
def test_damaged_key_tables_are_refused_or_safe(keys: list[bytes], data: st.DataObject) -> None:
    """Whatever the bytes of a table, it is refused when opened, or every look-up ends with a row or -1."""
    damaged = bytearray(KeyTable.build(keys).data)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        table = KeyTable(memoryview(bytes(damaged)))
    except SnapshotError:
        return
    for key in [*keys, b"", b"\xff" * 8, *table]:
        assert -1 <= table.find(key) < len(table)


def offsets(*values: int) -> memoryview:
    """u32 offsets as bytes."""
    return memoryview(write_integers("I", values))


def test_key_tables_with_wrong_offsets_are_refused() -> None:
    """Offsets that go back, leave the heap or make a key too long are refused at once."""
    for count, heap, values in (
        (0, b"", ()),
        (1, b"ab", (1, 2)),
        (1, b"ab", (0, 1)),
        (2, b"ab", (0, 3, 2)),
        (2, b"ab", (0, 0xFFFF_FFFF, 2)),
        (1, b"a" * (MAX_KEY + 1), (0, MAX_KEY + 1)),
        (9, b"", (0,)),
    ):
        data = memoryview(count.to_bytes(4, "little") + offsets(*values) + heap)
        with pytest.raises(SnapshotError):
            KeyTable(data)


def test_keys_have_a_longest() -> None:
    """A key of MAX_KEY bytes is found; a longer one is refused when the table is built."""
    assert KeyTable.build([b"k" * MAX_KEY]).find(b"k" * MAX_KEY) == 0
    with pytest.raises(SnapshotError, match="shorten"):
        KeyTable.build([b"k" * (MAX_KEY + 1)])


def test_order_is_checked() -> None:
    """`check` finds keys and ranges out of order or twice, which opening a table does not look for."""
    for keys in ([b"b", b"a"], [b"a", b"a"]):
        with pytest.raises(SnapshotError, match="ascending"):
            KeyTable.build(keys).check()
    for starts in ([2, 1], [1, 1]):
        with pytest.raises(SnapshotError, match="ascending"):
            NetTable.build([(start, 0) for start in starts], 4).check()


@given(
    values=st.lists(st.integers(0, 40) | st.integers(0, 0xFFFF_FFFF), max_size=8)
    | st.lists(st.integers(0, 40)).map(sorted),
    low=st.sampled_from([0, 1]),
    bits=st.integers(1, 24),
)
@example(values=[0, 0x8000_0005], low=0, bits=4)  # the highest bit would hide a step of half the range
@example(values=[0xFFFF_FFFD, 0], low=0, bits=4)  # and a step back
def test_steps(values: list[int], low: int, bits: int) -> None:
    """All steps at once are what each step is alone, for values below 2**31."""
    fits = all(low <= right - left < low + (1 << bits) for left, right in pairwise(values))
    expected = fits and (len(values) < 2 or max(values) < 1 << 31)
    assert steps_within(offsets(*values), low, bits) is expected


@given(values=st.lists(st.integers(0, 0xFFFF)), code=st.sampled_from(sorted(READERS)))
def test_integers(values: list[int], code: str) -> None:
    """Integers are read as they were written, little-endian, whatever the machine."""
    size = {"H": 2, "I": 4, "Q": 8}[code]
    data = write_integers(code, values)
    assert data == b"".join(value.to_bytes(size, "little") for value in values)
    assert list(READERS[code](memoryview(data))) == values
    with pytest.raises(SnapshotError, match="whole number"):
        READERS[code](memoryview(data + b"\0"))


def probes(networks: list[Network], bits: int) -> set[int]:
    """Addresses at both ends of all networks, just outside of them, and at the ends of the address space."""
    addresses = {0, (1 << bits) - 1}
    for network in networks:
        first, last = int(network.network_address), int(network.broadcast_address)
        addresses |= {first - 1, first, last, last + 1}
    return {address for address in addresses if 0 <= address < 1 << bits}


SEGMENTS = st.lists(st.sampled_from([b"a", b"b", b"a.", b"a-", b"ab", b"\xff"]), max_size=5).map(b"/".join)


@given(
    rows=st.sets(st.tuples(st.sampled_from([0, 1, 256]), SEGMENTS), max_size=10),
    category=st.sampled_from([0, 1, 2, 256]),
    path=SEGMENTS,
)
def test_the_nearest_directory_is_the_longest_listed_ancestor(
    rows: set[tuple[int, bytes]], category: int, path: bytes
) -> None:
    """As a walk up the path, one segment after the other, finds it."""
    keys = sorted(number.to_bytes(2, "big") + row for number, row in rows)
    table = DirectoryTable(keys=KeyTable.build(keys), sets=list(range(len(keys))))
    walk = path
    while (category, walk) not in rows and walk:
        walk = walk.rpartition(b"/")[0]
    expected = keys.index(category.to_bytes(2, "big") + walk) if (category, walk) in rows else None
    assert table.nearest(category, path) == expected


def test_a_path_of_hundreds_of_segments_takes_few_searches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger's path costs no search for each of its segments."""
    keys = [b"\0\0", *sorted(b"\0\0d/%d" % number for number in range(1_000)), b"\0\1"]
    table = DirectoryTable(keys=KeyTable.build(keys), sets=[7] * len(keys))
    searches: list[bytes] = []
    find = KeyTable._first_from

    def counted(self: KeyTable, key: bytes) -> int:
        searches.append(key)
        return find(self, key)

    monkeypatch.setattr(KeyTable, "_first_from", counted)
    for path in (b"a/" * 511 + b"a", b"d/" * 511 + b"d", b"d/5/" * 200 + b"x", b"z/" * 511 + b"z"):
        assert table.nearest(0, path) == 7
    assert len(searches) <= 4 * 6


@given(found=st.lists(NETWORKS, max_size=8), version=st.sampled_from([4, 6]))
def test_flatten_finds_every_network_that_holds_an_address(found: list[Network], version: int) -> None:
    """The flattened ranges give, for any address, all networks that hold it: the longest first, equals in order."""
    bits = 32 if version == 4 else 128
    networks = [network for network in found if network.version == version]
    blocks = [(int(one.network_address), one.prefixlen, number) for number, one in enumerate(networks)]
    ranges = flatten(blocks, bits)
    assert [start for start, _ in ranges] == sorted({start for start, _ in ranges})
    chains = [(), *(chain for _, chain in ranges)]
    assert all(left != right for left, right in pairwise(chains))
    table = NetTable.build([(start, number) for number, (start, _) in enumerate(ranges, 1)], bits // 8)
    table.check()
    for value in probes(networks, bits):
        address = ipaddress.IPv4Address(value) if version == 4 else ipaddress.IPv6Address(value)
        holding = [(one.prefixlen, number) for number, one in enumerate(networks) if address in one]
        assert list(chains[table.find(address.packed)]) == sorted(holding, key=lambda pair: -pair[0])


@given(
    width=st.sampled_from([4, 16]),
    starts=st.lists(st.integers(0, 0xFFFF_FFFF), max_size=10, unique=True).map(sorted),
    probe=st.integers(0, 0xFFFF_FFFF),
)
def test_ranges_reach_to_the_next(width: int, starts: list[int], probe: int) -> None:
    """An address has the value of the last range that starts at or before it, and 0 before the first."""
    table = NetTable.build([(start, number) for number, start in enumerate(starts, 1)], width)
    assert len(table) == table.highest == len(starts)
    assert list(table) == [(start.to_bytes(width, "big"), number) for number, start in enumerate(starts, 1)]
    for address in (probe, *starts):
        assert table.find(address.to_bytes(width, "big")) == sum(start <= address for start in starts)


@given(data=st.binary(max_size=40), width=st.sampled_from([4, 16]))
def test_any_bytes_are_a_netblock_table_or_refused(data: bytes, width: int) -> None:
    """Bytes of the wrong length are refused; any others give some value of the table for any address."""
    try:
        table = NetTable(memoryview(data), width)
    except SnapshotError:
        return
    for address in (bytes(width), b"\xff" * width):
        assert 0 <= table.find(address) <= table.highest
