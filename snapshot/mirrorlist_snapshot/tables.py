"""Sorted tables that are searched in place, so that loading or dropping one costs almost nothing.

A `KeyTable` numbers sorted byte strings (directories, files). A `NetTable` maps addresses to small numbers by disjoint
ranges: one bisection finds all netblocks that contain an address, however deeply they nest. Neither unpacks its bytes
into Python objects; a snapshot of 150,000 directories stays one buffer. FORMAT.md specifies the layouts. Integers are
little-endian unless stated otherwise.
"""

from __future__ import annotations

import struct
import sys
from array import array
from bisect import bisect_left, bisect_right
from itertools import groupby, pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from mirrorlist_snapshot.errors import SnapshotError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

T = TypeVar("T")

MAX_NESTED: Final = 8_000_000
"""Netblocks, each counted with those around it. A snapshot holds a million matches of distinct chains."""

_COUNT: Final = struct.Struct("<I")
MAX_HEAP: Final = (1 << 31) - 1
"""Bytes of all keys of a table: offsets keep their highest bit free (see `steps_within`)."""
PIECE: Final = 4_096
"""Rows of a long table that one call into C handles: a fraction of a millisecond (see `pieces`)."""
MAX_KEY: Final = (1 << 13) - 1
"""Bytes of one key: twice the longest path of common systems. A look-up never copies more."""


def read_u32s(data: memoryview) -> Sequence[int]:
    """Read little-endian u32 integers as a sequence; no copy on a little-endian machine."""
    return _integers(data, "I")


def read_u16s(data: memoryview) -> Sequence[int]:
    """Read little-endian u16 integers as a sequence; no copy on a little-endian machine."""
    return _integers(data, "H")


def read_u64s(data: memoryview) -> Sequence[int]:
    """Read little-endian u64 integers as a sequence; no copy on a little-endian machine."""
    return _integers(data, "Q")


def pieces(length: int, size: int) -> Iterator[slice]:
    """Yield slices of a long table: one call into C over the whole table would delay a server's answers."""
    return (slice(start, start + size) for start in range(0, length, size))


def highest(numbers: Sequence[int]) -> int:
    """The largest of many numbers, 0 of none."""
    return max((max(numbers[piece]) for piece in pieces(len(numbers), PIECE)), default=0)


def steps_within(offsets: memoryview, low: int, bits: int) -> bool:
    """Whether every u32 in `offsets` exceeds the one before by `low` (0 or 1) to `low` + 2**bits - 1.

    The bytes are taken as long integers of 32-bit lanes, so that one operation checks thousands of steps. No value may
    use the highest bit of its lane. That bit is set in the minuend, so that no lane borrows from the next.
    """
    steps = pieces(len(offsets) // 4 - 1, PIECE)
    return all(_all_within(offsets[4 * piece.start : 4 * piece.stop + 4], low, bits) for piece in steps)


def _all_within(offsets: memoryview, low: int, bits: int) -> bool:
    lanes = len(offsets) // 4 - 1
    if lanes < 1:
        return True
    ones = int.from_bytes(b"\x01\x00\x00\x00" * lanes, "little")
    guard = ones << 31
    earlier, later = int.from_bytes(offsets[:-4], "little"), int.from_bytes(offsets[4:], "little")
    if (earlier | later) & guard:
        return False
    return ((later | guard) - earlier - ones * low) & (ones * (0x1_0000_0000 - (1 << bits))) == guard


def write_integers(code: str, values: Iterable[int]) -> bytes:
    """Write integers as little-endian bytes; `code` is `Q` (u64), `I` (u32) or `H` (u16)."""
    numbers = array(code, values)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def _integers(data: memoryview, code: Literal["H", "I", "Q"]) -> Sequence[int]:
    width = struct.calcsize(f"<{code}")
    if len(data) % width:
        raise SnapshotError(f"a whole number of {width}-byte integers", f"{len(data)} bytes")
    if sys.byteorder == "little":
        return data.cast(code)
    numbers = array(code, data.tobytes())
    numbers.byteswap()
    return numbers


class KeyTable:
    """Sorted distinct byte strings; `find` gives a key's row number.

    Layout: u32 count, count + 1 u32 offsets into the heap, the heap of concatenated keys in ascending byte
    order. Opening a table proves that offsets never decrease and that no key is longer than MAX_KEY, so that a
    look-up in hostile bytes ends in time and never raises. `check` proves that the keys ascend, which only decides
    what is found.
    """

    __slots__ = ("_heap", "_offsets", "data")

    def __init__(self, data: memoryview) -> None:
        """Open the table in `data`, which stays in use; raise SnapshotError if the parts do not fit each other."""
        if len(data) < _COUNT.size:
            raise SnapshotError("a key table of at least 4 bytes", f"{len(data)} bytes")
        (count,) = _COUNT.unpack_from(data)
        heap = _COUNT.size + 4 * (count + 1)
        if heap > len(data):
            raise SnapshotError(f"a key table with {count} keys", f"only {len(data)} bytes")
        self.data = data
        self._offsets = read_u32s(data[_COUNT.size : heap])
        self._heap = data[heap:].toreadonly()
        if self._offsets[0] != 0 or self._offsets[count] != len(self._heap):
            raise SnapshotError(
                f"a key heap of {len(self._heap)} bytes",
                f"offsets {self._offsets[0]} to {self._offsets[count]}",
            )
        if not steps_within(data[_COUNT.size : heap], 0, MAX_KEY.bit_length()):
            raise SnapshotError(f"ascending offsets and keys of at most {MAX_KEY} bytes", "others in a key table")

    @classmethod
    def build(cls, keys: Sequence[bytes]) -> KeyTable:
        """Build a table of keys that are sorted and distinct."""
        offsets = array("Q", [0])
        for key in keys:
            offsets.append(offsets[-1] + len(key))
        if offsets[-1] > MAX_HEAP:
            raise SnapshotError("less than 2 GiB of keys", f"{offsets[-1]} bytes", "split the snapshot")
        if (longest := max(map(len, keys), default=0)) > MAX_KEY:
            raise SnapshotError(f"keys of at most {MAX_KEY} bytes", f"one of {longest}", "shorten its path")
        return cls(memoryview(_COUNT.pack(len(keys)) + write_integers("I", offsets) + b"".join(keys)))

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, row: int) -> bytes:
        """Return the key of a row; IndexError past the end, as for any sequence."""
        if row < 0:
            raise IndexError(row)
        return bytes(self._heap[self._offsets[row] : self._offsets[row + 1]])

    def __iter__(self) -> Iterator[bytes]:
        heap = self._heap
        return (bytes(heap[start:end]) for start, end in pairwise(self._offsets))

    def find(self, key: bytes) -> int:
        """Return the row of `key`, or -1."""
        row = self._first_from(key)
        return row if row < len(self) and self[row] == key else -1

    def before(self, key: bytes) -> bytes:
        """Return the last key that is before `key`; empty where there is none."""
        row = self._first_from(key)
        return self[row - 1] if row else b""

    def has_prefix(self, prefix: bytes) -> bool:
        """Whether a key begins with `prefix`."""
        row = self._first_from(prefix)
        return row < len(self) and self[row].startswith(prefix)

    def _first_from(self, key: bytes) -> int:
        """Return the row of the first key that is not before `key`."""
        heap, offsets = self._heap, self._offsets
        low, high = 0, len(offsets) - 1
        while low < high:
            middle = (low + high) // 2
            if bytes(heap[offsets[middle] : offsets[middle + 1]]) < key:
                low = middle + 1
            else:
                high = middle
        return low

    def check(self) -> None:
        """Raise SnapshotError unless keys ascend strictly (O(rows); for `verify`)."""
        for row, (left, right) in enumerate(pairwise(self)):
            if left >= right:
                raise SnapshotError("keys in ascending order", f"{left!r} before {right!r} at row {row}")


class NetTable:
    """Addresses of one family -> a small number, 0 where nothing is known.

    Layout: u32 count, `count` range starts of `width` bytes each (an address in network byte order,
    ascending), `count` u32 values. A range reaches to the next start; below the first start the value is 0.
    """

    __slots__ = ("_leads", "_starts", "_values", "_width", "data")

    def __init__(self, data: memoryview, width: int) -> None:
        """Open the table in `data` for addresses of `width` bytes (4 or 16)."""
        if len(data) < _COUNT.size:
            raise SnapshotError("a netblock table of at least 4 bytes", f"{len(data)} bytes")
        (count,) = _COUNT.unpack_from(data)
        values = _COUNT.size + width * count
        if len(data) != values + 4 * count:
            raise SnapshotError(f"a netblock table with {count} ranges", f"{len(data)} bytes")
        self.data = data
        self._width = width
        self._starts = data[_COUNT.size : values].toreadonly()
        self._values = read_u32s(data[values:])
        # The first 8 bytes of each start (all 4 of IPv4) as machine integers. C bisects these; only starts that share
        # their first 8 bytes are compared further.
        leads = array("I" if width == 4 else "Q")  # noqa: PLR2004 - bytes of an IPv4 address
        leads.frombytes(self._starts)
        leads = leads[:: width // leads.itemsize]
        if sys.byteorder == "little":
            leads.byteswap()
        self._leads = leads

    @classmethod
    def build(cls, ranges: Sequence[tuple[int, int]], width: int) -> NetTable:
        """Build a table from ascending (first address as integer, value) pairs."""
        starts = b"".join(start.to_bytes(width, "big") for start, _ in ranges)
        values = write_integers("I", (value for _, value in ranges))
        return cls(memoryview(_COUNT.pack(len(ranges)) + starts + values), width)

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[tuple[bytes, int]]:
        return ((self._start(row), value) for row, value in enumerate(self._values))

    @property
    def highest(self) -> int:
        """The largest value in the table, 0 for an empty one; readers check references with it."""
        return highest(self._values)

    def find(self, packed: bytes) -> int:
        """Return the value of the range that holds the address; `packed` has this table's width."""
        leads = self._leads
        lead = int.from_bytes(packed[:8], "big")
        after = bisect_right(leads, lead)
        if self._width > 8 and after and leads[after - 1] == lead:  # noqa: PLR2004 - bytes in a lead
            after = bisect_right(range(after), packed, bisect_left(leads, lead), after, key=self._start)
        return self._values[after - 1] if after else 0

    def _start(self, row: int) -> bytes:
        return bytes(self._starts[row * self._width : (row + 1) * self._width])

    def check(self) -> None:
        """Raise SnapshotError unless the starts ascend strictly (O(rows); for `verify`)."""
        for row, ((left, _), (right, _)) in enumerate(pairwise(self)):
            if left >= right:
                found = f"{left.hex()} before {right.hex()} at row {row}"
                raise SnapshotError("ascending netblock ranges", found)


def flatten(
    netblocks: Iterable[tuple[int, int, T]], bits: int, most: int = MAX_NESTED
) -> list[tuple[int, tuple[tuple[int, T], ...]]]:
    """Return nested netblocks as disjoint ranges, each with every netblock that holds it, longest prefix first.

    `netblocks` are (network address, prefix length, payload); `bits` is 32 or 128. The result's items are
    (first address of the range, ((prefix length, payload), ...)); equal prefixes keep their input order. Raise
    SnapshotError if the netblocks, each with those around it, are more than `most`: a hundred equal prefixes around a
    hundred thousand others would take gigabytes.
    """
    ordered = sorted(netblocks, key=lambda item: item[:2])
    ranges: list[tuple[int, tuple[tuple[int, T], ...]]] = []
    # (first address past the block, it and the blocks around it), outermost first
    open_blocks: list[tuple[int, tuple[tuple[int, T], ...]]] = []
    nested = 0

    def emit(start: int, chain: tuple[tuple[int, T], ...]) -> None:
        if ranges and ranges[-1][0] == start:
            ranges.pop()
        if (ranges[-1][1] if ranges else ()) != chain:
            ranges.append((start, chain))

    def close(until: int) -> None:
        while open_blocks and open_blocks[-1][0] <= until:
            end = open_blocks[-1][0]
            while open_blocks and open_blocks[-1][0] == end:
                open_blocks.pop()
            if end < 1 << bits:
                emit(end, open_blocks[-1][1] if open_blocks else ())

    for (network, length), equal in groupby(ordered, key=itemgetter(0, 1)):
        close(network)
        chain = tuple((length, payload) for _, _, payload in equal) + (open_blocks[-1][1] if open_blocks else ())
        nested += len(chain)
        if nested > most:
            fix = "give fewer mirrors a netblock around many others"
            raise SnapshotError(f"at most {most} netblocks, each counted with those around it", "more", fix)
        open_blocks.append((network + (1 << (bits - length)), chain))
        emit(network, chain)
    close(1 << bits)
    return ranges
