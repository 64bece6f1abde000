"""The country half of docs/selection.md, Tiers: one byte per mirror."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrorlist_snapshot import tiers
from mirrorlist_snapshot.countries import CONTINENT_OF
from mirrorlist_snapshot.model import CONTINENTS, Mirror, Overrides, Snapshot
from support.snapshots import COUNTRIES, mirror, snapshot_of, snapshots

if TYPE_CHECKING:
    from collections.abc import Mapping

OVERRIDES = Overrides(
    continents={"IL": "EU"},
    neighbours={"CH": (("DE", "AT"), ("FR", "DE")), "NL": (("BE",),)},
    never_served={"AM": ("AZ",)},
)


def code(one: Mirror, country: str | None, continent: str | None = None, overrides: Overrides = OVERRIDES) -> int:
    """The tier code of one mirror for a client's country; the continent is that of the country if not given."""
    continent = continent or tiers.continent_of(country, None, overrides)
    (found,) = tiers.tier_map(snapshot_of([one], overrides=overrides), country, continent)
    return found


def of(country: str | None, **fields: Any) -> Mirror:
    """A mirror in a country."""
    return mirror("m", country, **fields)


@pytest.mark.parametrize(
    ("one", "country", "continent", "expected"),
    [
        pytest.param(of("NL"), "NL", None, tiers.COUNTRY, id="own country"),
        pytest.param(of("BE"), "NL", None, tiers.NEIGHBOURS, id="neighbour"),
        pytest.param(of("DE"), "CH", None, tiers.NEIGHBOURS, id="in two groups: the nearer"),
        pytest.param(of("FR"), "CH", None, tiers.NEIGHBOURS + 1, id="second group"),
        pytest.param(of("NL"), "BE", None, tiers.CONTINENT, id="neighbours are directed"),
        pytest.param(of("DE"), "NL", None, tiers.CONTINENT, id="continent"),
        pytest.param(of("DE"), "IL", None, tiers.CONTINENT, id="client's continent overridden"),
        pytest.param(of("IL"), "DE", None, tiers.CONTINENT, id="mirror's continent overridden"),
        pytest.param(of("IL"), "JO", None, tiers.GLOBAL, id="overridden away"),
        pytest.param(of("US"), "NL", None, tiers.GLOBAL, id="elsewhere"),
        pytest.param(of(None), "NL", None, tiers.GLOBAL, id="mirror without a country"),
        pytest.param(of("US", also_countries=("BE", "NL")), "NL", None, tiers.COUNTRY, id="also in the country"),
        pytest.param(of("US", also_countries=("BE",)), "NL", None, tiers.GLOBAL, id="also in a neighbour is not near"),
        pytest.param(of("US", also_countries=("NL",)), None, "EU", tiers.GLOBAL, id="also, of an unknown country"),
        pytest.param(of(None, worldwide=True), "NL", None, tiers.COUNTRY, id="worldwide is in the country"),
        pytest.param(of("US", worldwide=True), None, "EU", tiers.CONTINENT, id="worldwide, only the continent known"),
        pytest.param(of("US", worldwide=True), None, None, tiers.GLOBAL, id="worldwide, nothing known"),
        pytest.param(of("AZ", worldwide=True), "AM", None, tiers.EXCLUDED_PAIR, id="worldwide keeps country rules"),
        pytest.param(of(None, continent="EU"), "NL", None, tiers.CONTINENT, id="only its continent known"),
        pytest.param(of(None, continent="AS"), "NL", None, tiers.GLOBAL, id="on another continent"),
        pytest.param(of(None, continent="EU"), None, "EU", tiers.CONTINENT, id="only continents known"),
        pytest.param(of("NL", worldwide=True, fallback=True), "NL", None, tiers.FALLBACK, id="worldwide fallback"),
        pytest.param(of("NL"), None, None, tiers.GLOBAL, id="nothing known of the client"),
        pytest.param(of("NL"), None, "EU", tiers.CONTINENT, id="only the continent known"),
        pytest.param(of(None), None, None, tiers.GLOBAL, id="nothing known of either is no match"),
        pytest.param(of("NL", fallback=True), "NL", None, tiers.FALLBACK, id="fallback, however near"),
        pytest.param(of("NL", active=False), "NL", None, tiers.INACTIVE, id="inactive"),
        pytest.param(of("NL", private=True), "NL", None, tiers.PRIVATE, id="private"),
        pytest.param(of("NL", denied_countries=("NL",)), "NL", None, tiers.DENIED, id="denied"),
        pytest.param(of("NL", denied_countries=("NL",)), None, None, tiers.GLOBAL, id="unknown passes a deny list"),
        pytest.param(of("NL", allowed_countries=("BE",)), "NL", None, tiers.NOT_ALLOWED, id="not allowed"),
        pytest.param(of("NL", allowed_countries=("BE",)), "BE", None, tiers.CONTINENT, id="allowed"),
        pytest.param(
            of("NL", allowed_countries=("BE",)), None, "EU", tiers.NOT_ALLOWED, id="unknown fails an allow list"
        ),
        pytest.param(of("AZ"), "AM", None, tiers.EXCLUDED_PAIR, id="excluded pair"),
        pytest.param(of("AM"), "AZ", None, tiers.CONTINENT, id="pairs are directed"),
        pytest.param(of("AZ", fallback=True), "AM", None, tiers.EXCLUDED_PAIR, id="rules hold for fallbacks"),
        pytest.param(of("AZ", private=True, active=False), "AM", None, tiers.INACTIVE, id="weightier reason first"),
        pytest.param(
            of("NL", private=True, denied_countries=("NL",)), "NL", None, tiers.DENIED, id="denied before private"
        ),
    ],
)
def test_codes(one: Mirror, country: str | None, continent: str | None, expected: int) -> None:
    """Each rule gives its tier or its reason."""
    assert code(one, country, continent) == expected


@pytest.mark.slow
@given(
    snapshot=snapshots(),
    country=st.none() | COUNTRIES,
    continent=st.none() | st.sampled_from(CONTINENTS),
)
def test_maps_keep_the_rules(snapshot: Snapshot, country: str | None, continent: str | None) -> None:
    """In any snapshot, a mirror that has a tier may be offered, and its tier says where it is."""
    overrides = snapshot.overrides
    found = tiers.tier_map(snapshot, country, continent)
    assert len(found) == len(snapshot.mirrors)
    for one, number in zip(snapshot.mirrors, found, strict=True):
        offered = (
            one.active
            and not one.private
            and country not in one.denied_countries
            and (not one.allowed_countries or country in one.allowed_countries)
            and (one.country is None or one.country not in pairs(overrides.never_served, country))
        )
        assert (number < tiers.FIRST_REASON) == offered
        assert number not in {tiers.NETBLOCK, tiers.ASN}
        if offered:
            assert tiers.tier_name(number) in tiers.TIER_NAMES
            assert (number == tiers.FALLBACK) == one.fallback
        if number == tiers.COUNTRY:
            assert country is not None
            assert one.country == country or one.worldwide or country in one.also_countries
        if tiers.NEIGHBOURS <= number < tiers.CONTINENT:
            groups = overrides.neighbours[country or ""]
            assert one.country in groups[number - tiers.NEIGHBOURS]
            assert all(one.country not in group for group in groups[: number - tiers.NEIGHBOURS])
        if number == tiers.CONTINENT:
            assert continent is not None
            assert one.worldwide or tiers.mirror_continent(one, overrides) == continent


def pairs(never: Mapping[str, tuple[str, ...]], country: str | None) -> tuple[str, ...]:
    """The mirror countries that a client's country is never served from."""
    return never.get(country, ()) if country else ()


def test_continents() -> None:
    """An override comes first, then what the database knows, then the ISO table; no country leaves the database."""
    assert tiers.continent_of("IL", "AS", OVERRIDES) == "EU"
    assert tiers.continent_of("CY", "EU", OVERRIDES) == "EU"
    assert tiers.continent_of("CY", None, OVERRIDES) == "AS"
    assert tiers.continent_of("ZZ", None, OVERRIDES) is None
    assert tiers.continent_of(None, "AF", OVERRIDES) == "AF"
    assert tiers.continent_of(None, None, OVERRIDES) is None


def test_codes_and_names() -> None:
    """Codes ascend as tiers fill a list, and neighbour groups, all 90, stay below the continent."""
    codes = (tiers.NETBLOCK, tiers.ASN, tiers.COUNTRY, tiers.NEIGHBOURS, tiers.CONTINENT, tiers.GLOBAL, tiers.FALLBACK)
    assert list(codes) == sorted(codes)
    assert tuple(map(tiers.tier_name, codes)) == tiers.TIER_NAMES
    last = tiers.NEIGHBOURS + tiers.MAX_NEIGHBOUR_GROUPS - 1
    assert tiers.tier_name(last) == "neighbours"
    assert last < tiers.CONTINENT
    groups = (("FR",),) * (tiers.MAX_NEIGHBOUR_GROUPS - 1) + (("BE",),)
    assert code(of("BE"), "NL", None, replace(OVERRIDES, neighbours={"NL": groups})) == last
    with pytest.raises(KeyError):
        tiers.tier_name(tiers.INACTIVE)


def test_the_iso_table() -> None:
    """Every country has one of the seven continents, and Namibia, whose code reads like a missing value, its own."""
    assert set(CONTINENT_OF.values()) == set(CONTINENTS)
    assert CONTINENT_OF["NA"] == "AF"
    assert CONTINENT_OF["XK"] == "EU"
    assert all(len(country) == 2 and country.isupper() for country in CONTINENT_OF)
    assert len(CONTINENT_OF) == 250
