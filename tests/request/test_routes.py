"""Routes: every way of asking for a list ends in one canonical query."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrorlistd.errors import ConfigError, QueryError
from mirrorlistd.request.query import parse_query
from mirrorlistd.request.routes import Routes, Template


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/mirrorlist?repo=a", {"repo": "a"}),
        ("/any/prefix/mirrorlist?repo=a", {"repo": "a"}),
        ("/metalink?repo=a&arch=b", {"repo": "a", "arch": "b", "format": "metalink"}),
        ("/metalink?repo=a&format=metalink4", {"repo": "a", "format": "metalink4"}),
        ("/mirrors/a.txt", {"repo": "a", "format": "apt"}),
        ("/mirrors/a/b.txt", {"repo": "a", "arch": "b", "format": "apt"}),
        ("/mirrors/a/DE.txt", {"repo": "a", "countries": ("DE",), "format": "apt"}),
        ("/mirrors/a/b/DE.txt?country=FR", {"repo": "a", "arch": "b", "countries": ("DE",), "format": "apt"}),
        ("/mirrors/DE.txt", {"repo": "*", "countries": ("DE",), "format": "apt"}),
        ("/mirrors/De.txt", {"repo": "De", "format": "apt"}),
        ("/r/a/x.iso.sha256", {"repo": "a", "file": b"x.iso.sha256", "redirect": True, "hashed": "sha256"}),
        ("/r/a/x.iso?md5", {"repo": "a", "file": b"x.iso", "format": "md5"}),
        ("/pub/x.iso?mirrorlist", {"path": b"pub/x.iso", "format": "text"}),
        ("/pub/x.iso.mirrorlist?limit=3", {"path": b"pub/x.iso", "format": "text", "limit": 3}),
        ("/pub/d/?mirrorlist", {"path": b"pub/d", "directory": True, "format": "text"}),
        ("/pub/d/?mirrorlist&format=json&path=x", {"path": b"pub/d", "directory": True, "format": "json"}),
        ("/x.iso.meta4", {"path": b"x.iso", "format": "metalink4"}),
        ("/x.iso.sha1", {"path": b"x.iso.sha1", "redirect": True, "hashed": "sha1"}),
        ("/a%2Bb&c?mirrorlist", {"path": b"a+b&c", "format": "text", "sent": b"a%2Bb&c"}),
        ("/mirrors/a.txt?format=text&repo=other", {"repo": "a", "format": "text"}),
        ("/r/a/x/y.iso", {"repo": "a", "file": b"x/y.iso", "redirect": True}),
        ("/r/a:b/x/y.iso", {"repo": "a", "arch": "b", "file": b"x/y.iso", "redirect": True}),
        ("/r/a%3Ac:b/x", {"repo": "a:c", "arch": "b", "file": b"x", "redirect": True}),
        ("/r/a/", {"repo": "a", "redirect": True}),
        ("/r/a/x/", {"repo": "a", "file": b"x", "directory": True, "redirect": True}),
        (
            "/r/a/x%2By+z&repo=evil=1",
            {"repo": "a", "file": b"x+y+z&repo=evil=1", "redirect": True, "sent": b"x%2By+z&repo=evil=1"},
        ),
        ("/r/a/x.meta4", {"repo": "a", "file": b"x", "format": "metalink4"}),
        ("/r/a/x.metalink", {"repo": "a", "file": b"x", "format": "metalink"}),
        ("/r/a/x?repo=other&file=evil&limit=3", {"repo": "a", "file": b"x", "limit": 3, "redirect": True}),
        ("/r/a/x?redirect=0", {"repo": "a", "file": b"x", "redirect": True}),
        ("/r/a/x?format=redirect", {"repo": "a", "file": b"x", "redirect": True, "format": "redirect"}),
    ],
)
def test_paths(target: str, expected: dict[str, object]) -> None:
    """Each path says what it always says; parameters cannot change a path's own words, but its format."""
    path, _, query = target.partition("?")
    canonical = Routes().query(path.encode(), query.encode())
    assert canonical is not None
    parsed = parse_query(canonical)
    plain = parse_query(b"")
    found = {name: getattr(parsed, name) for name in expected}
    others = {
        name for name in plain.__slots__ if name not in expected and getattr(parsed, name) != getattr(plain, name)
    }
    assert (found, others) == (expected, set())


@pytest.mark.parametrize("directory", ["", "d/", "d/e/"])
@pytest.mark.parametrize(("word", "name"), [("mirrorlist", "text"), ("metalink", "metalink"), ("meta4", "metalink4")])
def test_a_word_behind_a_file_or_directory_asks_for_a_format(directory: str, word: str, name: str) -> None:
    """As with MirrorBrain: `x.iso?mirrorlist`, `x.iso.mirrorlist`, `DIR/?mirrorlist`, and the same for metalinks."""
    targets = [f"x.iso.{word}", f"x.iso?{word}", f"x.iso?{word}=1", f"x.iso?limit=3&{word}", f"?{word}"]
    for target in targets:
        path, _, query = target.partition("?")
        canonical = Routes().query(f"/r/a/{directory}{path}".encode(), query.encode())
        assert canonical is not None
        parsed = parse_query(canonical)
        file = directory.rstrip("/").encode() or None if target.startswith("?") else f"{directory}x.iso".encode()
        assert (parsed.repo, parsed.format, parsed.redirect, parsed.file) == ("a", name, False, file), target


@pytest.mark.parametrize(
    "file", ["mirrorlist", "metalink", "etc/pacman.d/mirrorlist", "x/metalink", "a.txt", "x/.meta4"]
)
def test_below_a_repository_names_of_lists_are_names_of_files(file: str) -> None:
    """Only the beginning of a path decides what it is; a word that asks for a format stands behind a file's name."""
    canonical = Routes().query(f"/r/a/{file}".encode(), b"")
    assert canonical is not None
    parsed = parse_query(canonical)
    assert (parsed.repo, parsed.file, parsed.redirect, parsed.format) == ("a", file.encode(), True, "")
    assert Routes().query(b"/r/mirrorlist", b"") == b"&redirect=1&repo=mirrorlist&arch=&file="


@pytest.mark.parametrize("word", ["mirrorlist", "meta4", "sha256"])
def test_words_leave_pages_alone(word: str) -> None:
    """A page is a page, whatever its query says, and the top is the front page."""
    for path in (b"/", b"/repos", b"/repos/debian", b"/repos/a.mirrorlist", b"/mirrors", b"/explain", b"/metrics"):
        assert Routes().query(path, word.encode()) is None


@pytest.mark.parametrize("path", ["/", "/mirrorlist/", "/repos", "/mirrors/", "/mirrors/a", "/rx", "/xmirrorlist2", ""])
def test_other_paths_are_no_lists(path: str) -> None:
    """What is no list is left to the pages."""
    assert Routes().query(path.encode(), b"repo=a") is None


@pytest.mark.parametrize(
    ("template", "target", "expected"),
    [
        (
            "/mirrorlist/{version}/{repo} -> repo={repo}-{version}",
            "/mirrorlist/9/baseos",
            {"repo": "baseos-9"},
        ),
        (
            "/mirrorlist/{version}/{repo}->repo={repo}-{version}",
            "/mirrorlist/9.4/appstream-debug?country=de",
            {"repo": "appstream-debug-9.4", "countries": ("DE",)},
        ),
        (
            "/?release={version}&arch={arch}&repo={name} -> repo={name}-{version}&arch={arch}",
            "/?infra=stock&repo=os&release=7&arch=x86_64",
            {"repo": "os-7", "arch": "x86_64"},
        ),
        ("/pub/{file*} -> path={file}&redirect=1", "/pub/a/b/c.iso", {"path": b"a/b/c.iso", "redirect": True}),
        ("/pub/{file*} -> path={file}&redirect=1", "/pub/a/?mirrorlist", {"path": b"a", "format": "text"}),
        ("/pub/{file*} -> path={file}&redirect=1", "/pub/a/b.iso.meta4", {"path": b"a/b.iso", "format": "metalink4"}),
        ("/pub/{file*} -> path={file}&redirect=1", "/pub/b.sha256", {"path": b"b.sha256", "hashed": "sha256"}),
        ("/pub/{file*} -> path={file}&redirect=1", "/pub/g%2B%2B%26", {"path": b"g++&", "sent": b"g%2B%2B&"}),
        ("/{repo}/{arch}/{file*} -> repo={repo}&arch={arch}&file={file}", "/r/a/b", {"repo": "r", "file": b"b"}),
        ("/{file*} -> path={file}&redirect=1", "/a/b.iso", {"path": b"a/b.iso", "redirect": True}),
        ("/{file*} -> path={file}&redirect=1", "/a/b.iso?mirrorlist", {"path": b"a/b.iso", "format": "text"}),
        ("/{file*} -> path={file}&redirect=1", "/x/mirrorlist?repo=r", {"repo": "r", "path": None}),
        ("/{file*} -> path={file}&redirect=1", "/mirrors/r.txt", {"repo": "r", "format": "apt", "path": None}),
        ("/centos/{x} -> path=pub/centos/{x}/&format=json", "/centos/7", {"path": b"pub/centos/7", "format": "json"}),
    ],
)
def test_templates(template: str, target: str, expected: dict[str, object]) -> None:
    """An operator's template maps another network's paths to our parameters; the rest of the query stays."""
    path, _, query = target.partition("?")
    canonical = Routes((Template.parse(template),)).query(path.encode(), query.encode())
    assert canonical is not None
    parsed = parse_query(canonical)
    assert {name: getattr(parsed, name) for name in expected} == expected


def test_a_template_that_does_not_fit_leaves_the_path_alone() -> None:
    """Another number of segments, a missing or an empty query name: not this template's."""
    routes = Routes((Template.parse("/l/{a}/{b} -> repo={a}-{b}"), Template.parse("/q?release={v} -> repo=os-{v}")))
    for path, query in ((b"/l/a", b""), (b"/l/a/b/c", b""), (b"/l/a/", b""), (b"/q", b""), (b"/q", b"release=")):
        assert routes.query(path, query) is None
    assert routes.query(b"/mirrorlist", b"repo=a") == b"repo=a"


def test_a_template_for_any_path_leaves_the_pages_alone() -> None:
    """`/{file*}` comes after our own paths, hides no page and takes no empty rest."""
    routes = Routes((Template.parse("/{file*} -> path={file}&redirect=1"), Template.parse("/p/{x*} -> path={x}")))
    for path in (b"/", b"/repos", b"/repos/a", b"/mirrors", b"/explain", b"/healthz", b"/readyz", b"/metrics"):
        assert routes.query(path, b"") is None
    assert routes.query(b"/p/a/b", b"") == b"&path=a/b"
    assert Routes((Template.parse("/p/{x*} -> path={x}"),)).query(b"/p/", b"") is None


@pytest.mark.parametrize("text", ["/{a*}/x -> path={a}", "/x{a*} -> path={a}", "/{a*}{b} -> path={a}", "/* -> path=x"])
def test_the_rest_of_a_path_is_a_whole_last_segment(text: str) -> None:
    """A variable of several segments anywhere else is a configuration error."""
    with pytest.raises(ConfigError, match=r"last segment|something between"):
        Template.parse(text)


@pytest.mark.parametrize(
    "text",
    ["", "/x", "x -> repo=a", "/x ->", "/{a} -> repo={b}", "/{a}/{a} -> repo={a}", "/?x=y -> repo=a", "/{a} -> ={a}"],
)
def test_wrong_templates_are_refused(text: str) -> None:
    """A template that could not do anything sensible is a configuration error that shows how one is written."""
    with pytest.raises(ConfigError, match=r"write it as /mirrorlist/"):
        Template.parse(text)


@pytest.mark.parametrize("text", ["/healthz->repo=a", "/{x}->repo={x}", "/x->bogus=1", "/x->repo=a&fromat=json"])
def test_dangerous_templates_are_refused(text: str) -> None:
    """A template that hides a page of ours, or names no parameter of ours, is refused when the server starts."""
    with pytest.raises(ConfigError, match=r"would hide|is no parameter"):
        Template.parse(text)


@given(
    path=st.binary(max_size=60), query=st.binary(max_size=60), start=st.sampled_from([b"/r/", b"/mirrors/", b"/", b""])
)
def test_any_bytes(path: bytes, query: bytes, start: bytes) -> None:
    """Whatever is asked: a canonical query that parses or is refused by the parser's one error, or no list at all."""
    template = Template.parse("/{a}/{b}?c={c} -> repo={a}-{b}&arch={c}")
    for routes in (Routes(), Routes((template,))):
        canonical = routes.query(start + path, query)
        if canonical is not None:
            try:
                parse_query(canonical)
            except QueryError as error:
                assert error.message


@given(file=st.binary(min_size=1, max_size=60))
def test_a_file_comes_through_whole(file: bytes) -> None:
    """Percent-encoding by any client gives back the same file, whatever its name; only metalink suffixes are ours."""
    escaped = b"".join(b"%%%02X" % byte for byte in file)
    canonical = Routes().query(b"/r/repo/" + escaped, b"limit=2")
    assert canonical is not None
    try:
        parsed = parse_query(canonical)
    except QueryError as error:
        assert "path" in error.message
    else:
        assert (parsed.repo, parsed.limit) == ("repo", 2)
        assert (parsed.file or b"") == b"/".join(part for part in file.split(b"/") if part)
