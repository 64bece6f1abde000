"""Turn the hosts of a cache into mirrors with country, bandwidth, networks and restrictions."""

from __future__ import annotations

from ipaddress import IPv6Network, ip_network
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.countries import country_code
from mirrorlist_snapshot.embedded_ipv4 import canonical
from mirrorlist_snapshot.model import BANDWIDTH_RANGE, DEFAULT_BANDWIDTH, ClientNetblock
from mirrorlist_snapshot.records import ContentRecord, MirrorRecord
from mirrorlist_snapshot.source import rules
from mirrorlist_snapshot.source.mirrormanager.placement import apply_rule
from mirrorlist_snapshot.source.rules import RuleError

if TYPE_CHECKING:
    from mirrorlist_snapshot.source.mirrormanager.cache import Cache
    from mirrorlist_snapshot.source.mirrormanager.placement import HostRole, Placement
    from mirrorlist_snapshot.source.mirrormanager.skips import SkippedRows

_BY_HOST: Final = "MirrorListCache.ByHostId"
_BY_COUNTRY: Final = "MirrorListCache.ByCountry"


def country(text: str) -> str:
    """Return a country's code, in any case, in upper case, with GB for UK; raise RuleError for anything else."""
    return rules.country(country_code(text))


def netblock(text: str) -> str:
    """Return a netblock or an address as canonical CIDR, host bits cleared, IPv4 inside IPv6 as IPv4.

    Raise RuleError for anything else.
    """
    try:
        network = ip_network(text.strip(), strict=False)
    except ValueError:
        raise RuleError(f"{rules.shown(text)} is no netblock") from None
    if isinstance(network, IPv6Network) and network.network_address.scope_id:
        raise RuleError(f"{rules.shown(text)} has a zone, which is valid on one machine only")
    try:
        return str(canonical(network))
    except ValueError as error:
        raise RuleError(str(error)) from None


def mirrors(cache: Cache, placement: Placement, skips: SkippedRows) -> tuple[MirrorRecord, ...]:
    """Return one or two mirrors for every host that carries something."""
    _compare_countries(cache, skips)
    asns: dict[int, list[int]] = {}
    for number, hosts in cache.asns.items():
        if (asn := apply_rule(skips, "HostAsnCache", "no AS number", rules.asn, number)) is not None:
            for host in hosts:
                asns.setdefault(host, []).append(asn)
    netblocks: dict[int, list[str]] = {}
    for text, hosts in cache.netblocks.items():
        if (prefix := apply_rule(skips, "HostNetblockCache", "no netblock", netblock, text)) is not None:
            for host in hosts:
                netblocks.setdefault(host, []).append(prefix)
    allowed = {host: _allowed(skips, countries) for host, countries in cache.allowed.items()}
    contents = _contents(cache, placement, skips)
    low, high = BANDWIDTH_RANGE
    return tuple(
        MirrorRecord(
            name=placement.names[role],
            country=_country(cache, skips, role.host),
            bandwidth=min(max(low, cache.bandwidths.get(role.host, DEFAULT_BANDWIDTH)), high),
            asns=tuple(dict.fromkeys(asns.get(role.host, ()))),
            netblocks=tuple(
                ClientNetblock(prefix=prefix, exclusive=False) for prefix in dict.fromkeys(netblocks.get(role.host, ()))
            ),
            # A host whose list of allowed countries allows none is offered to its own networks only.
            private=role.private or allowed.get(role.host) == (),
            fallback=False,
            active=True,
            allowed_countries=allowed.get(role.host, ()),
            denied_countries=(),
            contents=tuple(offered),
        )
        for role, offered in contents.items()
    )


def _country(cache: Cache, skips: SkippedRows, host: int) -> str | None:
    text = cache.countries.get(host)
    return None if text is None else apply_rule(skips, "HostCountryCache", "no country", country, text)


def _allowed(skips: SkippedRows, countries: tuple[str, ...]) -> tuple[str, ...]:
    table = "HostCountryAllowedCache"
    if not countries:
        skips.add(table, "a list of no country", "")
    found = (apply_rule(skips, table, "no country", country, text) for text in countries)
    return tuple(dict.fromkeys(code for code in found if code is not None))


def _contents(cache: Cache, placement: Placement, skips: SkippedRows) -> dict[HostRole, list[ContentRecord]]:
    """Return the contents of each mirror, one for each category in which it carries something."""
    contents: dict[HostRole, list[ContentRecord]] = {}
    for category in placement.categories:
        for role in category.roles:
            urls: dict[str, str] = {}
            for number in category.urls[role.host]:
                url = placement.bases.get(number)
                if url is None:
                    if number not in cache.urls:
                        skips.add(_BY_HOST, "HCUrlCache has no such URL", str(number))
                elif urls.setdefault(url.partition("://")[0], url) != url:
                    skips.add(_BY_HOST, "the host has another URL of that protocol there", url)
            content = ContentRecord(category=category.name, urls=tuple(urls.values()))
            contents.setdefault(role, []).append(content)
    return contents


def _compare_countries(cache: Cache, skips: SkippedRows) -> None:
    """Count the hosts whose country differs between the two tables that state it."""
    for hosts in cache.host_sets():
        found = {host: country for country, members in hosts.countries.items() for host in members}
        for host in hosts.urls.keys() - hosts.private:
            here, there = found.get(host), cache.countries.get(host)
            if (here or "").upper() != (there or "").upper():
                skips.add(
                    _BY_COUNTRY, "HostCountryCache, which wins, has another country", f"{host}: {here or 'nowhere'}"
                )
