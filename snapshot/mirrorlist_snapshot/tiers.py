"""The country half of docs/selection.md, Tiers: which mirrors a country may be offered, and how near each is.

The rules that depend only on a client's country and continent (docs/selection.md, Who may be offered) give one byte per
mirror: its tier, or the reason why it is never offered. The server combines such a *tier map* with the carrier set of
the requested directory; `diff` compares the maps of two snapshots.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.countries import CONTINENT_OF

if TYPE_CHECKING:
    from mirrorlist_snapshot.model import Mirror, Overrides, Snapshot

# Tier codes ascend in the order in which tiers fill a list, so that sorting by code sorts by nearness.
NETBLOCK: Final = 1
"""Tier 1: one of the mirror's client netblocks contains the client. It depends on the address: never in a tier map."""
ASN: Final = 2
"""Tier 2: the mirror serves the client's autonomous system. Never in a tier map."""
COUNTRY: Final = 3
"""Tier 3: in the client's country, or as near to its clients as if it were there."""
NEIGHBOURS: Final = 4
"""Tier 4: NEIGHBOURS + g for the g-th neighbour group, nearest first."""
MAX_NEIGHBOUR_GROUPS: Final = 90
CONTINENT: Final = 100
"""Tier 5: on the client's continent, overrides applied."""
GLOBAL: Final = 101
"""Tier 6: everywhere else."""
FALLBACK: Final = 102
"""Tier 7: the last resort."""

# From here on: reasons for being left out, the weightier first where several hold.
INACTIVE: Final = 200
"""Switched off in the sources."""
DENIED: Final = 201
"""The mirror denies the client's country."""
NOT_ALLOWED: Final = 202
"""The mirror lists the countries it serves, and the client's is not (known to be) among them."""
EXCLUDED_PAIR: Final = 203
"""An override never serves the client's country from the mirror's."""
PRIVATE: Final = 204
"""Offered only to the mirror's own netblocks and autonomous systems: tiers 1 and 2."""
FIRST_REASON: Final = INACTIVE


NAME_OF: Final = {
    NETBLOCK: "netblock",
    ASN: "asn",
    COUNTRY: "country",
    **dict.fromkeys(range(NEIGHBOURS, NEIGHBOURS + MAX_NEIGHBOUR_GROUPS), "neighbours"),
    CONTINENT: "continent",
    GLOBAL: "global",
    FALLBACK: "fallback",
}
"""Tier code -> the word for it in answers, metrics and logs."""
TIER_NAMES: Final = ("netblock", "asn", "country", "neighbours", "continent", "global", "fallback")
"""Every such word, nearest first."""


def tier_name(code: int) -> str:
    """The word for a tier code; KeyError for a reason to be left out."""
    return NAME_OF[code]


def continent_of(country: str | None, known: str | None, overrides: Overrides) -> str | None:
    """Return a client's continent: the override for its country, else `known` (from a database), else the ISO table."""
    if country is None:
        return known
    return overrides.continents.get(country) or known or CONTINENT_OF.get(country)


def tier_map(snapshot: Snapshot, country: str | None, continent: str | None) -> bytes:
    """One byte per mirror for clients of a country on a continent (overrides applied): a tier code or a reason.

    None means unknown. An unknown country skips tiers 3 and 4, fails every list of allowed countries and passes every
    list of denied ones. An unknown continent skips tier 5.
    """
    overrides = snapshot.overrides
    never = frozenset(overrides.never_served.get(country, ())) if country else frozenset[str]()
    group_of: dict[str, int] = {}
    for number, group in enumerate(overrides.neighbours.get(country, ()) if country else ()):
        for neighbour in group:
            group_of.setdefault(neighbour, NEIGHBOURS + number)
    return bytes(
        _barred(mirror, country, never) or _nearness(mirror, country, continent, group_of, overrides)
        for mirror in snapshot.mirrors
    )


def _barred(mirror: Mirror, country: str | None, never: frozenset[str]) -> int:
    """Return the first of the reasons above for which the country is not offered the mirror; 0 if none holds."""
    if not mirror.active:
        return INACTIVE
    if country in mirror.denied_countries:
        return DENIED
    if mirror.allowed_countries and country not in mirror.allowed_countries:
        return NOT_ALLOWED
    if mirror.country in never:
        return EXCLUDED_PAIR
    return PRIVATE if mirror.private else 0


def _nearness(
    mirror: Mirror, country: str | None, continent: str | None, group_of: dict[str, int], overrides: Overrides
) -> int:
    """Return the tier of a mirror that the country may be offered."""
    if mirror.fallback:
        return FALLBACK
    if country is not None and serves_country(mirror, country):
        return COUNTRY
    if mirror.country is not None and mirror.country in group_of:
        return group_of[mirror.country]
    if serves_continent(mirror, continent, overrides):
        return CONTINENT
    return GLOBAL


def serves_country(mirror: Mirror, country: str) -> bool:
    """Whether a mirror stands in a country's own tier."""
    return mirror.country == country or mirror.worldwide or country in mirror.also_countries


def serves_continent(mirror: Mirror, continent: str | None, overrides: Overrides) -> bool:
    """Whether a mirror stands in a continent's tier; none does in that of an unknown one."""
    return continent is not None and (mirror.worldwide or mirror_continent(mirror, overrides) == continent)


def mirror_continent(mirror: Mirror, overrides: Overrides) -> str | None:
    """Return a mirror's continent, overrides applied, as for clients: good connections work both ways.

    MirrorManager also applies its country -> continent redirects to clients and mirrors alike. The continent of a
    mirror without a country is the one that the source states.
    """
    return continent_of(mirror.country, mirror.continent, overrides)
