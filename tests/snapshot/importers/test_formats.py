"""Each format: what its keys become, what is merged, and the lines about what cannot be taken."""

from __future__ import annotations

from typing import Any, Final

import pytest

from mirrorlist_snapshot.errors import SourceError
from mirrorlist_snapshot.importers import FORMATS
from support import mirror_lists as lists
from support.mirror_lists import imported, source_of

SPONSOR: Final = {"name": "First e.V.", "url": "https://first.example/"}
EUROPE: Final = {"DE", "FR", "GB", "PL", "IT", "RU"}


def mirrors(kind: str) -> dict[str, Any]:
    """The mirrors of the format's list."""
    return dict(source_of(imported(kind))["mirrors"])


def test_every_format_has_a_list() -> None:
    """The fixtures have one list for each format, and no other."""
    assert list(lists.LISTS) == list(FORMATS)


@pytest.mark.parametrize(
    ("kind", "entries", "left", "kept"),
    [
        ("debian", 8, 1, 7),
        ("devuan", 6, 0, 6),
        ("almalinux", 8, 0, 8),
        ("csv", 9, 1, 7),
        ("json", 7, 0, 7),
        ("urls", 3, 0, 2),
        ("pacman", 10, 0, 9),
        ("arch-status", 10, 0, 8),
        ("mirrorbits", 6, 0, 6),
        ("mirrorbrain", 9, 1, 8),
        ("mirrorcache", 9, 1, 8),
        ("gentoo", 11, 1, 9),
        ("centos", 7, 0, 7),
        ("cpan", 7, 0, 7),
        ("cran", 8, 0, 8),
        ("alpine", 7, 0, 7),
        ("ubuntu", 7, 0, 7),
        ("mirmon", 10, 1, 8),
    ],
)
def test_entries_are_counted(kind: str, entries: int, left: int, kept: int) -> None:
    """Every entry of the list is taken, merged into another or left out; each that is left out has its line."""
    found = imported(kind)
    assert (found.entries, found.left, found.mirrors) == (entries, left, kept)
    assert len(found.not_taken) >= left


def test_debian_keys() -> None:
    """Contents become categories, architectures stay, protocols become URLs, sponsors are credited together."""
    found = source_of(imported("debian"))
    assert found["categories"].keys() == {"debian", "debian-cd"}
    one = found["mirrors"]["ftp.de.debian.example"]
    assert one["categories"] == {
        "debian": [f"{protocol}://ftp.de.debian.example/debian/" for protocol in ("https", "http", "rsync")],
        "debian-cd": "http://ftp.de.debian.example/debian-cd/",
    }
    assert found["repositories"]["debian"] == {"category": "debian", "arches": ["amd64", "arm64", "riscv64"]}
    assert found["repositories"]["debian-cd"] == {"category": "debian-cd"}
    assert found["mirrors"]["ftp2.de.debian.example"]["categories"]["debian"]["arches"] == ["amd64"]
    assert one["about"] == {
        "sponsor": {"name": "First e.V., Second GmbH", "url": "https://first.example/"},
        "contact": "Erika Muster <erika@first.example>",
        "city": "Berlin",
        "notes": "pushes to other mirrors, twice a day",
        "extra": {
            "Aliases": "debian.first.example",
            "Sponsor": ["First e.V. https://first.example/", "Second GmbH https://second.example/"],
        },
    }
    assert found["mirrors"]["cdn.debian.example"]["worldwide"] is True
    assert (found["mirrors"]["ftp.us.debian.example"]["country"], imported("debian").comments) == (
        "US",
        {"ftp2.de.debian.example": ["moved in spring"]},
    )
    assert found["mirrors"]["ftp.us.debian.example"]["also_countries"] == ["BR"]


def test_devuan_keys() -> None:
    """The first country is where a mirror is; each protocol is a URL; what is not active is switched off."""
    found = mirrors("devuan")
    assert found["de.devuan.example"] == {
        "country": "DE",
        "also_countries": ["FR"],
        "bandwidth": 10000,
        "categories": {
            "devuan": [f"{protocol}://de.devuan.example/merged/" for protocol in ("https", "http", "rsync")]
        },
        "about": {"extra": {"Rate": "30min", "DNSRR": "yes"}},
    }
    assert found["za.devuan.example"]["active"] is False


def test_almalinux_keys() -> None:
    """`monopoly` is exclusive, `address_optional` another category, versions and repositories of the configuration."""
    found = source_of(imported("almalinux"))
    assert found["repositories"]["baseos-8"] == {"alias": "baseos-8.10"}
    assert found["repositories"]["crb-9.8"] == {"category": "almalinux", "path": "9.8/CRB/$basearch/os"}
    assert "crb-8.10" not in found["repositories"]
    assert "baseos-source-9.8" not in found["repositories"]
    one = found["mirrors"]["de1.alma.example"]
    assert one["asns"] == [64500]
    assert one["categories"]["almalinux-kitten"] == "https://de1.alma.example/almalinux-kitten/"
    assert one["about"]["city"] == "Kassel, Hesse"
    closed = found["mirrors"]["de2.alma.example"]
    assert closed["private"] is True
    assert closed["netblocks"][2] == {"prefix": "2001:db8:5::/48", "exclusive": True}
    assert found["mirrors"]["uk.alma.example"]["country"] == "GB"
    assert found["mirrors"]["za.alma.example"]["continent"] == "AF"
    assert imported("almalinux").comments == {"de1.alma.example": ["the university moves in autumn"]}


def test_tables_with_named_columns() -> None:
    """Named and recognised columns are keys of ours, the others `about.extra`; the same host and path is one mirror."""
    found = mirrors("csv")
    assert found["de1.table.example"] == {
        "country": "DE",
        "bandwidth": 10000,
        "categories": {"mirrors": ["https://de1.table.example/pub/", "http://de1.table.example/pub/"]},
        "about": {"sponsor": {"name": "Alpha"}, "contact": "a@alpha.example", "extra": {"Kind": "university"}},
    }
    assert found["de2.table.example"]["bandwidth"] == 1000
    one = mirrors("json")["de1"]
    assert one["categories"] == {"mirrors": ["https://de1.json.example/x/", "rsync://de1.json.example/x/"]}
    assert mirrors("json")["de2"]["asns"] == [64500, 64501]


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("https://a.example/\tDE\nhttps://b.example/\tFR\n", {"https://a.example/": "DE", "https://b.example/": "FR"}),
        ("DE,https://a.example/x\n", {"https://a.example/x/": "DE"}),
        ("country,url\n# a remark\nus,https://a.example/\n\n", {"https://a.example/": "US"}),
        ('url;"land"\n"https://a.example/";de\n', {"https://a.example/": None}),
    ],
)
def test_tables_of_any_shape(text: str, urls: dict[str, str | None]) -> None:
    """Tabs, semicolons, quotes, no heading: URLs and countries are found by their names, or by their looks."""
    found = source_of(imported("csv", {"t.csv": text}, columns={}))["mirrors"].values()
    assert {one["categories"]["mirrors"]: one.get("country") for one in found} == urls


def test_pacman_keys() -> None:
    """The base URL ends where pacman's variables begin; the rest is a remark; a heading without a place has a line."""
    found = imported("pacman")
    assert found.remarks == ("What clients append to the base URLs: $repo/os/$arch",)
    assert found.comments == {
        "jp.pacman.example": ["Example University (Tokyo, Japan)"],
        "tier.pacman.example": ["Tier 1"],
    }
    assert mirrors("pacman")["de1.pacman.example"]["categories"]["arch"] == [
        "https://de1.pacman.example/arch/",
        "http://de1.pacman.example/arch/",
    ]
    chosen = lists.PACMAN.replace("#Server = https://fr", "Server = https://fr")
    states = source_of(imported("pacman", {"mirrorlist": chosen}))["mirrors"]
    assert [name for name, one in states.items() if one.get("active", True)] == ["fr.pacman.example"]


def test_arch_status_keys() -> None:
    """The rows of one host are one mirror, its rsync module included; families are kept where there is one alone."""
    found = mirrors("arch-status")
    assert found["de1.arch.example"]["categories"]["arch"] == {
        "urls": ["https://de1.arch.example/arch/", "http://de1.arch.example/arch/", "rsync://de1.arch.example/module/"],
        "families": ["ipv4"],
    }
    assert found["br.arch.example"]["active"] is False


def test_mirrorbits_keys() -> None:
    """Scores change the share in percent; the `Only` flags become countries, or privacy; the remark is kept."""
    found = mirrors("mirrorbits")
    one = found["de1.bits.example"]
    assert one["about"] == {
        "sponsor": {**SPONSOR, "name": "Example e.V.", "logo": "https://first.example/logo.svg"},
        "contact": "Erika erika@first.example",
        "latitude": 52.5,
        "longitude": 13.4,
        "extra": {"Comment": "asked for by mail: nothing:"},
    }
    assert (one["bandwidth"], one["denied_countries"], one["also_countries"]) == (150, ["RU"], ["FR"])
    assert set(found["de2.bits.example"]["allowed_countries"]) > EUROPE
    assert found["us.bits.example"]["allowed_countries"] == ["US"]
    assert found["br.bits.example"]["private"] is True
    assert found["br.bits.example"]["asns"] == [64501]


def test_mirrorbrain_keys() -> None:
    """INSERT and COPY are read with their quoting; scores are weights; `only` flags as in mirrorbits."""
    found = mirrors("mirrorbrain")
    one = found["de1.brain.example"]
    assert one["about"] == {
        "sponsor": SPONSOR,
        "contact": "Erika erika@first.example",
        "latitude": 52.5,
        "longitude": 13.4,
        "extra": {"comment": "it's old; (see below)"},
    }
    assert (one["netblocks"], one["asns"], one["also_countries"]) == (["203.0.113.0/25"], [64500], ["FR"])
    two = found["de2.brain.example"]
    assert (two["bandwidth"], two["about"]) == (50, {"extra": {"comment": "a tab"}})
    assert set(two["allowed_countries"]) > EUROPE
    assert found["it.brain.example"] == {"country": "IT", "categories": {"mirrors": "http://it.brain.example/"}}
    assert found["br.brain.example"]["private"] is True
    assert found["world.brain.example"]["worldwide"] is True


def test_mirrorcache_keys() -> None:
    """JSON and SQL are read; both protocols are offered; a region without a country is a continent, not Afghanistan."""
    found = mirrors("mirrorcache")
    assert found["de1.cache.example"]["categories"]["mirrors"] == [
        "https://de1.cache.example/pub/",
        "http://de1.cache.example/pub/",
    ]
    assert found["za.cache.example"]["continent"] == "AF"
    assert "country" not in found["za.cache.example"]
    assert found["pl.cache.example"]["country"] == "PL"


def test_gentoo_keys() -> None:
    """Names are sponsors, IPv6-only URIs a mirror of their own; a mirror of two groups is one in two countries."""
    found = mirrors("gentoo")
    assert found["de1.gentoo.example"]["about"] == {
        "sponsor": {"name": "First & Second e.V."},
        "city": "Berlin",
        "latitude": 52.5,
        "longitude": 13.4,
    }
    assert found["v6.de2.gentoo.example"]["categories"]["gentoo"]["families"] == ["ipv6"]
    assert found["both.gentoo.example"]["also_countries"] == ["US"]


def test_centos_groups_are_neighbours_in_their_order() -> None:
    """Each country of a group is a group of neighbours of its own, the country itself left out."""
    found = source_of(imported("centos"))
    assert found["overrides"]["neighbours"] == {"DE": [["FR"], ["US"]], "FR": [["DE"], ["GB"]], "ZA": [["BR"]]}
    assert "mirrors" not in source_of(imported("centos", {"g.json": lists.CENTOS_GROUPS}))


def test_cpan_keys() -> None:
    """Old forms of ftp and rsync become URLs; the country is found between area and continent, and no state is one."""
    found = mirrors("cpan")
    assert found["de1.cpan.example"]["categories"]["cpan"] == [
        "http://de1.cpan.example/CPAN/",
        "ftp://de1.cpan.example/pub/CPAN/",
        "rsync://de1.cpan.example/CPAN/",
    ]
    assert found["de2.cpan.example"]["categories"]["cpan"][1] == "ftp://de2.cpan.example/CPAN/"
    assert found["de2.cpan.example"]["bandwidth"] == 45
    assert found["us.cpan.example"]["country"] == "US"
    assert found["fr.cpan.example"]["about"]["latitude"] == 48.8


def test_cran_alpine_ubuntu_and_mirmon_keys() -> None:
    """The cloud is worldwide whatever its code says; bandwidths are texts or Launchpad's numbers."""
    cloud = mirrors("cran")["cloud.cran.example"]
    assert cloud["worldwide"] is True
    assert "country" not in cloud
    assert imported("cran").comments == {"de1.cran.example": ["pushed"]}
    assert mirrors("alpine")["de1.alpine.example"] == {
        "country": "DE",
        "bandwidth": 10000,
        "categories": {
            "alpine": [
                "https://de1.alpine.example/alpine/",
                "http://de1.alpine.example/alpine/",
                "rsync://de1.alpine.example/module/",
            ]
        },
        "about": {"sponsor": {"name": "First e.V."}, "city": "Berlin"},
    }
    texts = source_of(imported("alpine", {"MIRRORS.txt": "https://a.example/alpine/\nhttps://b.example/\n"}))["mirrors"]
    assert list(texts) == ["a.example", "b.example"]
    assert mirrors("ubuntu")["de1.ubuntu.example"]["bandwidth"] == 10000
    assert mirrors("mirmon")["de1.mirmon.example"] == {
        "country": "DE",
        "categories": {"mirrors": ["https://de1.mirmon.example/pub/", "http://de1.mirmon.example/pub/"]},
        "about": {"contact": "erika@first.example"},
    }
    assert mirrors("mirmon")["uk.mirmon.example"]["country"] == "GB"


ALMALINUX_LINES: Final = [
    ("config.yml", "repos", "1 repository with `vault: true`: http://vault.alma.example/, no mirror, has them"),
    ("config.yml", "vault_versions", "2 versions that no mirror has, such as 8.3"),
    ("mirrors.d/fr.alma.example.yml:4", "subnets", "https://cloud.example/networks.json is not fetched: save it"),
    ("mirrors.d/fr.alma.example.yml:5", "cloud_type", "the networks of a cloud are no part of the list; give"),
    ("mirrors.d/fr.alma.example.yml:7", "colour", "unknown key"),
    ("mirrors.d/us.alma.example.yml:1", "us.alma.example", 'the URL "ftp://someone@us.alma.example/" has a user name'),
]


@pytest.mark.parametrize(
    ("kind", "lines"),
    [
        (
            "debian",
            [
                ("Mirrors.masterlist:53", "", "the line is no `Key: value`"),
                ("Mirrors.masterlist:51", "security.debian.example", "the entry has no URL"),
            ],
        ),
        (
            "devuan",
            [("mirror_list.txt:11", "de2.devuan.example", 'the bandwidth "a lot" is no number of bits a second')],
        ),
        ("almalinux", ALMALINUX_LINES),
        (
            "csv",
            [
                ("table.csv:9", "https://za.table.example/mirror/", 'the bandwidth "very fast" is no number'),
                ("table.csv:10", "not a url", 'the URL "not a url" has a space, quote, bracket'),
            ],
        ),
        ("json", [("table.json:10", "active", "'perhaps' is neither yes nor no")]),
        ("pacman", [("mirrorlist:24", "", "the heading 'Tier 1' names no place")]),
        ("mirrorbits", [("mirrors.txt:37", "jp.bits.example.AllowRedirects", "redirects of the mirror itself")]),
        (
            "mirrorbrain",
            [
                ("server.sql:24", "jp.brain.example.file_maxsize", "a largest size of files is no key of a source"),
                ("server.sql:28", "", "the row has 2 columns, the table 16"),
                ("server.sql", "status_baseurl, scan_fpm", "the state of a moment, which a source does not have"),
            ],
        ),
        (
            "mirrorcache",
            [
                ("servers.json:6", "us.cache.example.hostname_vpn", "an address for clients in a private network"),
                ("servers.sql:2", "", "the row has 4 values, the table 5 columns"),
            ],
        ),
        (
            "gentoo",
            [
                ("distfiles.xml:11", "Third", 'partial="y" does not state which part'),
                ("distfiles.xml:33", "", "the entry has no URL"),
            ],
        ),
        (
            "centos",
            [("ccgroups.json:4", "za", "'c9' is no country"), ("ccgroups.json:6", "zz", "it is no country")],
        ),
        (
            "cpan",
            [
                ("MIRRORED.BY:24", "us.cpan.example", 'the bandwidth "enough" is no number of bits a second'),
                ("MIRRORED.BY:36", "br.cpan.example", "the line is neither `HOST:` nor"),
            ],
        ),
        ("ubuntu", [("mirrors.rss:8", "Second", "the speed '75' is none of Launchpad's")]),
        ("alpine", [("mirrors.yaml:9", "http://fr.alpine.example/", 'the bandwidth "unlimited" is no number of bits')]),
        (
            "arch-status",
            [("status.json", "last_sync, completion_pct, delay, score", "the state of a moment, which a source does")],
        ),
        ("cran", []),
        ("urls", []),
        ("mirmon", [("list.txt:11", "", "the line is no `COUNTRY URL MAIL`")]),
    ],
)
def test_what_is_not_taken_has_its_place_and_reason(kind: str, lines: list[tuple[str, str, str]]) -> None:
    """Each line names the file, the line in it where there is one, the entry or key, and why."""
    found = imported(kind).not_taken
    assert all(complaint.warning for complaint in found)
    assert len(found) == len(lines)
    for complaint, (place, key, reason) in zip(found, lines, strict=True):
        assert str(complaint).startswith(f"{place}: warning: ")
        assert complaint.key == key
        assert complaint.message.startswith(f"not taken: {reason}")


@pytest.mark.parametrize(
    ("kind", "text", "reason"),
    [
        ("gentoo", "no XML at all", "t:1: is no XML: syntax error"),
        ("gentoo", "<a/>", "t: has no <mirrorgroup> in it"),
        ("gentoo", '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', "t:1: declares the entity 'x'; a list of mirrors needs"),
        ("ubuntu", "<rss/>", "t: has no <item> in it"),
        ("ubuntu", f"{'<a>' * 30}{'</a>' * 30}", "t:1: is nested more than 20 deep"),
        ("json", "{", "t:1: is not valid JSON"),
        ("json", "[1, 2]", "t: has no list of mirrors in it"),
        ("json", '[{"a": "b"}]', "t: no column has URLs; name it: --column url=COLUMN, one of a"),
        ("csv", "", "t: is empty"),
        ("csv", "a,b\n1,2\n", "t: no column has URLs; name it: --column url=COLUMN, one of a, b"),
        ("almalinux", "a: [", "t:"),
        ("mirrorbrain", "SELECT 1;", "t: has no row of the table `server`"),
        ("mirrorcache", "nothing", "t: has no server in it"),
        ("centos", '{"de": "fr"}', "t:1: has something else than a list for 'de'"),
    ],
)
def test_what_is_no_list_of_the_format_is_refused(kind: str, text: str, reason: str) -> None:
    """A file in another format is refused as a whole, with the place and what was expected."""
    with pytest.raises(SourceError) as refusal:
        imported(kind, {"t": text}, columns={})
    assert str(refusal.value).startswith(reason)


def test_a_column_that_is_not_there_is_refused() -> None:
    """A name that no column has is a mistake of the command, answered with the names that there are."""
    with pytest.raises(SourceError, match=r"has no column 'Land' for `country`; there are: Address, CC, Kind, Mail"):
        imported("csv", columns={"country": "Land"})
