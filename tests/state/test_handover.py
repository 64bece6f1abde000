"""Before the swap the new State is asked what the old one was: it answers by itself, and only sooner."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING, Any, Final

import pytest

from mirrorlistd.answering.decider import Decider
from mirrorlistd.answering.plan import AnswerSettings, ResolvedQuery
from mirrorlistd.request.client_address import Trust
from mirrorlistd.request.routes import Routes, Template
from mirrorlistd.selection.index import Index
from mirrorlistd.state.handover import warm
from mirrorlistd.state.service import Service
from support.wires import WORLD, converse
from support.worlds import DE, FR, JP, PLACES, US, Map, compiled, mirror, network, state_of

if TYPE_CHECKING:
    from mirrorlist_snapshot.model import Snapshot
    from mirrorlistd.state.state import State

PROXY: Final = "127.0.0.0/8"
QUERIES: Final = ("repo=r", "repo=r&limit=2", "repo=r&format=json", "repo=nonsense", f"repo=r&ip={FR}")
CLIENTS: Final = (DE, FR, US, JP)


def state(snapshot: Snapshot, *, header: str = "x-forwarded-for", template: str | None = None) -> State:
    """A state over a snapshot, behind a proxy."""
    geo: Any = Map(PLACES)
    routes = Routes((Template.parse(template),)) if template else Routes()
    decider = Decider(Index(snapshot), geo, AnswerSettings(minimum=2, limit=20, routes=routes))
    return state_of(decider, Trust.parse([PROXY], header), [])


def asked(before: State) -> State:
    """The state, after everybody has asked everything, through the proxy and directly."""
    serving = Service(state=before, random=Random(1))
    heads = [
        f"GET /mirrorlist?{query} HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: {client}\r\n\r\n".encode()
        for query in QUERIES
        for client in CLIENTS
    ]
    direct = [f"GET /mirrorlist?{query} HTTP/1.1\r\nHost: h\r\n\r\n".encode() for query in QUERIES]
    for lane in ("fast", "asgi"):
        converse(lane, [[(head, True) for head in heads]] * 2, serving)
        for client in CLIENTS:
            converse(lane, [[(head, True) for head in direct]] * 2, serving, peer=(client, 5))
    return before


def known(of: State, name: str) -> dict[Any, Any]:
    """What a memo of a state has."""
    return dict(getattr(of, name).entries())


@pytest.mark.slow
def test_the_next_state_remembers_what_the_last_one_was_asked() -> None:
    """Heads, targets, peers, forwarded addresses and queries; and the places of clients have orders at once."""
    before, after = asked(state(WORLD)), state(WORLD)
    asyncio.run(warm(after, before, Random(2)))
    for name in ("heads", "proxied_heads", "list_requests", "peers", "forwarded_clients"):
        assert known(before, name)
        assert known(after, name).keys() == known(before, name).keys(), name
    for name in ("heads", "proxied_heads"):
        assert all(one.head is known(before, name)[raw].head for raw, one in known(after, name).items())
    assert known(after, "forwarded_clients").keys() == {client.encode() for client in CLIENTS}
    for asker in known(after, "forwarded_clients").values():
        assert not asker.tiers.draw_ahead(Random(3))


@pytest.mark.slow
def test_what_it_remembers_is_its_own() -> None:
    """Every plan and place is what the new state decides of the new network; nothing of the old one is in reach.

    The networks differ in everything that numbers stand for: mirrors, netblock chains, who is private for whom.
    """
    mirrors = {f"m{number}": mirror(country) for number, country in enumerate(("DE", "DE", "FR", "US", "JP"))}
    private = {"p": mirror("DE", private=True, netblocks=[f"{DE}/32"]), "q": mirror("FR", netblocks=[f"{FR}/32"])}
    moved = {
        "a": mirror("US"),
        "p": mirror("DE", private=True, netblocks=[f"{US}/32"]),
        "z": mirror("JP", netblocks=[f"{DE}/32"]),
    }
    before = asked(state(compiled(network(mirrors | private))))
    after, cold = (state(compiled(network(moved | mirrors))) for _ in range(2))
    asyncio.run(warm(after, before, Random(2)))
    for text, one in after.decider.queries.entries():
        other = cold.decider.resolve_query(text)
        assert type(one) is type(other)
        if isinstance(one, ResolvedQuery) and isinstance(other, ResolvedQuery):
            assert (one.carriers.mask, one.carriers.urls) == (other.carriers.mask, other.carriers.urls)
    askers = [*known(after, "forwarded_clients").values(), *(peer.client for peer in known(after, "peers").values())]
    assert len(askers) > len(CLIENTS)
    for asker in askers:
        assert asker.place == cold.decider.place(asker.address)
        tiers, other_tiers = asker.tiers, cold.decider.tiers(asker.place)
        assert (tiers.near, tiers.far, tiers.last) == (other_tiers.near, other_tiers.far, other_tiers.last)
    head = f"GET /mirrorlist?repo=r HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: {DE}\r\n\r\n".encode()
    said = b"".join(answer for answer, _ in converse("fast", [[(head, True)] * 40], Service(state=after)))
    assert said.count(b"https://z/") == 40
    assert b"https://p/" not in said


@pytest.mark.slow
@pytest.mark.parametrize("other", [{"header": "x-real-ip"}, {"template": "/os/{a} -> repo={a}"}])
def test_other_settings_make_old_questions_meaningless(other: dict[str, str]) -> None:
    """With another trusted header nobody is who they were; with other paths no head asks what it did."""
    before, after = asked(state(WORLD)), state(WORLD, **other)
    asyncio.run(warm(after, before, Random(2)))
    assert not any(known(after, name) for name in ("heads", "proxied_heads", "list_requests"))
    assert bool(known(after, "forwarded_clients")) is bool(known(after, "peers")) is ("template" in other)


@pytest.mark.slow
def test_it_lets_requests_go_on() -> None:
    """The loop turns between small pieces of the work; where it takes too long the rest is left."""
    before = asked(state(WORLD))

    async def turns(longest: float) -> tuple[int, State]:
        after, count = state(WORLD), 0
        working = asyncio.create_task(warm(after, before, Random(2), slice_=0.0, longest=longest))
        while not working.done():
            count += 1
            await asyncio.sleep(0)
        return count, after

    count, _ = asyncio.run(turns(5.0))
    assert count >= len(before.heads) + len(before.forwarded_clients)
    count, after = asyncio.run(turns(-1.0))
    assert count < 10
    assert not known(after, "forwarded_clients")


def test_the_first_state_has_nothing_to_follow() -> None:
    """Without a state before there is nothing to do."""
    after = state(WORLD)
    asyncio.run(warm(after, None, Random(2)))
    assert not known(after, "heads")
