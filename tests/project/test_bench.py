"""What `make bench` stands on: the corpus, the readers of what programs say, and which pairs of runs count."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from ipaddress import ip_network
from itertools import islice
from random import Random
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

import corpus
import geography
import mirrormanager_cache
import mix_table
import real_mix
import reporting
from measuring import (
    BenchError,
    Machine,
    Pair,
    Run,
    Schedule,
    accepted,
    family,
    measure_pair,
    memory,
    parse_stat,
    parse_wrk,
    processor_microseconds,
    summarize,
    typical,
)
from mirrorlist_snapshot.countries import CONTINENT_OF
from mirrorlist_snapshot.format import decode, verify
from mirrorlist_snapshot.source.mirrormanager import read_mirrormanager
from mirrorlistd.answering.answer import answer
from mirrorlistd.answering.decider import Decider
from mirrorlistd.answering.plan import AnswerSettings
from mirrorlistd.geo.locate import Geo
from mirrorlistd.request.client_address import parse_address
from mirrorlistd.selection.index import Index
from probing import Sample, longest_in
from support.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

SMALL = corpus.DESIGN.scaled(0.01)
WRK = """\
Running 1s test @ http://127.0.0.1:8080/mirrorlist
  1 threads and 64 connections
Requests/sec:  52064.70
{"requests":52065,"microseconds":1000000,"bytes":65602404,"p50":1114,"p99":2357,"p99_9":3530,"longest":9000,\
"connect":0,"read":1,"write":0,"status":2,"timeout":3,"mixed":4,"bad":2}
"""


def pair(ours: float, theirs: float, *spins: float) -> Pair:
    """A pair of runs that differ in nothing but processor time."""

    def run(microseconds: float) -> Run:
        return Run(microseconds, 1_000.0, 1.0, 2.0, 3.0, 0)

    before, after = spins or (1.0, 1.0)
    return Pair((run(ours), run(ours)), (run(theirs), run(theirs)), (before, after))


@pytest.mark.process
def test_the_corpus_is_the_same_every_time() -> None:
    """A hundredth of the design point is the same bytes twice, also in a process with other hashes of strings."""
    script = (
        "import corpus, hashlib; print(hashlib.sha256(corpus.snapshot_bytes(corpus.DESIGN.scaled(.01))).hexdigest())"
    )
    root = ROOT
    environ = os.environ | {"PYTHONPATH": os.pathsep.join([str(root / "bench"), str(root / "snapshot")])}
    digests = {
        subprocess.run(
            [sys.executable, "-c", script],
            env=environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_the_corpus_has_the_size_that_it_says() -> None:
    """Directories, distinct sets, pairs, mirrors with two URLs, netblocks and details are as many as asked for."""
    snapshot = verify(corpus.snapshot_bytes(SMALL))
    assert len(snapshot.mirrors) == SMALL.mirrors == 7
    assert {len(content.urls) for mirror in snapshot.mirrors for content in mirror.contents} == {2}
    assert sum(len(repository.directories) for repository in snapshot.repositories) == SMALL.pairs == 4
    assert len(snapshot.directories) == SMALL.directories == 1_500
    assert len(snapshot.sets) == SMALL.sets == 30
    assert len({snapshot.sets[number] for number in range(SMALL.sets)}) == SMALL.sets
    assert sum(len(mirror.netblocks) for mirror in snapshot.mirrors) == SMALL.netblocks == 150
    assert len(snapshot.files) == SMALL.pairs


def test_the_corpus_answers() -> None:
    """Every repository has a list for everybody, and the stamp is in every URL of it."""
    snapshot = decode(corpus.snapshot_bytes(SMALL, stamp="s7x"))
    decider = Decider(Index(snapshot), Geo.open(None, None), AnswerSettings())
    for query in SMALL.queries():
        reply = answer(decider, query, parse_address("193.0.6.139"), Random(0))
        urls = [line for line in reply.body.splitlines() if not line.startswith(b"#")]
        assert reply.status == 200
        assert urls
        assert all(b"/s7x/" in url for url in urls)
        assert answer(decider, query + b"&format=metalink", None, Random(0)).status == 200


def test_the_real_mix_is_the_same_every_time_and_has_the_shares_that_it_says() -> None:
    """The same seed gives the same requests: most addresses new, the first repository by Zipf, one in six over IPv6."""
    asked = list(islice(real_mix.requests(corpus.DESIGN), 20_000))
    assert asked[:2_000] == list(islice(real_mix.requests(corpus.DESIGN), 2_000))
    assert asked[:2_000] != list(islice(real_mix.requests(corpus.DESIGN, seed=1), 2_000))
    sessions = Counter(request.address for request in asked)
    assert max(sessions.values()) <= 2 * real_mix.MOST_ASKED
    assert 3.5 < len(asked) / len(sessions) < 4.5
    assert abs(sum(":" in address for address in sessions) / len(sessions) - real_mix.V6_SHARE) < 0.03
    queries = Counter(request.query for request in asked)
    assert len(queries) > 0.9 * corpus.DESIGN.pairs
    assert 2 < queries[corpus.DESIGN.queries()[0]] / queries[corpus.DESIGN.queries()[2]] < 4  # 3 ** 1.1, less repeats


def test_clients_of_the_real_mix_are_where_internet_users_are() -> None:
    """The geo database finds a third of the clients in China and India; with the registries' data likewise."""
    for registries in (False, True):
        geo = Geo.open(None if registries else geography.database_file(), None)
        everyone = real_mix.population(registries=registries)
        found = Counter[str | None]()
        for number in range(3_000):
            address = parse_address(everyone.client(number))
            assert address is not None
            found[geo.locate(address).country] += 1
        assert 0.25 < (found["CN"] + found["IN"]) / 3_000 < 0.45
        assert len(found) > 80


def test_files_of_the_real_mix_have_every_request_in_its_order(tmp_path: Path) -> None:
    """wrk.lua finds, for each line of turns, a head with the query and the program, and the client's address."""
    files = real_mix.write(tmp_path, "some", SMALL, 500, more="&format=json", extra="Connection: close")
    heads = files.heads.read_text().splitlines()
    assert files.distinct == len(heads) == len(set(heads))
    for line, request in zip(files.turns.read_text().splitlines(), real_mix.requests(SMALL), strict=False):
        number, address = line.split()
        assert address == request.address
        assert heads[int(number) - 1] == real_mix.head(request, more="&format=json", extra="Connection: close")


def test_ratios_of_the_mix_are_taken_within_a_round() -> None:
    """A machine that becomes twice as slow in the second round changes no ratio."""

    def run(microseconds: float) -> Run:
        return Run(microseconds, 1_000.0, 1.0, 2.0, 3.0, 0)

    comparison = mix_table.Comparison(("a", "list"), ("b", "list"), 1.5)
    runs = {("a", "list"): [run(3), run(6)], ("b", "list"): [run(2), run(4)]}
    found = mix_table.ratio(comparison, runs)
    assert (found["median"], found["lowest"], found["highest"]) == (1.5, 1.5, 1.5)


@pytest.mark.parametrize("scale", [0, 0.001, 1.5, -1, float("nan")])
def test_a_scale_that_makes_no_network_is_refused(scale: float) -> None:
    """Nothing below a hundredth, nothing above the design point."""
    with pytest.raises(ValueError, match="a scale from"):
        corpus.DESIGN.scaled(scale)


@pytest.mark.slow
def test_clients_are_where_they_are_wanted() -> None:
    """Client networks are distinct, the same every time, and of the continents asked for."""
    networks = geography.client_networks(50, ("EU", "AF"))
    assert networks == geography.client_networks(50, ("EU", "AF"))
    assert len(set(networks)) == 50
    continents = {ip_network(network): CONTINENT_OF[country] for network, country in geography.networks()}
    for network in networks:
        whole = ip_network(f"{network}.0/24")
        holding = next(
            continents[found] for length in range(8, 25) if (found := whole.supernet(new_prefix=length)) in continents
        )
        assert holding in {"EU", "AF"}


def test_wrk_is_read() -> None:
    """The last line of JSON counts; failures of every kind are added up."""
    said = parse_wrk(WRK)
    assert (said.requests, said.seconds, said.p50, said.p99, said.p99_9) == (52_065, 1.0, 1_114, 2_357, 3_530)
    assert (said.failed, said.mixed) == (6, 4)


@pytest.mark.parametrize("output", ["", "unable to connect to 127.0.0.1:1", '{"requests":1}', "{nonsense"])
def test_what_wrk_never_says_is_an_error(output: str) -> None:
    """Output without the figures is shown, not guessed at."""
    with pytest.raises(BenchError, match="nothing that can be read"):
        parse_wrk(output)


def test_processor_time_is_read_behind_any_name() -> None:
    """A command's name may hold spaces and parentheses; utime and stime are the 14th and 15th field."""
    line = "77 (a b) (c) R) S 1 77 77 0 -1 4194304 100 0 0 0 31 11 5 7 20 0 1 0 300 1000 200 18446744073709551615\n"
    assert parse_stat(line) == 42


@pytest.mark.process
def test_a_process_is_measured_with_its_children() -> None:
    """What a child of a server does and holds is the server's; its time grows while it works."""
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'while True: pass'])"
    with subprocess.Popen([sys.executable, "-c", script]) as parent:
        deadline = time.monotonic() + 30
        while len(family(parent.pid)) < 2 or processor_microseconds(parent.pid) < 100_000:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        before = processor_microseconds(parent.pid)
        assert memory(parent.pid) >= memory(parent.pid, "Pss") > 0
        while processor_microseconds(parent.pid) == before:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        children = family(parent.pid)[1:]
        for child in children:
            os.kill(child, 9)  # ours: the parent has just started it


def test_a_pair_is_measured_in_an_order_that_cancels_drift() -> None:
    """A B B A, calibrated before and after; on a machine that slows down steadily the ratio stays true."""
    done: list[str] = []

    def server(name: str, cost: float) -> Run:
        done.append(name)
        return Run(cost * (1 + 0.1 * len(done)), 1.0, 1.0, 1.0, 1.0, 0)

    def calibrate() -> float:
        done.append("spin")
        return 1.0

    measured = measure_pair(lambda: server("ours", 20.0), lambda: server("theirs", 10.0), calibrate)
    assert done == ["spin", "ours", "theirs", "theirs", "ours", "spin"]
    assert measured.ratio == pytest.approx(2.0)


def test_a_pair_counts_only_at_the_machines_best() -> None:
    """12 % slower than ever seen, before or after, and a pair is thrown away; a new best can throw away old pairs."""
    good, before, after = pair(1, 2, 1.0, 1.12), pair(1, 2, 1.13, 1.0), pair(1, 2, 1.0, 1.2)
    assert accepted([good, before, after], 1.0) == [good]
    assert accepted([good], 0.9) == []


def test_a_pair_waits_for_a_good_moment_but_not_for_ever() -> None:
    """Calibrations go on until one is near the best that was seen, or there were enough of them."""
    spins = iter([1.0, 1.5, 1.4, 1.1, 2.0, 2.0, 2.0, 2.0])
    machine = Machine(lambda: next(spins))
    machine.calibrate()
    assert machine.settle(5)
    assert not machine.settle(4)
    assert machine.best == 1.0
    assert list(spins) == []


@given(st.lists(st.tuples(st.floats(1, 100), st.floats(1, 2), st.floats(1, 2)), min_size=1, max_size=12))
def test_a_summary_is_of_pairs_that_count(drawn: list[tuple[float, float, float]]) -> None:
    """The median lies within the range; never more pairs than wanted; without any that counts it says unsteady."""
    pairs = [pair(ours, 10, *spins) for ours, *spins in drawn]
    best = min(min(spins) for _, *spins in drawn)
    ratio = summarize(pairs, best, 5)
    good = accepted(pairs, best)
    assert ratio.lowest <= ratio.median <= ratio.highest
    assert ratio.counted == min(5, len(good))
    assert ratio.tried == len(pairs)
    assert ratio.steady == bool(good)


def test_comparisons_take_turns_until_each_has_enough() -> None:
    """A comparison with enough pairs is left alone, one that never gets any is given up: it always ends."""
    schedule = Schedule(["steady", "unsteady"], 2, 4, Machine(lambda: 1.0))
    schedule.machine.calibrate()
    order = []
    while (name := schedule.next()) is not None:
        order.append(name)
        schedule.pairs[name].append(pair(1, 2) if name == "steady" else pair(1, 2, 1.0, 9.0))
    assert order[:4] == ["steady", "unsteady", "steady", "unsteady"]
    assert (order.count("steady"), order.count("unsteady")) == (2, 4)
    steady, unsteady = schedule.summary("steady"), schedule.summary("unsteady")
    assert steady is not None
    assert unsteady is not None
    assert (steady.steady, steady.counted, unsteady.steady, unsteady.counted) == (True, 2, False, 0)


def test_typical_is_the_median_of_each_figure_and_every_failure() -> None:
    """One odd run moves no figure, but no failure is hidden."""
    runs = [Run(10, 5, 1, 1, 1, 0), Run(12, 6, 2, 2, 2, 1), Run(900, 1, 90, 90, 90, 2)]
    assert typical(runs) == Run(12, 5, 2, 2, 2, 3)


def test_the_longest_answer_of_a_window_may_have_begun_before_it() -> None:
    """An answer that was under way while the loop was held up counts, wherever it began."""
    samples = [Sample(0.0, 0.001), Sample(0.9, 0.4), Sample(2.0, 0.002)]
    assert longest_in(samples, [(1.0, 1.5), (1.9, 2.1), (5.0, 6.0)]) == [0.4, 0.002, 0.0]


def test_the_chart_is_an_image_in_both_colour_schemes() -> None:
    """Well-formed SVG with a bar and a figure for each server; names are escaped."""
    drawn = reporting.chart("costs & more", {"keep-alive": {"fast lane": 9.5, "nginx <x>": 12.0}}, "a note")
    root = ET.fromstring(drawn)
    bars = root.findall("{http://www.w3.org/2000/svg}rect")
    assert [bar.get("class") for bar in bars] == ["ours", "theirs"]
    assert "9.5" in drawn
    assert "prefers-color-scheme: dark" in drawn


def test_tables_are_aligned() -> None:
    """Every line of a table has the same width: names to the left, figures to the right."""
    lines = reporting.table(("name", "µs"), [("nginx", "9.0"), ("a long name", "123.4")]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[2].endswith("   9.0 |")


def test_the_cache_of_mirrormanager_says_what_the_corpus_says(tmp_path: Path) -> None:
    """Importing what the generator writes gives the corpus's own network, as far as MirrorManager can say it."""
    network = corpus.records(SMALL)
    mirrormanager_cache.write_files(tmp_path, SMALL, prefixes=2_000)
    found = read_mirrormanager(
        tmp_path / "mirrorlist_cache.proto",
        country_continent=tmp_path / "country_continent.csv",
        global_netblocks=tmp_path / "global_netblocks.txt",
    )
    assert [one.counts for one in found.skips] == [{}, {}, {}]
    active = {one.name: one for one in network.mirrors if one.active and one.contents}
    names = {one.name: one.name.partition("#")[0] for one in found.records.mirrors}
    assert sorted(names.values()) == sorted(active)
    for one in found.records.mirrors:
        told = active[names[one.name]]
        assert (one.country, one.bandwidth, one.private) == (told.country, told.bandwidth, told.private)
        assert sorted(one.asns) == sorted(told.asns)
    for name, directories in network.directories.items():
        there = found.records.directories.get(f"pub/{name}", {})
        assert {path: {names[one] for one in carriers} for path, carriers in there.items()} == {
            path: carriers & active.keys() for path, carriers in directories.items()
        }
    files = {(name.removeprefix("pub/"), path): told for (name, path), told in found.records.files.items()}
    assert files == network.files
    assert set(found.records.asn_netblocks.values()) <= {0, *(asn for one in network.mirrors for asn in one.asns)}
