"""Random mirror networks: source documents that the compiler accepts."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from oracles.rules import CONTINENT as CONTINENT_OF
from support.worlds import network

COUNTRIES = st.sampled_from(sorted(CONTINENT_OF))
PREFIXES = st.sampled_from(["198.51.100.0/24", "198.51.100.0/25", "198.51.100.1/32", "192.0.2.0/24", "2001:db8::/32"])


@st.composite
def mirrors(draw: st.DrawFn) -> dict[str, Any]:
    """One random mirror that the compiler accepts."""
    fields: dict[str, Any] = {}
    if country := draw(st.none() | COUNTRIES):
        fields["country"] = country
        fields["also_countries"] = draw(st.lists(COUNTRIES, unique=True, max_size=2))
    elif draw(st.booleans()):
        fields["continent"] = draw(st.sampled_from(["EU", "AS", "NA"]))
    fields["worldwide"] = draw(st.integers(0, 5)) == 0
    if draw(st.booleans()):
        fields["bandwidth"] = draw(st.integers(1, 1_000_000))
    fallback = draw(st.integers(0, 5)) == 0
    if not fallback:
        blocks = draw(st.lists(PREFIXES, unique=True, max_size=2))
        if blocks:
            fields["netblocks"] = [{"prefix": block, "exclusive": draw(st.integers(0, 4)) == 0} for block in blocks]
        if asns := draw(st.lists(st.sampled_from([680, 7018]), unique=True, max_size=1)):
            fields["asns"] = asns
        fields["private"] = draw(st.integers(0, 3)) == 0
    else:
        fields["fallback"] = True
    fields["active"] = draw(st.integers(0, 9)) > 0
    some = st.lists(COUNTRIES, unique=True, max_size=2)
    allowed = draw(some) if draw(st.integers(0, 4)) == 0 else []
    denied = draw(some) if draw(st.integers(0, 4)) == 0 else []
    fields["allowed_countries"] = allowed
    fields["denied_countries"] = [country for country in denied if country not in allowed]
    return fields


@st.composite
def networks(draw: st.DrawFn) -> dict[str, Any]:
    """A random mirror network with overrides."""
    names = [f"m{number}.example" for number in range(draw(st.integers(1, 14)))]
    overrides: dict[str, Any] = {
        "continents": draw(st.dictionaries(COUNTRIES, st.sampled_from(["EU", "AS", "NA"]), max_size=2)),
        "neighbours": {},
        "never_served": {},
    }
    for country in draw(st.lists(COUNTRIES, unique=True, max_size=2)):
        others = [other for other in sorted(CONTINENT_OF) if other != country]
        picked = draw(st.lists(st.sampled_from(others), unique=True, min_size=1, max_size=4))
        cut = draw(st.integers(1, len(picked)))
        overrides["neighbours"][country] = [group for group in (picked[:cut], picked[cut:]) if group]
    for country in draw(st.lists(COUNTRIES, unique=True, max_size=2)):
        overrides["never_served"][country] = draw(st.lists(COUNTRIES, unique=True, min_size=1, max_size=2))
    return network({name: draw(mirrors()) for name in names}, overrides=overrides)
