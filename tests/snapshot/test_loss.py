"""Loss: what clients could get and cannot any more, by table and by properties; small changes are none."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given

from mirrorlist_snapshot.errors import LossError
from mirrorlist_snapshot.health import DownUrl, Freshness, MirrorHealth, OldUnit, Unit
from mirrorlist_snapshot.loss import NAMES_SHOWN, check_loss, losses
from mirrorlist_snapshot.model import Category, CategoryKind, Repository, RepositoryDirectory
from support.snapshots import carrier_sets, directory_table, mirror, snapshot_of, snapshots

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mirrorlist_snapshot.errors import Loss
    from mirrorlist_snapshot.model import Snapshot

MIRRORS = 10


def network(**changes: Any) -> Snapshot:
    """Ten mirrors and repositories; a listed category with ten directories, of which mirror n carries d0 to dn."""
    fields: dict[str, Any] = {
        "categories": (Category(name="linux", kind=CategoryKind.LISTED, top="linux"),),
        "repositories": repositories(range(10)),
        "sets": carrier_sets([range(number, MIRRORS) for number in range(10)], MIRRORS),
        "directories": directory_table({(0, f"d{number}"): number for number in range(10)}),
    }
    return snapshot_of(changes.pop("mirrors", mirrors()), **(fields | changes))


def mirrors(*, inactive: Sequence[int] = ()) -> list[Any]:
    """Ten mirrors, some of them switched off."""
    return [mirror(f"m{number}", active=number not in inactive) for number in range(MIRRORS)]


def repositories(numbers: Sequence[int], *, disabled: Sequence[int] = ()) -> tuple[Repository, ...]:
    """Repositories r0, r1, ... on the directories of their numbers."""
    return tuple(
        Repository(
            name=f"r{number}",
            disabled=number in disabled,
            directories=(RepositoryDirectory(arch="", category=0, path=f"d{number}"),),
        )
        for number in numbers
    )


def table(rows: Mapping[str, int]) -> Any:
    """The directory table of category 0."""
    return directory_table({(0, path): number for path, number in rows.items()})


DOWN = MirrorHealth(checked=1, down=(DownUrl(category="linux", url="http://m/", family=0, since=1, reason=""),))
V6_DOWN = MirrorHealth(checked=1, down=(DownUrl(category="linux", url="http://m/", family=6, since=1, reason=""),))
UNIT = Unit(category="linux", path="d0/repodata/repomd.xml", directories=("d0",))
STALE, KEPT = (
    MirrorHealth(
        checked=1, old=(OldUnit(unit=UNIT, state=Freshness.STALE, offered=offered, since=1, lag=100_000, reason=""),)
    )
    for offered in (False, True)
)
ALL = {f"d{number}": number for number in range(10)}


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        pytest.param(network(), ["", "", ""], id="nothing changed"),
        pytest.param(network(mirrors=mirrors(inactive=[0, 1])), ["m0 m1", "", ""], id="mirrors switched off"),
        pytest.param(
            network(mirrors=mirrors(inactive=[8, 9])),
            ["m8 m9", "", "linux:/d8 linux:/d9"],
            id="and what only they carry",
        ),
        pytest.param(
            network(sets=carrier_sets([range(5, MIRRORS)] * 10, MIRRORS)),
            ["m0 m1 m2 m3 m4", "", ""],
            id="mirrors that carry nothing any more",
        ),
        pytest.param(
            network(sets=carrier_sets([[]] * 10, MIRRORS)),
            ["m0 m1 m2 m3 m4", "", "linux:/d0 linux:/d1 linux:/d2 linux:/d3 linux:/d4"],
            id="nobody carries anything: the first names",
        ),
        pytest.param(network(repositories=repositories(range(3, 10))), ["", "r0 r1 r2", ""], id="repositories gone"),
        pytest.param(
            network(repositories=repositories(range(10), disabled=[4])), ["", "r4", ""], id="a repository disabled"
        ),
        pytest.param(
            network(repositories=repositories(range(1, 10)), aliases={"r0": "r1"}),
            ["", "", ""],
            id="renamed, with alias",
        ),
        pytest.param(
            network(repositories=repositories(range(1, 10), disabled=[1]), aliases={"r0": "r1"}),
            ["", "r0 r1", ""],
            id="an alias of what is disabled answers nobody",
        ),
        pytest.param(
            network(directories=table({path: ALL[path] for path in ALL if path != "d7"})),
            ["", "", "linux:/d7"],
            id="a listed directory gone",
        ),
        pytest.param(
            network(
                categories=(Category(name="linux", kind=CategoryKind.OPEN, top="linux"),), directories=table({"": 0})
            ),
            ["", "", ""],
            id="an open category's directories are covered by its top",
        ),
        pytest.param(
            network(sets=carrier_sets([range(5, MIRRORS)] * 10, MIRRORS), health=dict.fromkeys(range(5), DOWN)),
            ["", "", ""],
            id="mirrors that were seen down are not lost",
        ),
        pytest.param(
            network(
                sets=carrier_sets([range(5, MIRRORS)] * 10, MIRRORS), health={0: DOWN, 1: STALE, 2: KEPT, 3: V6_DOWN}
            ),
            ["m2 m3 m4", "", ""],
            id="nor stale ones; but those of which nothing is left out are",
        ),
        pytest.param(
            network(mirrors=mirrors(inactive=[8, 9]), health={8: DOWN}),
            ["m8 m9", "", "linux:/d8 linux:/d9"],
            id="what the sources switch off is lost, although it was down",
        ),
        pytest.param(
            network(sets=carrier_sets([range(number, 8) for number in range(10)], MIRRORS), health={8: DOWN, 9: DOWN}),
            ["", "", ""],
            id="a directory whose last mirrors were seen down is not lost",
        ),
        pytest.param(
            network(sets=carrier_sets([[9]] * 10, MIRRORS), health=dict.fromkeys(range(9), DOWN)),
            ["m0 m1 m2 m3 m4", "", ""],
            id="most were seen down: that is a loss",
        ),
        pytest.param(
            network(sets=carrier_sets([[]] * 10, MIRRORS), health=dict.fromkeys(range(10), DOWN)),
            ["m0 m1 m2 m3 m4", "", "linux:/d0 linux:/d1 linux:/d2 linux:/d3 linux:/d4"],
            id="all were seen down: everything is lost",
        ),
        pytest.param(
            network(categories=(Category(name="bsd", kind=CategoryKind.LISTED, top="linux"),)),
            ["", "", "linux:/d0 linux:/d1 linux:/d2 linux:/d3 linux:/d4"],
            id="a category gone",
        ),
    ],
)
def test_what_is_lost(new: Snapshot, expected: list[str]) -> None:
    """Names are lost where clients cannot get any more what they could get: the first few are told, in order."""
    assert [" ".join(loss.names) for loss in losses(network(), new)] == expected


def test_of_few_mirrors_most_may_be_seen_down() -> None:
    """Two of three may be left out, and three of three not: somebody must be left."""
    three = snapshot_of(
        [mirror(f"m{number}") for number in range(3)],
        sets=carrier_sets([range(3)], 3),
        directories=table({"d": 0}),
        categories=network().categories,
    )
    for left, lost in ((1, 0), (0, 3)):
        new = replace(three, sets=carrier_sets([range(left)], 3), health=dict.fromkeys(range(left, 3), DOWN))
        assert losses(three, new)[0].lost == lost


def test_categories_may_change_places() -> None:
    """A category is the same by its name, whatever its number is."""
    old = network()
    new = replace(
        old,
        categories=(Category(name="bsd", kind=CategoryKind.LISTED, top="bsd"), *old.categories),
        directories=directory_table({(0, "x"): 0} | {(1, path): number for path, number in ALL.items()}),
    )
    assert [loss.lost for loss in losses(old, new)] == [0, 0, 0]


def test_the_limit_itself_is_allowed() -> None:
    """One of ten is not more than a tenth, two are; the message says what, how much of it and which."""
    old = network()
    one, two = (network(mirrors=mirrors(inactive=range(count))) for count in (1, 2))
    assert check_loss(old, one)[0].fraction == 0.1
    with pytest.raises(LossError) as refusal:
        check_loss(old, two)
    assert str(refusal.value) == "more than 10 % would be lost: 2 of 10 mirrors (20.0 %): m0, m1"
    check_loss(old, two, 0.2)


def test_a_limit_of_all_allows_everything() -> None:
    """With a limit of 1, even a snapshot of nothing is no loss to be refused; many names are counted, not listed."""
    nothing = snapshot_of([], repositories=())
    assert [loss.fraction for loss in check_loss(network(), nothing, 1)] == [1, 1, 1]
    with pytest.raises(LossError, match=r"10 of 10 mirrors \(100.0 %\): m0, m1, m2, m3, m4 and 5 more; 10 of 10 rep"):
        check_loss(network(), nothing, 0.99)


@pytest.mark.slow
@given(old=snapshots(), new=snapshots())
def test_losses_are_parts(old: Snapshot, new: Snapshot) -> None:
    """Nothing is lost to oneself; of anything at most all is lost; from nothing, nothing is."""
    assert not any(loss.lost for loss in losses(old, old))
    for loss in losses(old, new):
        assert 0 <= loss.lost <= loss.before
        assert len(loss.names) == min(loss.lost, NAMES_SHOWN)
        assert loss.kind in str(loss)
    assert not any(is_reported(loss) for loss in losses(snapshot_of([], repositories=()), new))


def is_reported(loss: Loss) -> bool:
    """Whether something is lost."""
    return bool(loss.lost or loss.fraction or loss.names)
