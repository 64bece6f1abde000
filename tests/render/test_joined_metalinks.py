"""Metalinks are joined from remembered parts: they equal documents that are written line by line."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrorlistd.memo import Memo
from mirrorlistd.render import FORMATS, Listing
from mirrorlistd.render.parts import Parts
from mirrorlistd.request.query import parse_query
from mirrorlistd.selection.index import Index
from mirrorlistd.selection.rank import Ranking
from oracles import metalinks
from support.worlds import compiled, mirror, network

MIRRORS = 150
HASHES = {"sha256": "3" * 64, "md5": "1" * 32}
REPOMD = {"path": "repodata/repomd.xml", "timestamp": 1_700_000_000, "size": 3000, **HASHES}
OLD = {"timestamp": 1_600_000_000, "size": 10, "sha256": "b" * 64}


def _mirror(number: int) -> dict[str, Any]:
    """One of many: some without a country, some private, some with ftp, one with characters that XML escapes."""
    host = "a&b" if number == 0 else f"m{number}"
    return mirror(
        (None, "DE", "FR", "US")[number % 4],
        categories={
            "c": [f"https://m{number}/{host}/", f"http://m{number}/{host}/", f"ftp://m{number}/"][: number % 3 + 1]
        },
        **({"private": True, "netblocks": [f"198.51.100.{number}/32"]} if number % 7 == 0 else {}),
    )


INDEX = Index(
    compiled(
        network(
            {f"m{number:03}": _mirror(number) for number in range(MIRRORS)},
            repositories={"r": {"category": "c", "path": "9", "files": [REPOMD | {"alternates": [OLD]}]}},
        )
    )
)
NOBODY = Ranking(())
PARTS = Parts(Memo(2), Memo(2))
"""Shared by all examples, as the answers of a server share them; small, so that they overflow."""

NAMES = st.sampled_from(["repodata/repomd.xml", "repodata/a&b<c>.xml", "x'\"y", "plain"])
ORDERS = st.lists(st.integers(0, MIRRORS - 1), min_size=1, unique=True)
PROTOCOLS = st.sampled_from([(), ("https",), ("https", "http"), ("http", "https", "ftp")])


@pytest.mark.parametrize(("name", "model"), [("metalink", metalinks.version_3), ("metalink4", metalinks.version_4)])
@given(order=ORDERS, file=NAMES, protocols=PROTOCOLS)
def test_a_joined_metalink_equals_one_written_line_by_line(
    name: str, model: metalinks.Model, order: list[int], file: str, protocols: tuple[str, ...]
) -> None:
    """For every order, file and choice of protocols, and whatever was asked before."""
    query = b"repo=r&file=" + file.encode().replace(b"&", b"%26")
    target = INDEX.resolve(parse_query(query))
    offers = INDEX.offers(target.category, protocols)
    listing = Listing(INDEX, target, offers, NOBODY, order, b"", "", PARTS, "")
    lines = [
        (INDEX.snapshot.mirrors[number], (url + target.suffix).decode())
        for number in order
        for url in offers.urls[number]
    ]
    wanted = model(INDEX.snapshot.built, file.rpartition("/")[2], INDEX.details(target), lines)
    assert FORMATS[name].render(listing).body.decode() == wanted
