"""Sources: what operators write becomes records, and what they get wrong becomes complaints they can act on."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from mirrorlist_snapshot.compiler import compile_snapshot
from mirrorlist_snapshot.errors import SourceError
from mirrorlist_snapshot.format import decode, encode
from mirrorlist_snapshot.model import NOTHING_ABOUT, About, ClientNetblock, Families
from mirrorlist_snapshot.records import ContentRecord, RepositoryDirectoryRecord
from mirrorlist_snapshot.source import json_schema, read_sources
from support.descriptions import FULL, SMALL, complaints_of, paths_of, records_of


def test_small_description_has_no_complaint(tmp_path: Path) -> None:
    """A minimal description compiles without a word, so that a complaint always means something."""
    assert complaints_of(tmp_path, SMALL) == []


def test_everything_can_be_said(tmp_path: Path) -> None:
    """Every key of the source document reaches the records in its canonical form."""
    records = records_of(tmp_path, FULL)
    mirrors = {mirror.name: mirror for mirror in records.mirrors}
    ftp = mirrors["ftp.example.org"]
    assert (ftp.country, ftp.bandwidth, ftp.asns) == ("DE", 10000, (680, 1103))
    assert ftp.netblocks == (
        ClientNetblock(prefix="192.0.2.0/24", exclusive=False),
        ClientNetblock(prefix="2001:db8::/32", exclusive=True),
        ClientNetblock(prefix="198.51.100.7/32", exclusive=False),
    )
    assert (ftp.allowed_countries, ftp.denied_countries) == (("AT", "DE"), ("FR",))
    assert {content.category: content for content in ftp.contents} == {
        "debian": ContentRecord(
            category="debian", urls=("http://ftp.example.org/debian/", "https://ftp.example.org/caf%C3%A9/")
        ),
        "epel": ContentRecord(
            category="epel",
            urls=("rsync://ftp.example.org/epel/",),
            include=("9",),
            exclude=("9/Everything/s390x",),
            families=Families.IPV4,
            arches=("x86_64",),
        ),
    }
    assert (ftp.also_countries, ftp.continent, ftp.worldwide) == (("AT", "CH"), None, False)
    assert ftp.about == About(
        sponsor="Example University",
        sponsor_url="https://www.example.org/",
        sponsor_logo="https://www.example.org/logo.svg",
        city="Berlin",
        latitude=52.5167,
        longitude=13.0,
        notes="ring twice",
    )
    assert mirrors["cdn"].worldwide
    assert (mirrors["cdn"].about.sponsor, mirrors["part"].about) == ("A network", NOTHING_ABOUT)
    assert (mirrors["asia"].country, mirrors["asia"].continent) == (None, "AS")
    assert (mirrors["part"].active, mirrors["part"].country) == (False, "NO")
    assert mirrors["inside"].private
    assert mirrors["inside"].contents[0].urls == ("https://[2001:db8::1]:8443/debian/",)
    assert mirrors["last"].fallback
    assert {(one.name, str(one.kind), one.top) for one in records.categories} == {
        ("epel", "listed", "pub/epel"),
        ("debian", "open", "debian"),
    }
    assert {one.name: (one.master, one.stamp) for one in records.categories} == {
        "epel": ("https://master.example.org/pub/epel/", "fullfiletimelist-epel"),
        "debian": ("/srv/debian", None),
    }
    assert records.contact == "mirrors@example.org"
    repositories = {one.name: one for one in records.repositories}
    assert set(repositories["epel-9"].directories) == {
        RepositoryDirectoryRecord(
            arch=arch,
            category="epel",
            path=f"9/Everything/{arch}",
            unit="repodata/repomd.xml",
            fresh=5400,
            max_lag=129_600,
        )
        for arch in ("x86_64", "aarch64")
    }
    assert set(repositories["mixed"].directories) == {
        RepositoryDirectoryRecord(arch="x86_64", category="epel", path="9/Everything/x86_64"),
        RepositoryDirectoryRecord(arch="arm", category="debian", path=""),
    }
    assert repositories["mixed"].disabled
    assert records.aliases == {"epel-latest": "epel-9"}
    assert records.directories == {
        "epel": {
            "9/Everything/x86_64": {"ftp.example.org", "part"},
            "9/Everything/aarch64": {"ftp.example.org"},
            "8": {"part"},
        }
    }
    details = records.files["epel", "9/Everything/x86_64/repodata/repomd.xml"]
    assert details.current.md5 == "00112233445566778899aabbccddeeff"
    assert [version.timestamp for version in details.alternates] == [1700000000, 9, 1]
    assert ("epel", "imagelist") in records.files
    assert records.overrides.continents == {"IL": "EU"}
    assert records.overrides.neighbours == {"SE": (("NO", "DK", "FI"), ("DE",)), "AT": (("DE", "CH"),)}
    assert records.overrides.never_served == {"CN": ("TW",)}
    assert records.netblock_countries == {"198.51.100.0/24": "DE"}


def test_equal_carrier_sets_are_one_object(tmp_path: Path) -> None:
    """Directories with the same carriers share one frozenset, so that the compiler works once for all of them."""
    directories = json.dumps([f"d/{number}" for number in range(50)])
    text = f'[categories.c]\nkind = "listed"\ndirectories = {directories}\n' + SMALL
    records = records_of(tmp_path, text + '[mirrors.n]\ncountry = "DE"\ncategories.c = "https://n.example.org/"\n')
    assert len({id(carriers) for carriers in records.directories["c"].values()}) == 1


def test_contacts_and_extra_facts_stay_in_the_source(tmp_path: Path) -> None:
    """What only administrators may know is in no byte of the snapshot; what is public is."""
    data = encode(compile_snapshot(records_of(tmp_path, FULL), serial=1, built=1, generator="test"))
    assert b"Example University" in data
    for private in (b"mirror@example.org", b"+49 30 123456", b"rack"):
        assert private not in data


@pytest.mark.parametrize("name", ["source.json", "source.yaml", "source.yml", "SOURCE.YAML"])
def test_all_formats_say_the_same(tmp_path: Path, name: str) -> None:
    """TOML, JSON and YAML are three spellings of one document, whatever the order of the keys."""
    data = tomllib.loads(FULL)
    if name.endswith("json"):
        text = json.dumps({"$schema": "https://example.org/schema.json", **data})
    else:
        with (tmp_path / "plain").open("w+", encoding="utf-8") as file:
            YAML(typ="safe").dump(data, file)  # pyright: ignore[reportUnknownMemberType] - not annotated
            file.seek(0)
            text = file.read()
    found, expected = (
        encode(compile_snapshot(records, serial=1, built=1, generator="test"))
        for records in (records_of(tmp_path, text, name), records_of(tmp_path, FULL))
    )
    assert found == expected


MIRROR = '[mirrors.x]\ncountry = "DE"\ncategories.debian = "https://x.example.org/"\n'
LISTED = '[categories.epel]\nkind = "listed"\ndirectories = ["9"]\n'
A_FILE = '[[repositories.r.files]]\npath = "f"\ntimestamp = 1\nsize = 2\n'

MISTAKES = {
    # Keys and types
    "mirors = 1": ('1: mirors: unknown key "mirors"; did you mean "mirrors"?',),
    MIRROR + "bandwith = 5": ('4: mirrors.x.bandwith: unknown key "bandwith"; did you mean "bandwidth"?',),
    MIRROR + "xyz = 5": ('unknown key "xyz"; allowed: about, active, allowed_countries,',),
    "overrides = []": ("1: overrides: found a list; expected a table",),
    "mirrors.x = 5": ("1: mirrors.x: found the number 5; expected a table",),
    MIRROR + "private = 'yes'": ('4: mirrors.x.private: found the text "yes"; expected true or false; write true, w',),
    MIRROR + "private = 'Off'": ('found the text "Off"; expected true or false; write false, without quotes',),
    MIRROR + "active = 'maybe'": ('4: mirrors.x.active: found the text "maybe"; expected true or false',),
    MIRROR + "asns = {}": ("found a table; expected a whole number",),
    MIRROR + "asns = [true]": ("found true; expected a whole number",),
    MIRROR + "allowed_countries = [1]": ("found the number 1; expected text; put it in quotes",),
    "mirrors.x.country = 1979-05-27": ("found the date or time 1979-05-27; expected text",),
    '[categories.x]\nkind = "lsited"': ("found \"lsited\"; allowed: 'open' or 'listed'",),
    "[categories.x]\nkind = 5": ("2: categories.x.kind: found the number 5; expected 'open' or 'listed'",),
    # Names
    '[categories."a b"]': ('1: categories."a b": "a b" cannot be a name',),
    '[repositories."a/b"]\ncategory = "debian"': ('"a/b" cannot be a name',),
    '[repositories."=x"]\ncategory = "debian"': ("cannot be a name",),
    f"[repositories.{'x' * 256}]\ncategory = 'debian'": ("has 256 characters; at most 255",),
    '[mirrors."ä"]\ncountry = "DE"': ('"ä" cannot be a mirror\'s name; use printable ASCII',),
    '[mirrors."a b"]\ncountry = "DE"': ("cannot be a mirror's name",),
    f"[mirrors.{'x' * 256}]\ncountry = 'DE'": ("has 256 characters",),
    # Countries and continents
    MIRROR.replace("DE", "EN"): ('2: mirrors.x.country: "EN" is not an ISO 3166 country code; did you mean "GB"?',),
    MIRROR.replace("DE", "ZZ"): ('"ZZ" is not a country code; use the two letters of ISO 3166',),
    MIRROR + 'denied_countries = ["FR", "Germny"]': ('4: mirrors.x.denied_countries[1]: "Germny" is not',),
    MIRROR + 'denied_countries = ["FR"]\nallowed_countries = ["fr"]': ("FR is both allowed and denied",),
    '[overrides.continents]\nIL = "EUR"': ('"EUR" is not a continent; allowed: AF, AN, AS, EU, NA, OC, SA',),
    '[overrides.continents]\nXY = "EU"': ('2: overrides.continents.XY: "XY" is not a country code',),
    '[overrides.continents]\nil = "EU"\nIL = "AS"': ('"IL" is given twice in different spelling',),
    '[overrides.continents]\nIL = "EU"\nIsrael = "AS"': ('"Israel" is given twice in different spelling',),
    MIRROR + 'continent = "AS"': ("4: mirrors.x.continent: is for a mirror whose country is not known, and this one",),
    MIRROR + 'continent = "Asia"': ('4: mirrors.x.continent: "Asia" is not a continent; did you mean "AS"?',),
    MIRROR + "worldwide = 1": ("4: mirrors.x.worldwide: found the number 1; expected true or false",),
    MIRROR + 'also_countries = ["XX"]': ('4: mirrors.x.also_countries[0]: "XX" is not a country code',),
    # About
    MIRROR + "about.latitude = 91": ("4: mirrors.x.about.latitude: found 91; allowed are -90 to 90 degrees",),
    MIRROR + "about = {latitude = 1, longitude = -180.5}": ("found -180.5; allowed are -180 to 180 degrees",),
    MIRROR + "about.longitude = 9": ("4: mirrors.x.about: has one of latitude and longitude; give both, or none",),
    MIRROR + 'about.sponsor.url = "https://s/"': ("4: mirrors.x.about.sponsor.name: is missing",),
    MIRROR + 'about.sponsor = {name = "S", logo = "javascript:x"}': ('"javascript:x" is not a URL; write https://',),
    MIRROR + 'about.city = "a\\u0007"': ('4: mirrors.x.about.city: "a\\u0007" has a control or other unprintable',),
    MIRROR + f'about.notes = "{"x" * 501}"': ("the text has 501 characters; at most 500 are allowed",),
    MIRROR + 'about.sponser = "S"': ('4: mirrors.x.about.sponser: unknown key "sponser"; did you mean "sponsor"?',),
    MIRROR.replace('"https://x.example.org/"', '{urls = ["https://x/"], families = ["ipv5"]}'): (
        "3: mirrors.x.categories.debian.families[0]: found \"ipv5\"; allowed: 'ipv4' or 'ipv6'",
    ),
    # Numbers
    MIRROR + "bandwidth = 0": ("found 0; allowed are 1 to 1000000 Mbit/s",),
    MIRROR + "bandwidth = 1000001": ("found 1000001;",),
    MIRROR + "bandwidth = 1.5": ("found the number 1.5; expected a whole number",),
    MIRROR + "asns = [1, 0]": ("4: mirrors.x.asns[1]: AS number 0 does not exist; allowed are 1 to 4294967295",),
    MIRROR + 'asns = ["AS0"]': ("AS number 0 does not exist",),
    MIRROR + "asns = [4294967296]": ("AS number 4294967296 does not exist",),
    MIRROR + 'asns = ["ASN1"]': ('"ASN1" is not an AS number; write 680 or "AS680"',),
    # Netblocks
    MIRROR + 'netblocks = ["192.0.2.1/24"]': ("the netblock that holds it is 192.0.2.0/24",),
    MIRROR + 'netblocks = ["192.0.2.0/255.255.255.0"]': ("is not a netblock; write it as 192.0.2.0/24",),
    MIRROR + 'netblocks = ["0.0.0.0/0"]': ('"0.0.0.0/0" holds every client',),
    MIRROR + 'netblocks = [{prefix = "::/0"}]': ("4: mirrors.x.netblocks[0].prefix: ",),
    MIRROR + 'netblocks = ["2001:0:5102::/48"]': ("is in Teredo's network",),
    MIRROR + 'netblocks = ["64:ff9b::/96"]': ("holds every client",),
    MIRROR + 'netblocks = ["::ffff:192.0.2.5/120"]': ("has bits set behind the prefix",),
    MIRROR + 'netblocks = ["fe80::1%eth0"]': ("is not a netblock",),
    MIRROR + "netblocks = [{exclusive = true}]": ("4: mirrors.x.netblocks[0].prefix: is missing",),
    MIRROR + 'netblocks = ["192.0.2.0/24", {prefix = "192.0.2.0/24", exclusive = true}]': (
        "4: mirrors.x.netblocks[1]: the netblock 192.0.2.0/24 is listed twice, once exclusive and once not",
    ),
    '[overrides.netblocks]\n"10.0.0.1/8" = "DE"': ('2: overrides.netblocks."10.0.0.1/8": ',),
    '[overrides.netblocks]\n"2001:db8::/32" = "DE"\n"2001:DB8::/32" = "FR"': ("is given twice in different spelling",),
    # Paths
    '[categories.x]\ntop = "a/../b"': ('2: categories.x.top: the path "a/../b" has a `.` or `..` segment',),
    '[categories.x]\ntop = "a/./b"': ("has a `.` or `..` segment",),
    '[categories.x]\ntop = "a\\u0007"': ('the path "a\\u0007" has a control',),
    f'[categories.x]\ntop = "{"ä" * 513}"': ("the path has 1026 bytes; at most 1024",),
    MIRROR.replace("https", "x") + "": ("has no known protocol; allowed: https, http, ftp, rsync",),
    # URLs
    **{
        MIRROR.replace("https://x.example.org/", url): (f"3: mirrors.x.categories.debian: {message}",)
        for url, message in {
            "https://h/?q": 'the URL "https://h/?q" has a query or fragment',
            "https://h/#f": 'the URL "https://h/#f" has a query or fragment',
            "https://me@h/": 'the URL "https://me@h/" has a user name',
            "https:///x": 'the URL "https:///x" has no host',
            "https://a b/": 'the URL "https://a b/" has a space, quote',
            "https://h/<b>": 'the URL "https://h/<b>" has a space, quote, bracket',
            "https://h/\\t": 'the URL "https://h/\\t" has a space, quote',
            "https://h:99999/": 'the URL "https://h:99999/" has a port outside of 1 to 65535',
            "https://-h/": 'the URL "https://-h/" has a malformed host',
            "https://192.0.2.300/": 'the URL "https://192.0.2.300/" has a malformed IPv4 address',
            "https://[::1/": 'the URL "https://[::1/" has brackets that do not enclose an IPv6 address',
            "https://[fe80::1%25eth0]/": 'the URL "https://[fe80::1%25eth0]/" has a malformed IPv6 address',
            "https://bücher.example/": 'the URL "https://bücher.example/" has a non-ASCII host; clients need it as'
            " xn--bcher-kva.example",
            "https://h/a/../b": 'the URL "https://h/a/../b" has a `.` or `..` segment',
            "https://h/%2E%2e/": 'the URL "https://h/%2E%2e/" has a `.` or `..` segment',
            "https://h/100%": 'the URL "https://h/100%" has a character that must be percent-encoded, or a %',
            f"https://h/{'x' * 2000}": "the URL has 2010 characters; at most 2000",
        }.items()
    },
    MIRROR.replace('"https://x.example.org/"', '["https://a/", "http://b/", "https://b/"]'): (
        "3: mirrors.x.categories.debian: there are several https URLs; one per protocol",
    ),
    MIRROR.replace('"https://x.example.org/"', "[]"): ("is empty; give at least one value",),
    MIRROR.replace('"https://x.example.org/"', "{}"): ("3: mirrors.x.categories.debian.urls: is missing",),
    # Categories
    MIRROR.replace("debian =", "debain ="): (
        '3: mirrors.x.categories.debain: there is no category "debain"; did you mean "debian"?',
    ),
    '[categories.x]\ndirectories = ["9"]': ("2: categories.x.directories: an open category has every directory",),
    MIRROR.replace('"https://x.example.org/"', '{urls = ["https://x/"], directories = []}'): (
        'mirrors.x.categories.debian.directories: "debian" is an open category',
    ),
    '[categories.x]\ntop = "debian"': ('has the same top as "x" in ',),
    MIRROR.replace('"https://x.example.org/"', '{urls = ["https://x/"], include = ["/"]}'): (
        'mirrors.x.categories.debian.include[0]: the path "/" is empty',
    ),
    # Repositories
    "[repositories.r]": ("1: repositories.r.category: is missing; name the category",),
    '[repositories.r]\ncategory = "debain"': ('2: repositories.r.category: there is no category "debain"; did you',),
    '[repositories.r]\ncategory = "debian"\npath = "{arch}"': ("has {arch}, but the repository lists no arches",),
    '[repositories.r]\ncategory = "debian"\npath = "{basearch}"': ("has braces other than {arch}",),
    '[repositories.r]\ncategory = "debian"\narches = ["a", "b"]': ("a, b would share one directory; put {arch} into",),
    '[repositories.r]\ncategory = "debian"\narches = []': ("is empty; give at least one value",),
    '[repositories.r]\ncategory = "debian"\narches = ["a", "a"]': ('the architecture "a" is listed twice',),
    '[repositories.r]\ncategory = "debian"\narches = ["a", 5]': ("something else than names",),
    '[repositories.r]\ncategory = "debian"\narches = ["a b"]': ('3: repositories.r.arches: "a b" cannot be a name',),
    '[repositories.r.arches]\na = "x"': ("2: repositories.r.arches.a: has no category",),
    '[repositories.r.arches]\na = {category = "y"}': ('2: repositories.r.arches.a.category: there is no category "y"',),
    '[repositories.r]\nalias = "debain"': ('2: repositories.r.alias: there is no repository "debain"; did you mean',),
    '[repositories.r]\nalias = "debian"\ncategory = "debian"': ("an alias has no other keys, but this one has cat",),
    '[repositories.r]\nalias = "r"': ("2: repositories.r.alias: the aliases form a loop: r -> r",),
    '[repositories.c]\nalias = "a"\n[repositories.a]\nalias = "b"\n[repositories.b]\nalias = "a"': (
        "4: repositories.a.alias: the aliases form a loop: a -> b -> a",
    ),
    # Files
    A_FILE + '[repositories.r]\ncategory = "debian"\nfiles = 5': ("is not valid TOML",),
    '[repositories.r]\ncategory = "debian"\n' + A_FILE + 'arch = "a"': ("the repository has no architectures",),
    '[repositories.r]\ncategory = "debian"\narches = ["x86"]\n' + A_FILE + 'arch = "x68"': (
        '8: repositories.r.files[0].arch: there is no architecture "x68"; did you mean "x86"?',
    ),
    '[repositories.r]\ncategory = "debian"\npath = "{arch}"\narches = ["a", "b"]\n' + A_FILE: (
        "5: repositories.r.files[0].arch: is missing; name the architecture of the file: a, b",
    ),
    '[repositories.r]\ncategory = "debian"\n' + A_FILE + A_FILE.replace("size = 2", "size = 3"): (
        '7: repositories.r.files[1]: "f" has other details in ',
    ),
    '[repositories.r]\ncategory = "debian"\n' + A_FILE + '[repositories.s]\ncategory = "debian"\npath = "f/x"': (
        'repositories.r.files[0]: "f" is a file here and a directory elsewhere: "f/x" is below it; rename one of them',
    ),
    '[repositories.r]\ncategory = "debian"\n' + A_FILE + '[repositories.s]\ncategory = "debian"\npath = "f"': (
        'repositories.r.files[0]: "f" is a file here and a directory elsewhere: the repository "s" is there; rename',
    ),
    '[repositories.r]\ncategory = "debian"\n' + A_FILE + 'sha1 = "xyz"': ('"xyz" is no sha1: it has 40 hexadecimal',),
    '[repositories.r]\ncategory = "debian"\n' + A_FILE.replace("size = 2", "size = -2"): (
        "found -2; allowed are 0 to",
    ),
    '[repositories.r]\ncategory = "debian"\n' + A_FILE.replace("= 1", "= 1700000000000"): (
        "found 1700000000000; allowed are seconds since 1970",
    ),
    # What the prober reads
    '[categories.x]\nmaster = "pub/x"': ('"pub/x" is neither a URL nor the absolute path of a folder',),
    '[categories.x]\nmaster = "rsync://h/x/"': ('the prober cannot read "rsync://h/x/"; give a URL of http or https',),
    '[categories.x]\nmaster = "/srv/../x"': ("has a `.` or `..` segment",),
    '[categories.x]\nmaster = "https://h/?x"': ("has a query or fragment",),
    '[categories.x]\nmaster = "/x"\nstamp = ""': ('3: categories.x.stamp: the path "" is empty',),
    '[repositories.r]\ncategory = "debian"\nfresh = "12"': (
        "3: repositories.r.fresh: '12' is not a duration; write a number and one of w, d, h, m, s, as in 12h",
    ),
    '[repositories.r]\ncategory = "debian"\nmax_lag = 12': ('without a unit; write a duration, as in "12h"',),
    '[repositories.r]\ncategory = "debian"\nmax_lag = true': ("found true; expected a whole number",),
    '[repositories.r]\ncategory = "debian"\nfresh = "1s"': ("found '1s'; allowed are 1m to 52w2d",),
    '[repositories.r]\ncategory = "debian"\nfresh = "25h"': (
        "3: repositories.r.fresh: fresh is 1d1h, more than max_lag, which is 1d: a mirror would be left out",
    ),
    '[repositories.r]\ncategory = "debian"\nmax_lag = "11h"': ("3: repositories.r.max_lag: fresh is 12h, more",),
    'contact = "staff"': ('1: contact: "staff" is neither a web page nor a mail address',),
    'contact = "ftp://h/"': ('1: contact: "ftp://h/" is neither a web page nor a mail address',),
    'contact = "me (here)@example.org"': ("is neither a web page nor a mail address",),
    # Mirrors and overrides
    MIRROR + "private = true\nfallback = true\nasns = [1]": (
        "a mirror cannot be both private and the last resort of all clients",
    ),
    '[overrides.neighbours]\nSE = ["NO", ["DK"]]': ("mixes countries and groups",),
    '[overrides.neighbours]\nSE = ["NO", "XX"]': ('2: overrides.neighbours.SE[1]: "XX" is not a country code',),
    "[overrides.neighbours]\nSE = [[]]": ("2: overrides.neighbours.SE[0]: is empty",),
    f"[overrides.neighbours]\nSE = {[['NO']] * 91}": ("has 91 groups; at most 90 are allowed",),
}


@pytest.mark.parametrize("text", MISTAKES)
def test_mistakes_are_refused_with_place_and_remedy(tmp_path: Path, text: str) -> None:
    """Each mistake refuses the compilation and says where it is, what was found and what is allowed."""
    complaints = complaints_of(tmp_path, f"{text}\n{SMALL}")
    mistakes = [str(complaint) for complaint in complaints if not complaint.warning]
    assert len(mistakes) == len(MISTAKES[text]), mistakes
    for found, expected in zip(mistakes, MISTAKES[text], strict=True):
        assert expected in found.replace(f"{tmp_path}/mirrors.toml:", "", 1)


EXCLUSIVE = MIRROR + 'netblocks = [{prefix = "192.0.2.0/24", exclusive = true}]\n'
NEAR = MIRROR.replace("x", "y") + 'netblocks = ["{}"]\n'
WARNINGS = {
    MIRROR + "private = true": "4: warning: mirrors.x.private: has neither netblocks nor asns, so it is never offered",
    MIRROR + "fallback = true\nasns = [1]": "warning: mirrors.x.fallback: netblocks and asns have no effect",
    "[mirrors.x]\ncountry = 'DE'": "1: warning: mirrors.x: has no categories, so it is never offered",
    MIRROR.replace('country = "DE"', ""): "warning: mirrors.x: has no country",
    MIRROR + 'netblocks = ["192.0.2.0/24", {prefix = "192.0.2.0/24"}]': (
        "4: warning: mirrors.x.netblocks[1]: the netblock 192.0.2.0/24 is listed twice"
    ),
    MIRROR + 'netblocks = ["192.0.2.0/24", "192.0.2.0/24", "192.0.2.0/24", "192.0.2.0/24"]': (
        "4: warning: mirrors.x.netblocks[1]: the netblock 192.0.2.0/24 is listed twice, and 2 more of its netblocks"
    ),
    MIRROR + 'worldwide = true\nalso_countries = ["AT"]': "mirrors.x.also_countries: has no effect on a worldwide",
    MIRROR + "worldwide = true\nfallback = true": "mirrors.x.worldwide: has no effect on a fallback mirror",
    MIRROR + 'private = true\nalso_countries = ["AT"]\nasns = 1': "has no effect on a private mirror",
    MIRROR.replace("DE", "Germany"): '2: note: mirrors.x.country: "Germany" is read as DE',
    MIRROR + 'netblocks = ["10.0.0.0/7"]': "warning: mirrors.x.netblocks[0]: 10.0.0.0/7 is very wide",
    MIRROR + 'netblocks = ["2000::/15"]': "2000::/15 is very wide",
    MIRROR.replace("//x.", "//m.").replace("org/", "org/debian"): "is also the URL of",
    MIRROR.replace('"https://x.example.org/"', '{urls = "https://x/", arches = ["arm"]}')
    + MIRROR.replace('"https://x.example.org/"', '{urls = "https://y/", arches = ["arm"]}').replace("rs.x", "rs.y"): (
        '3: warning: mirrors.x.categories.debian.arches: no repository of "debian" has the architecture "arm"; it has'
        " no effect, and at 1 more mirrors"
    ),
    MIRROR.replace('"https://x.example.org/"', '{urls = ["https://x/"], include = ["a/b"], exclude = ["a"]}'): (
        "mirrors.x.categories.debian.exclude: excludes everything that it includes"
    ),
    EXCLUSIVE + NEAR.format("192.0.2.0/24"): (
        '8: warning: mirrors.y.netblocks[0]: clients in 192.0.2.0/24 get only "x", whose netblock is exclusive, and'
        " will not be offered this mirror; make this one exclusive, too, or that one not"
    ),
    EXCLUSIVE + NEAR.format("192.0.2.128/25"): 'mirrors.y.netblocks[0]: clients in 192.0.2.0/24 get only "x"',
    LISTED
    + '[repositories.r]\ncategory = "epel"\npath = "9"': "4: warning: repositories.r: no mirror carries it: no act",
    LISTED + '[repositories.r]\ncategory = "epel"\npath = "8"': 'the category lists no directory "8"',
    LISTED
    + '[repositories.r]\ncategory = "epel"\npath = "{arch}"\narches = ["7"]': "warning: repositories.r.arches.7:",
    "[categories.x]\n[repositories.r]\ncategory = 'x'\n"
    + MIRROR.replace("debian", "x")
    + "active = false": "no mirror carries it",
    '[categories.x]\nstamp = "TIME"': "2: warning: categories.x.stamp: has no effect without a master",
    '[overrides.netblocks]\n"0.0.0.0/0" = "DE"': "0.0.0.0/0 is very wide: all clients in it count as clients in DE",
    '[overrides.neighbours]\nSE = ["SE", "NO"]': "2: warning: overrides.neighbours.SE: SE is its own neighbour",
    '[overrides.neighbours]\nSE = [["NO"], ["NO"]]': "overrides.neighbours.SE[1]: NO is listed twice",
}


@pytest.mark.parametrize("text", WARNINGS)
def test_suspicious_things_are_warned_about_and_compiled(tmp_path: Path, text: str) -> None:
    """What surely was not meant is named, and compiles all the same."""
    complaints = complaints_of(tmp_path, f"{text}\n{SMALL}")
    assert [complaint.warning for complaint in complaints] == [True], complaints
    assert WARNINGS[text] in str(complaints[0])


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(EXCLUSIVE + NEAR.format("192.0.2.0/24").replace('"192.0.2.0/24"', "{}"), id="both exclusive"),
        pytest.param(EXCLUSIVE + NEAR.format("192.0.0.0/16"), id="wider"),
        pytest.param(EXCLUSIVE + NEAR.format("2001:db8::/32"), id="elsewhere"),
        pytest.param(EXCLUSIVE + "active = false\n" + NEAR.format("192.0.2.0/24"), id="inactive"),
        pytest.param(EXCLUSIVE + NEAR.format("192.0.2.0/24") + "active = false\n", id="inactive other"),
        pytest.param(
            "[categories.other]\n" + EXCLUSIVE + NEAR.format("192.0.2.0/24").replace("debian", "other"),
            id="other categories",
        ),
        pytest.param(
            EXCLUSIVE + MIRROR.replace("x", "y") + 'netblocks = ["192.0.2.0/25", {prefix = "192.0.2.0/24",'
            " exclusive = true}]",
            id="its own exclusive netblock around",
        ),
    ],
)
def test_an_exclusive_netblock_that_takes_nobodys_clients(tmp_path: Path, text: str) -> None:
    """No warning where both mirrors, or not both of the same content, are offered to the netblock's clients."""
    text = text.replace("[{}]", '[{prefix = "192.0.2.0/24", exclusive = true}]')
    assert complaints_of(tmp_path, text + SMALL) == []


def test_all_mistakes_of_all_files_come_at_once(tmp_path: Path) -> None:
    """One run shows everything: syntax of one file, types of another, references across, one value hiding none."""
    (tmp_path / "a.toml").write_text("[mirrors.x\n", encoding="utf-8")
    (tmp_path / "b.yaml").write_text("mirrors:\n  y:\n    country: XX\n    categories: {nope: 'https://y/'}\n", "utf-8")
    (tmp_path / "c.json").write_text('{"repositories": {\n"r": {"category": "none"}}}', encoding="utf-8")
    with pytest.raises(SourceError) as caught:
        read_sources([tmp_path])
    places = [(Path(one.file).name, one.line, one.key) for one in caught.value.complaints]
    assert places == [
        ("a.toml", 1, ""),
        ("b.yaml", 3, "mirrors.y.country"),
        ("b.yaml", 4, "mirrors.y.categories.nope"),
        ("c.json", 2, "repositories.r.category"),
    ]
    assert str(caught.value).splitlines() == [str(one) for one in caught.value.complaints]


@pytest.mark.parametrize(("word", "hint"), [("yes", "true"), ("no", "false"), ("On", "true"), ("off", "false")])
def test_yaml_words_for_booleans(tmp_path: Path, word: str, hint: str) -> None:
    """YAML 1.2 takes yes and no for text: the complaint says what to write."""
    text = f"mirrors:\n  m: {{country: DE, private: {word}}}\n"
    complaints = [str(one) for one in complaints_of(tmp_path, text, "m.yaml")]
    assert any(f'found the text "{word}"; expected true or false; write {hint}' in one for one in complaints)


def test_a_quote_that_is_not_closed(tmp_path: Path) -> None:
    """A TOML string that runs into the end of its line is named as what it is."""
    (found,) = complaints_of(tmp_path, '[mirrors.x]\ncountry = "DE\n' + SMALL)
    assert found.line == 2
    assert found.message.endswith(r"Illegal character '\n' (a quote is not closed on this line)")


def test_a_flawed_record_causes_no_echo(tmp_path: Path) -> None:
    """A value that was refused is not also reported as missing, nor is what it named."""
    text = MIRROR.replace("DE", "XX") + 'private = true\nasns = ["x"]\n[categories]\nc = 5\n'
    complaints = complaints_of(tmp_path, text + '[repositories.r]\ncategory = "c"\n' + SMALL)
    assert [one.key for one in complaints] == [
        "mirrors.x.country",
        "mirrors.x.asns[0]",
        "categories.c",
    ]


def test_files_add_up_and_the_same_name_twice_is_a_mistake(tmp_path: Path) -> None:
    """Records of all files make one description; a second one of the same name names both places."""
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "m.toml").write_text(SMALL, encoding="utf-8")
    (tmp_path / "two.json").write_text(json.dumps({"mirrors": {"n": {"country": "FR"}}}), encoding="utf-8")
    records, _ = read_sources([tmp_path])
    assert {mirror.name for mirror in records.mirrors} == {"m", "n"}
    (tmp_path / "two.json").write_text('{"mirrors":\n{"m": {"country": "FR"}},\n"overrides":\n{}}', encoding="utf-8")
    (tmp_path / "x.toml").write_text("overrides.continents.IL = 'EU'", encoding="utf-8")
    (tmp_path / "y.yml").write_text("overrides:\n  continents:\n    il: EU\n", encoding="utf-8")
    with pytest.raises(SourceError) as caught:
        read_sources([tmp_path])
    texts = [str(one).replace(f"{tmp_path}/", "") for one in caught.value.complaints if not one.warning]
    assert texts == [
        'two.json:2: mirrors.m: "m" is described twice; the other description is in one/m.toml:5',
        'y.yml:3: overrides.continents.il: "IL" is described twice; the other description is in x.toml:1',
    ]


@pytest.mark.parametrize("given", ["none", "overrides only", "empty"])
def test_description_of_nothing_is_refused(tmp_path: Path, given: str) -> None:
    """No mirrors or no repositories would take every mirror from every client: refused, not compiled."""
    text = {"none": "[categories.x]", "overrides only": "overrides.continents.IL = 'EU'", "empty": ""}[given]
    assert [one.key for one in complaints_of(tmp_path, text) if not one.warning] == ["mirrors", "repositories"]


keys = st.sampled_from(
    (
        *("mirrors", "categories", "repositories", "overrides", "debian", "epel", "country", "urls", "netblocks"),
        *("prefix", "exclusive", "asns", "include", "exclude", "directories", "kind", "top", "files", "path", "arch"),
        *(
            "arches",
            "alias",
            "timestamp",
            "alternates",
            "neighbours",
            "continents",
            "SE",
            "private",
            "$schema",
            "[key]",
        ),
    )
) | st.text(max_size=5)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["DE", "https://h/", "listed", "192.0.2.0/24", "debian", "AS1", "{arch}", "\ud800"])
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4), max_leaves=15
)


@settings(max_examples=200, deadline=None)
@given(place=st.integers(0), value=values, remove=st.booleans(), name=st.sampled_from(["x.json"] * 4 + ["x.yaml"]))
def test_any_change_of_a_document_gives_records_or_complaints(
    place: int, value: object, name: str, *, remove: bool
) -> None:
    """A document with any value anywhere gives records that compile and encode, or SourceError: nothing else."""
    document: Any = {"root": tomllib.loads(FULL)}
    paths = paths_of(document)
    path = paths[place % len(paths)]
    parent = document
    for key in path[:-1]:
        parent = parent[key]
    if remove:
        del parent[path[-1]]
    else:
        parent[path[-1]] = value
    with TemporaryDirectory() as folder:
        file = Path(folder) / name
        file.write_text(json.dumps(document.get("root", {})), encoding="utf-8")
        try:
            records, _ = read_sources([file])
        except SourceError as error:
            text = str(error)
        else:
            snapshot = compile_snapshot(records, serial=1, built=1, generator="test")
            text = decode(encode(snapshot)).generator
    assert text.encode().strip()


@pytest.mark.slow
def test_schema_is_a_schema_that_describes_everything() -> None:
    """Editors get a valid draft 2020-12 schema with a description for every key, and it takes every key there is."""
    schema: Any = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    tables = [schema, *schema["$defs"].values()]
    missing = [
        (table["title"], key)
        for table in tables
        for key, value in table.get("properties", {}).items()
        if not value.get("description")
    ]
    assert not missing
    jsonschema.validate(tomllib.loads(FULL), schema)


@pytest.mark.parametrize("text", ["mirors = 1", MIRROR + "bandwidth = 0", MIRROR.replace("https", "x")])
def test_schema_refuses_mistakes(text: str) -> None:
    """The schema finds in the editor what the compiler would find later."""
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tomllib.loads(f"{text}\n{SMALL}"), json_schema())
