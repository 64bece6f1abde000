"""Records of a mirror network for tests, as a source would produce them."""

from __future__ import annotations

from typing import Any

from mirrorlist_snapshot.model import CategoryKind, Overrides
from mirrorlist_snapshot.records import CategoryRecord, ContentRecord, MirrorRecord, NetworkRecords


def category(name: str, kind: CategoryKind = CategoryKind.OPEN) -> CategoryRecord:
    """A category whose top is its name."""
    return CategoryRecord(name=name, kind=kind, top=name)


def mirror(name: str, *contents: ContentRecord, **fields: Any) -> MirrorRecord:
    """A mirror of which only the given fields matter."""
    plain_query: dict[str, Any] = {
        "country": None,
        "bandwidth": 100,
        "asns": (),
        "netblocks": (),
        "private": False,
        "fallback": False,
        "active": True,
        "allowed_countries": (),
        "denied_countries": (),
    }
    return MirrorRecord(name=name, contents=contents, **{**plain_query, **fields})


def records(**fields: Any) -> NetworkRecords:
    """Records of which only the given fields matter."""
    plain_query: dict[str, Any] = {
        "categories": (),
        "mirrors": (),
        "repositories": (),
        "aliases": {},
        "directories": {},
        "files": {},
        "overrides": Overrides(continents={}, neighbours={}, never_served={}),
        "netblock_countries": {},
        "asn_netblocks": {},
    }
    return NetworkRecords(**{**plain_query, **fields})
