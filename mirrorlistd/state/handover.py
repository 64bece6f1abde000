"""What a reload would forget is worked out anew before the swap, a little in each turn of the loop.

A State remembers what it has been asked; the next one begins with nothing, and then all clients who are there would
wait for a thousand decisions and a thousand lookups. So the same questions are put to it before. Only questions are
taken over: heads, addresses, queries. Every answer is the new State's own, as if a client had asked.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, Final

from mirrorlistd.answering.answer import Asker
from mirrorlistd.answering.decider import Prepared
from mirrorlistd.state.state import Known, Peer

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

    def again(asker: Asker) -> Asker:
        fresh = Asker.at(decider, asker.address, failed=asker.failed)
        places[asker.place] = fresh.place
        return fresh

    if state.trust == before.trust:
        for value, asker in [*before.named.items()]:
            state.named.remember(value, again(asker))
            yield
        for address, peer in [*before.peers.items()]:
            state.peers.remember(address, Peer(peer.believed, again(peer.asker)))
            yield
        if decider.settings.routes == old.settings.routes:
            for target, asked in [*before.asked.items()]:
                state.asked.remember(target, asked)
            for heads, old_heads in ((state.heads, before.heads), (state.proxied, before.proxied)):
                for raw, known in [*old_heads.items()]:
                    heads.remember(raw, Known.of(decider, known.head))
                    yield
    texts = {prepared: text for text, prepared in old.queries.items() if isinstance(prepared, Prepared)}
    for (prepared, place), plan in [*old.plans.items()]:
        text, there = texts.get(prepared) if prepared else None, places.get(place)
        if text is None or there is None:
            continue
        fresh = decider.prepare(text)
        if isinstance(fresh, Prepared):
            lines = decider.plan(fresh, there, private=True).lines
            yield
            if plan.lines.hot and not lines.hot:
                lines.heat(random)
                yield
