"""Explanations: which mirrors a client gets, in which order, and why each other mirror is left out.

An explanation starts from the same `decide` as an answer. It shows one possible list: the order within tiers is drawn
anew, except for redirects. It is plain data, ready for JSON.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from mirrorlist_snapshot.countries import CONTINENT_OF, country_code
from mirrorlist_snapshot.country_names import place_called
from mirrorlist_snapshot.model import CategoryKind
from mirrorlist_snapshot.tiers import (
    DENIED,
    EXCLUDED_PAIR,
    FALLBACK,
    INACTIVE,
    NEIGHBOURS,
    NOT_ALLOWED,
    PRIVATE,
    tier_name,
)
from mirrorlistd.answering.answer import Client, RedirectContext, decide, no_carrier, public_carriers
from mirrorlistd.answering.health_words import left_out, left_out_url, remark
from mirrorlistd.errors import QueryError
from mirrorlistd.geo.locate import UNKNOWN, Location
from mirrorlistd.presets import UNLIMITED, Refused
from mirrorlistd.render import tiers_of
from mirrorlistd.request.escapes import quoted
from mirrorlistd.selection.draw import members
from mirrorlistd.selection.index import DEFAULT_PROTOCOLS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from random import Random

    from mirrorlistd.answering.answer import Decision
    from mirrorlistd.answering.decider import Decider
    from mirrorlistd.answering.plan import ResolvedQuery
    from mirrorlistd.errors import NotServedError
    from mirrorlistd.request.client_address import Address
    from mirrorlistd.request.query import Query
    from mirrorlistd.selection.index import Place
    from mirrorlistd.selection.rank import Ranking

_LONGEST_NAME: Final = 48
_ORDINAL: Final = {1: "st", 2: "nd", 3: "rd"}
_REASONS: Final = {
    INACTIVE: "inactive: switched off in the sources",
    DENIED: "denied: the mirror denies the client's country",
    NOT_ALLOWED: "not allowed: the client's country is not among those the mirror serves",
    EXCLUDED_PAIR: "excluded pair: an override never serves the client's country from the mirror's",
    PRIVATE: "private: offered only to its own networks",
}


def explain(  # noqa: PLR0913 - what an answer depends on, and who may see how much of it
    decider: Decider,
    query_string: bytes,
    client: Address | str | None,
    random: Random,
    context: RedirectContext | None = None,
    *,
    full: bool,
) -> dict[str, Any]:
    """Explain the answer to `/mirrorlist?query_string` for a client: an address, or the code of a country.

    With `full` every mirror that is left out is named with the reason. Without it only the client's own list is shown,
    because a stranger must not learn of private mirrors. Keys: `status`, `client`, `place`, and either `error` or
    `asked`, `format`, `serial`, `exclusive`, `by_country`, `tiers`, `list`, with `full` also `left_out`. A country
    takes precedence over `ip=`; it means a client in that country whose AS and netblocks are unknown.
    """
    country, address = (client, None) if isinstance(client, str) else (None, client)
    context = context or RedirectContext()
    if country is None:
        asking = Client.at(decider, address)
        address = asking.address
    elif (code := country_code(country)) in CONTINENT_OF:
        place = decider.index.place(Location(code, None, 0))
        asking = Client(None, failed=False, place=place, tiers=decider.tiers(place))
    else:
        meant = place_called(country[:_LONGEST_NAME])
        hint = f"; did you mean from={meant}?" if meant in CONTINENT_OF else ""
        return _refused(
            decider, QueryError(f"from= takes the two-letter code of one country, as in from=PL{hint}"), None
        )
    decision = decide(decider, query_string, asking, context)
    if isinstance(decision, Refused):
        return _refused(decider, decision.error, address)
    on_behalf = country is not None or decision.resolved.query.ip is not None
    if country is not None:
        decision.address, decision.place = None, asking.place
    resolved, address, place = decision.resolved, decision.address, decision.place
    tiers = decision.tiers(decider)
    ranking = tiers.rank(resolved.carriers.mask)
    order = decision.draw(decider, tiers, random, context.now)
    if not (full or order or public_carriers(decider, resolved)):
        return _refused(decider, no_carrier(decider, resolved), asking.address)
    explanation: dict[str, Any] = {
        "status": 200 if order else 404,
        "asked": _query_facts(decider, resolved),
        "client": _client(address, on_behalf=on_behalf),
        "place": describe_place(
            decider, address, place, range(len(decider.index.snapshot.mirrors)) if full else frozenset(order)
        ),
        "format": resolved.renderer.name,
        "serial": decider.index.snapshot.serial,
        "exclusive": ranking.exclusive,
        "by_country": ranking.by_country,
        "tiers": _tiers(ranking, order, full=full),
        "list": list(_listed(decider, decision, ranking, order, full=full)),
    }
    if full:
        explanation["left_out"] = list(_left_out(decider, resolved, place, ranking, frozenset(order)))
    return explanation


def only_mirrors(explanation: Mapping[str, Any], wanted: Sequence[str]) -> dict[str, Any]:
    """Return the rows of the mirrors with one of these names, or whose names contain one of these texts.

    Raise QueryError where a text is in no mirror's name.
    """
    names = {row["mirror"] for key in ("list", "left_out") for row in explanation[key]}
    shown: set[str] = set()
    for word in wanted:
        found = {word} & names or {name for name in names if word.lower() in name.lower()}
        if not found:
            raise QueryError(f"no mirror's name contains {word!a}")
        shown |= found
    return {key: [row for row in explanation[key] if row["mirror"] in shown] for key in ("list", "left_out")}


def _refused(decider: Decider, error: QueryError | NotServedError, client: Address | None) -> dict[str, Any]:
    return {
        "status": error.reason.status,
        "error": error.message,
        "client": _client(client, on_behalf=False),
        "place": describe_place(decider, client, decider.place(client), ()),
    }


def tier_words(tier: Mapping[str, object]) -> str:
    """Return the name of a tier for people, with the number of a group of neighbours."""
    group = tier["group"]
    if not isinstance(group, int):
        return str(tier["tier"])
    teens = group // 10 == 1
    return f"{tier['tier']} {group}{'th' if teens else _ORDINAL.get(group % 10, 'th')} group"


def _tier(code: int) -> dict[str, object]:
    """Return a tier as data; a tier of neighbours has the number of its group in the sources' list, from 1."""
    name = tier_name(code)
    return {"tier": name, "group": code - NEIGHBOURS + 1 if name == tier_name(NEIGHBOURS) else None}


def _tiers(ranking: Ranking, order: list[int], *, full: bool) -> list[dict[str, object]]:
    """Return the tiers, nearest first; for strangers only those of their list, without counts."""
    if full:
        return [_tier(code) | {"mirrors": mask.bit_count()} for code, mask in ranking.all_tiers]
    return [_tier(code) for code in dict.fromkeys(map(ranking.code, order))]


def _shares(decider: Decider, ranking: Ranking) -> dict[int, float]:
    """Return for each mirror the percentage of answers in which it comes first within its tier."""
    weights = decider.index.weights
    shares: dict[int, float] = {}
    for _, mask in ranking.all_tiers:
        mirrors = members(mask)
        total = sum(weights[mirror] for mirror in mirrors)
        shares |= {mirror: round(100 * weights[mirror] / total, 1) for mirror in mirrors}
    return shares


def _listed(
    decider: Decider, decision: Decision, ranking: Ranking, order: list[int], *, full: bool
) -> Iterator[dict[str, object]]:
    """Yield a row for each mirror of the list; only insiders see the shares."""
    suffix, urls = decision.resolved.target.suffix, decision.offers.urls
    shares = _shares(decider, ranking)
    for position, number in enumerate(order, start=1):
        mirror = decider.index.snapshot.mirrors[number]
        row: dict[str, object] = {"place": position, "mirror": mirror.name}
        row |= _tier(ranking.code(number)) | {"country": mirror.country, "bandwidth": mirror.bandwidth}
        if full:
            row |= {"share": shares[number], "said": _said(decider, decision.resolved, number)}
        yield row | {"urls": [(url + suffix).decode() for url in urls[number]]}


def _client(address: Address | None, *, on_behalf: bool) -> dict[str, object]:
    return {"address": address.text if address else None, "on_behalf": on_behalf}


def _query_facts(decider: Decider, resolved: ResolvedQuery) -> dict[str, object]:
    query, target = resolved.query, resolved.target
    category = decider.index.snapshot.whole(target.category)
    return {
        "query": _query_string(query),
        "what": target.label.decode().removeprefix("# "),
        "category": category.name,
        "directory": target.suffix.decode(),
        "countries": [*query.countries, *(["global"] if query.everywhere else [])],
        "protocols": list(query.protocols),
        "limit": resolved.limit if resolved.limit < UNLIMITED else None,
        "minimum": decider.settings.minimum,
    }


def _query_string(query: Query) -> str:
    """Return a query string that asks for the same list, with canonical values."""
    path = query.file if query.path is None else query.path
    # The path has escapes of its own.
    escaped = (query.sent or quoted(path or b"")).replace(b"&", b"%26").decode() + ("/" if query.directory else "")
    named = {"repo": query.repo, "arch": query.arch} if query.path is None else {}
    options = {
        "country": ",".join([*query.countries, *(["global"] if query.everywhere else [])]),
        "protocol": ",".join(query.protocols),
        "limit": query.limit,
        "ip": query.ip.text if query.ip else None,
        "netblock": None if query.netblock else "0",
    }
    parts = [_encoded(named), f"{'file' if query.path is None else 'path'}={escaped}" if path is not None else ""]
    return "&".join(filter(None, [*parts, _encoded(options)]))


def _encoded(parameters: Mapping[str, str | int | None]) -> str:
    # `quote`, because the server reads `+` as a plus and not as a space.
    return urlencode({key: value for key, value in parameters.items() if value}, safe="/,:", quote_via=quote)


def describe_place(
    decider: Decider, address: Address | None, place: Place, shown: Collection[int]
) -> dict[str, object]:
    """Return the client's place as data, with only the netblocks of the mirrors `shown`: others may be private."""
    location = decider.geo.locate(address) if address else UNKNOWN
    # Not `place.asn`: that is 0 unless a mirror, possibly a private one, serves the AS.
    announced = decider.index.networks(address.packed)[0] if address else 0
    matches = decider.index.matches(place.chain)
    return {
        "country": place.country,
        "continent": place.continent,
        "asn": announced or location.asn or None,
        "netblock_prefix_lengths": sorted({match.length for match in matches if match.mirror in shown}, reverse=True),
        "database": {"country": location.country, "continent": location.continent},
    }


def _left_out(
    decider: Decider, resolved: ResolvedQuery, place: Place, ranking: Ranking, listed: frozenset[int]
) -> Iterator[dict[str, object]]:
    """Yield a row for every mirror that is not in the list: its share where it is in a tier, and the reason."""
    shares = _shares(decider, ranking)
    for number, reason in _reasons(decider, resolved, place, ranking):
        if number not in listed:
            mirror = decider.index.snapshot.mirrors[number]
            status = _status(decider, number)
            yield {
                "mirror": mirror.name,
                "country": mirror.country,
                "bandwidth": mirror.bandwidth,
                "share": shares.get(number),
                "said": status,
                "reason": (f"{reason}, share {shares[number]:.1f} %" if number in shares else reason)
                + (f"; {status}" if status and mirror.active else ""),
            }


def _reasons(decider: Decider, resolved: ResolvedQuery, place: Place, ranking: Ranking) -> Iterator[tuple[int, str]]:
    """Yield every mirror with the first reason for which it could be left out of the list."""
    carrying = decider.index.snapshot.sets.bits(resolved.target.carriers)
    ranked = tiers_of(ranking)
    codes = decider.codes(place)
    own = {match.mirror for match in decider.index.matches(place.chain)} | decider.index.mirrors_of_asn(place.asn)
    for mirror, code in enumerate(codes):
        if mirror in ranked:
            yield mirror, f"beyond the limit of {resolved.limit}: tier {tier_words(_tier(ranked[mirror]))}"
        elif code == INACTIVE:
            yield mirror, _status(decider, mirror) or _REASONS[code]
        elif not carrying >> mirror & 1:
            yield mirror, _not_carrying(decider, resolved, mirror)
        elif not resolved.carriers.urls[mirror]:
            yield mirror, _no_url(decider, resolved, mirror)
        elif code == PRIVATE and mirror in own and not ranking.exclusive:
            yield mirror, "private: in its own networks, but not with country=, netblock=0 or another client's ip="
        else:
            yield mirror, _not_ranked(code, ranking, decider.settings.minimum)


def _status(decider: Decider, mirror: int) -> str | None:
    """Return the status of a mirror in the status file."""
    status = decider.index.statuses.get(decider.index.snapshot.mirrors[mirror].name)
    return f"{status} (by the status file)" if status is not None else None


def _said(decider: Decider, resolved: ResolvedQuery, mirror: int) -> str | None:
    """Return what the status file and the snapshot's health say about a mirror of the list."""
    health = decider.index.snapshot.health.get(mirror)
    return "; ".join(filter(None, (_status(decider, mirror), remark(health, *_content(decider, resolved))))) or None


def _content(decider: Decider, resolved: ResolvedQuery) -> tuple[str, str]:
    """Return the category and the path below its top, by which health knows the content of a query."""
    category = decider.index.snapshot.whole(resolved.target.category).name
    return category, resolved.target.path.decode("utf-8", "replace")


def _no_url(decider: Decider, resolved: ResolvedQuery, mirror: int) -> str:
    """Return why a mirror has no URL for a query: of some protocol, it may be down."""
    category, _ = _content(decider, resolved)
    protocols = resolved.query.protocols or DEFAULT_PROTOCOLS
    down = left_out_url(decider.index.snapshot.health.get(mirror), category, protocols)
    return down or "no URL of a wanted protocol"


def _not_carrying(decider: Decider, resolved: ResolvedQuery, mirror: int) -> str:
    """Return why a mirror does not carry the content; what the sources of a listed category say is not recorded."""
    snapshot = decider.index.snapshot
    category = snapshot.categories[resolved.target.category]
    carried = {content.category for content in snapshot.mirrors[mirror].contents}
    if category.part_of in carried and resolved.target.category not in carried:
        return "does not have this architecture"
    if observed := left_out(snapshot.health.get(mirror), *_content(decider, resolved)):
        return observed
    category = snapshot.whole(resolved.target.category)
    if resolved.target.category not in carried:
        return f"does not carry the category {category.name}"
    if category.kind is CategoryKind.OPEN:
        return "its include or exclude prefixes leave this path out"
    return "not up to date for this directory, or its include or exclude prefixes leave it out"


def _not_ranked(code: int, ranking: Ranking, minimum: int) -> str:
    """Return why a mirror that could serve the content is in no tier."""
    if ranking.exclusive:
        return "an exclusive netblock serves this client"
    if code in _REASONS:
        return _REASONS[code]
    if ranking.by_country:
        return "fallback: not with country=" if code == FALLBACK else "not in the countries asked for"
    return f"far away, and at least {minimum} nearer mirrors were found"
