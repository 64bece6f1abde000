"""The brake: our own faults are no mirror's, and no run takes away much."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrorlist_admin.brake import AskedUrl, Doubt, Removal, doubt, not_alive, within_budget


def urls(asked: int, failing: int, family: int = 4, first: int = 0, asn: int | None = None) -> list[AskedUrl]:
    """Some mirrors of a family, of which the first fail."""
    return [
        AskedUrl(
            mirror=f"m{first + number}", family=family, asns=() if asn is None else (asn,), failed=number < failing
        )
        for number in range(asked)
    ]


@pytest.mark.parametrize(
    ("masters", "references", "alive"),
    [
        ([], [], True),
        ([True], [], True),
        ([False], [], False),
        ([False, True], [], True),
        ([True], [True, True, True, False, False], True),
        ([True], [True, True, False, False, False], False),
        ([False], [True, True, True, True, False], True),
        ([], [False], False),
        ([], [True, False], True),
        ([True], [False], True),
    ],
)
def test_enough_of_the_master_and_the_reference_hosts_must_answer(
    masters: list[bool], references: list[bool], alive: bool
) -> None:
    """Four of six, fewer where there are fewer; without reference hosts, one master."""
    assert (not_alive(masters, references) is None) is alive


def test_many_new_failures_make_the_run_void() -> None:
    """More than 40 % of the mirrors that answered before: nothing is believed. Two mirrors alone are no sign."""
    assert doubt(urls(100, 40)) == Doubt()
    assert "41 of 100" in doubt(urls(100, 41)).run
    assert doubt(urls(3, 2)) == Doubt()
    assert doubt(urls(3, 3)).run


def test_failures_of_one_family_alone_do_not_count() -> None:
    """IPv6 fails everywhere and IPv4 nowhere: our IPv6 is broken, and IPv4 counts."""
    found = doubt([*urls(20, 1), *urls(20, 20, family=6)])
    assert not found.run
    assert set(found.families) == {6}
    assert doubt([*urls(20, 20), *urls(20, 20, family=6)]).run


def test_failures_of_one_as_alone_do_not_count() -> None:
    """All that fails is in one AS: the way there is broken, and the others count."""
    found = doubt([*urls(50, 50, asn=680), *urls(50, 0, first=50, asn=1299)])
    assert (found.run, set(found.asns)) == ("", {680})


def removals(*sizes: int) -> list[Removal]:
    """Mirrors that lose so many units."""
    return [
        Removal(mirror=f"m{number}", badness=size, items=tuple(("c", "unit", f"u{n}") for n in range(size)))
        for number, size in enumerate(sizes)
    ]


def capacity(mirrors: int, country: str = "DE") -> dict[str, tuple[str, int]]:
    """Equal mirrors."""
    return {f"m{number}": (country, 100) for number in range(mirrors)}


def test_a_run_takes_away_three_mirrors_or_a_twentieth_of_the_capacity() -> None:
    """Of 10 mirrors three go, the worst; of 100 five; what an earlier run has held back goes besides."""
    wanted = removals(1, 5, 3, 4, 2)
    assert {item[0] for item in within_budget(wanted, capacity(10), ())} == {"m0", "m4"}
    assert within_budget(wanted, capacity(100), ()) == frozenset()
    again = within_budget(wanted, capacity(10), within_budget(wanted, capacity(10), ()))
    assert again == frozenset()


def test_the_limit_holds_in_each_country() -> None:
    """Four mirrors of one country are a twentieth of all, and yet one of them stays for another run."""
    places = capacity(96, "US") | {f"m{number}": ("NZ", 100) for number in range(4)}
    assert {item[0] for item in within_budget(removals(4, 3, 2, 1), places, ())} == {"m3"}


@given(
    sizes=st.lists(st.integers(1, 4), max_size=30),
    countries=st.lists(st.sampled_from(["DE", "FR", ""]), min_size=30, max_size=30),
    bandwidths=st.lists(st.integers(1, 1000), min_size=30, max_size=30),
)
def test_what_is_taken_away_is_bounded(sizes: list[int], countries: list[str], bandwidths: list[int]) -> None:
    """Whatever a run wants: it takes away at most three mirrors or 5 %, of all and of each country, each one whole."""
    places = {f"m{n}": (country, width) for n, (country, width) in enumerate(zip(countries, bandwidths, strict=True))}
    wanted = removals(*sizes)
    held = {item[0] for item in within_budget(wanted, places, ())}
    for country in ("", "DE", "FR"):
        inside = {name for name, place in places.items() if not country or place[0] == country}
        gone = (
            {one.mirror for one in wanted} - held & inside
            if not country
            else {one.mirror for one in wanted if one.mirror in inside} - held
        )
        whole = sum(places[name][1] for name in inside)
        assert len(gone) <= 3 or sum(places[name][1] for name in gone) <= 0.05 * whole
    assert within_budget(wanted, places, within_budget(wanted, places, ())) == frozenset()
