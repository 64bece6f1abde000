"""Imported, compiled and asked: clients of six countries get first whom the network's own rule would give them.

Each model reads the list by itself, slowly, and knows nothing of the importers.
"""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest
from ruamel.yaml import YAML

from support import mirror_lists as lists
from support.worlds import ask, decider

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENTS: Final = {"DE": "EU", "FR": "EU", "US": "NA", "JP": "AS", "BR": "SA", "ZA": "AF"}
"""Countries whose clients ask, and their continents."""
NAMES: Final = {
    "Germany": "DE",
    "France": "FR",
    "FRA": "FR",
    "United States": "US",
    "United States (USA)": "US",
    "USA": "US",
    "Japan": "JP",
    "Brazil": "BR",
    "South Africa": "ZA",
    "UK": "GB",
}
CONTINENTS: Final = {**CLIENTS, "GB": "EU", "PL": "EU", "RU": "EU", "IT": "EU"}
PLACES: Final = {
    f"192.0.2.{200 + number}": (country, continent, 0) for number, (country, continent) in enumerate(CLIENTS.items())
}


@dataclass
class Site:
    """A mirror as a model sees it."""

    host: str
    countries: tuple[str, ...] = ()
    """The first is where it is."""
    continent: str = ""
    world: bool = False
    allowed: frozenset[str] | None = None

    def continent_of_it(self) -> str:
        """Where it is."""
        return self.continent or CONTINENTS.get(next(iter(self.countries), ""), "")


def code(text: str) -> str:
    """The code of a country as the lists write it."""
    return NAMES.get(text, text.upper() if len(text) == 2 else "")


def offered(sites: list[Site], country: str, groups: dict[str, list[str]] | None = None) -> set[str]:
    """Whom a client gets first: its country's own, else those of the countries of its group, its continent, anyone."""
    usable = [site for site in sites if site.allowed is None or country in site.allowed]
    ranks = [[site for site in usable if site.world or country in site.countries]]
    ranks += [[site for site in usable if near in site.countries] for near in (groups or {}).get(country, ())]
    ranks.append([site for site in usable if CLIENTS[country] == site.continent_of_it()])
    return {site.host for site in next(filter(None, [*ranks, usable]), [])}


def host(url: str) -> str:
    """The host of a URL."""
    return re.sub(r"^\w+://|[:/].*$", "", url)


def debian() -> Iterator[Site]:
    """choose-mirror: the mirrors of a country that have the archive; a GeoDNS site without a country is for all."""
    for paragraph in lists.DEBIAN.split("\n\n"):
        countries = tuple(re.findall(r"^Country: (..)", paragraph, re.MULTILINE))
        if "Archive-http" in paragraph:
            yield Site(re.findall(r"^Site: (\S+)", paragraph, re.MULTILINE)[0], countries, world=not countries)


def devuan() -> Iterator[Site]:
    """The names of each country in DNS: active mirrors that list its code."""
    for paragraph in lists.DEVUAN.split("\n\n"):
        facts = dict(re.findall(r"^(\w+): +(.*)$", paragraph, re.MULTILINE))
        if facts["Active"] == "yes":
            codes = re.findall(r"\b[A-Z]{2}\b", facts.get("CountryCode", "")) or [code(facts["Country"])]
            yield Site(host(f"http://{host(facts['BaseURL'])}"), tuple(codes))


def almalinux() -> Iterator[Site]:
    """The service's rule for clients in no subnet of a mirror: public mirrors, nearest first."""
    for name, text in lists.ALMALINUX.items():
        one: Any = YAML(typ="safe", pure=True).load(text)
        if name != "config.yml" and not one.get("private"):
            place = one["geolocation"]
            found = code(str(place.get("country", "")))
            yield Site(host(next(iter(one["address"].values()))), (found,) if found else (), "" if found else "AF")


def csv() -> Iterator[Site]:
    """A list by country."""
    for row in lists.CSV.splitlines()[1:]:
        cells = row.split(";")
        if "://" in cells[1]:
            yield Site(host(cells[1]), (code(cells[2]),))


def json_table() -> Iterator[Site]:
    """A list by country; one is switched off."""
    for row in json.loads(lists.JSON)["mirrors"]:
        if row.get("active") is not False:
            yield Site(host(row["https"]), (row["geo"]["code"],))


def pacman() -> Iterator[Site]:
    """The generator of such lists: the servers below the heading of a country, and those of the whole world."""
    heading = ""
    for line in lists.PACMAN.splitlines():
        if line.startswith("##"):
            heading = re.sub(r"^## *(?:Country : )?|.*\(.*, |\)$", "", line)
        elif "Server" in line:
            yield Site(host(line.partition("= ")[2]), (code(heading),), world=heading == "Worldwide")


def arch_status() -> Iterator[Site]:
    """The same, from the status page: active mirrors only."""
    for row in json.loads(lists.ARCH_STATUS)["urls"]:
        if row["active"] and row["protocol"] != "rsync":
            yield Site(host(row["url"]), (row["country_code"],), world=not row["country_code"])


def mirrorbits() -> Iterator[Site]:
    """The filter of mirrorbits: enabled, and for the client's country, continent or AS if it says so."""
    for part in re.split(r"^(?=Name:)", lists.MIRRORBITS, flags=re.MULTILINE)[1:]:
        facts = dict(re.findall(r"^(\w+): (.*)$", part, re.MULTILINE))
        countries = tuple(facts["CountryCodes"].split())
        allowed = None
        if facts.get("CountryOnly") == "true":
            allowed = frozenset(countries)
        if facts.get("ContinentOnly") == "true":
            allowed = frozenset(one for one, its in CONTINENTS.items() if its == facts["ContinentCode"])
        if facts["Enabled"] == "true" and facts.get("ASOnly") != "true":
            yield Site(host(facts["HttpURL"]), countries, allowed=allowed)


def mirrorbrain() -> Iterator[Site]:
    """The groups of mod_mirrorbrain: same country and wildcards, other countries, region, elsewhere."""
    yield Site("de1.brain.example", ("DE", "FR"))
    yield Site("it.brain.example", ("IT",))
    for row in re.findall(r"^\d+\t.*\t.*$", lists.MIRRORBRAIN, re.MULTILINE):
        cells = row.split("\t")
        if len(cells) > 15 and cells[3] == "t" and cells[12] == "f":
            country = cells[5].upper()
            allowed = frozenset((country,)) if cells[10] == "t" else None
            if cells[11] == "t":
                allowed = frozenset(one for one, its in CONTINENTS.items() if its == cells[4].upper())
            yield Site(host(cells[2]), (country,), world=country == "**", allowed=allowed)


def mirrorcache() -> Iterator[Site]:
    """MirrorCache's order: the country first, then the region; a server without a country has its region alone."""
    for row in json.loads(lists.MIRRORCACHE):
        if row["enabled"]:
            countries = (row["country"].upper(),) if row["country"] else ()
            yield Site(row["hostname"], countries, row["region"].upper())
    yield Site("pl.cache.example", ("PL",))


def gentoo() -> Iterator[Site]:
    """The groups of the document, which mirrorselect offers by country and region."""
    known: dict[str, Site] = {}
    for group in ET.fromstring(lists.GENTOO):
        country = group.get("country") or code(group.get("countryname") or "")
        continent = "AF" if group.get("region") == "Africa" else ""
        for uri in group.iter("uri"):
            if uri.get("protocol") != "rsync":
                site = known.setdefault(host(str(uri.text)), Site(host(str(uri.text)), (), continent))
                site.countries = (*site.countries, country)
    yield from known.values()


def centos() -> Iterator[Site]:
    """The list by country; `GROUPS` has whose mirrors come next."""
    for row in lists.CENTOS_CSV.splitlines()[1:]:
        cells = [cell.strip('"') for cell in row.split(",")]
        yield Site(host(cells[4]), (code(cells[1]),), "AF" if cells[0] == "Africa" else "")


def cpan() -> Iterator[Site]:
    """The country in the location, which stands before the continent."""
    for part in re.split(r"\n(?=\S+\.example:?\n)", lists.CPAN)[1:]:
        place = re.findall(r'dst_location += "([^("]*)', part)[0].strip().split(", ")
        yield Site(host(re.findall(r'dst_http += "(.*)"', part)[0]), (code(place[-2]),), world=place[-1] == "Global")
    yield Site("fr.cpan.example", ("FR",))


def cran() -> Iterator[Site]:
    """chooseCRANmirror: by country, `0-Cloud` for all; rows that are not OK are left out."""
    for row in re.findall(r"^.*://.*$", lists.CRAN, re.MULTILINE):
        found = re.findall(r"(\w+://[^,]*),.*,(\d),(\w\w),", row)[0]
        if found[1] == "1":
            yield Site(host(found[0]), (found[2].upper(),), world=row.startswith('"0-Cloud'))


def alpine() -> Iterator[Site]:
    """A list by location."""
    for row in YAML(typ="safe", pure=True).load(lists.ALPINE):
        place = str(row["location"]).split(", ")[-1]
        yield Site(host(row["urls"][0]), (code(place),), world=place == "Global CDN")


def ubuntu() -> Iterator[Site]:
    """Lists for apt by country: the items with its code."""
    for item in lists.UBUNTU.split("<item>")[1:]:
        yield Site(
            host(re.findall(r"<link>(.*?)</link>", item)[0]), tuple(re.findall(r"<mirror:countrycode>(..)<", item))
        )


def mirmon() -> Iterator[Site]:
    """A list by country."""
    for cells in map(str.split, lists.MIRMON.splitlines()):
        if len(cells) > 1 and cells[0] != "#":
            country, url = cells[1:3] if cells[0] == "http" else cells[:2]
            yield Site(host(url), (NAMES.get(country.upper(), country.upper()),))


MODELS: Final = {
    "debian": debian,
    "devuan": devuan,
    "almalinux": almalinux,
    "csv": csv,
    "json": json_table,
    "pacman": pacman,
    "arch-status": arch_status,
    "mirrorbits": mirrorbits,
    "mirrorbrain": mirrorbrain,
    "mirrorcache": mirrorcache,
    "gentoo": gentoo,
    "centos": centos,
    "cpan": cpan,
    "cran": cran,
    "alpine": alpine,
    "ubuntu": ubuntu,
    "mirmon": mirmon,
}
GROUPS: Final = {"centos": {"DE": ["FR", "US"], "FR": ["DE", "GB"], "ZA": ["BR"]}}
REPOSITORIES: Final = {"almalinux": "baseos-9"}


@pytest.mark.parametrize("kind", MODELS)
def test_clients_get_first_whom_the_network_would_give_them(kind: str) -> None:
    """The first tier of each country's list has the mirrors that the network's own rule has for it, and no others."""
    source = lists.source_of(lists.imported(kind))
    world = decider(source, places=PLACES)
    repository = REPOSITORIES.get(kind) or next(iter(source["repositories"]))
    sites = list(MODELS[kind]())
    expected, found = {}, {}
    for address, (country, *_) in PLACES.items():
        rows = json.loads(ask(world, f"repo={repository}&format=json&limit=100", address).body)
        found[country] = {host(row["url"]) for row in rows if row["tier"] == rows[0]["tier"]}
        expected[country] = offered(sites, country, GROUPS.get(kind))
    assert found == expected
    assert len({frozenset(hosts) for hosts in found.values()}) > 3, "the fixture must tell countries apart"


def test_every_format_has_a_model() -> None:
    """A format whose list says where mirrors are has a model of its rule; a list of URLs says nothing."""
    assert {*MODELS, "urls"} == {*lists.LISTS}


def test_an_architecture_of_debian_is_found_where_it_is() -> None:
    """`repo=debian&arch=riscv64` has the mirrors whose paragraph names it; without `arch=`, all."""
    world = decider(lists.source_of(lists.imported("debian")), places=PLACES)
    found = ask(world, "repo=debian&arch=riscv64&limit=100", "192.0.2.201").body.decode()
    assert [host(line) for line in found.splitlines()[1:]] == ["ftp.de.debian.example"]
    assert len(ask(world, "repo=debian&limit=100", "192.0.2.201").body.splitlines()) == 8


@pytest.mark.parametrize(("address", "private"), [("192.0.2.9", True), ("192.0.2.200", False)])
def test_a_monopoly_is_what_its_networks_get_alone(address: str, *, private: bool) -> None:
    """AlmaLinux' rule for subnets: inside, only the mirror with the monopoly; outside, never it."""
    world = decider(lists.source_of(lists.imported("almalinux")), places={**PLACES, "192.0.2.9": ("DE", "EU", 0)})
    found = ask(world, "repo=baseos-9&limit=100", address).body.decode()
    assert ("de2.alma.example" in found) is private
    assert ("de1.alma.example" in found) is not private


def test_a_prefix_of_mirrorbrain_comes_first() -> None:
    """mod_mirrorbrain's first group: a client in a mirror's prefix gets that mirror before those of its country."""
    source = lists.source_of(lists.imported("mirrorbrain"))
    world = decider(source, places={"203.0.113.9": ("US", "NA", 0)})
    rows = json.loads(ask(world, "repo=mirrors&format=json", "203.0.113.9").body)
    assert (host(rows[0]["url"]), rows[0]["tier"]) == ("de1.brain.example", "netblock")


def test_almalinux_leaves_the_architecture_to_dnf() -> None:
    """URLs have `$basearch` in them, as those of AlmaLinux' own service have; modules have their own tree."""
    world = decider(lists.source_of(lists.imported("almalinux")), places=PLACES)
    assert "https://de1.alma.example/almalinux/9.8/BaseOS/$basearch/os/" in ask(world, "repo=baseos-9").body.decode()
    kitten = ask(world, "repo=baseos-10-kitten").body.decode().splitlines()
    assert kitten[1:] == ["https://de1.alma.example/almalinux-kitten/10-kitten/BaseOS/$basearch/os/"]
