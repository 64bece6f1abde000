"""The server and the model of `model` agree: random networks and queries, both presets, by a call and by a socket."""

from __future__ import annotations

import contextlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import Phase, given, note, seed, settings
from hypothesis import strategies as st

from mirrorlist_snapshot.compiler import compile_snapshot
from mirrorlist_snapshot.format import encode
from mirrorlist_snapshot.source.mirrormanager import read_mirrormanager
from mirrorlistd.answering.decider import Decider
from mirrorlistd.answering.plan import AnswerSettings
from mirrorlistd.presets import PRESETS
from mirrorlistd.selection.index import Index
from oracles.judging import judge
from oracles.model import BUILT, Who, expect
from oracles.rules import CONTINENT
from support import caches
from support.caches import pair
from support.geo_databases import write_records
from support.processes import Server
from support.worlds import DE, FR, JP, NOWHERE, US, Map, ask, compiled

if TYPE_CHECKING:
    from http.client import HTTPConnection

    from mirrorlist_snapshot.model import Snapshot
    from mirrorlistd.answering.answer import Answer

COUNTRIES = st.sampled_from(sorted(CONTINENT))
PREFIXES = ["198.51.100.0/24", "198.51.100.0/25", f"{DE}/32", f"{FR}/32", "192.0.2.0/24", "2001:db8::/32"]
CLIENTS = [DE, FR, US, JP, NOWHERE, "2001:db8::7"]
DIRECTORIES = {
    "fedora": ["", "39/x86_64/os", "39/x86_64/os/repodata", "39/source/tree", "39/source/tree/repodata", "a b"],
    "epel": ["9/x86_64", "9/x86_64/repodata", "9/aarch64/repodata"],
}
TOPS = {"fedora": "pub/fedora", "epel": "pub/epel"}
FILES = {
    "fedora": ["39/x86_64/os/repodata/repomd.xml", "39/source/tree/repodata/repomd.xml", "39/x86_64/os/a.iso"],
    "epel": ["9/aarch64/repodata/repomd.xml"],
}
REPOSITORIES: dict[str, dict[str, Any]] = {
    "fedora-39": {"category": "fedora", "path": "39/{arch}/os", "arches": ["x86_64", "s390x"]},
    "fedora-source-39": {"category": "fedora", "path": "39/{arch}/tree", "arches": ["source"]},
    "epel-9": {"category": "epel", "path": "9/{arch}", "arches": ["x86_64"]},
    "epel-own": {"category": "epel", "path": "9/{arch}/repodata", "arches": ["aarch64"]},
    "spaces": {"category": "fedora", "path": "a b"},
    "off": {"category": "epel", "path": "9/{arch}", "arches": ["x86_64"], "disabled": True},
    "rawhide": {"alias": "fedora-39"},
    "dark": {"alias": "off"},
}


def some(strategy: st.SearchStrategy[Any], most: int) -> st.SearchStrategy[list[Any]]:
    """Up to so many, each once."""
    return st.lists(strategy, unique=True, max_size=most)


@st.composite
def contents(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """What a mirror has: URLs of some protocols, and some directories of some categories."""
    found: dict[str, Any] = {}
    for category in draw(st.sampled_from(["fedora", "fedora epel", "fedora epel", "epel"])).split():
        protocols = draw(
            st.sampled_from(["https", "http", "https http", "https http rsync", "http ftp", "rsync"])
        ).split()
        found[category] = {
            "urls": [f"{protocol}://{name}/{category}/" for protocol in sorted(protocols)],
            "directories": draw(
                st.just(DIRECTORIES[category])
                | st.just(DIRECTORIES[category])
                | some(st.sampled_from(DIRECTORIES[category]), 9)
            ),
        }
    return found


@st.composite
def mirrors(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """One mirror that the compiler accepts."""
    fields: dict[str, Any] = {"categories": draw(contents(name)), "active": draw(st.integers(0, 9)) > 0}
    if country := draw(st.none() | COUNTRIES):
        fields["country"] = country
        fields["also_countries"] = draw(some(COUNTRIES, 2)) if draw(st.integers(0, 3)) == 0 else []
    elif draw(st.booleans()):
        fields["continent"] = draw(st.sampled_from(["EU", "AS", "NA"]))
    fields["worldwide"] = draw(st.integers(0, 7)) == 0
    if draw(st.booleans()):
        fields["bandwidth"] = draw(st.integers(1, 1_000_000))
    match draw(st.sampled_from(["public", "public", "own", "own", "private", "fallback"])):
        case "fallback":
            fields["fallback"] = True
        case "own" | "private" as kind:
            exclusive = st.integers(0, 4).map(lambda number: number == 0)
            fields["netblocks"] = [
                {"prefix": prefix, "exclusive": draw(exclusive)} for prefix in draw(some(st.sampled_from(PREFIXES), 2))
            ]
            fields["asns"] = draw(some(st.sampled_from([680, 7018]), 1))
            fields["private"] = kind == "private"
    match draw(st.integers(0, 5)):
        case 0:
            fields["allowed_countries"] = draw(some(COUNTRIES, 3))
        case 1:
            fields["denied_countries"] = draw(some(COUNTRIES, 2))
    return fields


@st.composite
def networks(draw: st.DrawFn) -> dict[str, Any]:
    """A source document: what MirrorManager's caches can say, and what only ours can."""
    names = [f"m{number}.example" for number in range(draw(st.sampled_from([1, 12, 8, 4])))]
    overrides: dict[str, Any] = {
        "continents": draw(st.dictionaries(COUNTRIES, st.sampled_from(["EU", "AS", "NA"]), max_size=2)),
        "netblocks": draw(st.dictionaries(st.sampled_from(PREFIXES), COUNTRIES, max_size=2)),
        "neighbours": {},
        "never_served": {},
    }
    if draw(st.booleans()):
        country, *others = draw(st.lists(COUNTRIES, unique=True, min_size=3, max_size=5))
        overrides["neighbours"][country] = [others[:1], others[1:]]
        overrides["never_served"][others[0]] = [country]
    return {
        "categories": {
            name: {
                "kind": "listed",
                "top": top,
                "directories": DIRECTORIES[name],
                "files": [{"path": path, "timestamp": 17, "size": 3, "sha256": "ab" * 32} for path in FILES[name]],
            }
            for name, top in TOPS.items()
        },
        "repositories": REPOSITORIES,
        "mirrors": {name: draw(mirrors(name)) for name in names},
        "overrides": overrides,
    }


def parameter(name: str, *values: str) -> st.SearchStrategy[str]:
    """One of these values of a parameter."""
    return st.sampled_from([f"{name}={value}" for value in values])


def often(plain_query: st.SearchStrategy[str], rare: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """The rare one once in sixteen times: who asks for nonsense gets an error, and nothing else is learned."""
    return st.integers(0, 15).flatmap(lambda number: rare if number == 15 else plain_query)


REPO = often(
    st.sampled_from(
        [
            *(f"repo={name}&arch=x86_64" for name in ("fedora-39", "rawhide", "epel-9", "fedora-source-39", "spaces")),
            *("repo=fedora%2d39&arch=s390x", "repo=epel-own&arch=aarch64", "repo=fedora-source-39&arch=source"),
        ]
    ),
    st.builds(
        "{}&{}".format,
        parameter("repo", *REPOSITORIES, "nothing", "FEDORA-39", "n%0a--%3C", ""),
        parameter("arch", "x86_64", "source", "aarch64", "sparc", ""),
    ),
)
PATH = often(
    parameter(
        "path",
        *(
            "pub/fedora/39/x86_64/os",
            "/pub//fedora/39/x86_64/os/",
            "pub/fedora/39/x86_64/os/a.iso",
            "pub/fedora/a%20b/",
        ),
        *("pub/epel/9/x86_64/repodata/repomd.xml", "pub/fedora", "pub/fedora/x"),
        "pub/fedora/39/x86_64/os/repodata/repomd.xml",
    ),
    parameter("path", "nothing/here", "pub/../etc", "a%00b", "/", "", "pub/epel", "pub/fedora/39/x86_64/os/x/"),
)
OPTION = often(
    st.one_of(
        parameter(
            "country",
            "DE",
            "de",
            "FR,us",
            "global",
            "DE,GLOBAL",
            "XX",
            "JP",
            "PL,TR",
            "uk,EL",
            "EU",
            "OC,jp",
            "FR,EU,global",
            ",",
            "",
        ),
        parameter("protocol", "https", "HTTP", "http,https", "ftp", "rsync,ftp", "gopher,https", ",", ""),
        parameter("ip", *CLIENTS, "192.0.2.1", ""),
        parameter("netblock", "0", "1", "yes", ""),
        parameter("limit", "1", "2", "7", "100", ""),
        parameter("time", "1", "0", ""),
        parameter("comments", "0", "1"),
        parameter("redirect", "1", "0", ""),
        parameter("format", "metalink", "metalink", "text", "redirect", ""),
        parameter("file", "repodata/repomd.xml", "repodata/", "repodata", "c%20d.rpm", ""),
        st.sampled_from(["repo=rawhide", "arch=x86_64", "time", "redirect", "countme=1", "infra=stock", "", "=", "&"]),
    ),
    st.sampled_from(
        [
            *("country=D1", "country=DEU", "protocol=gopher", "protocol=a%20b", "ip=1.2.3", "limit=0", "limit=101"),
            *("limit=x", "format=nonsense", "file=../x", "file=no/such"),
        ]
    ),
)


@st.composite
def queries(draw: st.DrawFn) -> str:
    """A query string: something named, mostly, and up to four options anywhere around it."""
    named = draw(often(st.one_of(REPO, REPO, PATH), st.just("")))
    before, after = draw(st.lists(OPTION, max_size=2)), draw(st.lists(OPTION, max_size=2))
    return "&".join([*before, named, *after])


PLACES = {
    DE: ("DE", "EU", 680),
    FR: ("FR", None, 680),
    US: ("US", "NA", 7018),
    JP: ("JP", "AS", 0),
    NOWHERE: (None, None, 0),
    "2001:db8::7": (None, "EU", 7018),
}
ASKED = st.lists(st.tuples(queries(), st.sampled_from([*CLIENTS, None])), min_size=32, max_size=32)


@pytest.mark.slow
@pytest.mark.timeout(600)  # half a minute, unless a machine is busy
@seed(20261124)
@settings(max_examples=320, deadline=None)  # times 32: ten thousand queries of each preset
@given(source=networks(), minimum=st.sampled_from([0, 1, 3, 5, 100]), asked=ASKED)
def test_answers_are_those_of_the_model(
    source: dict[str, Any], minimum: int, asked: list[tuple[str, str | None]]
) -> None:
    """Status, header, body, the set and order of tiers: for whatever is asked of whatever network, in both presets."""
    snapshot = compiled(source)
    geo: Any = Map(PLACES)
    for name, preset in PRESETS.items():
        world = Decider(Index(snapshot, preset.heaviest), geo, AnswerSettings(preset=preset, minimum=minimum))
        for number, (query, client) in enumerate(asked):
            note(f"{name}: {query} for {client}")  # the last one said is the one that fails
            wanted = expect(source, name, query, Who(client, PLACES), minimum)
            judge(wanted, *plain(ask(world, query, client, seed=number)))


def of_host(host: int, mirror: dict[str, Any]) -> list[tuple[int, Any]]:
    """The rows about one host."""
    rows = [(caches.COUNTRY, pair(host, mirror["country"]))] if "country" in mirror else []
    rows += [(caches.BANDWIDTH, pair(host, mirror["bandwidth"]))] if "bandwidth" in mirror else []
    rows += [(caches.ALLOWED, pair(host, *allowed))] if (allowed := mirror.get("allowed_countries")) else []
    return rows + [(caches.NETBLOCK, pair(block["prefix"], host)) for block in mirror.get("netblocks", ())]


def of_repository(name: str, repository: dict[str, Any]) -> list[tuple[int, Any]]:
    """The rows about one repository, or alias."""
    if alias := repository.get("alias"):
        return [(caches.REDIRECT, pair(name, alias))]
    path = f"{TOPS[repository['category']]}/{repository['path']}"
    rows = [(caches.REPOSITORY, pair(f"{name}+{arch}", path.replace("{arch}", arch))) for arch in repository["arches"]]
    return rows + ([(caches.DISABLED, pair(name, 1))] if repository.get("disabled") else [])


def cached(source: dict[str, Any], path: Path) -> Snapshot:
    """The same network as MirrorManager's generator would write it, imported."""
    hosts = {name: number for number, name in enumerate(source["mirrors"], 1)}
    mirrors = [(hosts[name], mirror) for name, mirror in source["mirrors"].items()]
    urls = [
        (host, category, url)
        for host, mirror in mirrors
        for category, content in mirror["categories"].items()
        for url in content["urls"]
    ]
    rows: list[tuple[int, Any]] = [(caches.TIME, BUILT)]
    rows += [(caches.URL, pair(number, url.rstrip("/"))) for number, (_, _, url) in enumerate(urls, 1)]
    rows += [(caches.NETBLOCK_COUNTRY, pair(*row)) for row in source["overrides"]["netblocks"].items()]
    rows += [(caches.CONTINENT, pair(*row)) for row in source["overrides"]["continents"].items()]
    for name, repository in source["repositories"].items():
        rows += of_repository(name, repository)
    for host, mirror in mirrors:
        rows += of_host(host, mirror)
    for asn in (680, 7018):
        rows.append((caches.ASN, pair(asn, *(host for host, mirror in mirrors if asn in mirror.get("asns", ())))))
    for category, top in TOPS.items():
        for below in DIRECTORIES[category]:
            having = {
                host: [number for number, row in enumerate(urls, 1) if row[:2] == (host, category)]
                for host, mirror in mirrors
                if below in mirror["categories"].get(category, {"directories": ()})["directories"]
            }
            public = [host for host, mirror in mirrors if host in having and not mirror.get("private")]
            rows.append(caches.directory(f"{top}/{below}".rstrip("/"), below, having, public))
        for file in FILES[category]:
            folder, _, name = f"{top}/{file}".rpartition("/")
            rows.append(caches.file_details(folder, name, [(1, 17), (2, 3), (5, "ab" * 32)]))
    path.write_bytes(caches.encode(rows))
    return compile_snapshot(read_mirrormanager(path).records, serial=1, built=BUILT, generator="tests")


def plain(reply: Answer) -> tuple[int, dict[str, list[str]], str]:
    """An answer as `judge` takes it."""
    headers: dict[str, list[str]] = {}
    for key, value in reply.headers:
        headers.setdefault(key.decode(), []).append(value.decode())
    return reply.status, headers, reply.body.decode()


@pytest.mark.slow
@seed(20261124)
@settings(max_examples=40, deadline=None)
@given(source=networks(), asked=ASKED)
def test_imported_caches_answer_as_the_model(source: dict[str, Any], asked: list[tuple[str, str | None]]) -> None:
    """From MirrorManager's own cache to its own answer: what caches can say, imported, in its preset."""
    source["overrides"] |= {"neighbours": {}, "never_served": {}}
    for mirror in source["mirrors"].values():
        for name in ("fallback", "denied_countries"):
            mirror.pop(name, None)
        mirror |= {"active": True, "worldwide": False, "also_countries": []}
        mirror.pop("continent", None)
        for block in mirror.get("netblocks", ()):
            block["exclusive"] = False
    arches = {"fedora-39": ["x86_64"], "spaces": ["x86_64"]}
    source["repositories"] = {
        name: repository | ({"arches": arches[name]} if name in arches else {})
        for name, repository in REPOSITORIES.items()
    }
    geo: Any = Map(PLACES)
    preset = PRESETS["mirrormanager"]
    with TemporaryDirectory() as folder:
        snapshot = cached(source, Path(folder, "mirrorlist_cache.proto"))
    world = Decider(Index(snapshot, preset.heaviest), geo, AnswerSettings(preset=preset))
    for number, (query, client) in enumerate(asked):
        note(f"{query} for {client}")
        wanted = expect(source, preset.name, query, Who(client, PLACES), 5)
        judge(wanted, *plain(ask(world, query, client, seed=number)))


@pytest.mark.process
@seed(20261124)
@settings(max_examples=2, deadline=None, phases=[Phase.generate])
@given(source=networks(), asked=st.lists(st.tuples(queries(), st.sampled_from(CLIENTS)), min_size=100, max_size=100))
def test_a_server_answers_as_the_model(source: dict[str, Any], asked: list[tuple[str, str]]) -> None:
    """The same through a socket and a proxy that names the client, a preset in each lane; metalinks by their path."""
    with TemporaryDirectory() as folder:
        snapshot = Path(folder, "m.mls")
        snapshot.write_bytes(encode(compiled(source)))
        known = {f"{address}/{32 if '.' in address else 128}": record(*place) for address, place in PLACES.items()}
        geo = write_records(Path(folder, "geo.mmdb"), {network: row for network, row in known.items() if row})
        files = ("--snapshot", str(snapshot), "--geo", str(geo))
        for name, lane in zip(PRESETS, ("fast", "asgi"), strict=True):
            flags = (*files, "--trusted-proxy", "127.0.0.1", "--preset", name, "--lane", lane)
            with Server(*flags) as server, contextlib.closing(server.connect()) as connection:
                for query, client in asked:
                    wanted = expect(source, name, query, Who(client, PLACES), 5)
                    judge(wanted, *heard(connection, query, client))


def heard(connection: HTTPConnection, query: str, client: str) -> tuple[int, dict[str, list[str]], str]:
    """What a server says, as `judge` takes it."""
    before, metalink, after = query.partition("format=metalink&")
    path = "/metalink" if metalink and not before else "/some/where/mirrorlist"
    asked = after if metalink and not before else query
    connection.request("GET", f"{path}?{asked}", headers={"x-forwarded-for": client})
    reply = connection.getresponse()
    headers: dict[str, list[str]] = {}
    for key, value in reply.getheaders():
        headers.setdefault(key.lower(), []).append(value)
    return reply.status, headers, reply.read().decode()


def record(country: str | None, continent: str | None, asn: int) -> dict[str, Any]:
    """A row of a geo database."""
    row: dict[str, Any] = {"country": {"iso_code": country}} if country else {}
    row |= {"continent": {"code": continent}} if continent else {}
    return row | ({"autonomous_system_number": asn} if asn else {})
