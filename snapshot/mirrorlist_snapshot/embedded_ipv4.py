"""IPv4 addresses inside IPv6 addresses: by translation, and by tunnels whose packets the IPv4 host gets back. Pure.

A client behind NAT64 is a client of IPv4: its country, netblocks and autonomous system are those of the IPv4 address.
Two forms are left out on purpose. In ISATAP (RFC 5214) the client chooses the IPv4 address, and the prefix is its
site's own. IPv4-compatible addresses (::a.b.c.d) are no longer used (RFC 4291, 2.5.5.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAPPED: Final = bytes(10) + b"\xff\xff"
"""::ffff:0:0/96, IPv4-mapped (RFC 4291, 2.5.5.2): any IPv4 address, a private one too."""
_TRANSLATED: Final = {
    bytes.fromhex("0064ff9b") + bytes(8): "NAT64's well-known prefix (RFC 6052)",
    bytes(8) + b"\xff\xff\0\0": "IPv4-translated (RFC 2765)",
}
"""Prefixes of 96 bits before a public IPv4 address. Private ones are not allowed there (RFC 6052, 3.1)."""
_6TO4: Final = b"\x20\x02"
"""2002::/16 (RFC 3056), before a public IPv4 address."""
_TEREDO: Final = b"\x20\x01\0\0"
"""2001::/32 (RFC 4380); the last 32 bits are the client's public IPv4 address, inverted."""
_IPV4: Final = 4
LENGTHS: Final = (32, 40, 48, 56, 64, 96)
"""Prefix lengths that an operator's own NAT64 may have (RFC 6052, 2.2)."""
_RESERVED_BYTE: Final = 8
"""Bits 64 to 71 of an address are zero and no part of the IPv4 address."""


def ipv4_inside(packed: bytes) -> bytes | None:
    """Return whose IPv4 address is inside an IPv6 address of 16 bytes, by one of the standard forms; None without one.

    But for IPv4-mapped addresses it is a public one.
    """
    inner = any_ipv4_inside(packed)
    return inner if inner is not None and (packed.startswith(_MAPPED) or _is_public(inner)) else None


def any_ipv4_inside(packed: bytes) -> bytes | None:
    """Return the IPv4 address inside, a private one too: where a packet to the IPv6 address may end."""
    if packed[:12] == _MAPPED or packed[:12] in _TRANSLATED:
        return packed[12:]
    if packed.startswith(_6TO4):
        return packed[2:6]
    if packed.startswith(_TEREDO):
        return bytes(byte ^ 0xFF for byte in packed[12:])
    return None


def _is_a_hosts(inner: bytes) -> bool:
    """Whether another host may have an IPv4 address: not "this host", loopback, multicast or reserved."""
    return inner[0] not in {0, 127} and inner[0] < 224  # noqa: PLR2004 - multicast and reserved


def _is_public(inner: bytes) -> bool:
    """Whether an IPv4 address may be used across networks: not private, loopback, link-local, multicast or reserved."""
    first, second = inner[:2]
    return _is_a_hosts(inner) and not (
        first == 10  # noqa: PLR2004 - private (RFC 1918)
        or (first == 100 and 64 <= second < 128)  # noqa: PLR2004 - shared by providers (RFC 6598)
        or (first, second) in {(169, 254), (192, 168)}
        or (first == 172 and 16 <= second < 32)  # noqa: PLR2004 - private (RFC 1918)
    )


def canonical(network: IPv4Network | IPv6Network, own: OwnPrefixes | None = None) -> IPv4Network | IPv6Network:
    """Return the network that the clients of a network are seen in: the IPv4 network inside, where there is one.

    Raise ValueError for a network that holds embedded addresses but is no network of IPv4.
    """
    if isinstance(network, IPv4Network):
        return network
    packed, length = network.network_address.packed, network.prefixlen
    if own is not None and (found := own.network(network)) is not None:
        return found
    for prefix in (_MAPPED, *_TRANSLATED):
        if packed.startswith(prefix) and length >= 8 * len(prefix):
            if prefix == _MAPPED or _is_public(packed[12:]) or length == 8 * len(prefix):
                return IPv4Network((packed[12:], length - 8 * len(prefix)))
            return network
    if packed.startswith(_6TO4) and length >= 8 * len(_6TO4):
        if length > 8 * (len(_6TO4) + _IPV4):
            raise ValueError(f"{network} is a part of one 6to4 site, whose clients count as one IPv4 address")
        return IPv4Network((packed[2:6], length - 16)) if _is_public(packed[2:6]) or length == 16 else network  # noqa: PLR2004 - 2002::/16
    if packed.startswith(_TEREDO) and length >= 8 * len(_TEREDO):
        raise ValueError(f"{network} is in Teredo's network, whose clients count as the IPv4 addresses inside")
    return network


@dataclass(frozen=True, slots=True)
class OwnPrefixes:
    """An operator's own NAT64 prefixes (RFC 6052, 2.2; RFC 8215 sets 64:ff9b:1::/48 aside for them)."""

    prefixes: tuple[tuple[bytes, tuple[int, ...]], ...] = ()
    """(prefix, positions of the four bytes of an IPv4 address behind it)."""

    @classmethod
    def parse(cls, texts: Iterable[str]) -> OwnPrefixes:
        """Parse prefixes in CIDR notation; raise ValueError with the mistake."""
        prefixes: list[tuple[bytes, tuple[int, ...]]] = []
        for text in texts:
            network = ip_network(text)
            if not isinstance(network, IPv6Network) or network.prefixlen not in LENGTHS:
                lengths = ", ".join(f"/{length}" for length in LENGTHS)
                raise ValueError(f"{text} is no NAT64 prefix: it is an IPv6 network of one of the lengths {lengths}")
            packed = network.network_address.packed
            if packed[_RESERVED_BYTE]:
                raise ValueError(f"{text} is no NAT64 prefix: its bits 64 to 71 must be 0 (RFC 6052, 2.2)")
            size = network.prefixlen // 8
            behind = [position for position in range(size, 16) if position != _RESERVED_BYTE]
            prefixes.append((packed[:size], tuple(behind[:_IPV4])))
        return cls(tuple(prefixes))

    def ipv4_inside(self, packed: bytes) -> bytes | None:
        """Return the IPv4 address, public or private, behind one of the prefixes; None without one that a host has."""
        for prefix, positions in self.prefixes:
            if packed.startswith(prefix) and len(packed) > _IPV4:
                inner = bytes(map(packed.__getitem__, positions))
                return inner if _is_a_hosts(inner) else None
        return None

    def network(self, network: IPv6Network) -> IPv4Network | None:
        """Return the IPv4 network behind one of the prefixes; None without one."""
        inner = self.ipv4_inside(network.network_address.packed)
        if inner is None:
            return None
        for prefix, positions in self.prefixes:
            if network.network_address.packed.startswith(prefix) and network.prefixlen >= 8 * len(prefix):
                bits = sum(min(8, max(0, network.prefixlen - 8 * position)) for position in positions)
                return IPv4Network((inner, bits))
        return None
