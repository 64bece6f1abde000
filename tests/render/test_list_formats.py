"""Claims of `lists` and `.listing` that need no question: what each format makes of a listing."""

from __future__ import annotations

import json

from mirrorlist_snapshot.tiers import COUNTRY, FALLBACK, NEIGHBOURS, NETBLOCK
from mirrorlistd.memo import Memo
from mirrorlistd.render import FORMATS, TEXT, Listing, tiers_of
from mirrorlistd.render.hashes import HASHES
from mirrorlistd.render.parts import Parts
from mirrorlistd.request.query import parse_query
from mirrorlistd.selection.index import Index
from mirrorlistd.selection.rank import Ranking
from support.worlds import compiled, mirror, network

INDEX = Index(
    compiled(
        network(
            {
                "a": mirror("DE", categories={"c": ["https://a/", "http://a/"]}),
                "b": mirror(None, categories={"c": ["http://b:8080/%7Ex/"]}),
                "d": mirror("FR", categories={"c": ["https://[2001:db8::1]/"]}, fallback=True),
            }
        )
    )
)
CHOICE = Ranking([(NETBLOCK, 1), (NEIGHBOURS + 3, 2)], 4)
PLAIN = ((b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"private, no-store"))
BOTH = ("https", "http")


def listing(path: str, protocols: tuple[str, ...], order: list[int], comment: bytes = b"# x\n") -> Listing:
    """A listing of these mirrors in this order."""
    target = INDEX.resolve(parse_query(f"path={path}".encode()))
    parts = Parts(Memo(2), Memo(2))
    return Listing(INDEX, target, INDEX.offers(0, protocols), CHOICE, order, comment, "", parts, "$repo/os/$arch")


def test_text() -> None:
    """The order is the order drawn; the path stands between one base URL and the next, and after the last."""
    all_three = b"# x\nhttps://[2001:db8::1]/p/\nhttps://a/p/\nhttp://b:8080/%7Ex/p/\n"
    assert TEXT.render(listing("c/p/", (), [2, 0, 1])) == (200, PLAIN, all_three)
    both = b"http://b:8080/%7Ex/p\nhttps://a/p\nhttp://a/p\n"
    assert TEXT.render(listing("c/p", BOTH, [1, 0], b"")) == (200, PLAIN, both)
    assert TEXT.render(listing("c", (), [0], b"")) == (200, PLAIN, b"https://a/\n")


def test_json() -> None:
    """The same URLs in the same order; the tier is that of the mirror, an unknown country is null, no comments."""
    rows: list[dict[str, object]] = []
    cases: list[tuple[str, tuple[str, ...], list[int]]] = [("c/p/", (), [2, 0, 1]), ("c", BOTH, [1, 0, 2])]
    for path, protocols, order in cases:
        asked = listing(path, protocols, order)
        status, headers, body = FORMATS["json"].render(asked)
        rows = json.loads(body)
        assert (status, dict(headers)[b"content-type"]) == (200, b"application/json")
        assert [row["url"] for row in rows] == TEXT.render(asked).body.decode().splitlines()[1:]
        assert [row["prio"] for row in rows] == list(range(len(rows)))
        assert all(set(row) == {"url", "prio", "country", "tier"} for row in rows)
        assert body.endswith(b"]\n")
    assert {row["url"]: (row["country"], row["tier"]) for row in rows} == {
        "https://a/": ("DE", "netblock"),
        "http://a/": ("DE", "netblock"),
        "http://b:8080/%7Ex/": (None, "neighbours"),
        "https://[2001:db8::1]/": ("FR", "fallback"),
    }


def test_tiers_of_a_choice() -> None:
    """Every mirror of a choice has its tier's code, the last resort's too, drawn or not."""
    assert tiers_of(CHOICE) == {0: NETBLOCK, 1: NEIGHBOURS + 3, 2: FALLBACK}
    assert tiers_of(Ranking([(COUNTRY, 5)])) == {0: COUNTRY, 2: COUNTRY}
    assert tiers_of(Ranking([])) == {}


def test_every_format() -> None:
    """Each is found by its own name, names every mirror in order, says its type, and nobody may share it."""
    asked = listing("c/p%3C%22", BOTH, [1, 0, 2])
    urls = TEXT.render(asked).body.splitlines()[1:]
    lists = {name: renderer for name, renderer in FORMATS.items() if not renderer.hash}
    assert len(lists) == len(FORMATS) - len(HASHES)
    for name, renderer in lists.items():
        assert name == renderer.name
        status, headers, body = renderer.render(asked)
        assert status == (302 if name == "redirect" else 200)
        assert dict(headers)[b"cache-control"].startswith(b"private")
        assert b"/" in dict(headers)[b"content-type"]
        assert all(header == header.lower() for header, _ in headers)
        assert body.endswith(b"\n")
        told = b"\n".join([*(value for _, value in headers), body])
        places = [told.find(url) for url in urls]
        assert -1 not in places, name
        assert places == sorted(places), name
