"""Whatever snapshot can be decoded, no page fails: the pages show what the format allows."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from mirrorlist_snapshot.errors import SnapshotError
from mirrorlist_snapshot.format import decode, encode
from mirrorlistd.answering.decider import Decider
from mirrorlistd.answering.plan import AnswerSettings
from mirrorlistd.presets import PRESETS
from mirrorlistd.request.client_address import Trust
from mirrorlistd.selection.index import Index
from mirrorlistd.state.service import Service
from mirrorlistd.web.app import create_app
from support.asgi import request
from support.readers import browser
from support.snapshots import mirror, snapshot_of, snapshots
from support.worlds import DE, NOWHERE, PLACES, Map, state_of

if TYPE_CHECKING:
    from mirrorlist_snapshot.model import Mirror, Snapshot

pytestmark = pytest.mark.slow

ODD_COUNTRIES = ("XX", "ZZ", "AA", "UK", "EU", "QQ")
ODD_URLS = (
    *("https://[/", "https://]/", "https://[::1/", "https://a:b:c/", "https://a:99999/", "https://:80/", "https:///"),
    *("https://@/", "https://u:p@/", "https://[v1.x]/", "http://[::g]/", "x://[]/", "https://a%zz/", "https://?#/"),
)
ACCEPT = ("text/html", "application/json", "*/*")


def serving(snapshot: Snapshot, preset: str = "default") -> Service:
    """A server of a snapshot as it is after it was written and read; raise SnapshotError where it is none."""
    read = decode(bytes(encode(snapshot)))
    geo: Any = Map(PLACES | {NOWHERE: ("XX", "??", 0)})
    made = Decider(Index(read), geo, AnswerSettings(preset=PRESETS[preset]))
    return Service(state=state_of(made, Trust.parse((), "x-forwarded-for"), ["127.0.0.0/8"]))


def targets(snapshot: Snapshot) -> list[str]:
    """Every page, with each repository and the countries of the mirrors."""
    names = [quote(name, safe="") for name in [one.name for one in snapshot.repositories] + list(snapshot.aliases)]
    countries = sorted({one.country for one in snapshot.mirrors if one.country})
    return [
        *("/", "/repos", "/mirrors", "/readyz", "/metrics", "/explain", f"/?ip={NOWHERE}", "/?path=x", "/healthz"),
        *(f"{page}/{name}" for name in names for page in ("/repos", "/r")),
        *(f"/r/{name}/x.iso" for name in names),
        *(f"{page}?repo={name}" for name in names for page in ("/", "/mirrors", "/explain", "/mirrorlist")),
        *(f"{page}?country={country}" for country in countries for page in ("/", "/mirrors", "/explain")),
        *(f"/mirrorlist?repo={name}&format={form}" for name in names for form in ("json", "metalink", "apt", "text")),
    ]


async def ask_all(using: Service) -> None:
    """Ask for every page in every form."""
    assert using.state is not None
    app = create_app(using)
    for peer in (DE, NOWHERE, "127.0.0.1"):
        for target in targets(using.state.published):
            for accept in ACCEPT:
                status, _, _ = await request(app, target, [(b"accept", accept.encode())], peer)
                assert status < 500, target


def refuses(one: Mirror) -> bool:
    """Whether the format refuses a mirror's URLs."""
    contents = tuple(replace(content, category=0) for content in one.contents[:1])
    try:
        encode(snapshot_of([replace(one, contents=contents)]))
    except SnapshotError:
        return True
    return False


def odd(one: Mirror, country: str | None, url: str | None) -> Mirror:
    """A mirror with an odd country or URL."""
    contents = [replace(content, urls=(url,)) if url else content for content in one.contents]
    return replace(one, country=country or one.country, contents=tuple(contents))


@given(
    snapshot=snapshots(),
    countries=st.lists(st.none() | st.sampled_from(ODD_COUNTRIES), min_size=10, max_size=10),
    urls=st.lists(st.none() | st.sampled_from(ODD_URLS), min_size=10, max_size=10),
    built=st.none() | st.sampled_from([0, 1 << 40, 1 << 62]),
    preset=st.sampled_from(sorted(PRESETS)),
)
@settings(max_examples=40, deadline=None)
def test_no_page_fails_whatever_snapshot_was_decoded(
    snapshot: Snapshot, countries: list[str | None], urls: list[str | None], built: int | None, preset: str
) -> None:
    """Any names, countries, URLs and times: each page, list, explanation and metric is an answer or a mistake's 4xx."""
    mirrors = [
        one if refuses(other := odd(one, country, url)) else other
        for one, country, url in zip(snapshot.mirrors, countries, urls, strict=False)
    ]
    changed = replace(snapshot, mirrors=tuple(mirrors), built=snapshot.built if built is None else built)
    try:
        using = serving(changed, preset)
    except SnapshotError:
        reject()  # the reader refuses it: nothing is to be shown
    asyncio.run(ask_all(using))


@pytest.mark.parametrize(
    ("country", "url"), [*((country, "https://a/") for country in ODD_COUNTRIES), *(("XX", url) for url in ODD_URLS)]
)
def test_each_oddity_is_shown_or_refused(country: str, url: str) -> None:
    """One truth: a mirror that the format's reader lets in is on all pages; another is no snapshot."""
    try:
        using = serving(snapshot_of([odd(mirror("odd"), country, url)]))
    except SnapshotError:
        return
    asyncio.run(ask_all(using))
    for path in ("/mirrors", "/repos/r"):
        assert "odd" in browser(DE, using).get(path, headers={"accept": "text/html"}).text


@pytest.mark.parametrize("name", ["a&b", "a+b", "a b", "100%", "%41", "a#b", "a?b=c", "ä/b", "a;b", 'x"<y>'])
def test_names_of_any_characters_lead_to_their_own_pages(name: str) -> None:
    """The links and queries of a repository are escaped: they are about it, and about nothing else."""
    repository = snapshot_of([mirror("m", "DE")]).repositories[0]
    using = serving(snapshot_of([mirror("m", "DE")], repositories=(replace(repository, name=name),)))
    client = browser(DE, using)
    line = client.get("/repos?format=text").text.strip()
    assert client.get(f"/mirrorlist?{line}&comments=0").text == "https://m/\n"
    found = client.get(f"/repos/{quote(name, safe='')}?format=json").json()
    assert (found["repo"], [row["mirror"] for row in found["mirrors"]]) == (name, ["m"])
