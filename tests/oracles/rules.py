"""The rules of docs/selection.md once more: slow, obvious, written from that text and sharing no code with the server.

Everything is names and sets. `tiers` gives the sets of mirrors in the order in which they fill a list, and `fits` says
whether a list could have been drawn from them. The rules are the same in both presets; `model` says what differs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

CONTINENT = dict.fromkeys(("DE", "FR", "GB", "GR", "PL"), "EU") | {
    "US": "NA",
    "CA": "NA",
    "JP": "AS",
    "IL": "AS",
    "TR": "AS",
}


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
    carrying: frozenset[str] | None = None
    """The mirrors that carry what is asked and have a URL for it; None: all of them."""


@dataclass
class Expected:
    """What a list may look like."""

    tiers: list[set[str]] = field(default_factory=list)
    fallback: set[str] = field(default_factory=set)
    by_country: bool = False
    """`country=` decided."""
    found_via: list[str] = field(default_factory=list)
    """The words of MirrorManager's header: where mirrors came from, even if an earlier tier has the same ones."""


def continent(country: str | None, source: Mapping[str, Any]) -> str | None:
    """Rule 2: the override on top of the table."""
    overrides = source.get("overrides", {}).get("continents", {})
    return overrides.get(country) or CONTINENT.get(country or "")


def serves(mirror: Mapping[str, Any], country: str | None) -> bool:
    """Rule 3: whether a mirror stands in a country's own tier."""
    own = mirror.get("country") == country or country in mirror.get("also_countries", ())
    return country is not None and (own or mirror.get("worldwide", False))


def on_continent(mirror: Mapping[str, Any], wanted: str | None, source: Mapping[str, Any]) -> bool:
    """Rule 3: whether a mirror stands in a continent's tier."""
    own = continent(mirror["country"], source) if mirror.get("country") else mirror.get("continent")
    return wanted is not None and (own == wanted or mirror.get("worldwide", False))


def tiers(source: Mapping[str, Any], asked: Asked) -> Expected:  # noqa: C901, PLR0912, PLR0915 - rule after rule
    """Rules 3 and 4 for whatever some mirrors carry."""
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

    carrying = mirrors.keys() if asked.carrying is None else asked.carrying
    active = {name for name in carrying if mirrors[name].get("active", True)}
    plain_query = {name for name in active if not mirrors[name].get("fallback", False)}
    private = {name for name in active if mirrors[name].get("private", False)}

    def of(names: set[str], only: Collection[str] | None = None) -> list[str]:
        countries = {str(mirrors[name].get("country")) for name in names} - {"None"}
        return [f"country = {country}" for country in sorted(countries) if only is None or country in only]

    by_country = bool(asked.countries) or asked.everywhere

    if by_country:
        offered = {name for name in plain_query - private if country_rules(name)}
        if asked.everywhere:
            chosen = offered
        else:
            named = {"AN", "EU", "OC"} & set(asked.countries)
            chosen = {
                name
                for name in offered
                if any(serves(mirrors[name], country) for country in asked.countries)
                or any(on_continent(mirrors[name], code, source) for code in named)
            }
            if not chosen:
                near = {continent(country, source) for country in asked.countries} - {None}
                chosen = {name for name in offered if any(on_continent(mirrors[name], code, source) for code in near)}
        if chosen:
            words = of(chosen, only=asked.countries if asked.everywhere else None)
            end = ["country = global"] if asked.everywhere else []
            return Expected([chosen], found_via=[*words, *end], by_country=True)

    expected = Expected()
    taken: set[str] = set()

    def fill(names: set[str]) -> None:
        names = names - taken
        if names:
            expected.tiers.append(names)
            taken.update(names)

    networks_apply = asked.netblock and not by_country
    close = plain_query if not asked.behalf else plain_query - private
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
                return Expected([only], found_via=["Using preferred netblock"])
        expected.found_via += ["Using preferred netblock"] if matching else []
        for length in sorted(matching, reverse=True):
            fill({name for name, _ in matching[length]})
    if networks_apply and asked.asn:
        serving = {name for name in close if asked.asn in mirrors[name].get("asns", ()) and country_rules(name)}
        expected.found_via += [f"Using ASN {asked.asn}"] if serving else []
        fill(serving)

    public = {name for name in plain_query - private if country_rules(name)}
    places: list[set[str]] = []
    if asked.country is not None:
        places.append({name for name in public if serves(mirrors[name], asked.country)})
        groups = overrides.get("neighbours", {}).get(asked.country, ())
        places += [{name for name in public if mirrors[name].get("country") in group} for group in groups]
    if asked.continent is not None:
        places.append({name for name in public if on_continent(mirrors[name], asked.continent, source)})
    for number, names in enumerate(places):
        expected.found_via += of(names.difference(*places[:number]))
        fill(names)
    if len(taken) < asked.minimum:
        expected.found_via.append("country = global")
        fill(public)
    expected.fallback = {
        name for name in active - private if mirrors[name].get("fallback", False) and country_rules(name)
    }
    return expected


def fits(served: Sequence[str], expected: Expected, limit: int) -> bool:
    """Whether a list can be drawn from tiers: each filled before the next, fallback in the last places, no more."""
    plain_query = [name for tier in expected.tiers for name in tier]
    reserved = min(len(expected.fallback), limit - 1) if plain_query else min(len(expected.fallback), limit)
    places = min(len(plain_query), limit - reserved)
    rest = list(served)
    for tier in expected.tiers:
        take = min(len(tier), places)
        if set(rest[:take]) - tier or len(set(rest[:take])) != take:
            return False
        rest, places = rest[take:], places - take
    last = min(len(expected.fallback), limit - (len(served) - len(rest)))
    return len(rest) == last and set(rest) <= expected.fallback and len(set(rest)) == last
