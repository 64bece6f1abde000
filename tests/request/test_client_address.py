"""Claims of `client_address`: what an address is, and who is believed about one."""

from __future__ import annotations

import ipaddress
from socket import AF_INET, AF_INET6, inet_ntop

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mirrorlistd.errors import ConfigError
from mirrorlistd.request.client_address import (
    MAX_HOPS,
    Address,
    ClientAddress,
    NetworkSet,
    Trust,
    client_address,
    parse_address,
    parse_forwarded,
)

PROXIES = ("10.0.0.0/8", "127.0.0.1", "2001:db8:ffff::/48", "unix")
TRUST = Trust.parse(PROXIES)
NOBODY = Trust.parse(())

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def address(text: str) -> Address:
    """Parse what a test knows to be an address."""
    parsed = parse_address(text)
    assert parsed is not None
    return parsed


def known(text: str) -> ClientAddress:
    """Expect this client, without a failure."""
    return ClientAddress(address(text), failed=False)


UNKNOWN = ClientAddress(None, failed=False)
UNREADABLE = ClientAddress(None, failed=True)


@pytest.mark.parametrize(
    ("text", "canonical", "packed"),
    [
        ("192.0.2.1", "192.0.2.1", "c0000201"),
        ("0.0.0.0", "0.0.0.0", "00000000"),
        ("::", "::", "00" * 16),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1", "20010db8" + "00" * 11 + "01"),
        ("::ffff:1.2.3.4", "1.2.3.4", "01020304"),
        ("::ffff:0102:0304", "1.2.3.4", "01020304"),
        ("0:0:0:0:0:FFFF:1.2.3.4", "1.2.3.4", "01020304"),
    ],
)
def test_addresses_are_canonical_and_mapped_ones_are_ipv4(text: str, canonical: str, packed: str) -> None:
    """Every spelling of an address gives one value; IPv4 inside IPv6, dotted or hexadecimal, is IPv4."""
    assert parse_address(text) == Address(canonical, bytes.fromhex(packed))


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "1.2",
            "010.8.8.8",
            "134744072",
            "0x7f.1",
            "1.2.3.256",
            "1.2.3.4.5",
            "1.2.3.4\0",
            "\u0661.\u0662.3.4",
        ),
        *(" 1.2.3.4", "1.2.3.4 ", "1.2.3.4\n", "1.2.3.4:80", "[::1]", "[::1]:80", "fe80::1%eth0", ":::", "::1::"),
        *("localhost", "\ud800", "\udcff:", "é:", "1" * 1_000_000, ":" * 1_000_000, "1.2.3.4/32"),
    ],
)
def test_nothing_else_is_an_address(text: str) -> None:
    """What lenient parsers take for addresses, things around one, and garbage of any size are None."""
    assert parse_address(text) is None


MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
FORMS = [ipaddress.IPv6Network(text) for text in ("64:ff9b::/96", "::ffff:0:0:0/96", "2002::/16", "2001::/32")]
"""Networks whose addresses hold a public IPv4 address; test_embedded has the rules."""
SPECIAL = [
    ipaddress.IPv4Network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
        *("172.16.0.0/12", "192.168.0.0/16", "224.0.0.0/3"),
    )
]


def inside(model: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address that counts, as `ipaddress` finds it where it can."""
    if isinstance(model, ipaddress.IPv4Address):
        return model
    if model.ipv4_mapped is not None:
        return model.ipv4_mapped
    if not any(model in form for form in FORMS):
        return model
    teredo = model.teredo[1] if model.teredo else None
    found = model.sixtofour or teredo or ipaddress.IPv4Address(int(model) & 0xFFFF_FFFF)
    return model if any(found in special for special in SPECIAL) else found


@given(st.ip_addresses())
def test_every_address_parses_as_ipaddress_does(model: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """The compressed and the exploded text of any address give the bytes that `ipaddress` has, of IPv4 inside IPv6."""
    plain = inside(model)
    family = AF_INET if plain.version == 4 else AF_INET6
    for text in (str(model), model.exploded, str(model).upper()):
        assert parse_address(text) == Address(inet_ntop(family, plain.packed), plain.packed)


@given(st.text() | st.text(alphabet="0123456789.:abcdefFx%[]/ \0\ud800"))
def test_any_text_parses_or_is_none(text: str) -> None:
    """No text raises, and what parses is what `ipaddress` takes, too, and parses again to itself."""
    parsed = parse_address(text)
    if parsed is not None:
        ipaddress.ip_address(text)
        assert parse_address(parsed.text) == parsed


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        (b"192.0.2.1", "192.0.2.1"),
        (b" \t192.0.2.1\t ", "192.0.2.1"),
        (b"192.0.2.1:65535", "192.0.2.1"),
        (b"2001:db8::1", "2001:db8::1"),
        (b"[2001:db8::1]", "2001:db8::1"),
        (b"[2001:db8::1]:443", "2001:db8::1"),
        (b"fe80::1%eth0", "fe80::1"),
        (b"[fe80::1%eth0]:80", "fe80::1"),
        (b"::ffff:192.0.2.1", "192.0.2.1"),
        (b"[::ffff:192.0.2.1]:80", "192.0.2.1"),
    ],
)
def test_defect_3_forwarded_elements_may_have_ports_brackets_and_zones(element: bytes, expected: str) -> None:
    """Bracketed IPv6: every form that proxies write is read.

    See docs/prior-defects.md, Defect 3.
    """
    assert parse_forwarded(element) == address(expected)


@pytest.mark.parametrize(
    "element",
    [
        *(b"", b"unknown", b"_hidden", b"localhost", b"unix:", b'"192.0.2.1"', b"for=192.0.2.1", b"192.0.2.1:"),
        *(b"192.0.2.1:x", b"192.0.2.1:65536", b"192.0.2.1:000000", b"192.0.2.1:\xb2", b"192.0.2.1%eth0", b"fe80::1%"),
        *(b"[192.0.2.1]", b"[::1", b"[::1]80", b"[::1]:", b"[]", b"[[::1]]", b"::1]", b"\xff\xfe", b"1.2.3.4\0"),
        *(b"192.0.2.1 192.0.2.2", b"\x0b192.0.2.1", b"[::1]:80:80"),
    ],
)
def test_defect_3_other_elements_are_nothing(element: bytes) -> None:
    """Bytes that crash the request: anything else is None, whatever its bytes.

    See docs/prior-defects.md, Defect 3.
    """
    assert parse_forwarded(element) is None


def test_networks_hold_what_they_should() -> None:
    """Both ends of a network are in it, their neighbours are not; families do not mix; mapped networks are IPv4."""
    networks = NetworkSet.parse(["192.0.2.0/25", "198.51.100.7", "2001:db8::/33", "::ffff:203.0.113.0/120"])
    assert networks.cidrs == ("192.0.2.0/25", "198.51.100.7/32", "2001:db8::/33", "203.0.113.0/24")
    inside = ("192.0.2.0", "192.0.2.127", "198.51.100.7", "2001:db8::", "2001:db8:7fff:ffff::", "203.0.113.9")
    outside = (
        "192.0.1.255",
        "192.0.2.128",
        "198.51.100.6",
        "198.51.100.8",
        "2001:db8:8000::",
        "2001:db8:8000::192.0.2.1",
    )
    assert all(networks.contains(address(text)) for text in inside)
    assert not any(networks.contains(address(text)) for text in outside)
    assert not NetworkSet.parse([]).contains(address("0.0.0.0"))


@given(
    st.lists(st.tuples(st.ip_addresses(), st.integers(0, 128)), max_size=12),
    st.lists(st.ip_addresses(), min_size=1, max_size=8),
)
def test_networks_agree_with_ipaddress(
    drawn: list[tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]],
    others: list[ipaddress.IPv4Address | ipaddress.IPv6Address],
) -> None:
    """Overlapping, nested, adjacent: membership is what `ipaddress` says of each network in turn."""
    pairs = [(base, min(length, base.max_prefixlen)) for base, length in drawn]
    model: list[Network] = [ipaddress.ip_network((base, length), strict=False) for base, length in pairs]
    model = [
        network
        for network in model
        if network.version == 4 or not any(network.subnet_of(form) for form in [*FORMS, MAPPED])
    ]
    networks = NetworkSet.parse(map(str, model))
    for candidate in (*others, *(base for base, _ in drawn)):
        if inside(candidate) != candidate:
            continue
        expected = any(candidate in network for network in model if network.version == candidate.version)
        assert networks.contains(address(str(candidate))) == expected


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        ("192.0.2.1/24", "write 192.0.2.0/24 or 192.0.2.1"),
        ("2001:db8::1/32", "write 2001:db8::/32 or 2001:db8::1"),
        ("192.0.2.0/33", "prefix length from 0 to 32"),
        ("2001:db8::/129", "prefix length from 0 to 128"),
        ("192.0.2.0/255.255.255.0", "prefix length"),
        ("192.0.2.0/0.0.0.255", "prefix length"),
        ("192.0.2.0/-1", "prefix length"),
        ("192.0.2.0/", "prefix length"),
        ("proxy.example", "neither a network"),
        ("", "neither a network"),
        ("fe80::1%eth0", "no zone"),
    ],
)
def test_wrong_networks_name_the_setting_and_the_fix(spec: str, hint: str) -> None:
    """A mistake is refused with the setting's name, what was found and what to write."""
    with pytest.raises(ConfigError) as caught:
        NetworkSet.parse(["10.0.0.0/8", spec], source="--explain-network")
    (problem,) = caught.value.problems
    assert problem.startswith(f"--explain-network: {spec!r}")
    assert hint in problem


def test_all_mistakes_of_a_trust_are_told_at_once() -> None:
    """A bad header name and two bad networks are three problems of one error."""
    with pytest.raises(ConfigError) as caught:
        Trust.parse(["10.0.0.1/8", "nonsense", "unix"], "X Forwarded For")
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize("spec", ["0.0.0.0/0", "::/0"])
def test_defect_3_nobody_can_trust_everybody(spec: str) -> None:
    """Trusting every address would let anyone say who they are, so it is refused.

    See docs/prior-defects.md, Defect 3.
    """
    with pytest.raises(ConfigError, match="choose its address"):
        Trust.parse([spec])


def test_forwarded_of_rfc_7239_is_refused() -> None:
    """The header with another syntax is a mistake at start, not an unknown client on every request."""
    with pytest.raises(ConfigError, match="RFC 7239"):
        Trust.parse(["unix"], "Forwarded")


def test_header_names_are_lower_case_bytes() -> None:
    """A header's name is written in any case and compared as ASGI gives it."""
    assert Trust.parse([]).header == b"x-forwarded-for"
    assert Trust.parse([], "X-Real-IP").header == b"x-real-ip"
    assert not Trust.parse(["10.0.0.1"]).unix
    assert Trust.parse(["unix"]).unix


@pytest.mark.parametrize(
    ("peer", "values", "expected"),
    [
        # A trusted peer: the right-most that is not trusted itself.
        ("127.0.0.1", [b"192.0.2.1"], known("192.0.2.1")),
        ("127.0.0.1", [b"203.0.113.66, 192.0.2.1"], known("192.0.2.1")),
        ("127.0.0.1", [b"203.0.113.66,192.0.2.1 , 10.0.0.7"], known("192.0.2.1")),
        ("127.0.0.1", [b"garbage, 192.0.2.1, 10.0.0.7:4711"], known("192.0.2.1")),
        ("2001:db8:ffff::1", [b"[2001:db8::5]:443"], known("2001:db8::5")),
        ("::ffff:127.0.0.1", [b"::ffff:192.0.2.1"], known("192.0.2.1")),
        # Repeated lines are one list.
        ("127.0.0.1", [b"203.0.113.66", b"192.0.2.1", b"10.0.0.7"], known("192.0.2.1")),
        # All trusted: the left-most, a machine of the operator's.
        ("127.0.0.1", [b"10.0.0.9, 10.0.0.7"], known("10.0.0.9")),
        # No header, or one that says nothing: the peer.
        ("127.0.0.1", [], known("127.0.0.1")),
        ("127.0.0.1", [b""], known("127.0.0.1")),
        ("127.0.0.1", [b" \t"], known("127.0.0.1")),
        # A unix socket.
        (None, [b"192.0.2.1"], known("192.0.2.1")),
        (None, [], UNKNOWN),
        (None, [b""], UNKNOWN),
        # Unreadable in the walk: unknown; to the left of the client it does not matter.
        ("127.0.0.1", [b"192.0.2.1, unknown"], UNREADABLE),
        ("127.0.0.1", [b"192.0.2.1, \xff\xfe"], UNREADABLE),
        ("127.0.0.1", [b"192.0.2.1,"], UNREADABLE),
        ("127.0.0.1", [b"192.0.2.1, , 10.0.0.7"], UNREADABLE),
        ("127.0.0.1", [b"192.0.2.1", b""], UNREADABLE),
        (None, [b"unix:"], UNREADABLE),
        # An odd peer is counted; a link-local one is not odd.
        ("testclient", [b"192.0.2.1"], UNREADABLE),
        ("", [], UNREADABLE),
        ("\ud800", [], UNREADABLE),
        ("fe80::1%eth0", [], known("fe80::1")),
    ],
)
def test_who_asks(peer: str | None, values: list[bytes], expected: ClientAddress) -> None:
    """docs/selection.md, Who asks, case by case."""
    assert client_address(peer, values, TRUST) == expected


@pytest.mark.parametrize("values", [[b"192.0.2.1"], [b"127.0.0.1"], [b"garbage"], [b"\xff" * 100_000]])
def test_defect_3_strangers_cannot_say_who_they_are(values: list[bytes]) -> None:
    """The header of an untrusted peer is not even read, and without proxies no header ever is.

    See docs/prior-defects.md, Defect 3.
    """
    assert client_address("203.0.113.66", values, TRUST) == known("203.0.113.66")
    assert client_address("127.0.0.1", values, NOBODY) == known("127.0.0.1")
    assert client_address(None, values, NOBODY) == UNKNOWN


def test_defect_3_left_most_entries_are_the_strangers() -> None:
    """Whatever a client sends in the header itself, the address that the proxy saw counts.

    See docs/prior-defects.md, Defect 3.
    """
    for sent in (b"10.0.0.1", b"192.0.2.99", b"unknown", b"", b"\0", b"10.0.0.1, 10.0.0.2"):
        assert client_address("127.0.0.1", [sent + b", 203.0.113.66"], TRUST) == known("203.0.113.66")


def test_huge_headers_are_bounded_work() -> None:
    """A megabyte of trusted addresses ends after MAX_HOPS, a megabyte without a comma at once: both unknown."""
    assert client_address("127.0.0.1", [b"10.0.0.1," * 110_000 + b"10.0.0.1"], TRUST) == UNREADABLE
    assert client_address("127.0.0.1", [b"1" * 1_000_000], TRUST) == UNREADABLE
    assert client_address("127.0.0.1", [b" " * 1_000_000 + b"192.0.2.1"], TRUST) == UNREADABLE
    hops = b",".join([b"192.0.2.1"] + [b"10.0.0.1"] * (MAX_HOPS - 1))
    assert client_address("127.0.0.1", [hops], TRUST) == known("192.0.2.1")
    assert client_address("127.0.0.1", [hops + b",10.0.0.1"], TRUST) == UNREADABLE


def slow_walk(peer: str, values: list[bytes]) -> ClientAddress:
    """Model: split everything, read it all with `ipaddress`, then look for the right-most stranger."""
    trusted = [ipaddress.ip_network(spec) for spec in PROXIES if spec != "unix"]

    def is_trusted(text: str) -> bool:
        one = ipaddress.ip_address(text)
        return any(one in network for network in trusted if network.version == one.version)

    elements = [element.strip() for element in b",".join(values).decode().split(",")]
    if not is_trusted(peer) or not b"".join(values).strip():
        return known(peer)
    for element in reversed(elements):
        try:
            stranger = not is_trusted(element)
        except ValueError:
            return UNREADABLE
        if stranger:
            return known(element)
    return known(elements[0])


ELEMENTS = st.sampled_from(
    (
        *(b"10.0.0.1", b"10.9.9.9", b"127.0.0.1", b"192.0.2.1", b"203.0.113.5", b"2001:db8::1", b"2001:db8:ffff::2"),
        *(b"unknown", b"", b"1.2.3"),
    )
)


@given(
    st.sampled_from(["127.0.0.1", "10.0.0.3", "192.0.2.7", "2001:db8:ffff::9", "2001:db8::9"]),
    st.lists(st.lists(ELEMENTS, min_size=1, max_size=5), max_size=3),
    st.sampled_from([b",", b", ", b" ,\t"]),
)
@settings(max_examples=300)
def test_the_walk_agrees_with_a_slow_model(peer: str, lines: list[list[bytes]], separator: bytes) -> None:
    """For any chain of proxies over any number of lines the answer is the model's."""
    values = [separator.join(line) for line in lines]
    if len(values) > 1 and not b"".join(values).strip():
        return  # several lines of nothing: the model does not tell them from one
    assert client_address(peer, values, TRUST) == slow_walk(peer, values)


@given(st.none() | st.text() | st.just("127.0.0.1"), st.lists(st.binary(max_size=200), max_size=4))
@example("127.0.0.1", [b"\xc3\xa9", b"[", b"%", b":" * 90])
def test_defect_3_no_bytes_crash_the_request(peer: str | None, values: list[bytes]) -> None:
    """Garbage gives a client or an unknown one, never an exception.

    See docs/prior-defects.md, Defect 3.
    """
    client = client_address(peer, values, TRUST)
    assert client.address is None or not client.failed
