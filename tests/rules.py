"""The selection rules once more: slow, obvious, written from the rules' text and sharing no code with the server.

Everything is names and sets. `tiers` gives the sets of mirrors in the order in which they fill a list, and `fits` says
whether a list could have been drawn from them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CONTINENT = {"DE": "EU", "FR": "EU", "PL": "EU", "US": "NA", "CA": "NA", "JP": "AS", "IL": "AS", "TR": "AS"}


@dataclass(frozen=True)
class Asked:
    """One question in the rules' words."""

    country: str | None = None
    continent: str | None = None
    asn: int = 0
    address: str | None = None
    countries: tuple[str, ...] = ()
    everywhere: bool = False
    netblock: bool = True
    behalf: bool = False
    limit: int = 20
    minimum: int = 5


@dataclass
class Expected:
    """What a list may look like."""

    tiers: list[set[str]] = field(default_factory=list)
    fallback: set[str] = field(default_factory=set)


def continent(country: str | None, source: Mapping[str, Any]) -> str | None:
    """Rule 2: the override on top of the table."""
    overrides = source.get("overrides", {}).get("continents", {})
    return overrides.get(country) or CONTINENT.get(country or "")


def tiers(source: Mapping[str, Any], asked: Asked) -> Expected:  # noqa: C901, PLR0912, PLR0915 - rule after rule
    """Rules 3 and 4 for the one repository of `worlds.network`."""
    mirrors: Mapping[str, Mapping[str, Any]] = source["mirrors"]
    overrides = source.get("overrides", {})

    def country_rules(name: str) -> bool:
        mirror = mirrors[name]
        if asked.country in mirror.get("denied_countries", ()):
            return False
        allowed = mirror.get("allowed_countries", ())
        if allowed and asked.country not in allowed:
            return False
        never = overrides.get("never_served", {}).get(asked.country, ())
        return mirror.get("country") not in never or mirror.get("country") is None

    active = {name for name, mirror in mirrors.items() if mirror.get("active", True)}
    usual = {name for name in active if not mirrors[name].get("fallback", False)}
    private = {name for name in active if mirrors[name].get("private", False)}
    by_country = bool(asked.countries) or asked.everywhere

    if by_country:
        offered = {name for name in usual - private if country_rules(name)}
        if asked.everywhere:
            chosen = offered
        else:
            chosen = {name for name in offered if mirrors[name].get("country") in asked.countries}
            if not chosen:
                near = {continent(country, source) for country in asked.countries} - {None}
                chosen = {name for name in offered if continent(mirrors[name].get("country"), source) in near}
        if chosen:
            return Expected([chosen])

    expected = Expected()
    taken: set[str] = set()

    def fill(names: set[str]) -> None:
        names = names - taken
        if names:
            expected.tiers.append(names)
            taken.update(names)

    networks_apply = asked.netblock and not by_country
    close = usual if not asked.behalf else usual - private
    if networks_apply and asked.address is not None:
        matching: dict[int, list[tuple[str, bool]]] = {}
        for name in close:
            for block in mirrors[name].get("netblocks", ()):
                prefix, exclusive = (block, False) if isinstance(block, str) else (block["prefix"], block["exclusive"])
                network = ip_network(prefix)
                if ip_address(asked.address) in network:
                    matching.setdefault(network.prefixlen, []).append((name, exclusive))
        for length in sorted(matching, reverse=True):
            only = {name for name, exclusive in matching[length] if exclusive}
            if only:
                return Expected([only])
        for length in sorted(matching, reverse=True):
            fill({name for name, _ in matching[length]})
    if networks_apply and asked.asn:
        fill({name for name in close if asked.asn in mirrors[name].get("asns", ()) and country_rules(name)})

    public = {name for name in usual - private if country_rules(name)}
    if asked.country is not None:
        fill({name for name in public if mirrors[name].get("country") == asked.country})
        for group in overrides.get("neighbours", {}).get(asked.country, ()):
            fill({name for name in public if mirrors[name].get("country") in group})
    if asked.continent is not None:
        fill({name for name in public if continent(mirrors[name].get("country"), source) == asked.continent})
    if len(taken) < asked.minimum:
        fill(public)
    expected.fallback = {
        name for name in active - private if mirrors[name].get("fallback", False) and country_rules(name)
    }
    return expected


def fits(served: Sequence[str], expected: Expected, limit: int) -> bool:
    """Whether a list can be drawn from tiers: each filled before the next, fallback in the last places, no more."""
    usual = [name for tier in expected.tiers for name in tier]
    reserved = min(len(expected.fallback), limit - 1) if usual else min(len(expected.fallback), limit)
    places = min(len(usual), limit - reserved)
    rest = list(served)
    for tier in expected.tiers:
        take = min(len(tier), places)
        if set(rest[:take]) - tier or len(set(rest[:take])) != take:
            return False
        rest, places = rest[take:], places - take
    last = min(len(expected.fallback), limit - (len(served) - len(rest)))
    return len(rest) == last and set(rest) <= expected.fallback and len(set(rest)) == last
