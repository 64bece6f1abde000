"""`mirrorlistd compare`: chance is no difference, differences are found, and it comes to an end."""

from __future__ import annotations

import json
import subprocess
import sys
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrorlistd.compare.answers import SeenAnswer, read_answer
from mirrorlistd.compare.comparer import MANY, ComparisonError, ServerUrl
from mirrorlistd.compare.judging import Comparison, ends_of, judge, tiers_of
from mirrorlistd.compare.requests import Request, read_request, read_requests
from support.processes import SECONDS, Server, write_snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TIERS = st.lists(st.integers(1, 4), min_size=1, max_size=4)
"""Sizes of tiers."""


def answers(
    tiers: list[list[str]], seed: int, limit: int = 100, status: int = 200, times: int = MANY
) -> list[SeenAnswer]:
    """What a server gives whose mirrors stand in these tiers, equals shuffled."""
    random = Random(seed)

    def one() -> tuple[str, ...]:
        return tuple(url for tier in tiers for url in random.sample(tier, len(tier)))[:limit]

    return [SeenAnswer(status, one(), frozenset()) for _ in range(times)]


def named(sizes: list[int]) -> list[list[str]]:
    """Tiers of these sizes."""
    return [[f"https://m{tier}-{number}.example/" for number in range(size)] for tier, size in enumerate(sizes)]


def kinds(ours: list[SeenAnswer], other: list[SeenAnswer]) -> list[str]:
    """The kinds of differences that are sure."""
    return [difference.kind for difference in judge(ours, other, sure=True).differences]


@given(TIERS, st.integers(0, 2**32), st.integers(1, 20))
@settings(max_examples=60, deadline=None)
def test_chance_is_no_difference(sizes: list[int], seed: int, limit: int) -> None:
    """Two servers with the same tiers are the same, whatever their shuffles and wherever lists are cut."""
    tiers = named(sizes)
    assert kinds(answers(tiers, seed, limit), answers(tiers, seed + 1, limit)) == []


@given(TIERS.filter(lambda sizes: len(sizes) > 1), st.data())
@settings(max_examples=60, deadline=None)
def test_other_tiers_are_found(sizes: list[int], data: st.DataObject) -> None:
    """Two neighbouring tiers in one, or in the other order, is a difference; asked from either side, it is the same."""
    tiers = named(sizes)
    place = data.draw(st.integers(0, len(sizes) - 2))
    pair = tiers[place : place + 2]
    changed = [pair[::-1], [pair[0] + pair[1]]][data.draw(st.integers(0, 1))]
    ours, other = answers(tiers, 1), answers(tiers[:place] + changed + tiers[place + 2 :], 2)
    assert kinds(ours, other) == kinds(other, ours) == ["tiers"]


@given(TIERS, st.data())
@settings(max_examples=40, deadline=None)
def test_other_mirrors_are_found_at_once(sizes: list[int], data: st.DataObject) -> None:
    """A mirror that only one server has is a difference after a single answer, where lists are whole."""
    tiers = named(sizes)
    fewer = [list(tier) for tier in tiers]
    lost = fewer[data.draw(st.integers(0, len(sizes) - 1))].pop()
    verdict = judge(answers(tiers, 1, times=1), answers(fewer, 2, times=1), sure=False)
    assert [(one.kind, one.ours, one.other) for one in verdict.differences] == [("mirrors", [lost], [])]


def test_a_mirror_of_a_cut_list_is_told_when_it_is_sure() -> None:
    """Where lists are cut, a missing mirror is a suspicion after few answers and a difference after many."""
    tiers = named([4])
    fewer = [tiers[0][:3]]
    few = judge(answers(tiers, 1, 2, times=8), answers(fewer, 2, 2, times=8), sure=False)
    assert (few.differences, few.suspicious) == ((), True)
    assert kinds(answers(tiers, 1, 2), answers(fewer, 2, 2)) == ["mirrors"]


def test_statuses_urls_and_files() -> None:
    """Another status, another protocol of the same hosts, and other hashes each have a name."""
    tiers = [["https://a.example/"]]
    assert kinds(answers(tiers, 1), answers(tiers, 1, status=404)) == ["status"]
    assert kinds(answers(tiers, 1), answers([["http://a.example/"]], 1)) == ["urls"]
    file = [SeenAnswer(200, (), frozenset(["sha256:00"]))]
    assert kinds(file, [SeenAnswer(200, (), frozenset(["sha256:11"]))]) == ["file"]


def weighted(tiers: list[list[str]], own: int) -> list[SeenAnswer]:
    """What a server gives whose tiers are shuffled by bandwidths so unequal that each tier has one order."""
    return [
        SeenAnswer(200, tuple(url for tier in tiers for url in sorted(tier)), frozenset(), own) for _ in range(MANY)
    ]


@given(TIERS.filter(lambda sizes: sizes[0] > 1), st.integers(0, 2**32), st.booleans())
@settings(max_examples=40, deadline=None)
def test_unequal_bandwidths_in_a_tier_are_no_other_tiers(sizes: list[int], seed: int, known: bool) -> None:
    """One server shuffles a tier evenly, the other by bandwidths: the same, where ours explains its tiers.

    Without an explanation it is unclear for the netblock or AS tier, which comes first.
    """
    tiers = named(sizes)
    other = answers(tiers, seed)
    explained = {url: number for number, tier in enumerate(tiers) for url in tier}
    if known:
        assert judge(weighted(tiers, 1), other, sure=True, explained=explained) == Comparison((), suspicious=False)
    else:
        ours = [
            SeenAnswer(200, (*sorted(tiers[0]), *row.urls[sizes[0] :]), frozenset(), 1)
            for row in answers(tiers, seed + 1)
        ]
        assert judge(ours, other, sure=True) == Comparison((), suspicious=True)
        assert kinds([row._replace(own_networks=0) for row in ours], other) == ["tiers"]


@given(TIERS.filter(lambda sizes: len(sizes) > 1), st.data())
@settings(max_examples=40, deadline=None)
def test_other_tiers_are_found_where_ours_are_explained(sizes: list[int], data: st.DataObject) -> None:
    """An explanation hides no difference: tiers that the other server joins or swaps are reported, weighted or not."""
    tiers = named(sizes)
    explained = {url: number for number, tier in enumerate(tiers) for url in tier}
    place = data.draw(st.integers(0, len(sizes) - 2))
    pair = tiers[place : place + 2]
    changed = [pair[::-1], [pair[0] + pair[1]]][data.draw(st.integers(0, 1))]
    other = answers(tiers[:place] + changed + tiers[place + 2 :], 2)
    for ours in (answers(tiers, 1), weighted(tiers, 2)):
        found = judge(ours, other, sure=True, explained=explained).differences
        assert [difference.kind for difference in found] == ["tiers"]
        assert found[0].ours == [sorted(tier) for tier in tiers]


def test_a_mirror_that_a_client_is_kept_with_is_no_difference() -> None:
    """A server that redirects a client to one mirror for long gives one of those that another server draws from."""
    drawn = answers(named([9]), 1, limit=1, status=302)
    assert (
        judge(drawn, [drawn[7]] * MANY, sure=True)
        == judge(drawn, drawn[::-1], sure=True)
        == Comparison((), suspicious=False)
    )
    elsewhere = [drawn[7]._replace(urls=("https://elsewhere.example/",))]
    assert judge(drawn, elsewhere, sure=True) == Comparison((), suspicious=True)
    assert kinds(drawn, answers(named([9]), 1, status=200)) == ["status"]


@given(TIERS, st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_tiers_are_told_from_answers(sizes: list[int], seed: int) -> None:
    """Many answers show the tiers as they are."""
    rows = [seen.urls for seen in answers(named(sizes), seed)]
    assert tiers_of(rows) == [sorted(tier) for tier in named(sizes)]
    assert all(0 < end < sum(sizes) for end in ends_of(rows))


V3 = b"""<?xml version="1.0"?><metalink xmlns="http://www.metalinker.org/"><files><file name="repomd.xml"><size>7</size>
<verification><hash type="sha256">ab</hash></verification><resources>
<url preference="99">https://b.example/x</url><url preference="100">https://a.example/x</url></resources></file></files></metalink>"""


@pytest.mark.parametrize(
    ("location", "body", "urls"),
    [
        (
            None,
            b"# repo = r country = DE\nhttps://a.example/\nhttp://b.example/\n",
            ["https://a.example/", "http://b.example/"],
        ),
        (None, b"https://a.example/\tpriority:1 type:deb\n", ["https://a.example/"]),
        (None, b"Server = https://a.example/$repo/os/$arch\n", ["https://a.example/$repo/os/$arch"]),
        (None, b'[{"url": "https://a.example/", "prio": 0}, 7]', ["https://a.example/"]),
        (None, V3, ["https://a.example/x", "https://b.example/x"]),
        ("https://a.example/x", b"", ["https://a.example/x"]),
        (None, b"# either path=, or repo= and arch= must be specified", []),
        (None, b"<metalink><", []),
        (None, b"[{", []),
    ],
)
def test_lists_of_every_kind_are_read(location: str | None, body: bytes, urls: list[str]) -> None:
    """URLs in the order of preference, whatever the format; what cannot be read has none."""
    assert read_answer(200, location, body).urls == tuple(urls)
    assert read_answer(200, None, V3).facts == {"size:7", "sha256:ab"}


@given(
    st.binary(max_size=80)
    | st.sampled_from([b"<", b"["]).flatmap(lambda first: st.binary(max_size=80).map(lambda rest: first + rest))
)
def test_no_answer_is_too_strange(body: bytes) -> None:
    """Whatever bytes a server sends are an answer."""
    assert read_answer(200, None, body).status == 200


@pytest.mark.parametrize(
    ("line", "request_"),
    [
        ("/mirrorlist?repo=r&arch=a\n", Request("/mirrorlist?repo=r&arch=a", None)),
        ("2001:DB8::1 /metalink?repo=r\n", Request("/metalink?repo=r", "2001:db8::1")),
        (
            '192.0.2.7 - - [24/Nov/2026:10:00:00 +0000] "GET /mirrorlist?repo=r HTTP/1.1" 200 5 "-" "libdnf (Linux)"',
            Request("/mirrorlist?repo=r", "192.0.2.7"),
        ),
        (
            'host.example - - [24/Nov/2026] "HEAD /mirrorlist?repo=r HTTP/1.0" 200 5',
            Request("/mirrorlist?repo=r", None),
        ),
        (
            "IP: 192.0.2.7; DATE: 2026-11-24; COUNTRY: DE; REPO: a%20b; ARCH: x86_64; COUNTME: 1",
            Request("/mirrorlist?repo=a+b&arch=x86_64", "192.0.2.7"),
        ),
        ("nobody /mirrorlist?repo=r", None),
        ('192.0.2.7 - - [24/Nov/2026] "POST /mirrorlist HTTP/1.1" 405 5', None),
        ("/mirror list", None),
        ("http://elsewhere.example/mirrorlist", None),
    ],
)
def test_lines_of_every_kind_are_requests(line: str, request_: Request | None) -> None:
    """Targets, logs and statistics are requests; a URL of another server is none."""
    assert read_request(line) == request_


@given(st.text(max_size=60))
def test_any_line_is_a_request_or_none(line: str) -> None:
    """A request can be sent as it is: printable ASCII, beginning with a slash."""
    request = read_request(line)
    assert request is None or (
        request.target.startswith("/") and request.target.isascii() and request.target.isprintable()
    )


def test_distinct_requests_up_to_a_bound() -> None:
    """Equal lines are one request; beyond the bound lines are counted; bad ones are told by number."""
    bad: list[int] = []
    lines = ["# what to ask", "/a", "/b", "?", "/a", "/c", "192.0.2.1 /a"]
    planned = read_requests(lines, 3, [], bad.append)
    assert planned.lines == {Request("/a", None): 2, Request("/b", None): 1, Request("/c", None): 1}
    assert (planned.left_out, planned.bad, bad) == (1, 1, [4])
    assert list(read_requests(["/a", "192.0.2.1 /a"], 9, ["192.0.2.8", "192.0.2.9"], bad.append).lines) == [
        Request("/a", "192.0.2.8"),
        Request("/a", "192.0.2.9"),
        Request("/a", "192.0.2.1"),
    ]


@pytest.mark.parametrize(
    "url", ["", "mirrors.example", "ftp://a.example", "http://", "http://[", "http://a:x", "http://a/?q"]
)
def test_what_is_no_server_is_refused(url: str) -> None:
    """An AskError that shows how to write it."""
    with pytest.raises(ComparisonError, match="expected a server's URL"):
        ServerUrl.parse(url)


def network(**countries: str) -> dict[str, Any]:
    """Mirrors by country; clients in 198.51.100.0/24 are in Germany."""
    return {
        "categories": {"c": {}},
        "repositories": {"r": {"category": "c"}},
        "overrides": {"netblocks": {"198.51.100.0/24": "DE"}},
        "mirrors": {
            f"{name}.example": {"country": country, "categories": {"c": f"https://{name}.example/"}}
            for name, country in countries.items()
        },
    }


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, str]]:
    """URLs of two servers of one snapshot, and of a third, where one mirror is elsewhere and one is missing."""
    folder: Path = tmp_path_factory.mktemp("compare")
    one = write_snapshot(folder / "one.mls", network(a="DE", b="DE", f="FR", g="FR", u="US"))
    two = write_snapshot(folder / "two.mls", network(a="DE", b="DE", f="DE", g="FR"))
    flags = ["--trusted-proxy", "127.0.0.1", "--snapshot"]
    with Server(*flags, str(one)) as ours, Server(*flags, str(one)) as same, Server(*flags, str(two)) as changed:
        urls = [f"http://127.0.0.1:{server.port}" for server in (ours, same, changed)]
        yield urls[0], urls[1], urls[2]


def compare(url: str, other: str, requests: str, *flags: str) -> subprocess.CompletedProcess[str]:
    """One `mirrorlistd compare` to its end."""
    command = [
        sys.executable,
        "-m",
        "mirrorlistd",
        "compare",
        "--url",
        url,
        "--other",
        other,
        "--requests",
        "-",
        *flags,
    ]
    return subprocess.run(
        [*command, "--rate", "2000"], input=requests, capture_output=True, text=True, timeout=SECONDS, check=False
    )


@pytest.mark.process
@pytest.mark.parametrize("target", ["/mirrorlist?repo=r", "/mirrorlist?repo=r&format=json"])
def test_a_netblock_tier_of_unequal_bandwidths_is_the_same(tmp_path: Path, target: str) -> None:
    """mirrorlist-server shuffles these tiers evenly, ours by bandwidth (docs/mirrormanager.md): no difference."""
    sources = []
    for bandwidths in ((1, 100_000), (100, 100)):
        source = network(a="DE", b="DE", f="FR")
        for name, bandwidth in zip(("a", "b"), bandwidths, strict=True):
            source["mirrors"][f"{name}.example"] |= {"bandwidth": bandwidth, "netblocks": ["198.51.100.0/24"]}
        sources.append(source)
    files = [write_snapshot(tmp_path / f"{number}.mls", source) for number, source in enumerate(sources)]
    flags = ["--trusted-proxy", "127.0.0.1", "--snapshot"]
    with Server(*flags, str(files[0])) as ours, Server(*flags, str(files[1])) as other:
        done = compare(*(f"http://127.0.0.1:{server.port}" for server in (ours, other)), f"198.51.100.7 {target}\n")
    assert (done.returncode, done.stdout) == (0, "1 requests of 1 lines: 1 same, 0 different\n"), done


REQUESTS = "198.51.100.7 /mirrorlist?repo=r\n198.51.100.7 /mirrorlist?repo=none\n"


@pytest.mark.process
def test_two_servers_of_one_snapshot_are_the_same(servers: tuple[str, str, str]) -> None:
    """Exit status 0, and one line."""
    done = compare(servers[0], servers[1], REQUESTS + REQUESTS + "/mirrorlist?repo=r&limit=1\n", "--as", "198.51.100.1")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "3 requests of 5 lines: 3 same, 0 different\n"


@pytest.mark.process
def test_two_snapshots_differ(servers: tuple[str, str, str]) -> None:
    """Exit status 1; what differs is told by mirror and tier, in text and JSON."""
    done = compare(servers[0], servers[2], REQUESTS)
    assert done.returncode == 1, done
    first, *rows = done.stdout.splitlines()
    assert first == "different: /mirrorlist?repo=r for 198.51.100.7 (lines: 1, asks: 60)"
    assert rows == [
        "  mirrors  ours  https://u.example/",
        "  tiers    ours  (https://a.example/ https://b.example/), then (https://f.example/ https://g.example/)",
        "  tiers    other (https://a.example/ https://b.example/ https://f.example/), then (https://g.example/)",
        "2 requests of 2 lines: 1 same, 1 different",
    ]
    said = json.loads(compare(servers[0], servers[2], REQUESTS, "--json").stdout)
    assert [result["outcome"] for result in said["results"]] == ["different", "same"]
    assert [one["kind"] for one in said["results"][0]["differences"]] == ["mirrors", "tiers"]


@pytest.mark.process
def test_a_server_that_is_not_there_ends_it(servers: tuple[str, str, str]) -> None:
    """Exit status 2, after a few failures and not after all of a million."""
    many = "".join(f"/mirrorlist?repo=r{number}\n" for number in range(5000))
    done = compare(servers[0], "http://127.0.0.1:1", many, "--json", "--most", "5000")
    assert done.returncode == 2
    assert "stopped after 5 requests in a row: http://127.0.0.1:1 cannot be asked: Connection refused" in done.stderr
    assert len(json.loads(done.stdout)["results"]) == 5


@pytest.mark.process
@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--as", "me"], "--as: expected an address"),
        (["--asks", "61"], "expected a whole number from 1 to 60"),
        (["--requests", "/no/such"], "/no/such: cannot be read"),
        (["--requests", "/dev/null"], "is not a regular file but a device"),
    ],
)
def test_wrong_usage(servers: tuple[str, str, str], flags: list[str], said: str) -> None:
    """Exit status 2 and what to write instead."""
    done = compare(servers[0], servers[1], REQUESTS, *flags)
    assert done.returncode == 2
    assert said in done.stderr
