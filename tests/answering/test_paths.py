"""Paths on their way to a mirror: escapes keep their meaning, files stay files, one look-up for names and for paths."""

from __future__ import annotations

import json
import re
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrorlistd.answering.answer import Answer, answer
from mirrorlistd.answering.decider import Decider
from mirrorlistd.answering.plan import AnswerSettings
from mirrorlistd.presets import MIRRORMANAGER
from mirrorlistd.request.routes import Routes
from mirrorlistd.selection.index import Index
from support.caches import DIRECTORY, EPEL, SHA256, URL, directory, file_details, pair, small_cache
from support.imported_caches import imported, snapshot_of
from support.worlds import DE, PLACES, Map, at, decider, mirror, network

if TYPE_CHECKING:
    from pathlib import Path

REPOMD = {"path": "repodata/repomd.xml", "timestamp": 1_700_000_000, "size": 3000, "sha256": "3" * 64}


def get(world: Decider, target: str) -> Answer:
    """The answer to a raw target, as both lanes ask for it."""
    path, _, query = target.partition("?")
    canonical = Routes().query(path.encode(), query.encode())
    assert canonical is not None
    return answer(world, canonical, at(DE), Random(0))


def url_of(reply: Answer) -> str:
    """The first mirror's URL in an answer of any format."""
    assert reply.status in {200, 302}, reply
    if reply.format == "redirect":
        return next(value.decode() for name, value in reply.headers if name == b"location")
    body = reply.body.decode()
    if reply.format == "json":
        return str(json.loads(body)[0]["url"])
    found = re.search(r"https://a/[^<\s]*", body)
    assert found is not None, body
    return found[0].replace("&amp;", "&")


def targets(path: str) -> dict[str, str]:
    """Every way of asking for one file below the category `c`, whose repository `r` is at its top."""
    below = f"repo=r&file={path}".replace("&", "%26").replace("repo=r%26", "repo=r&")
    by_path = f"path=c/{path}".replace("&", "%26")
    ways = {"redirect": f"/r/r/{path}", "meta4": f"/r/r/{path}.meta4", "mirrorlist": f"/r/r/{path}?mirrorlist"}
    for shape in ("text", "json", "apt", "metalink", "metalink4", "redirect"):
        ways[f"file {shape}"] = f"/mirrorlist?{below}&format={shape}"
        ways[f"path {shape}"] = f"/mirrorlist?{by_path}&format={shape}"
    return ways


@pytest.mark.parametrize(
    "path",
    [
        "pool/g%2B%2B_1.deb",
        "pool/g++_1.deb",
        "pool/g+%2B_1.deb",
        "pool%21/%24%27%28%29%2A%2C%3B%3D%3A%40.deb",
        "pool!/$'()*,;=:@.deb",
        "a%25b/%3Fc%23d%20e.deb",
        "%41%7E%2D.deb",
        "%C3%A9.deb",
    ],
)
def test_an_escape_leaves_as_it_arrived(path: str) -> None:
    """By /r/, `file=`, `path=`, in every format: a mirror may read `+` as a space, and `%2B` as a plus."""
    world = decider(network({"a": mirror("DE")}))
    for way, target in targets(path).items():
        assert url_of(get(world, target)) == f"https://a/c/{path}", way


def test_escapes_below_a_repository_of_a_category_with_a_top() -> None:
    """The repository's own path and the category's top are the snapshot's; only the rest is the client's."""
    source = network(
        {"a": mirror("DE", categories={"deep": "https://a/d/"})},
        categories={"deep": {"top": "pub/c++"}},
        repositories={"r": {"category": "deep", "path": "g++/x"}},
    )
    world = decider(source)
    assert url_of(get(world, "/r/r/y%2Bz/u+v")) == "https://a/d/g++/x/y%2Bz/u+v"
    for top in ("pub/c++", "pub/c%2B%2B", "%2Fpub%2Fc%2B%2B%2F"):
        assert url_of(get(world, f"/mirrorlist?path={top}/y%2Bz%2Fu+v")) == "https://a/d/y%2Bz/u+v"


def test_an_ampersand_and_an_escaped_slash_of_a_path_leave_as_they_arrived() -> None:
    """In a path `&` is no separator, and `%2F` is not `/`; in a parameter clients write them so."""
    world = decider(network({"a": mirror("DE")}))
    assert url_of(get(world, "/r/r/a&b.deb")) == "https://a/c/a&b.deb"
    assert url_of(get(world, "/r/r/a%26b.deb")) == "https://a/c/a%26b.deb"
    assert url_of(get(world, "/mirrorlist?path=c/a%26b.deb")) == "https://a/c/a&b.deb"
    assert url_of(get(world, "/r/r/@s%2fname/x?limit=1&file=evil&file-as-sent=evil")) == "https://a/c/@s%2Fname/x"
    assert url_of(get(world, "/r/r/plain?file-as-sent=evil")) == "https://a/c/plain"
    assert url_of(get(world, "/mirrorlist?path=c%2Fx%2Fy")) == "https://a/c/x/y"


@given(st.binary(min_size=1, max_size=40))
def test_any_path_is_safe_to_send(path: bytes) -> None:
    """Whatever bytes arrive, the URL has only characters of a path, and decodes to what was asked."""
    world = decider_of_one()
    raw = b"/r/r/" + path.replace(b"?", b"%3F")
    canonical = Routes().query(raw, b"format=redirect")
    assert canonical is not None
    reply = answer(world, canonical, at(DE), Random(0))
    if reply.status == 302:
        assert re.fullmatch(r"https://a/c/([A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-F]{2})*", url_of(reply))


_ONE: list[Any] = []


def decider_of_one() -> Decider:
    """One mirror, made once: hypothesis asks it hundreds of times."""
    if not _ONE:
        _ONE.append(decider(network({"a": mirror("DE")})))
    world: Decider = _ONE[0]
    return world


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("where", ["exclude", "include"])
def test_a_file_that_a_prefix_names_stays_a_file(where: str, known: bool) -> None:
    """`exclude` and `include` may name files: the file is what it was, stated by a source or not."""
    file = "9/repodata/repomd.xml"
    partial = {"urls": ["https://partial/c/"], where: [file] if where == "exclude" else ["other", file]}
    repository: dict[str, Any] = {"category": "c", "path": "9"} | ({"files": [REPOMD]} if known else {})
    mirrors = {"a": mirror("DE"), "partial": mirror("DE", categories={"c": partial})}
    world = decider(network(mirrors, repositories={"r": repository}))
    carried = {"a"} if where == "exclude" else {"a", "partial"}
    for target in ("/r/r/repodata/repomd.xml?mirrorlist", f"/mirrorlist?path=c/{file}"):
        lines = [line for line in get(world, target).body.decode().splitlines() if line[0] != "#"]
        assert {line.split("/")[2] for line in lines} == carried
        assert all(line.endswith("/repomd.xml") for line in lines)
    assert url_of(get(world, "/r/r/repodata/repomd.xml")).endswith("/c/9/repodata/repomd.xml")
    assert get(world, "/r/r/repodata/repomd.xml.meta4").format == "metalink4"
    assert (get(world, "/metalink?repo=r").status == 200) is known


def test_a_directory_that_a_prefix_names_stays_a_directory() -> None:
    """Something is known below it: a repository, a file, another prefix; or it has a slash."""
    contents = {"a": ["9.4", "8.1", "7.0", "6.0"], "b": ["9.4/os/x.iso"]}
    mirrors = {
        name: mirror("DE", categories={"c": {"urls": [f"https://{name}/c/"], "exclude": exclude}})
        for name, exclude in contents.items()
    }
    repositories = {
        "r": {"category": "c"},
        "eight": {"category": "c", "path": "8.1/os"},
        "seven": {"category": "c", "files": [REPOMD | {"path": "7.0/repomd.xml"}]},
    }
    world = decider(network(mirrors, repositories=repositories))
    for path in ("9.4", "8.1", "7.0", "6.0/"):
        assert get(world, f"/mirrorlist?path=c/{path}&comments=0").body == f"https://b/c/{path.strip('/')}/\n".encode()
        assert url_of(get(world, f"/r/r/{path}?protocol=https")) == f"https://b/c/{path.strip('/')}/"


def cut(kind: str) -> Decider:
    """A repository whose `repodata` an import has put into another category: one host has another URL there."""
    folders = {"outer": ["", "9"], "inner": [""]} if kind == "listed" else {"outer": None, "inner": None}
    mirrors = {
        name: mirror(
            "DE",
            categories={
                category: {"urls": [f"https://{name}/{category}/"]}
                | ({"directories": found} if (found := folders[category]) is not None else {})
                for category in folders
            },
        )
        for name in ("a", "b")
    }
    categories: dict[str, Any] = {
        "outer": {"kind": kind, "top": "pub"},
        "inner": {"kind": kind, "top": "pub/9/repodata", "files": [REPOMD | {"path": "repomd.xml"}]},
    }
    for category in categories.values():
        if kind == "listed":
            category["directories"] = folders["outer" if category["top"] == "pub" else "inner"]
    return decider(
        network(mirrors, categories=categories, repositories={"r": {"category": "outer", "path": "9"}}),
        preset=MIRRORMANAGER,
    )


@pytest.mark.parametrize("kind", ["open", "listed"])
def test_what_is_found_by_path_is_found_by_repository(kind: str) -> None:
    """The directory of a repository and its `repodata` lie in different categories; metalink, file= and /r/ find it."""
    world = cut(kind)
    by_path = get(world, "/metalink?path=pub/9/repodata/repomd.xml")
    assert by_path.status == 200
    assert b"3" * 64 in by_path.body
    for target in (
        "/metalink?repo=r&arch=x",
        "/metalink?repo=r&file=repodata/repomd.xml",
        "/r/r/repodata/repomd.xml.metalink",
    ):
        assert get(world, target).body.count(b"<url ") == by_path.body.count(b"<url ") == 2
        assert b"3" * 64 in get(world, target).body
    assert "/inner/repomd.xml" in url_of(get(world, "/r/r/repodata/repomd.xml"))


def cut_cache(kind: str) -> list[Any]:
    """A cache of MirrorManager's in which the `repodata` of a repository lies in another import category."""
    urls = {"another host's URL": {1: [11, 12], 2: [21], 3: [99]}}.get(kind, EPEL)
    below = {"no Subpath": "", "Subpath cut elsewhere": "x86_64/repodata"}.get(kind, "9/x86_64/repodata")
    path = "pub/epel/9/x86_64/repodata"
    own = [row for row in small_cache() if not (row[0] == DIRECTORY and row[1][0][1] == path)]
    return [
        *own,
        (URL, pair(99, "http://other.example/epel")),
        directory(path, below, urls, [1, 3], {"DE": [1], "AT": [3]}),
    ]


@pytest.mark.parametrize("kind", ["no Subpath", "Subpath cut elsewhere", "another host's URL"])
def test_a_repository_of_a_cache_finds_its_repodata_in_another_category(tmp_path: Path, kind: str) -> None:
    """However MirrorManager has cut its directories: the metalink by repository is that of the path."""
    found = imported(tmp_path, cut_cache(kind))
    tops = {one.name: one.top for one in found.records.categories}
    paths = {
        name: {"/".join(filter(None, (tops[name], one))) for one in ones}
        for name, ones in found.records.directories.items()
    }
    assert not any({"pub/epel/9/x86_64", "pub/epel/9/x86_64/repodata"} <= ones for ones in paths.values())
    geo: Any = Map(PLACES)
    world = Decider(Index(snapshot_of(found)), geo, AnswerSettings(preset=MIRRORMANAGER))
    by_path = get(world, "/metalink?path=pub/epel/9/x86_64/repodata/repomd.xml")
    by_name = get(world, "/metalink?repo=epel-9&arch=x86_64")
    assert (by_path.status, by_name.status) == (200, 200)
    for answered in (by_path, by_name):
        assert SHA256.encode() in answered.body
        assert answered.body.count(b"<url ") == by_path.body.count(b"<url ")
    assert get(world, "/mirrorlist?repo=epel-9&arch=x86_64").status == 200


def test_what_a_cache_has_as_a_directory_and_as_a_file_is_a_directory(tmp_path: Path) -> None:
    """Details of a file with the name of a directory take nothing away: it is listed, and its files are files."""
    rows = [*small_cache(), file_details("pub/epel/9/x86_64", "repodata", [(1, 1_789_000_000), (2, 3_000)])]
    geo: Any = Map(PLACES)
    world = Decider(Index(snapshot_of(imported(tmp_path, rows))), geo, AnswerSettings(preset=MIRRORMANAGER))
    path = "pub/epel/9/x86_64/repodata"
    assert get(world, f"/mirrorlist?path={path}").body.endswith(b"/x86_64/repodata/\n")
    assert get(world, f"/mirrorlist?path={path}/repomd.xml").body.endswith(b"/x86_64/repodata/repomd.xml\n")
    assert get(world, "/metalink?repo=epel-9&arch=x86_64").status == 200


def test_a_repository_is_looked_up_in_its_own_category_first() -> None:
    """Two open categories, one top within the other: a path is the inner one's, a repository is the one's it names."""
    mirrors = {"a": mirror("DE", categories={"c": "https://a/c/", "d": "https://a/d/"})}
    repositories = {"r": {"category": "c", "path": "in"}, "s": {"category": "d"}}
    source = network(mirrors, categories={"c": {"top": "pub"}, "d": {"top": "pub/in"}}, repositories=repositories)
    world = decider(source)
    assert url_of(get(world, "/r/s/x")) == "https://a/d/x"
    assert url_of(get(world, "/r/r/x")) == "https://a/c/in/x"
    assert url_of(get(world, "/mirrorlist?path=pub/in/x")) == "https://a/d/x"
