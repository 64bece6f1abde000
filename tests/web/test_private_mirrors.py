"""Strangers learn nothing about private mirrors: no name, no network, no sum, no hint in an error."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mirrorlistd.answering.decider import Decider
from mirrorlistd.answering.plan import AnswerSettings
from mirrorlistd.presets import PRESETS
from mirrorlistd.request.client_address import Trust
from mirrorlistd.selection.index import Index
from mirrorlistd.selection.status_file import parse
from mirrorlistd.state.service import Service
from mirrorlistd.web.app import create_app
from support.asgi import request
from support.mirror_networks import networks
from support.readers import browser
from support.snapshots import netblocks
from support.worlds import DE, FR, JP, NOWHERE, PLACES, US, Map, compiled, mirror, network, state_of

if TYPE_CHECKING:
    from mirrorlistd.web.app import App

pytestmark = pytest.mark.slow

SECRET_AS = 64_500
"""Announced at NOWHERE, which no geo database knows; served by private mirrors alone."""
STATUS = json.dumps({"m0.example": "down", "m1.example": {"weight": "50%"}, "m2.example": "draining", "x": "down"})
FORMS = {"html": "text/html", "json": "application/json", "text": "*/*"}
LISTS = ["repo=r", "repo=only", "path=x", "repo=nothing", "", "repo=r&protocol=rsync", "repo=only&protocol=rsync"]
PATHS = [
    *("/", f"/?ip={FR}", "/?repo=only", "/?repo=r&country=US", "/?repo=nothing", "/repos", "/repos/r", "/repos/only"),
    *("/mirrors", "/mirrors?repo=r", "/mirrors?repo=only", "/mirrors?country=DE", "/readyz", "/metrics"),
    *(f"/explain?{query}&as={form}" for query in LISTS for form in ("json", "text")),
    *(f"/mirrorlist?{query}&format={form}" for query in LISTS for form in ("text", "json", "metalink", "apt")),
    *(f"/mirrorlist?repo=r&time=1{more}" for more in (f"&ip={DE}", f"&ip={NOWHERE}", "&country=global", "&netblock=0")),
    *("/mirrorlist?repo=only&country=FR", f"/mirrorlist?repo=only&ip={NOWHERE}", f"/explain?repo=r&ip={NOWHERE}"),
    *(
        "/r/r/secret/path",
        "/mirrorlist?repo=r&file=secret/path",
        "/mirrorlist?path=c/secret/path",
        "/r/r/secret/path/x",
    ),
    *("/r/r/secret", "/mirrorlist?repo=r&file=secret", "/mirrorlist?path=c/secret", "/explain?path=c/secret/path"),
    *("/r/only/x.iso", "/r/nothing/x.iso", "/mirrors/r.txt", "/mirrors/only.txt", "/repos/listed", "/?repo=listed"),
    *(
        f"{page}?repo=listed{more}"
        for page in ("/mirrorlist", "/explain")
        for more in (
            "",
            "&country=DE",
            "&format=json",
            "&format=metalink",
            "&format=metalink4",
            "&file=x/a",
            "&file=x&protocol=x",
        )
    ),
    *(
        f"{page}{what}{more}"
        for page in ("/mirrorlist", "/explain")
        for what in ("?path=l/9", "?path=l/9/x/", "?path=l/9/x/a.iso", "?repo=half&file=x/", "?repo=half&file=x/a.iso")
        for more in (
            "",
            "&format=json",
            "&format=metalink",
            "&format=metalink4",
            "&redirect=1",
            "&protocol=x",
            "&protocol=rsync",
        )
    ),
    *("/r/half/x/a.iso", "/r/half/x/a.iso.meta4", "/r/half/x/", "/r/listed/x/a.iso", "/r/listed/a.iso.mirrorlist"),
]


def serving(source: dict[str, Any], preset: str) -> Service:
    """A server of a network, under a status file, with AS numbers that the snapshot itself knows."""
    published = replace(compiled(source), asn_netblocks=netblocks({ip_network(f"{NOWHERE}/32"): SECRET_AS}))
    status_file = parse("status.json", STATUS.encode())
    geo: Any = Map(PLACES)
    index = Index(status_file.apply(published), statuses=status_file.statuses)
    made = Decider(index, geo, AnswerSettings(preset=PRESETS[preset]))
    state = state_of(made, Trust.parse((), "x-forwarded-for"), ["127.0.0.0/8"])
    return Service(state=replace(state, published=published, status_file=status_file))


async def seen(app: App, target: str, form: str, peer: str) -> tuple[int, list[str], Any]:
    """What a client sees, without the order, which is random, and without times and what the test's process uses."""
    status, headers, body = await request(app, target, [(b"accept", FORMS[form].encode())], peer)
    text = OWN.sub("", body.decode())
    return status, sorted(re.findall(r"[\w.:/%&=-]+", text)), headers.get(b"location")


OWN = re.compile(r"^(?:# \w+ )?(?:process_|mirrorlistd_answer_seconds|python_).*$|\"age_seconds\": \d+", re.MULTILINE)
"""What is of the test's process or of the moment."""


PUBLIC = {
    "categories": {"c": "https://public.example/c/", "l": {"urls": "https://public.example/l/", "directories": ["8"]}}
}


def secretive(name: str, one: dict[str, Any]) -> dict[str, Any]:
    """A private mirror that carries, and serves the AS, that no public mirror does."""
    return one | {
        "asns": sorted({*one.get("asns", ()), SECRET_AS}),
        "categories": {
            "c": {"urls": [f"https://{name}/c/"], "exclude": ["secret/path"]},
            "d": [f"https://{name}/d/", f"rsync://{name}/d/"],
            "l": {"urls": [f"https://{name}/l/"], "directories": ["9", "9/x", "8", "8/x"]},
        },
    }


def without_private(source: dict[str, Any]) -> dict[str, Any]:
    """The same network without its private mirrors."""
    return source | {"mirrors": {name: one for name, one in source["mirrors"].items() if not one.get("private")}}


def strangers(source: dict[str, Any]) -> list[str]:
    """Clients in no private mirror's networks."""
    private = [one for one in source["mirrors"].values() if one.get("private")]
    asns = {asn for one in private for asn in one.get("asns", ())}
    blocks = [ip_network(block["prefix"]) for one in private for block in one.get("netblocks", ())]
    found = {peer: (PLACES[peer][2] if peer in PLACES else SECRET_AS) for peer in (DE, FR, US, JP, NOWHERE)}
    return [
        peer
        for peer, asn in found.items()
        if asn not in asns and not any(ip_address(peer) in block for block in blocks)
    ]


HIDDEN = network(
    {
        "m0.example": mirror("DE"),
        "m1.example": mirror("FR"),
        "m2.example": mirror("DE", private=True, asns=[SECRET_AS]),
        "m3.example": mirror("US", private=True, asns=[680], netblocks=[{"prefix": "192.0.2.0/24", "exclusive": True}]),
    }
)


@given(source=networks(), form=st.sampled_from(sorted(FORMS)), preset=st.sampled_from(["default", "mirrormanager"]))
@example(HIDDEN, "html", "default")
@example(HIDDEN, "json", "mirrormanager")
@settings(max_examples=15, deadline=None)
def test_a_stranger_sees_the_same_with_and_without_private_mirrors(
    source: dict[str, Any], form: str, preset: str
) -> None:
    """Every page, list, explanation, error and metric, in every form; private mirrors carry what no other has."""
    source = source | {
        "categories": {"c": {}, "d": {}, "l": {"kind": "listed"}},
        "repositories": {
            "r": {"category": "c"},
            "only": {"category": "d"},
            "listed": {"category": "l", "path": "9"},
            "half": {"category": "l", "path": "8"},
        },
        "mirrors": {"public.example": PUBLIC}
        | {name: secretive(name, one) if one.get("private") else one for name, one in source["mirrors"].items()},
    }
    apps = [create_app(serving(one, preset)) for one in (source, without_private(source))]

    async def compare() -> None:
        for peer in strangers(source)[-1:]:
            for path in PATHS:
                ours, theirs = [await seen(app, path, form, peer) for app in apps]
                assert ours == theirs, (peer, path)

    asyncio.run(compare())


def test_insiders_see_all_of_it() -> None:
    """The sums with private mirrors, and the counts by tier, are in an insider's /readyz and /metrics."""
    using = serving(HIDDEN, "default")
    inside, outside = browser("127.0.0.1", using), browser(JP, using)
    assert (inside.get("/readyz").json()["mirrors"], outside.get("/readyz").json()["mirrors"]) == (4, 2)
    assert inside.get("/readyz").json()["status"]["draining"] == 1
    for line in ("mirrorlistd_snapshot_mirrors 4.0", 'mirrorlistd_first_tier_total{tier="asn"} 0.0'):
        assert line in inside.get("/metrics").text
        assert line not in outside.get("/metrics").text
    assert "mirrorlistd_snapshot_mirrors 2.0" in outside.get("/metrics").text
    assert "mirrorlistd_snapshot_directories" in inside.get("/metrics").text


@pytest.mark.parametrize("headers", [{"x-forwarded-for": "127.0.0.1"}, {"via": "1.1 x"}])
def test_a_forwarded_stranger_is_no_insider(headers: dict[str, str]) -> None:
    """Behind a proxy that is not trusted everyone has its loopback address: they see what strangers see."""
    using = serving(HIDDEN, "default")
    assert "mirrorlistd_snapshot_mirrors 2.0" in browser("127.0.0.1", using).get("/metrics", headers=headers).text
