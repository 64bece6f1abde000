"""Which addresses are asked: global ones and those that the operator allows; by any form of an address."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrorlist_admin.netguard import Netguard, parse_network

FORBIDDEN = """
0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 127.0.0.1 127.255.255.254 169.254.169.254 172.16.0.1 172.31.255.255
192.0.0.1 192.0.2.1 192.88.99.1 192.168.0.1 198.18.0.1 198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.250 240.0.0.1
255.255.255.255 :: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:7f00:1
64:ff9b::127.0.0.1 64:ff9b::10.0.0.1 64:ff9b::a9fe:a9fe 64:ff9b:1::1 100::1 2001::1 2001:20::1 2001:db8::1
2002:7f00:1:: 2002:a00:1::1 3fff::1 fc00::1 fd00::1 fe80::1 fe80::1%eth0 fec0::1 ff02::1 ff0e::1 4000::1
::ffff:0:127.0.0.1
"""
ALLOWED = """
1.1.1.1 8.8.8.8 100.128.0.1 172.32.0.1 193.0.0.1 2001:4860::1 2a00::1 64:ff9b::8.8.8.8 ::ffff:8.8.8.8
"""


@pytest.mark.parametrize("address", FORBIDDEN.split())
def test_what_is_not_global_is_refused(address: str) -> None:
    """Each address that is not global unicast is refused, and the reason names the flag that would allow it."""
    refusal = Netguard().refusal(address)
    assert refusal is not None
    assert "--allow-network" in refusal or "one link" in refusal


@pytest.mark.parametrize("address", ALLOWED.split())
def test_what_is_global_is_asked(address: str) -> None:
    """Global addresses are asked."""
    assert Netguard().refusal(address) is None


def test_an_allowed_network_is_asked() -> None:
    """`--allow-network` allows its addresses, also in the form that IPv6 sockets give them, and no others."""
    guard = Netguard((parse_network("10.1.0.0/16"), parse_network("fd00:1::/32")))
    assert [guard.refusal(one) for one in ("10.1.2.3", "::ffff:10.1.2.3", "fd00:1::5")] == [None] * 3
    assert guard.refusal("10.2.0.1")
    assert guard.refusal("64:ff9b::10.1.2.3"), "a translator may lead elsewhere"


@given(st.ip_addresses())
def test_no_private_address_is_asked(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """Whatever Python calls private, loopback, link-local, multicast, reserved or unspecified is refused."""
    kinds = ("private", "loopback", "link_local", "multicast", "reserved", "unspecified")
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    if mapped is None and any(getattr(address, f"is_{kind}") for kind in kinds):
        assert Netguard().refusal(str(address)) or address in ipaddress.ip_network("64:ff9b::/96")
