"""The client's address: from the socket, or from the one header that a trusted proxy writes. Pure.

A header counts only when the peer is a configured proxy, and only the one configured header counts
(docs/prior-defects.md, Defect 3). It is read from the right: a proxy appends on the right, and a client can write
anything on the left. An element that cannot be read makes the client unknown; it is neither skipped nor an error.

Requests are parsed with `inet_pton`, which is strict and fast. `ipaddress` is slow and serves for configuration only.
"""

from __future__ import annotations

import ipaddress
from bisect import bisect_right
from dataclasses import dataclass
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from mirrorlist_snapshot.embedded_ipv4 import OwnPrefixes, canonical, ipv4_inside
from mirrorlistd.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NO_PREFIXES: Final = OwnPrefixes()

N = TypeVar("N", ipaddress.IPv4Network, ipaddress.IPv6Network)

DEFAULT_HEADER: Final = "x-forwarded-for"
MAX_HOPS: Final = 64
"""Trusted addresses that are read in one header; no real chain of proxies is as long."""

_MAX_TEXT: Final = 45
"""Characters of the longest address, `INET6_ADDRSTRLEN` - 1."""
_MAX_ELEMENT: Final = 96
"""Bytes of a header's element: an address with brackets, zone (16 bytes on Linux), port and white space."""
_MAX_PORT: Final = 65535
_PORT_DIGITS: Final = 5
_IPV4_BYTES: Final = 4
_TOKEN: Final = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")
"""Characters of a lower-case header name (RFC 9110 5.6.2)."""


class Address(NamedTuple):
    """An IPv4 or IPv6 address. An IPv4 address inside an IPv6 address is that IPv4 address (see `embedded_ipv4`)."""

    text: str
    """Canonical, as `inet_ntop` writes it."""
    packed: bytes
    """4 or 16 bytes in network order."""


class ClientAddress(NamedTuple):
    """The address that a request comes from."""

    address: Address | None
    """None where it is unknown."""
    failed: bool
    """Whether something could not be parsed; for a counter."""


def parse_address(text: str) -> Address | None:
    """Parse exactly one address without anything around it; None for any other text."""
    if len(text) > _MAX_TEXT:
        return None
    try:
        if ":" not in text:
            return Address(text, inet_pton(AF_INET, text))  # it takes nothing but the canonical form
        packed = inet_pton(AF_INET6, text)
    except (OSError, ValueError):  # ValueError: NUL, lone surrogates
        return None
    if (inner := ipv4_inside(packed)) is not None:
        return Address(inet_ntop(AF_INET, inner), inner)
    return Address(inet_ntop(AF_INET6, packed), packed)


def translated(address: Address | None, own_prefixes: OwnPrefixes) -> Address | None:
    """Return the IPv4 address behind one of the operator's own NAT64 prefixes; other addresses as they are."""
    if address is not None and own_prefixes.prefixes and len(address.packed) != _IPV4_BYTES:
        inner = own_prefixes.ipv4_inside(address.packed)
        if inner is not None:
            return Address(inet_ntop(AF_INET, inner), inner)
    return address


def parse_forwarded(element: bytes) -> Address | None:
    """Parse one element of a forwarding header; None for any other text, such as a name or a quoted string.

    An element is an address, possibly with white space, a port (`192.0.2.1:80`, `[::1]:80`), brackets and a zone
    (`fe80::1%eth0`).
    """
    if len(element) > _MAX_ELEMENT:
        return None
    text = element.decode("latin-1").strip(" \t")  # latin-1 never fails; inet_pton refuses what is not ASCII
    if (plain := parse_address(text)) is not None:
        return plain
    if text.startswith("["):
        text, bracket, rest = text[1:].partition("]")
        if not bracket or ":" not in text or (rest and not _is_port(rest)):
            return None
    elif text.count(":") == 1:
        text, colon, port = text.partition(":")
        return parse_address(text) if _is_port(colon + port) else None
    address, percent, zone = text.partition("%")
    if percent and (not zone or ":" not in address):
        return None
    return parse_address(address)


def _is_port(text: str) -> bool:
    digits = text[1:]
    return (
        text.startswith(":")
        and len(digits) <= _PORT_DIGITS
        and digits.isascii()
        and digits.isdecimal()
        and int(digits) <= _MAX_PORT
    )


@dataclass(frozen=True, slots=True)
class _Ranges:
    """Disjoint ranges of addresses of one family; `last[i]` belongs to `first[i]`, both ascending."""

    first: tuple[bytes, ...]
    last: tuple[bytes, ...]

    @classmethod
    def of(cls, networks: list[N]) -> _Ranges:
        merged = tuple(ipaddress.collapse_addresses(networks))  # sorted and disjoint
        return cls(tuple(n[0].packed for n in merged), tuple(n[-1].packed for n in merged))


@dataclass(frozen=True, slots=True)
class NetworkSet:
    """A set of networks of both families; a lookup is one bisection."""

    cidrs: tuple[str, ...]
    """Canonical, in the order of the configuration; for messages."""
    _v4: _Ranges
    _v6: _Ranges

    @classmethod
    def parse(
        cls, specs: Iterable[str], *, source: str = "networks", own_prefixes: OwnPrefixes = NO_PREFIXES
    ) -> NetworkSet:
        """Parse networks (`192.0.2.0/24`) and single addresses (`2001:db8::1`).

        Raise ConfigError with every mistake, each with `source`, the name of the setting.
        """
        networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        problems: list[str] = []
        for spec in specs:
            try:
                networks.append(_network(spec, own_prefixes))
            except ValueError as error:
                problems.append(f"{source}: {error}")
        if problems:
            raise ConfigError(problems)
        v4 = [network for network in networks if isinstance(network, ipaddress.IPv4Network)]
        v6 = [network for network in networks if isinstance(network, ipaddress.IPv6Network)]
        return cls(tuple(map(str, networks)), _Ranges.of(v4), _Ranges.of(v6))

    def contains(self, address: Address) -> bool:
        """Whether the address is in one of the networks."""
        packed = address.packed
        ranges = self._v4 if len(packed) == 4 else self._v6  # noqa: PLR2004 - bytes of an IPv4 address
        row = bisect_right(ranges.first, packed)
        return row > 0 and packed <= ranges.last[row - 1]


def _network(spec: str, own_prefixes: OwnPrefixes) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Parse one network; raise ValueError with the mistake. IPv4 inside IPv6 is IPv4, as for addresses."""
    text = spec.strip()
    address, slash, length = text.partition("/")
    bits = 128 if ":" in address else 32
    # Only prefix lengths: `ipaddress` would take netmasks, and host masks, which mean the opposite.
    if slash and not (length.isascii() and length.isdecimal() and int(length[:4]) <= bits):
        raise ValueError(f"{spec!r}: the part after `/` is a prefix length from 0 to {bits}, as in 192.0.2.0/24")
    try:
        network = ipaddress.ip_network(text, strict=False)
        first = ipaddress.ip_address(address)
    except ValueError:
        raise ValueError(
            f"{spec!r} is neither a network such as 192.0.2.0/24 or 2001:db8::/32 nor an address"
        ) from None
    if isinstance(first, ipaddress.IPv6Address) and first.scope_id is not None:
        raise ValueError(f"{spec!r}: a network has no zone; write {text.partition('%')[0]}")
    if first != network.network_address:
        raise ValueError(f"{spec!r} has bits set after its prefix; write {network} or {address}")
    return canonical(network, own_prefixes)


@dataclass(frozen=True, slots=True)
class Trust:
    """The proxies whose forwarding header is believed, and the name of that header."""

    networks: NetworkSet
    """The proxies' addresses."""
    unix: bool
    """Whether the peer of a Unix socket is a proxy."""
    header: bytes
    """Lower-case name of the only header that counts."""
    own_prefixes: OwnPrefixes = NO_PREFIXES
    """The operator's NAT64 prefixes: addresses behind them count as IPv4."""

    @classmethod
    def parse(
        cls,
        specs: Sequence[str],
        header: str = DEFAULT_HEADER,
        *,
        source: str = "--trusted-proxy",
        own_prefixes: OwnPrefixes = NO_PREFIXES,
    ) -> Trust:
        """Parse settings: networks, addresses or `unix`, and the name of a header in any case.

        Raise ConfigError with every mistake. A network of all addresses is a mistake: every client could choose its
        address. So is `Forwarded`, which has another syntax (RFC 7239).
        """
        problems: list[str] = []
        name = header.strip().lower()
        if not name or not _TOKEN.issuperset(name):
            problems.append(f"{source} header: {header!r} is no header name; write one such as X-Forwarded-For")
        elif name == "forwarded":
            problems.append(f"{source} header: Forwarded (RFC 7239) is not read; let the proxy write X-Forwarded-For")
        try:
            proxies = (spec for spec in specs if spec.strip() != "unix")
            networks = NetworkSet.parse(proxies, source=source, own_prefixes=own_prefixes)
        except ConfigError as error:
            raise ConfigError((*problems, *error.problems)) from None
        problems.extend(
            f"{source}: {cidr} would let every client choose its address; name the proxies' networks"
            for cidr in networks.cidrs
            if cidr.endswith("/0")
        )
        if problems:
            raise ConfigError(problems)
        return cls(networks, any(spec.strip() == "unix" for spec in specs), name.encode("ascii"), own_prefixes)

    @property
    def anyone(self) -> bool:
        """Whether any proxy is trusted; otherwise headers need not be read."""
        return self.unix or bool(self.networks.cidrs)

    def believes(self, peer: str | None) -> bool:
        """Whether this peer's header counts; None is the peer of a Unix socket."""
        if peer is None:
            return self.unix
        address = _parse_peer(peer, self.own_prefixes)
        return address is not None and self.networks.contains(address)


_UNKNOWN: Final = ClientAddress(None, failed=False)
_UNREADABLE: Final = ClientAddress(None, failed=True)


def client_address(peer: str | None, forwarded: Sequence[bytes], trust: Trust) -> ClientAddress:
    """Return the client's address (docs/selection.md, Who asks).

    `peer` is the address of the socket's other end, None for a Unix socket. `forwarded` are the values of the trusted
    header, one for each line, in order. They count only if the peer is trusted: the client is then the right-most
    address that is not trusted itself, or the left-most one if all are trusted. A trusted peer without the header is
    itself the client. An element that cannot be read, or is empty, makes the client unknown, because what is left of it
    may be the client's own text.
    """
    if peer is None:
        if not trust.unix or not forwarded:
            return _UNKNOWN
        return _walk(forwarded, trust) or _UNKNOWN
    address = _parse_peer(peer, trust.own_prefixes)
    if address is None:
        return _UNREADABLE
    if forwarded and trust.networks.contains(address):
        return _walk(forwarded, trust) or ClientAddress(address, failed=False)
    return ClientAddress(address, failed=False)


def _parse_peer(peer: str, own_prefixes: OwnPrefixes) -> Address | None:
    """Parse the address of a socket, which may have a zone, as link-local addresses do."""
    return translated(parse_address(peer) or parse_forwarded(peer.encode("utf-8", "replace")), own_prefixes)


def _walk(forwarded: Sequence[bytes], trust: Trust) -> ClientAddress | None:
    """Read header values from the right, at most MAX_HOPS elements; None where they are blank."""
    joined = forwarded[0] if len(forwarded) == 1 else b",".join(forwarded)
    if not joined or joined.isspace():
        return None
    end = len(joined)
    address = None
    for _ in range(MAX_HOPS):
        comma = joined.rfind(b",", 0, end)
        # The slice is cut, so that a huge element is not copied; one byte too many is enough to refuse it.
        element = parse_forwarded(joined[comma + 1 : min(end, comma + 2 + _MAX_ELEMENT)])
        address = translated(element, trust.own_prefixes)
        if address is None:
            return _UNREADABLE
        if comma < 0 or not trust.networks.contains(address):
            return ClientAddress(address, failed=False)
        end = comma
    return _UNREADABLE
