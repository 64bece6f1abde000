"""Which addresses the prober may ask: global unicast ones, and those of `--allow-network`. Pure.

Mirrors and their redirects name hosts; what they resolve to is judged here, so every spelling of a host is covered.
An address that carries an IPv4 address is judged by that as well: a tunnel or translator would send packets there.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_NAT64: Final = IPv6Network("64:ff9b::/96")
_GLOBAL_IPV6: Final = IPv6Network("2000::/3")
"""All that is given out; whatever lies outside is local, multicast or unassigned (IANA's registry)."""
_REFUSED: Final = (
    # Not in Python's registry of private networks of every version that we run on:
    (IPv4Network("192.88.99.0/24"), "a relay of 6to4"),
    (IPv4Network("240.0.0.0/4"), "reserved"),
    (IPv6Network("2001::/32"), "Teredo's"),
    (IPv6Network("2002::/16"), "6to4's"),
    (IPv6Network("2001:20::/28"), "ORCHID's"),
    (IPv6Network("3fff::/20"), "for documentation"),
)


@dataclass(frozen=True, slots=True)
class Netguard:
    """The rule, with the networks that the operator allows besides."""

    allowed: tuple[IPv4Network | IPv6Network, ...] = ()

    def refusal(self, text: str) -> str | None:
        """Return why an address (as `getaddrinfo` or a socket gives it) must not be asked; None if it may be."""
        if "%" in text:
            return f"{text} belongs to one link"
        address = ip_address(text)
        if isinstance(address, IPv6Address) and address in _MAPPED:
            address = IPv4Address(address.packed[12:])
        if any(address in network for network in self.allowed if network.version == address.version):
            return None
        reason = _reason(address)
        return None if reason is None else f"{text} is {reason}; if it is meant, allow its network: --allow-network"


def parse_network(text: str) -> IPv4Network | IPv6Network:
    """Read a network of `--allow-network`; raise ValueError. An address alone is a network of one."""
    return ip_network(text)


def _reason(address: IPv4Address | IPv6Address) -> str | None:
    for network, reason in _REFUSED:
        if network.version == address.version and address in network:
            return reason
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            inside = _reason(IPv4Address(address.packed[12:]))
            return None if inside is None else f"a translation of an address that is {inside}"
        if address not in _GLOBAL_IPV6:
            return _kind(address)
    return None if address.is_global and not address.is_multicast else _kind(address)


def _kind(address: IPv4Address | IPv6Address) -> str:
    kinds = ("loopback", "link_local", "multicast", "unspecified", "reserved", "private")
    found = [kind for kind in kinds if getattr(address, f"is_{kind}")]
    return found[0].replace("_", "-") if found else "not global"
