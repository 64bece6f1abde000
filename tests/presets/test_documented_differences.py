"""Rows of docs/mirrormanager.md, What is different, and why: each is what the preset, or the import, really does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from mirrorlist_snapshot.compiler import compile_snapshot
from mirrorlist_snapshot.source.mirrormanager import read_mirrormanager
from mirrorlistd.answering.decider import Decider
from mirrorlistd.answering.plan import AnswerSettings
from mirrorlistd.geo.locate import Geo
from mirrorlistd.presets import MIRRORMANAGER
from mirrorlistd.selection.index import Index
from support.caches import (
    BANDWIDTH,
    COUNTRY,
    NETBLOCK,
    REDIRECT,
    REPOSITORY,
    URL,
    directory,
    encode,
    file_details,
    pair,
    small_cache,
)
from support.geo_databases import write_records
from support.paths import ROOT
from support.worlds import DE, FR, JP, PLACES, US, Map, ask, at, decider, hosts, mirror, network, urls

if TYPE_CHECKING:
    from pathlib import Path

    from mirrorlistd.answering.answer import Answer

PAGE: Final = (ROOT / "docs" / "mirrormanager.md").read_text("utf-8")
TABLES: Final = PAGE[PAGE.index("### What is different, and why") :]
ROWS: Final = {cells[1].strip(): line for line in TABLES.splitlines() if (cells := line.split("|"))[1:]}


def row(first_cell: str) -> str:
    """A row of the page's tables by its first cell; the test that names it holds it."""
    assert first_cell in ROWS, first_cell
    return ROWS[first_cell]


def asked(query: str, client: str | None = DE, **fields: dict[str, Any]) -> Answer:
    """A list of a network of four countries, by the preset, with more fields for some mirrors."""
    mirrors = {name: mirror(name.upper(), **fields.get(name, {})) for name in ("de", "fr", "jp", "us")}
    source = network(mirrors, repositories={"r": {"category": "c", "path": "os/{arch}", "arches": ["x"]}})
    return ask(decider(source, preset=MIRRORMANAGER, minimum=1), query, client)


def header(reply: Answer) -> str:
    """The first line of a list."""
    return reply.body.decode().partition("\n")[0]


LIST: Final = "repo=r&arch=x"


@pytest.mark.parametrize(
    "path", ["c/os/..", "c/./os", "c/../c/os", "..", "c/os/%2e%2e", "c/%2e/os/", "c/os/x/../y.iso"]
)
def test_dot_segments_are_refused(path: str) -> None:
    """Whatever the spelling of `.` or `..`, the status is 400."""
    assert "| 400 |" in row("`.` or `..` in `path=`")
    assert asked(f"path={path}").status == 400


def test_protocols_have_no_case() -> None:
    """`protocol=HTTPS` is `protocol=https`."""
    assert "| as `https` |" in row("`protocol=HTTPS`")
    assert asked(f"{LIST}&protocol=HTTPS") == asked(f"{LIST}&protocol=https")


@pytest.mark.parametrize(
    ("odd", "plain"),
    [
        ("country=DE,,FR", "country=DE,FR"),
        ("country=,", ""),
        ("country=,,", ""),
        ("protocol=https,", "protocol=https"),
        ("protocol=,", ""),
    ],
)
def test_empty_items_are_ignored(odd: str, plain: str) -> None:
    """An empty item names nothing; a list of nothing else leaves even the netblock tier on."""
    assert "ignored" in row("empty items (`country=DE,,FR`, `country=,`, `protocol=https,`)")
    fields: dict[str, Any] = {"us": {"netblocks": [f"{DE}/32"]}}
    assert asked(f"{LIST}&{odd}", **fields) == asked(f"{LIST}&{plain}", **fields)


@pytest.mark.parametrize("refusal", [{"denied_countries": ["JP"]}, {"allowed_countries": ["DE"]}])
def test_countries_that_refuse_the_client_fall_on(refusal: dict[str, Any]) -> None:
    """Mirrors that refuse the client count as none: the continent's are given, else the client's own."""
    assert "| 200 without a URL | the mirrors of their continents" in row(
        "`country=` whose mirrors all refuse the client's country"
    )
    assert hosts(asked(f"{LIST}&country=DE", JP, de=refusal)) == ["fr"]
    assert hosts(asked(f"{LIST}&country=US", JP, us=refusal)) == ["jp"]


def test_two_countries_without_mirrors_give_both_continents() -> None:
    """`country=PL,KR`: mirrors of Europe and Asia, each of their countries once in the header."""
    row("`country=` with two countries without mirrors")
    reply = asked(f"{LIST}&country=PL,KR", US)
    assert sorted(hosts(reply)) == ["de", "fr", "jp"]
    assert header(reply) == "# repo = r arch = x country = DE country = FR country = JP "
    assert header(asked(f"{LIST}&country=PL,ES", US)) == "# repo = r arch = x country = DE country = FR "


def test_nothing_to_offer_is_a_404_with_its_reason() -> None:
    """A protocol that no mirror has, and countries that are not allowed, give 404."""
    assert "| 200 without a URL | 404 " in row(
        "no mirror can be offered (`protocol=` that no mirror has, countries not allowed, ...)"
    )
    only_de = {name: {"allowed_countries": ["DE"]} for name in ("de", "fr", "jp", "us")}
    for reply in (asked(f"{LIST}&protocol=ftp"), asked(LIST, JP, **only_de)):
        assert reply.status == 404
        assert reply.body.startswith(b"no mirror")


def imported(folder: Path, *rows: Any, places: Any = None, csv: Path | None = None) -> Decider:
    """What decides over the small cache of the tests with more rows."""
    cache = folder / "mirrorlist_cache.proto"
    cache.write_bytes(encode([*small_cache(), *rows]))
    records = read_mirrormanager(cache, country_continent=csv).records
    snapshot = compile_snapshot(records, serial=1, built=1, generator="")
    geo: Any = Map(PLACES if places is None else places)
    return Decider(Index(snapshot, MIRRORMANAGER.heaviest), geo, AnswerSettings(preset=MIRRORMANAGER, minimum=1))


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("repo=r&arch=a+b", 404),
        ("repo=r&arch=a%2Bb", 404),
        ("repo=r&arch=b", 404),
        ("repo=r+a&arch=b", 200),
        ("repo=r%2Ba&arch=b", 200),
    ],
)
def test_a_plus_belongs_to_the_repository(query: str, status: int, tmp_path: Path) -> None:
    """The key `r+a+b` is repository `r+a`, architecture `b`."""
    assert "repository `r+a`, architecture `b`" in row("an architecture with `+` (`repo=r&arch=a+b`)")
    world = imported(tmp_path, (REPOSITORY, pair("r+a+b", "pub/epel/9/x86_64")))
    assert ask(world, query, DE).status == status


def test_urls_are_canonical(tmp_path: Path) -> None:
    """The host is in lower case, the default port is gone, one slash stands at the end."""
    assert "canonical" in row("the base URLs")
    rows = (
        (URL, pair(91, "https://NINE.Example:443/epel")),
        directory("pub/nine", "", {9: [91]}, [9]),
        (REPOSITORY, pair("nine+x", "pub/nine")),
    )
    assert urls(ask(imported(tmp_path, *rows), "repo=nine&arch=x", DE)) == ["https://nine.example/epel/"]


def test_redirects_of_repositories_are_followed_to_the_end(tmp_path: Path) -> None:
    """Of a redirect to a redirect the repository at the end is given."""
    assert "followed to the end" in row("a redirect of a repository to a redirect")
    world = imported(tmp_path, (REDIRECT, pair("a", "b")), (REDIRECT, pair("b", "epel")))
    assert ask(world, "repo=a&arch=x86_64", DE).body.startswith(b"# repo = epel-9 arch = x86_64 ")


def test_hashes_of_the_wrong_length_are_left_out(tmp_path: Path) -> None:
    """The others of the file stay."""
    assert "| left out |" in row("hashes of the wrong length")
    where = "pub/epel/9/x86_64/Packages"
    world = imported(tmp_path, file_details(where, "x.iso", [(1, 5), (2, 7), (3, "cd" * 20), (5, "ab" * 31)]))
    metalink = ask(world, f"path={where}/x.iso&format=metalink", DE).body.decode()
    assert f'<hash type="sha1">{"cd" * 20}</hash>' in metalink
    assert "sha256" not in metalink


def test_the_continent_of_a_country_without_a_row_is_known(tmp_path: Path) -> None:
    """A country that the CSV lacks is on the continent of the database, else of the ISO table, as client and mirror."""
    row("the client's continent, and a mirror's, if its country is not in `country_continent.csv`")
    csv = tmp_path / "country_continent.csv"
    csv.write_text("US,NA\n")
    rows = (
        (URL, pair(91, "https://nine.example/epel")),
        (COUNTRY, pair(9, "CZ")),
        directory("pub/nine", "", {9: [91]}, [9], {"CZ": [9]}),
        (REPOSITORY, pair("nine+x", "pub/nine")),
    )
    world = imported(tmp_path, *rows, csv=csv, places={DE: ("DE", None, 0), FR: ("FR", "EU", 0)})
    for client in (DE, FR):
        assert header(ask(world, "repo=nine&arch=x", client)) == "# repo = nine arch = x country = CZ "


def test_a_record_with_a_registered_country_only_has_that_country(tmp_path: Path) -> None:
    """The country where a network is registered counts where the database knows no other."""
    assert "| that country |" in row("a database record with `registered_country` only")
    records = {"192.0.2.0/24": {"registered_country": {"iso_code": "SE"}}}
    geo = Geo.open(write_records(tmp_path / "geo.mmdb", records), None)
    assert geo.locate(at("192.0.2.1")).country == "SE"


def test_paths_are_percent_encoded_in_text() -> None:
    """A line of a list is one URL, whatever the path has in it."""
    assert "percent-encoded" in row("paths in text lists")
    assert urls(asked("path=c/os/a%20b%C3%A4%3Cc/", DE))[0] == "https://de/c/os/a%20b%C3%A4%3Cc/"


def test_a_private_mirror_of_another_address_is_not_shown() -> None:
    """`ip=` of the mirror's network shows it to a client there alone."""
    assert "| shows none |" in row("`ip=` of another address")
    private = {"de": {"private": True, "netblocks": [f"{FR}/32"]}}
    assert "de" in hosts(asked(LIST, FR, **private))
    assert "de" not in hosts(asked(f"{LIST}&ip={FR}", JP, **private))


@pytest.mark.parametrize("query", ["repo=r", "repo=r&arch="])
def test_a_repository_with_one_architecture_needs_none(query: str) -> None:
    """It is clear what is meant; an empty value is absent."""
    row("`repo` alone")
    assert asked(query) == asked(LIST)


def test_the_first_host_of_a_directory_counts_for_its_netblock(tmp_path: Path) -> None:
    """Position 0 is a position."""
    row("a directory's first host, for its netblock")
    rows = (
        (URL, pair(91, "https://nine.example/epel")),
        (NETBLOCK, pair(f"{DE}/32", 9)),
        directory("pub/nine", "", {9: [91]}, [9]),
        (REPOSITORY, pair("nine+x", "pub/nine")),
    )
    reply = ask(imported(tmp_path, *rows), "repo=nine&arch=x", DE)
    assert header(reply) == "# repo = nine arch = x Using preferred netblock "


def test_https_comes_first_for_several_protocols(tmp_path: Path) -> None:
    """One URL for each protocol, whatever the order of the cache and of the query."""
    row("the URLs of a mirror for `protocol=http,https`")
    rows = (
        *((URL, pair(number, f"{scheme}://nine.example/epel")) for number, scheme in ((91, "http"), (92, "https"))),
        (URL, pair(93, "http://nine.example/other")),
        directory("pub/nine", "", {9: [91, 93, 92]}, [9]),
        (REPOSITORY, pair("nine+x", "pub/nine")),
    )
    reply = ask(imported(tmp_path, *rows), "repo=nine&arch=x&protocol=http,https", DE)
    assert urls(reply) == ["https://nine.example/epel/", "http://nine.example/epel/"]


@pytest.mark.parametrize(("rows", "bandwidth"), [((), 100), (((BANDWIDTH, pair(9, 0)),), 1)])
def test_hosts_without_bandwidth_are_drawn(rows: Any, bandwidth: int, tmp_path: Path) -> None:
    """A host without bandwidth counts as 100 Mbit/s, one of 0 as 1, and both are in lists."""
    row("a host without bandwidth, or with 0")
    more = (
        (URL, pair(91, "https://nine.example/epel")),
        directory("pub/nine", "", {9: [91]}, [9]),
        (REPOSITORY, pair("nine+x", "pub/nine")),
        *rows,
    )
    world = imported(tmp_path, *more)
    assert hosts(ask(world, "repo=nine&arch=x", DE)) == ["nine.example"]
    nine = next(mirror for mirror in world.index.snapshot.mirrors if mirror.name.endswith("#9"))
    assert nine.bandwidth == bandwidth


@pytest.mark.parametrize(("code", "countries"), [("EU", ["de", "fr", "gb"]), ("UK", ["gb"]), ("uk", ["gb"])])
def test_codes_that_people_write_are_understood(code: str, countries: list[str]) -> None:
    """A continent's code means its countries, and UK the United Kingdom."""
    row("`country=EU`, `UK`, `EL`")
    mirrors = {name: mirror(name.upper()) for name in ("de", "fr", "gb", "jp")}
    source = network(mirrors, repositories={"r": {"category": "c", "path": "os/{arch}", "arches": ["x"]}})
    reply = ask(decider(source, preset=MIRRORMANAGER, minimum=1), f"{LIST}&country={code}", JP)
    assert sorted(hosts(reply)) == countries
    assert header(reply) == " ".join(["# repo = r arch = x", *(f"country = {name.upper()}" for name in countries), ""])
