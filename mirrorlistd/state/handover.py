"""What a reload would forget is worked out anew before the swap, a little in each turn of the loop.

A State remembers what it has been asked; the next one begins with nothing, and then all clients who are there would
wait for a thousand decisions and a thousand lookups. So the same questions are put to it before. Only questions are
taken over: heads, addresses, queries. Every answer is the new State's own, as if a client had asked.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, Final

from mirrorlistd.answering.answer import Client
from mirrorlistd.answering.plan import ResolvedQuery
from mirrorlistd.state.state import CachedHead, Peer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from mirrorlistd.selection.index import Place
    from mirrorlistd.state.state import State

_SLICE: Final = 0.000_2
"""Seconds of a turn of the loop that are spent; a turn under load takes a millisecond."""
_LONGEST: Final = 5.0
"""Seconds after which a State has to do with what it has."""


async def warm(state: State, before: State | None, random: Random) -> None:
    """Put the questions to `state` that `before` has answered; `random` is the only source of chance."""
    if before is None:
        return
    end = perf_counter() + _LONGEST
    turn_ends = 0.0
    for _ in _questions(state, before, random):
        now = perf_counter()
        if now > end:
            return
        if now > turn_ends:
            await asyncio.sleep(0)
            turn_ends = perf_counter() + _SLICE


def _questions(state: State, before: State, random: Random) -> Iterator[None]:  # noqa: C901 - one loop for each memo
    """Put them, one by one; requests go on meanwhile, and what they add to a memo is not waited for."""
    decider, old = state.decider, before.decider
    places: dict[Place, Place] = {}

    def again(client: Client) -> Client:
        fresh = Client.at(decider, client.address, failed=client.failed)
        places[client.place] = fresh.place
        return fresh

    if state.trust == before.trust:
        for value, client in [*before.named.items()]:
            state.named.remember(value, again(client))
            yield
        for address, peer in [*before.peers.items()]:
            state.peers.remember(address, Peer(peer.believed, again(peer.client)))
            yield
        if decider.settings.routes == old.settings.routes:
            for target, list_request in [*before.list_requests.items()]:
                state.list_requests.remember(target, list_request)
            for heads, old_heads in ((state.heads, before.heads), (state.proxied, before.proxied)):
                for raw, known in [*old_heads.items()]:
                    heads.remember(raw, CachedHead.of(decider, known.head))
                    yield
    texts = {resolved: text for text, resolved in old.queries.items() if isinstance(resolved, ResolvedQuery)}
    for (resolved, place), plan in [*old.plans.items()]:
        text, there = texts.get(resolved) if resolved else None, places.get(place)
        if text is None or there is None:
            continue
        fresh = decider.resolve_query(text)
        if isinstance(fresh, ResolvedQuery):
            lines = decider.plan(fresh, there, private=True).lines
            yield
            if plan.lines.hot and not lines.hot:
                lines.heat(random)
                yield
