"""IPv4 inside IPv6: who asks is the IPv4 address inside, in every standard form and behind an operator's own prefix."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_network
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrorlist_snapshot.embedded_ipv4 import LENGTHS, OwnPrefixes, canonical, ipv4_inside
from mirrorlistd.answering.answer import answer
from mirrorlistd.answering.decider import Decider
from mirrorlistd.answering.explain import explain
from mirrorlistd.answering.plan import AnswerSettings
from mirrorlistd.errors import ConfigError
from mirrorlistd.request.client_address import Address, NetworkSet, Trust, client_address, parse_address
from mirrorlistd.selection.index import Index
from support.snapshots import netblocks
from support.worlds import Map, ask, at, compiled, decider, hosts, mirror, network

if TYPE_CHECKING:
    from collections.abc import Callable

PUBLIC = "81.2.69.142"
FORMS: dict[str, Callable[[IPv4Address], IPv6Address]] = {
    "mapped": lambda inner: IPv6Address(0xFFFF << 32 | int(inner)),
    "nat64": lambda inner: IPv6Address(0x64FF9B << 96 | int(inner)),
    "translated": lambda inner: IPv6Address(0xFFFF << 48 | int(inner)),
    "6to4": lambda inner: IPv6Address(0x2002 << 112 | int(inner) << 80 | 7),
    "teredo": lambda inner: IPv6Address(
        0x20010000 << 96 | 0x41000000 << 64 | 0x8000_F227 << 32 | int(inner) ^ 0xFFFFFFFF
    ),
}
SPECIAL = (
    "10.0.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "172.16.0.9",
    "192.168.1.1",
    "100.64.0.1",
    "0.0.0.9",
    "224.0.0.1",
)
OWN = {
    # RFC 6052, 2.4, with its own example address 192.0.2.33
    "2001:db8::/32": "2001:db8:c000:221::",
    "2001:db8:100::/40": "2001:db8:1c0:2:21::",
    "2001:db8:122::/48": "2001:db8:122:c000:2:2100::",
    "2001:db8:122:300::/56": "2001:db8:122:3c0:0:221::",
    "2001:db8:122:344::/64": "2001:db8:122:344:c0:2:2100::",
    "2001:db8:122:344::/96": "2001:db8:122:344::192.0.2.33",
    "64:ff9b:1::/48": "64:ff9b:1:c000:2:2100::",
}


def known(text: str) -> Address:
    """An address that must parse."""
    found = parse_address(text)
    assert found is not None
    return found


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("source", ["database", "snapshot"])
def test_a_client_is_in_the_autonomous_system_of_the_ipv4_address_inside(form: str, source: str) -> None:
    """Whether the geo database knows it or the snapshot does, by a network; also for `ip=`, and in explanations."""
    client = str(FORMS[form](IPv4Address(PUBLIC)))
    found = compiled(network({"own": mirror("US", asns=[680]), "us": mirror("US"), "gb": mirror("GB")}))
    announced = {ip_network("81.2.69.0/24"): 680} if source == "snapshot" else {}
    geo: Any = Map({PUBLIC: ("GB", "EU", 680 if source == "database" else 0)})
    world = Decider(Index(replace(found, asn_netblocks=netblocks(announced))), geo, AnswerSettings(minimum=1))
    for reply in (ask(world, "repo=r", client), ask(world, f"repo=r&ip={client}", "198.51.100.9")):
        assert hosts(reply) == ["own", "gb"]
    assert explain(world, b"repo=r", at(client), Random(0), full=True)["list"][0]["tier"] == "asn"


@pytest.mark.parametrize("form", FORMS)
def test_a_client_is_the_ipv4_address_inside_its_ipv6_address(form: str) -> None:
    """Country, netblock, `ip=`, peer and forwarded address: all see the IPv4 address."""
    client = str(FORMS[form](IPv4Address(PUBLIC)))
    world = decider(
        network({"own": mirror("US", netblocks=["81.2.69.0/24"]), "gb": mirror("GB"), "us": mirror("US")}),
        places={PUBLIC: ("GB", "EU", 0)},
        minimum=1,
    )
    for reply in (ask(world, "repo=r", client), ask(world, f"repo=r&ip={client}", "198.51.100.9")):
        assert reply.body.startswith(b"# repo = r country = GB continent = EU\n")
        assert hosts(reply) == ["own", "gb"]
    found = explain(world, b"repo=r", at(client), Random(0), full=True)
    assert found["client"]["address"] == PUBLIC
    trust = Trust.parse([f"{PUBLIC}/32"])
    assert trust.believes(client)
    assert client_address(client, [b"192.0.2.1"], trust).address == known("192.0.2.1")
    assert client_address(PUBLIC, [f"192.0.2.1, {client}".encode()], trust).address == known("192.0.2.1")


@pytest.mark.parametrize("inner", SPECIAL)
@pytest.mark.parametrize("form", [form for form in FORMS if form != "mapped"])
def test_a_special_ipv4_address_inside_is_nobodys(form: str, inner: str) -> None:
    """A loopback or private address in a form of the public Internet must not pass for a proxy or an insider."""
    client = str(FORMS[form](IPv4Address(inner)))
    assert len(known(client).packed) == 16
    trust = Trust.parse([inner])
    assert not trust.believes(client)
    assert not NetworkSet.parse([inner]).contains(known(client))
    assert trust.believes(str(FORMS["mapped"](IPv4Address(inner))))


@pytest.mark.parametrize(("prefix", "text"), OWN.items())
def test_an_operators_own_prefix(prefix: str, text: str) -> None:
    """RFC 6052's own examples, of all six lengths; without the option they are IPv6 addresses as any other."""
    own = OwnPrefixes.parse([prefix])
    world = decider(
        network({"own": mirror("US", netblocks=["192.0.2.32/28"]), "gb": mirror("GB")}),
        places={"192.0.2.33": ("GB", "EU", 0)},
        minimum=1,
        own_prefixes=own,
    )
    for reply in (ask(world, "repo=r", text), ask(world, f"repo=r&ip={text}", None)):
        assert hosts(reply) == ["own", "gb"]
    both = answer(world, f"repo=r&ip={text}".encode(), known("192.0.2.33"), Random(0))
    assert both == answer(world, b"repo=r", known("192.0.2.33"), Random(0))
    assert explain(world, b"repo=r", known(text), Random(0), full=True)["client"]["address"] == "192.0.2.33"
    trust = Trust.parse(["192.0.2.33", "10.0.0.5"], own_prefixes=own)
    assert trust.believes(text)
    assert client_address(text, [b"10.0.0.5", text.encode()], trust).address == known("10.0.0.5")
    assert not Trust.parse(["192.0.2.33"]).believes(text)
    assert len(known(text).packed) == 16


@given(inner=st.integers(0, 2**32 - 1), length=st.sampled_from(LENGTHS), top=st.integers(0, 2**128 - 1))
def test_addresses_behind_own_prefixes(inner: int, length: int, top: int) -> None:
    """Written bit by bit by RFC 6052, 2.2, read back; private addresses, too: the prefix is the operator's."""
    value = top >> (128 - length) << (128 - length) & ~(0xFF << 56)
    prefix = IPv6Network((value, length))
    bits = f"{value:0128b}"[:length]
    for bit in f"{inner:032b}":
        bits += "0" * 8 if len(bits) == 64 else ""
        bits += bit
    address = IPv6Address(int(bits.ljust(128, "0"), 2))
    own = OwnPrefixes.parse([str(prefix)])
    no_host = inner >> 24 in {0, 127} or inner >> 24 >= 224
    assert own.ipv4_inside(address.packed) == (None if no_host else IPv4Address(inner).packed)
    assert own.ipv4_inside(IPv4Address(inner).packed) is None


@pytest.mark.parametrize("text", ["2001:db8::/33", "10.0.0.0/8", "2001:db8::/128", "2001:db8:0:0:100::/96"])
def test_what_is_no_nat64_prefix_is_refused(text: str) -> None:
    """Only the six lengths of RFC 6052, and its reserved byte is 0."""
    with pytest.raises(ValueError, match="is no NAT64 prefix"):
        OwnPrefixes.parse([text])


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("::ffff:81.2.69.0/120", "81.2.69.0/24"),
        ("64:ff9b::81.2.69.0/120", "81.2.69.0/24"),
        ("::ffff:0:81.2.69.0/120", "81.2.69.0/24"),
        ("::81.2.69.0/120", "::5102:4500/120"),
        ("2002:5102:4500::/40", "81.2.69.0/24"),
        ("2002:5102:458e::/48", "81.2.69.142/32"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("64:ff9b::10.0.0.0/104", "64:ff9b::a00:0/104"),
        ("::1", "::1/128"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("81.2.69.0/24", "81.2.69.0/24"),
    ],
)
def test_a_network_means_the_same_wherever_it_is_written(written: str, meant: str) -> None:
    """Sources, overrides, `--trusted-proxy`, `--explain-network`: a network inside IPv6 is the IPv4 network."""
    assert str(canonical(ip_network(written))) == meant
    assert NetworkSet.parse([written]).cidrs == (meant,)
    assert Trust.parse([written]).networks.cidrs == (meant,)
    assert Trust.parse(["192.0.2.1"]).networks.cidrs == ("192.0.2.1/32",)
    source: dict[str, Any] = network(
        {"own": mirror("US", netblocks=[written]), "gb": mirror("GB")},
        overrides={"netblocks": {written: "FR"}},
    )
    world = decider(source, places={}, minimum=1)
    client = str(ip_network(meant)[0])
    assert hosts(ask(world, "repo=r", client))[0] == "own"
    assert b"country = FR" in ask(world, "repo=r", client).body


@pytest.mark.parametrize("text", ["2001:0:5102::/48", "2002:5102:458e:1::/64"])
def test_a_network_that_can_match_nobody_is_refused(text: str) -> None:
    """Teredo has the client's address at its end, and one 6to4 site is one IPv4 address."""
    with pytest.raises(ConfigError, match=r"Teredo's network|one 6to4 site"):
        NetworkSet.parse([text])


@pytest.mark.parametrize("text", ["64:ff9b::/96", "::ffff:0:0/96", "2002::/16"])
def test_a_network_of_all_ipv4_addresses_cannot_be_trusted(text: str) -> None:
    """It would let every client choose its address."""
    with pytest.raises(ConfigError, match="would let every client choose"):
        Trust.parse([text])


@given(st.binary(min_size=16, max_size=16))
def test_any_ipv6_address(packed: bytes) -> None:
    """An address inside has four bytes, and its network is that of the form or the address itself."""
    inner = ipv4_inside(packed)
    assert inner is None or len(inner) == 4
    assert parse_address(str(IPv6Address(packed))) is not None


@pytest.mark.parametrize("prefix", OWN)
@pytest.mark.parametrize("inner", ["127.0.0.1", "127.9.9.9", "0.0.0.0", "0.0.0.9", "224.0.0.1", "255.255.255.255"])
def test_no_own_prefix_leads_to_an_address_that_no_client_has(prefix: str, inner: str) -> None:
    """A client that chooses the address behind the prefix is not taken for this machine: for an insider or a proxy."""
    net = IPv6Network(prefix)
    bits = list(f"{int(net.network_address):0128b}")
    after = [bit for bit in range(net.prefixlen, 128) if not 64 <= bit < 72]
    for position, bit in zip(after, f"{int(IPv4Address(inner)):032b}", strict=False):
        bits[position] = bit
    client = str(IPv6Address(int("".join(bits), 2)))
    own = OwnPrefixes.parse([prefix])
    assert own.ipv4_inside(IPv6Address(client).packed) is None
    trust = Trust.parse(["127.0.0.0/8", inner], own_prefixes=own)
    assert client_address(client, [b"192.0.2.1"], trust).address == known(client)


def test_the_well_known_prefix_can_be_an_operators_own() -> None:
    """Named by the operator, it may hold private addresses, too: a translator of the same network made them."""
    own = OwnPrefixes.parse(["64:ff9b::/96"])
    assert Trust.parse(["10.0.0.1"], own_prefixes=own).believes("64:ff9b::10.0.0.1")
    assert NetworkSet.parse(["64:ff9b::10.0.0.0/104"], own_prefixes=own).cidrs == ("10.0.0.0/8",)
