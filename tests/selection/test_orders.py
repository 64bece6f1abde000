"""Orders are drawn for a place, not for a content: nobody can tell its lists from those drawn for one content alone."""

from __future__ import annotations

import gc
from collections import Counter
from itertools import permutations
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrorlist_snapshot.tiers import CONTINENT, COUNTRY
from mirrorlistd.selection.batched_orders import FIRST_BATCH, LARGEST_BATCH, BatchedOrders, Chance
from mirrorlistd.selection.draw import mask_of, members, shuffled
from mirrorlistd.selection.index import Place
from mirrorlistd.selection.rank import Tiers, TierSource
from support.distributions import chi_square, unlikely
from support.worlds import DE, ask, decider, mirror, network

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

DRAWS = 20_000
SKEWED = [(100, 1000, 1000, 10_000, 40_000)[number % 5] for number in range(400)]


def tiers_of(*near: Iterable[int], weights: Sequence[int], length: int, **more: Any) -> Tiers:
    """The tiers of a place: masks of some mirrors, the first the country's; orders have at least `length` mirrors."""
    chance = Chance(weights)
    index: Any = SimpleNamespace(weights=weights)
    source = TierSource(
        index=index, minimum=5, length=length, find_orders=lambda masks, count: BatchedOrders(masks, count, chance)
    )
    codes = (COUNTRY, CONTINENT)
    masks = tuple((codes[number], mask_of(mirrors)) for number, mirrors in enumerate(near))
    return Tiers(source, Place("DE", "EU", 0, 0), masks, **more)


def content(mirrors: Iterable[int], weights: Sequence[int]) -> Any:
    """A content that these mirrors carry; the URL of a mirror is its number."""
    carried = {*mirrors}
    urls = [b"%d" % number if number in carried else b"" for number in range(len(weights))]
    return SimpleNamespace(mask=mask_of(carried), urls=[*urls, b""])


def lists(tiers: Tiers, asked: Any, limit: int, seed: int = 1) -> Iterator[list[int]]:
    """One list after the other."""
    random = Random(seed)
    while True:
        yield [*map(int, tiers.urls(asked, limit, random))]


def chances(mirrors: Sequence[int], weights: Sequence[int], places: int) -> dict[tuple[int, ...], float]:
    """The probability of each beginning of a weighted shuffle: each place is drawn in proportion to what is left."""
    found: dict[tuple[int, ...], float] = {}
    for order in permutations(mirrors, places):
        left, chance = sum(weights[number] for number in mirrors), 1.0
        for number in order:
            chance *= weights[number] / left
            left -= weights[number]
        found[order] = chance
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("weights", "carried", "length", "limit"),
    [
        ([100, 1000, 10_000, 500], 4, 30, 4),  # drawn whole
        ([100] * 10, 7, 30, 3),
        ([1, 1], 2, 30, 1),
        ([*range(1, 401)], 200, 30, 20),  # sampled
        (SKEWED, 300, 30, 20),
        ([7] * 60, 12, 3, 6),  # one order is too short, then three
    ],
)
def test_first_places_follow_the_weights(weights: list[int], carried: int, length: int, limit: int) -> None:
    """Over many lists of one content the share of first places equals the weights of its carriers."""
    mirrors = [*range(len(weights))][:carried]
    drawn = lists(tiers_of(range(len(weights)), weights=weights, length=length), content(mirrors, weights), limit)
    first = Counter(next(drawn)[0] for _ in range(DRAWS))
    expected = {mirror: weights[mirror] for mirror in mirrors}
    assert not unlikely(chi_square(first, expected, DRAWS), len(expected) - 1)


@pytest.mark.slow
@pytest.mark.parametrize("size", [5, 60, 400])
@pytest.mark.parametrize("length", [2, 6, 30])
@pytest.mark.parametrize("heavy", [1, 30])
def test_every_place_of_a_list_is_drawn_from_the_rest(size: int, length: int, heavy: int) -> None:
    """Whole lists of five carriers come with the chances of the rule, whether one order has them all or none has.

    It would not hold if an order that has too few of them were put aside: short orders are those in which light
    mirrors are late.
    """
    weights = [(1, 2, heavy, 1, 3)[number % 5] for number in range(size)]
    mirrors = [number * (size // 5) + number for number in range(5)] if size > 5 else [*range(5)]
    drawn = lists(tiers_of(range(size), weights=weights, length=length), content(mirrors, weights), 5)
    seen = Counter(tuple(next(drawn)[:3]) for _ in range(DRAWS))
    expected = chances(mirrors, weights, 3)
    assert not unlikely(chi_square(seen, expected, DRAWS), len(expected) - 1)


@pytest.mark.slow
@pytest.mark.parametrize("hot", [False, True])
@pytest.mark.parametrize(("size", "length"), [(60, 8), (400, 30)])
def test_an_order_that_is_too_short_is_used(size: int, length: int, hot: bool) -> None:
    """The first place of two carriers is the heavy one's as often as its weight says, though few orders have both.

    Orders with both are not like the others: where the light one comes first, the heavy one is seldom late.
    """
    weights = [1] * (size - 1) + [10]
    tiers, random = tiers_of(range(size), weights=weights, length=length), Random(5)
    first: Counter[bytes] = Counter()
    asked = content([0, size - 1], weights)
    for _ in range(DRAWS):
        # Each is another content to the server, unless it is the same object: then it is soon the hot one.
        same_or_not: Any = asked if hot else SimpleNamespace(**vars(asked))
        first[tiers.urls(same_or_not, 2, random)[0]] += 1
    assert not unlikely(chi_square(first, {b"0": 1, b"%d" % (size - 1): 10}, DRAWS), 1)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "length"), [(6, 30), (60, 4), (400, 30)])
def test_consecutive_lists_of_different_contents_are_independent(size: int, length: int) -> None:
    """What came first in one list tells nothing about the next list at the place, of the same content or another."""
    weights = [1 + number % 3 for number in range(size)]
    tiers = tiers_of(range(size), weights=weights, length=length)
    kinds = [content(mirrors, weights) for mirrors in (range(3), range(1, 5), range(size))]
    random = Random(3)
    pairs: Counter[tuple[int, ...]] = Counter()
    groups: list[Counter[int]] = [Counter(), Counter()]
    for _ in range(DRAWS):
        before, after = (int(tiers.urls(asked, 1, random)[0]) % 3 for asked in random.choices(kinds, k=2))
        pairs[before, after] += 1
        groups[0][before] += 1
        groups[1][after] += 1
    expected: dict[tuple[int, ...], float] = {
        (one, two): groups[0][one] * groups[1][two] for one in range(3) for two in range(3)
    }
    assert not unlikely(chi_square(pairs, expected, DRAWS), 4)


@pytest.mark.slow
@settings(max_examples=12, deadline=None, derandomize=True)
@given(data=st.data())
def test_lists_are_those_that_are_drawn_for_one_content_alone(data: st.DataObject) -> None:
    """On random networks: first places and pairs of places of the place's draw and of the exact one have one origin."""
    size = data.draw(st.integers(2, 120), label="mirrors")
    weights = data.draw(st.lists(st.sampled_from([1, 3, 10, 100]), min_size=size, max_size=size), label="weights")
    nearer = data.draw(st.integers(1, size - 1), label="in the country")
    carried = sorted(data.draw(st.sets(st.integers(0, size - 1), min_size=2), label="carriers"))
    length, limit = data.draw(st.sampled_from([3, 10, 30])), data.draw(st.integers(2, 20))
    tiers = tiers_of(range(nearer), range(nearer, size), weights=weights, length=length)
    asked, draws, random = content(carried, weights), 4_000, Random(9)
    drawn = lists(tiers, asked, limit)
    ranking = tiers.rank(asked.mask)
    # Pairs of places, in few enough classes for a chi-square test.
    place, exact = (
        Counter((order[0] % 5, order[1] % 5, order[-1] % 3) for order in orders)
        for orders in (
            [next(drawn) for _ in range(draws)],
            [ranking.draw(limit, weights, random) for _ in range(draws)],
        )
    )
    both = place + exact
    statistic = sum((place[kind] - exact[kind]) ** 2 / both[kind] for kind in both)
    assert not unlikely(statistic, max(1, len(both) - 1))


@settings(max_examples=80, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 120), min_size=1, max_size=2),
    carried=st.integers(1, 9),
    limit=st.integers(1, 40),
    length=st.sampled_from([2, 10, 30]),
    last=st.integers(0, 3),
    seed=st.integers(0, 99),
)
def test_a_list_has_every_mirror_that_it_should(
    sizes: list[int], carried: int, limit: int, length: int, last: int, seed: int
) -> None:
    """Tier by tier as many mirrors as the exact draw, carriers all of them, none twice; the fallback at the end."""
    total = sum(sizes)
    weights = [1 + number % 5 * 100 for number in range(total + last)]
    near = [range(sum(sizes[:number]), sum(sizes[: number + 1])) for number in range(len(sizes))]
    tiers = tiers_of(*near, weights=weights, length=length, last=mask_of(range(total, total + last)))
    asked = content((mirror for mirror in range(total + last) if mirror % 10 < carried or mirror >= total), weights)
    ranking, drawn = tiers.rank(asked.mask), lists(tiers, asked, limit, seed)
    for _ in range(FIRST_BATCH + 3):
        order = next(drawn)
        exact = ranking.draw(limit, weights, Random(seed))
        assert len({*order}) == len(order) == len(exact)
        assert [ranking.code(mirror) for mirror in order] == [ranking.code(mirror) for mirror in exact]


@pytest.mark.slow
def test_heavy_mirrors_do_not_stop_a_list() -> None:
    """One mirror a million times heavier than 399 others: every list is complete, and the rest is uniform."""
    weights = [1_000_000] + [1] * 399
    drawn = lists(tiers_of(range(400), weights=weights, length=30), content(range(400), weights), 20)
    seconds: Counter[int] = Counter()
    for _ in range(4_000):
        order = next(drawn)
        assert len({*order}) == 20
        seconds[next(number for number in order if number) % 3] += 1
    assert not unlikely(chi_square(seconds, dict.fromkeys(range(3), 1), seconds.total()), 2)


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 30, 400])
def test_nothing_is_left_to_the_collector(size: int) -> None:
    """Orders that are given up are freed at once, with all that draws them: no collector comes (see `gc_policy`)."""
    gc.collect()
    gc.disable()
    try:
        orders = BatchedOrders((mask_of(range(size)),), 10, Chance([*range(1, size + 1)]))
        assert orders.draw(Random(1))
        del orders
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_all_chance_comes_from_the_generator() -> None:
    """Equal seeds draw equal lists; other seeds others: no process shuffles like another."""
    weights = [*range(1, 31)]
    asked = content(range(30), weights)
    drawn = [lists(tiers_of(range(30), weights=weights, length=30), asked, 20, seed) for seed in (1, 1, 2)]
    one, same, other = ([next(each) for _ in range(5)] for each in drawn)
    assert one == same != other


def test_a_mask_is_its_mirrors() -> None:
    """A mask and the numbers in it are the same, and the exact draw takes no others."""
    assert members(0) == []
    assert members(mask_of([0, 7, 300])) == [0, 7, 300]
    assert sorted(shuffled(mask_of([2, 5, 6]), 9, [1] * 7, Random(1))) == [2, 5, 6]


def test_a_busy_place_still_gives_every_mirror() -> None:
    """Over many batches at one place: every mirror of the tier stands first in some list."""
    world = decider(network({f"m{number}": mirror("DE") for number in range(12)}))
    first = Counter(ask(world, "repo=r", DE, seed=seed).body.splitlines()[1] for seed in range(4 * LARGEST_BATCH))
    assert len(first) == 12
