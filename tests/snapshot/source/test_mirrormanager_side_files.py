"""The files beside a cache of MirrorManager: networks of addresses, continents of countries."""

from __future__ import annotations

import io
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from mirrorlist_snapshot.source.mirrormanager.side_files import read_continents, read_networks
from mirrorlist_snapshot.source.mirrormanager.skips import SkippedRows
from support.caches import small_cache
from support.imported_caches import imported, snapshot_of
from support.snapshots import NETWORKS

if TYPE_CHECKING:
    from pathlib import Path


@given(st.lists(st.tuples(NETWORKS.filter(lambda one: one.prefixlen), st.integers(0, 5)), max_size=12))
def test_networks_are_those_of_the_longest_prefix(rows: list[tuple[Any, int]]) -> None:
    """An address is in a wanted system exactly if the longest prefix around it is that system's."""
    lines = "".join(f"{network} {asn}\n" for network, asn in rows).encode()
    found = read_networks(io.BytesIO(lines), {1, 2}, SkippedRows("networks"), lambda _: None)
    whole = dict(rows)
    for network in whole:
        for address in (network.network_address, network.broadcast_address):
            assert _longest(found, address) == (asn if (asn := _longest(whole, address)) in {1, 2} else 0)


def _longest(networks: Any, address: Any) -> int:
    around = [one for one in networks if address in ip_network(one)]
    return networks[max(around, key=lambda one: ip_network(one).prefixlen)] if around else 0


def test_ipv4_networks_written_as_ipv6_are_ipv4_networks() -> None:
    """Whatever the form; a network that can match nobody is skipped and counted."""
    lines = b"::ffff:81.2.69.0/120 64500\n2002:5103::/32 64500\n2001:0:1::/48 64500\n::ffff:0:0/96 64500\n"
    skips = SkippedRows("networks")
    found = read_networks(io.BytesIO(lines), {64500}, skips, lambda _: None)
    assert found == {"81.2.69.0/24": 64500, "81.3.0.0/16": 64500}
    assert skips.counts == {"lines": 2}


def test_lines_of_networks() -> None:
    """Bits behind a prefix are cut, systems that share a network are nobody, others' networks count where they nest."""
    lines = b"""\
10.1.2.3/8 64500
10.1.0.0/16 7
10.2.0.0/16 {7,8}
10.3.0.0/16 None
11.0.0.0/8 7
2001:db8::/32 64500

0.0.0.0/0 64500
10.4.0.0/33 64500
10.5.0.0 64500
host/8 64500
10.6.0.0/16 AS7
10.7.0.0/16 99999999999999999999999
10.8.0.0/16
"""
    skips = SkippedRows("networks")
    found = read_networks(io.BytesIO(lines), {64500}, skips, lambda _: None)
    nested = dict.fromkeys(("10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16"), 0)
    assert found == {"10.0.0.0/8": 64500, "2001:db8::/32": 64500} | nested
    assert skips.counts == {"lines": 7}
    assert skips.complaints()[0].line == 8


def test_lines_of_continents() -> None:
    """Headings and countries without a continent are left out, UK is GB, and codes that ISO lacks are counted."""
    rows = '"iso 3166 country","continent code"|DE,EU|ap,as|uk,eu|A1,--|XX,ZZ|9Z,EU|FR|DEU,EU|"IL", "EU"|'
    lines = [f"{row}\n" for row in rows.split("|")]
    skips = SkippedRows("countries")
    assert read_continents(lines, skips) == {"DE": "EU", "GB": "EU", "IL": "EU"}
    assert skips.counts == {"lines": 5}
    assert skips.complaints()[0].line == 3


def test_files_beside_the_cache(folder: Path) -> None:
    """The CSV's continents lie below the cache's redirects; networks are those of the mirrors' systems alone."""
    (folder / "cc.csv").write_text("TR,AS\nDE,EU\n", encoding="utf-8")
    (folder / "networks.txt").write_text("203.0.113.0/24 64500\n203.0.113.128/25 1\n192.0.2.0/24 2\n", encoding="utf-8")
    found = imported(
        folder, small_cache(), country_continent=folder / "cc.csv", global_netblocks=folder / "networks.txt"
    )
    assert found.records.overrides.continents == {"TR": "EU", "DE": "EU"}
    snapshot = snapshot_of(found)
    asns = [
        snapshot.asn_netblocks.find(ip_address(one).packed) for one in ("203.0.113.1", "203.0.113.200", "192.0.2.1")
    ]
    assert asns == [64500, 0, 0]
    assert len(found.skips) == 3
