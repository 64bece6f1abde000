"""Why did I get this, and why does that mirror get no traffic? One decision, told in full.

Uses the very parts that answer requests, so an explanation cannot drift from what is served. The order within tiers
is drawn anew: it shows one possible list. Everything is plain data, ready for JSON.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

from mirrorlist_snapshot.tiers import (
    DENIED,
    EXCLUDED_PAIR,
    FALLBACK,
    INACTIVE,
    NOT_ALLOWED,
    PRIVATE,
    tier_name,
)
from mirrorlistd.decision import Prepared
from mirrorlistd.errors import NotServedError
from mirrorlistd.geo import UNKNOWN
from mirrorlistd.render import tiers_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from random import Random

    from mirrorlistd.address import Address
    from mirrorlistd.decision import Decider
    from mirrorlistd.index import Place
    from mirrorlistd.query import Query
    from mirrorlistd.selection import Choice

_REASONS: Final = {
    INACTIVE: "inactive: switched off in the sources",
    DENIED: "denied: the mirror denies the client's country",
    NOT_ALLOWED: "not allowed: the client's country is not among those the mirror serves",
    EXCLUDED_PAIR: "excluded pair: an override never serves the client's country from the mirror's",
    PRIVATE: "private: offered only to its own networks",
}


def explain(
    decider: Decider, query_string: bytes, client: Address | None, random: Random, *, full: bool
) -> dict[str, object]:
    """Explain the answer to `/mirrorlist?query_string` for a client.

    With `full` every mirror that was left out is named with its reason; without it only what the client's own list
    shows, because a stranger must not learn of private mirrors. Keys: `status`, `client`, `place`, and either `error`
    or `asked`, `serial`, `exclusive`, `tiers`, `list`, with `full` also `left_out`.
    """
    prepared = decider.prepare(query_string)
    if not isinstance(prepared, Prepared):
        return {
            "status": prepared.status if isinstance(prepared, NotServedError) else 400,
            "error": prepared.message,
            "client": _client(client, on_behalf=False),
            "place": _place(decider, client, decider.place(client), ()),
        }
    asked_for = prepared.query.ip
    address = asked_for or client
    place = decider.place(address)
    private = asked_for is None or asked_for == client
    choice = decider.choice(prepared, place, private=private)
    order = choice.draw(prepared.limit, random)
    codes = tiers_of(choice)
    mirrors = decider.index.snapshot.mirrors
    told: dict[str, object] = {
        "status": 200 if order else 404,
        "asked": _asked(decider, prepared),
        "client": _client(address, on_behalf=asked_for is not None),
        "place": _place(decider, address, place, range(len(mirrors)) if full else order),
        "format": prepared.renderer.name,
        "serial": decider.index.snapshot.serial,
        "exclusive": choice.exclusive,
        "tiers": [
            {"tier": tier_name(tier.code), "mirrors": len(tier.mirrors)}
            for tier in (*choice.tiers, *((choice.fallback,) if choice.fallback else ()))
        ]
        if full
        else [tier_name(code) for code in dict.fromkeys(codes[mirror] for mirror in order)],
        "list": [
            {
                "place": position,
                "mirror": mirrors[mirror].name,
                "tier": tier_name(codes[mirror]),
                "country": mirrors[mirror].country,
                "bandwidth": mirrors[mirror].bandwidth,
                "urls": [(url + prepared.target.suffix).decode() for url in prepared.offers.urls[mirror]],
            }
            for position, mirror in enumerate(order, start=1)
        ],
    }
    if full:
        told["left_out"] = [
            {"mirror": mirrors[mirror].name, "country": mirrors[mirror].country, "reason": reason}
            for mirror, reason in _left_out(decider, prepared, place, choice, frozenset(order))
        ]
    return told


def _client(address: Address | None, *, on_behalf: bool) -> dict[str, object]:
    return {"address": address.text if address else None, "on_behalf": on_behalf}


def _asked(decider: Decider, prepared: Prepared) -> dict[str, object]:
    query, target = prepared.query, prepared.target
    category = decider.index.snapshot.categories[target.category]
    return {
        "query": _query_string(query),
        "what": target.label.decode().removeprefix("# "),
        "category": category.name,
        "directory": target.suffix.decode(),
        "countries": [*query.countries, *(["global"] if query.everywhere else [])],
        "protocols": list(query.protocols),
        "limit": prepared.limit,
        "minimum": decider.settings.minimum,
    }


def _query_string(query: Query) -> str:
    """Write a query string that asks for the same list, made of canonical values."""
    slash = b"/" if query.directory else b""
    asked: dict[str, str | bytes | int | None] = (
        {"path": query.path + slash}
        if query.path is not None
        else {"repo": query.repo, "arch": query.arch, "file": query.file + slash if query.file else None}
    )
    asked |= {
        "country": ",".join([*query.countries, *(["global"] if query.everywhere else [])]),
        "protocol": ",".join(query.protocols),
        "limit": query.limit,
        "ip": query.ip.text if query.ip else None,
        "netblock": None if query.netblock else "0",
    }
    # The server reads `+` as a plus, so a space must not become one.
    return urlencode({key: value for key, value in asked.items() if value}, safe="/,:", quote_via=quote)


def _place(decider: Decider, address: Address | None, place: Place, shown: Collection[int]) -> dict[str, object]:
    """Say where the client is; of netblocks only those of the mirrors `shown`: a private one's is private, too."""
    location = decider.geo.locate(address) if address else UNKNOWN
    matches = decider.index.matches(place.chain)
    return {
        "country": place.country,
        "continent": place.continent,
        "asn": location.asn or None,
        "netblock_prefix_lengths": sorted({match.length for match in matches if match.mirror in shown}, reverse=True),
        "database": {"country": location.country, "continent": location.continent},
    }


def _left_out(
    decider: Decider, prepared: Prepared, place: Place, choice: Choice, listed: frozenset[int]
) -> Iterator[tuple[int, str]]:
    """Yield every mirror that is not in the list, with the first reason that holds."""
    carrying = frozenset(decider.index.snapshot.sets.members(prepared.ask.carriers))
    carried = frozenset(decider.candidates(prepared))
    ranked = tiers_of(choice)
    codes = decider.codes(place)
    own = {match.mirror for match in decider.index.matches(place.chain)} | decider.index.mirrors_of_asn(place.asn)
    for mirror, code in enumerate(codes):
        if mirror in listed:
            continue
        if mirror in ranked:
            yield mirror, f"beyond the limit of {prepared.limit}: tier {tier_name(ranked[mirror])}"
        elif code == INACTIVE:
            yield mirror, _REASONS[code]
        elif mirror not in carrying:
            yield mirror, "does not carry the content, or not up to date"
        elif mirror not in carried:
            yield mirror, "no URL of a wanted protocol"
        elif code == PRIVATE and mirror in own and not choice.exclusive:
            yield mirror, "private: in its own networks, but not with country=, netblock=0 or another client's ip="
        else:
            yield mirror, _not_ranked(code, choice, decider.settings.minimum)


def _not_ranked(code: int, choice: Choice, minimum: int) -> str:
    """Say why a mirror that could serve the content stands in no tier."""
    if choice.exclusive:
        return "an exclusive netblock serves this client"
    if code in _REASONS:
        return _REASONS[code]
    if choice.by_country:
        return "fallback: not with country=" if code == FALLBACK else "not in the countries asked for"
    return f"far away, and at least {minimum} nearer mirrors were found"
