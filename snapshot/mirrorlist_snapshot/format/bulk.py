"""The sections that grow with directories and netblocks: tables.

Only the chains of netblocks are unpacked, because selection needs their objects.
"""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import Final

from mirrorlist_snapshot.errors import SnapshotError
from mirrorlist_snapshot.model import MAX_CHAIN_MATCHES, MAX_CHAINS, DirectoryTable, NetblockMatch
from mirrorlist_snapshot.tables import KeyTable, read_u16s, read_u32s, steps_within, write_integers

MAX_SETS: Final = 0x1_0000
"""Carrier set numbers are u16; the design point is 3,000."""
_MATCH: Final = struct.Struct("<HBB")
_MAX_LENGTH: Final = 128
"""The longest prefix of an IPv6 address."""
_CHAIN_BITS: Final = 24
"""Matches of one chain: more than all mirrors at all prefix lengths."""


def pack_chains(chains: tuple[tuple[NetblockMatch, ...], ...]) -> tuple[bytes, bytes]:
    """Sections ChainRow and ChainHit."""
    rows, matches = [0], bytearray()
    for chain in chains:
        for match in chain:
            matches += _MATCH.pack(match.mirror, match.length, match.exclusive)
        rows.append(len(matches) // _MATCH.size)
    return write_integers("I", rows), bytes(matches)


def unpack_chains(rows: memoryview, matches: memoryview) -> tuple[tuple[NetblockMatch, ...], ...]:
    """Sections ChainRow and ChainHit; equal matches are one object."""
    starts = read_u32s(rows)
    if len(starts) < 2 or starts[0] != 0 or starts[1] != 0:  # noqa: PLR2004 - chain 0 has two ends
        raise SnapshotError("an empty netblock chain 0", "none or another")
    if len(matches) % _MATCH.size or starts[-1] != len(matches) // _MATCH.size:
        raise SnapshotError(f"{starts[-1]} netblock matches of {_MATCH.size} bytes", f"{len(matches)} bytes")
    if len(starts) - 1 > MAX_CHAINS or starts[-1] > MAX_CHAIN_MATCHES:
        limits = f"at most {MAX_CHAINS} netblock chains of {MAX_CHAIN_MATCHES} matches in all"
        raise SnapshotError(limits, f"{len(starts) - 1} chains of {starts[-1]}", "split the snapshot")
    if not steps_within(rows[4:], 1, _CHAIN_BITS):
        raise SnapshotError("netblock chains of at least one match each", "an empty or backward one")
    words = read_u32s(matches)
    found = {word: _unpack_match(word) for word in set(words)}
    ordered = [found[word] for word in words]
    return tuple(tuple(ordered[start:end]) for start, end in pairwise(starts))


def _unpack_match(word: int) -> NetblockMatch:
    mirror, length, exclusive = word & 0xFFFF, word >> 16 & 0xFF, word >> 24  # _MATCH, as one integer
    if length > _MAX_LENGTH or exclusive > 1:
        raise SnapshotError("a netblock match of length up to 128, exclusive 0 or 1", f"{length} and {exclusive}")
    return NetblockMatch(length=length, mirror=mirror, exclusive=bool(exclusive))


def pack_set_numbers(directories: DirectoryTable) -> bytes:
    """Section DirSets; the caller has checked the range of the numbers."""
    return write_integers("H", directories.sets)


def unpack_directories(keys: memoryview, sets: memoryview) -> DirectoryTable:
    """Sections DirKeys and DirSets."""
    return DirectoryTable(keys=KeyTable(keys), sets=read_u16s(sets))
