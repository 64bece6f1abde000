"""What a reload replaces goes away whole, and never much of it at once."""

from __future__ import annotations

import asyncio
import gc
import itertools
from random import Random

import pytest

from mirrorlistd.config import Config
from mirrorlistd.lanes.respond import client_of
from mirrorlistd.selection.batched_orders import BatchedOrders
from mirrorlistd.selection.rank import Tiers
from mirrorlistd.state.handover import RetiredState
from mirrorlistd.state.loading import load
from mirrorlistd.state.service import Service
from mirrorlistd.state.state import State

ASKED = 1_000
COUNTRIES = (b"", b"DE", b"global")


def worked() -> Service:
    """A service whose state has answered a thousand clients."""
    state, random = load(Config()), Random(1)
    for number in range(ASKED):
        asker = client_of(state, f"193.0.{number >> 8}.{number & 255}", ())
        prepared = state.decider.resolve_query(
            b"repo=debian&limit=%d&country=%b" % (1 + number % 100, COUNTRIES[number % 3])
        )
        assert not isinstance(prepared, tuple)
        tiers = state.decider.tiers(asker.place, prepared.question).for_content(prepared.carriers.mask)
        assert tiers.urls(prepared.carriers, prepared.limit, random)
    return Service(state=state)


@pytest.mark.slow
def test_a_replaced_state_is_freed_in_small_parts() -> None:
    """A turn of the loop frees some hundred entries at most, and in the end nothing is left."""
    service = worked()
    assert service.state is not None
    peers, memos = service.state.peers, service.state.decider.memos
    mirrors = len(service.state.decider.index.snapshot.mirrors)
    sizes: list[int] = []

    async def reload() -> None:
        freeing = asyncio.create_task(service.adopt(load(Config())).free())
        while not freeing.done():
            sizes.append(len(peers) + sum(map(len, memos)))
            await asyncio.sleep(0)

    asyncio.run(reload())
    assert sizes[0] > ASKED
    assert sizes[-1] == 0
    assert max(before - after for before, after in itertools.pairwise(sizes)) <= 128
    assert mirrors > 128


@pytest.mark.slow
def test_nothing_of_a_replaced_state_stays() -> None:
    """When its remains are gone no tiers, orders or state of the old network is alive: no collector is needed.

    Nobody would notice a cycle but by its memory: what a State is made of is kept from the collector (`steady`).
    """
    gc.collect()
    others = {id(thing) for thing in gc.get_objects() if isinstance(thing, State | Tiers | BatchedOrders)}
    service = worked()
    assert service.state is not None
    old = {
        id(thing): type(thing)
        for thing in gc.get_objects()
        if isinstance(thing, State | Tiers | BatchedOrders) and id(thing) not in others
    }
    assert {*old.values()} == {State, Tiers, BatchedOrders}

    async def reload() -> None:
        await service.adopt(load(Config())).free()

    gc.collect()
    gc.disable()
    try:
        asyncio.run(reload())
        alive = {id(thing) for thing in gc.get_objects() if isinstance(thing, State | Tiers | BatchedOrders)}
    finally:
        gc.enable()
    assert len(alive.intersection(old)) <= len(old) // 10  # an address may be taken again


def test_a_first_state_leaves_nothing_behind() -> None:
    """Where nothing was served before there is nothing to free."""
    asyncio.run(RetiredState(None).free())
