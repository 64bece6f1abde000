"""Batches: each answer is used once, and nobody can tell a dealt order from a drawn one by its statistics."""

from __future__ import annotations

import gc
from collections import Counter
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrorlist_snapshot.tiers import CONTINENT, COUNTRY, FALLBACK
from mirrorlistd.selection.batches import FIRST_BATCH, HOT, LATER_BATCHES, BatchedDraw, Items, SeededGenerator
from mirrorlistd.selection.draw import Tier
from mirrorlistd.selection.rank import Ranking
from support.distributions import chi_square
from support.worlds import DE, ask, decider, mirror, network

LIMITS = {1: 10.83, 2: 13.82, 3: 16.27, 8: 26.12, 9: 27.88, 98: 147.0, 399: 494.0}
"""Upper 0.1 % points of the chi-square distribution, by degrees of freedom."""


def hot(choice: Ranking, limit: int, random: Random) -> BatchedDraw[int]:
    """A dealer that deals batches from now on."""
    dealer = BatchedDraw(choice, limit, Items(range(1_000)), SeededGenerator())
    for _ in range(HOT):
        dealer.draw(random)
    return dealer


@pytest.mark.slow
@pytest.mark.parametrize(
    ("weights", "limit"),
    [([100, 1000, 10_000, 500], 4), ([100] * 10, 3), ([1, 1], 1), (list(range(1, 401)), 20), ([7] * 400, 20)],
)
def test_first_places_follow_the_weights(weights: list[int], limit: int) -> None:
    """Dealt orders share first places by weight, in short tiers, in long ones, and where all are equal."""
    random = Random(20261122)
    dealer = hot(Ranking((Tier(COUNTRY, range(len(weights)), weights),), None), limit, random)
    draws = 20_000
    first = Counter(dealer.draw(random)[0] for _ in range(draws))
    assert chi_square(first, dict(enumerate(weights)), draws) < LIMITS[len(weights) - 1]


@pytest.mark.slow
@pytest.mark.parametrize("size", [4, 400])
def test_second_places_are_drawn_from_the_rest(size: int) -> None:
    """Given the first, the second place is again proportional to weight."""
    weights = [20_000 if number == 0 else 1 + number % 7 for number in range(size)]
    random = Random(7)
    dealer = hot(Ranking((Tier(COUNTRY, range(size), weights),), None), 2, random)
    seconds: Counter[int] = Counter()
    for _ in range(20_000):
        first, second = dealer.draw(random)
        if first == 0:
            seconds[second % 4] += 1
    rest = dict.fromkeys(range(4), 0)
    for number, weight in enumerate(weights):
        rest[number % 4] += weight if number else 0
    expected = {group: weight for group, weight in rest.items() if weight}
    assert chi_square(seconds, expected, seconds.total()) < LIMITS[len(expected) - 1]


def test_consecutive_answers_are_independent() -> None:
    """The mirror in front tells nothing about the next answer's, within a batch and across batches."""
    random = Random(3)
    dealer = hot(Ranking((Tier(COUNTRY, range(3), [100, 100, 100]),), None), 3, random)
    first = [dealer.draw(random)[0] for _ in range(30_000)]
    pairs = Counter(left * 3 + right for left, right in pairwise(first))
    assert chi_square(pairs, dict.fromkeys(range(9), 1), pairs.total()) < LIMITS[8]


@settings(max_examples=80, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 60), min_size=0, max_size=3),
    fallback=st.integers(0, 4),
    limit=st.integers(1, 40),
    seed=st.integers(0, 99),
)
def test_dealt_lists_have_the_shape_of_drawn_ones(sizes: list[int], fallback: int, limit: int, seed: int) -> None:
    """Tier by tier the same number of mirrors, none twice, whatever tiers there are."""
    tiers, start = [], 0
    weights = [1 + number % 5 * 100 for number in range(300)]
    for size in sizes:
        tiers.append(Tier(CONTINENT, range(start, start + size), weights))
        start += size
    last = Tier(FALLBACK, range(start, start + fallback), weights) if fallback else None
    choice = Ranking(tuple(tiers), last)
    random = Random(seed)
    dealer = hot(choice, limit, random)
    for _ in range(FIRST_BATCH + LATER_BATCHES + 1):
        dealt, drawn = dealer.draw(random), choice.draw(limit, random)
        assert len(set(dealt)) == len(dealt) == len(drawn)
        for tier in (*tiers, *((last,) if last else ())):
            places = [place for place, mirror in enumerate(drawn) if mirror in tier.mirrors]
            assert {dealt[place] in tier.mirrors for place in places} <= {True}


@pytest.mark.slow
def test_heavy_mirrors_do_not_break_a_batch() -> None:
    """One mirror a million times heavier than 399 others: every dealt list is complete, and the rest is uniform."""
    random = Random(5)
    dealer = hot(Ranking((Tier(COUNTRY, range(400), [1_000_000] + [1] * 399),), None), 20, random)
    seconds: Counter[int] = Counter()
    for _ in range(4_000):
        order = dealer.draw(random)
        assert len(set(order)) == 20
        seconds[next(number for number in order if number) % 3] += 1
    assert chi_square(seconds, dict.fromkeys(range(3), 1), seconds.total()) < LIMITS[2]


def test_each_dealt_list_is_the_callers_own() -> None:
    """A caller who changes a list changes no other answer."""
    random = Random(1)
    dealer = hot(Ranking((Tier(COUNTRY, [4], [1] * 5),), None), 20, random)
    for _ in range(2 * LATER_BATCHES):
        order = dealer.draw(random)
        assert order == [4]
        order.clear()


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 30, 400])
def test_nothing_is_left_to_the_collector(size: int) -> None:
    """A hot choice that is given up is freed at once, with all that draws it: no collector comes (see `steady`)."""
    random = Random(1)
    gc.collect()
    gc.disable()
    try:
        dealer = hot(Ranking((Tier(COUNTRY, range(size), list(range(1, size + 1))),), None), 10, random)
        assert dealer.draw(random)
        assert dealer.hot
        del dealer
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_all_chance_comes_from_the_generator() -> None:
    """Equal seeds deal equal lists; other seeds others: no process shuffles like another."""
    choice = Ranking((Tier(COUNTRY, range(30), list(range(1, 31))),), None)
    one, same, other = (
        [dealer.draw(random) for _ in range(5)]
        for random, dealer in ((random, hot(choice, 20, random)) for random in (Random(1), Random(1), Random(2)))
    )
    assert one == same != other


def test_a_hot_server_still_gives_every_mirror() -> None:
    """A thousand answers to one client: every mirror of the tier stands first in some."""
    world = decider(network({f"m{number}": mirror("DE") for number in range(12)}))
    first = Counter(ask(world, "repo=r", DE, seed=seed).body.splitlines()[1] for seed in range(1000))
    assert len(first) == 12
