"""Stable lists are taken from orders that are remembered for a client: they equal those that are drawn anew."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrorlistd.selection.draw import Rendezvous, mask_of
from mirrorlistd.selection.rank import Question
from support.mirror_networks import COUNTRIES, networks
from support.worlds import DE, at, decider


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(
    source=networks(),
    country=st.none() | COUNTRIES,
    asn=st.sampled_from([0, 680, 7018, 1]),
    minimum=st.integers(0, 8),
    seed=st.integers(0, (1 << 64) - 1),
    data=st.data(),
)
def test_a_remembered_order_gives_the_list_that_is_drawn_anew(
    source: dict[str, Any], country: str | None, asn: int, minimum: int, seed: int, data: st.DataObject
) -> None:
    """Whatever content is asked for, one after the other, with whatever limit: as `Ranking.draw` has it."""
    world = decider(source, minimum=minimum, places={DE: (country, None, asn)})
    remembered = Rendezvous(seed, world.index.hashes)
    resolved = world.resolve_query(b"repo=r")
    everything = getattr(resolved, "carriers", None)
    if everything is None:
        return
    numbers = [number for number in range(len(world.index.hashes)) if everything.urls[number]]
    for _ in range(4):
        carried = data.draw(st.sets(st.sampled_from(numbers)) if numbers else st.just(set[int]()))
        limit = data.draw(st.integers(1, 20))
        mask = mask_of(carried)
        some = object.__new__(type(everything))
        some.mask = mask
        some.urls = [url if number in carried else b"" for number, url in enumerate(everything.urls)]
        tiers = world.tiers(world.place(at(DE)), Question(private=data.draw(st.booleans()))).for_content(mask)
        anew = tiers.rank(mask).draw(limit, world.index.weights, Rendezvous(seed, world.index.hashes))
        assert tiers.stable(some, limit, remembered) == anew
