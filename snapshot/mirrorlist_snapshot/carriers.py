"""Which mirrors are offered for which directory: declared and observed prefixes -> numbered carrier sets. Pure.

A set of mirrors is an int, bit m for mirror m, so that one operation intersects any number of mirrors and 150,000
directories take no loop over mirrors. Inactive, private and restricted mirrors stay in the sets; the server leaves them
out and reports the reason.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from mirrorlist_snapshot.model import CarrierSets, CategoryKind, DirectoryTable
from mirrorlist_snapshot.tables import KeyTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mirrorlist_snapshot.records import ContentRecord, MirrorRecord, NetworkRecords


def directories_and_sets(
    records: NetworkRecords, mirrors: Sequence[MirrorRecord], category_numbers: Mapping[str, int]
) -> tuple[DirectoryTable, CarrierSets]:
    """Build the rows of every category, in key order; distinct sets are numbered in the order in which they occur."""
    bits = {record.name: 1 << number for number, record in enumerate(mirrors)}
    contents: dict[str, list[tuple[int, ContentRecord]]] = {}
    for record in mirrors:
        for content in record.contents:
            contents.setdefault(content.category, []).append((bits[record.name], content))
    sets: dict[int, int] = {}
    kinds = {record.name: record.kind for record in records.categories}
    keys: list[bytes] = []
    numbers = array("I")
    for category, number in category_numbers.items():
        allowed = _allowed(contents.get(category, []))
        if kinds[category] is CategoryKind.OPEN:
            rows = _changes(allowed)
        else:
            rows = _listed(records.directories.get(category, {}), allowed, bits)
        head = number.to_bytes(2, "big")
        for path, members in sorted((path.encode(), members) for path, members in rows):
            keys.append(head + path)
            numbers.append(sets.setdefault(members, len(sets)))
    width = max(1, (len(mirrors) + 7) // 8)
    packed = b"".join(members.to_bytes(width, "little") for members in sets)
    return DirectoryTable(keys=KeyTable.build(keys), sets=numbers), CarrierSets(width=width, data=memoryview(packed))


def _allowed(contents: Iterable[tuple[int, ContentRecord]]) -> dict[str, int]:
    """Return prefix -> the mirrors that are offered for it and what is below it, up to the next prefix.

    A directory's carriers depend only on the prefixes that are the directory itself or one of its ancestors. The
    prefixes are therefore visited from the top down; each starts from the sets of its nearest ancestor.
    """
    everywhere = members = 0
    includes: dict[str, int] = {}
    excludes: dict[str, int] = {}
    observed: dict[bool, dict[str, int]] = {False: {}, True: {}}
    for bit, content in contents:
        if not set(content.urls) <= set(content.down_urls):
            members |= bit
        for prefix, offered in content.observed_directories:
            observed[offered][prefix] = observed[offered].get(prefix, 0) | bit
        if not content.include:
            everywhere |= bit
        for prefix in content.include:
            includes[prefix] = includes.get(prefix, 0) | bit
        for prefix in content.exclude:
            excludes[prefix] = excludes.get(prefix, 0) | bit
    included = {"": everywhere | includes.get("", 0)}
    excluded = {"": excludes.get("", 0)}
    withheld = {"": observed[False].get("", 0)}
    prefixes = includes.keys() | excludes.keys() | observed[False].keys() | observed[True].keys()
    # An ancestor is shorter than its descendants, so it has been visited before them.
    for prefix in sorted(prefixes - {""}, key=len):
        ancestor = _nearest(prefix.rpartition("/")[0], included)
        included[prefix] = included[ancestor] | includes.get(prefix, 0)
        excluded[prefix] = excluded[ancestor] | excludes.get(prefix, 0)
        withheld[prefix] = withheld[ancestor] & ~observed[True].get(prefix, 0) | observed[False].get(prefix, 0)
    return {prefix: members & included[prefix] & ~excluded[prefix] & ~withheld[prefix] for prefix in included}


def _nearest(path: str, prefixes: Mapping[str, int]) -> str:
    """Return the path or its nearest ancestor among the prefixes; the top is always one of them."""
    while path not in prefixes:
        path = path.rpartition("/")[0]
    return path


def _changes(allowed: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """Yield the rows of an open category: the top, and each prefix whose set differs from its nearest ancestor's."""
    for prefix, members in allowed.items():
        if not prefix or members != allowed[_nearest(prefix.rpartition("/")[0], allowed)]:
            yield prefix, members


def _listed(
    directories: Mapping[str, frozenset[str]], allowed: Mapping[str, int], bits: Mapping[str, int]
) -> Iterator[tuple[str, int]]:
    """Yield the rows of a listed category: every directory with the carriers that include and exclude allow."""
    masks: dict[frozenset[str], int] = {}  # one sum for each distinct set; a frozenset caches its hash
    for path, names in directories.items():
        if (mask := masks.get(names)) is None:
            mask = masks[names] = sum(bits[name] for name in names)
        yield path, mask & allowed[_nearest(path, allowed)]
