"""What one answer costs, in-process: `python bench/bench_answer.py` (pyperf; `--fast` for a first look).

The world is the built-in snapshot (a thousand real mirrors) with built-in geo data, and for what has a target the
seeded networks of `corpus.py` with a GeoLite2-shaped database. Figures and the environment they were taken in are in
README.md beside this file.
"""

from __future__ import annotations

from functools import cache, partial
from itertools import cycle, repeat
from random import Random
from typing import TYPE_CHECKING

import pyperf

from corpus import DESIGN, snapshot_file
from geography import client_networks, database_file
from mirrorlist_snapshot.format import decode, encode
from mirrorlistd.answering.answer import answer
from mirrorlistd.answering.decider import Decider
from mirrorlistd.answering.plan import AnswerSettings
from mirrorlistd.config import Config
from mirrorlistd.geo.locate import Geo
from mirrorlistd.request.client_address import Trust, client_address, parse_address
from mirrorlistd.request.query import parse_query
from mirrorlistd.selection.index import Index
from mirrorlistd.state.loading import load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirrorlistd.request.client_address import Address

ADDRESSES = 10_000
NETWORKS = 10_007
"""Of clients; a prime, so that in time every query meets every client."""
COLD = 7
"""Addresses of each network that are more in all than a server remembers: each is new again when its turn comes."""


def main() -> None:
    """Run every benchmark."""
    runner = pyperf.Runner(processes=6)
    random = Random(20261122)
    state = load(Config())
    decider = state.decider
    dutch = parse_address("193.0.6.139")
    texts = [".".join(str(random.randrange(1, 224)) for _ in range(4)) for _ in range(ADDRESSES)]
    everyone = cycle([parse_address(text) for text in texts])
    snapshot = decider.index.snapshot
    data = encode(snapshot)

    # 20 mirrors from tiers of 10, 35, 35 and 124: the plain case.
    runner.bench_func("answer: 20 mirrors, one client", answer, decider, b"repo=debian", dutch, random)
    runner.bench_func(
        "answer: 20 mirrors, 10,000 clients", lambda: answer(decider, b"repo=debian", next(everyone), random)
    )
    runner.bench_func("answer: JSON", answer, decider, b"repo=debian&format=json", dutch, random)
    runner.bench_func("answer: unknown repository", answer, decider, b"repo=nonsense", dutch, random)
    runner.bench_func(
        "answer: nothing remembered",
        lambda: answer(Decider(decider.index, decider.geo, decider.settings), b"repo=debian", dutch, random),
    )
    trust = Trust.parse(["127.0.0.1"])
    runner.bench_func("client address through a proxy", client_address, "127.0.0.1", [b"193.0.6.139"], trust)
    runner.bench_func("query: repo and arch", parse_query, b"repo=debian&arch=amd64")
    geo = Geo.open(None, None)
    runner.bench_func("place: built-in geo data", geo.locate, dutch)
    runner.bench_func("load: decode and index the built-in snapshot", lambda: Index(decode(data)))
    networks_of_mirrors(runner, random)


def networks_of_mirrors(runner: pyperf.Runner, random: Random) -> None:
    """Run what has targets: 20 of some 30 near mirrors, and the design point.

    Everything is made when it is first asked for: pyperf runs this file anew for each figure, a dozen times.
    """
    for name, scale in (("20 of 30 mirrors", 0.1), ("design point", 1.0)):
        size = DESIGN.scaled(scale)
        first, queries = repeat(size.queries()[0]), cycle(size.queries())
        for what, asked, hosts in (
            ("known address", first, 1),
            ("new address", first, COLD),
            ("all its repositories", queries, 1),
        ):
            runner.bench_func(f"answer: {name}, {what}", partial(_answer, scale, asked, hosts, random))
    runner.bench_func("place: GeoLite2-shaped database", lambda: _geo().locate(next(_clients(1))))
    runner.bench_func("load: decode and index the design point", lambda: Index(decode(_design_point())))


def _answer(scale: float, queries: Iterator[bytes], hosts: int, random: Random) -> None:
    answer(_decider(scale), next(queries), next(_clients(hosts)), random)


@cache
def _clients(hosts: int) -> Iterator[Address]:
    """Go round and round through so many addresses of each network."""
    networks = client_networks(NETWORKS, ("EU",))
    addresses = [parse_address(f"{network}.{host}") for host in range(1, 1 + hosts) for network in networks]
    return cycle(list(filter(None, addresses)))


@cache
def _geo() -> Geo:
    return Geo.open(database_file(), None)


@cache
def _decider(scale: float) -> Decider:
    return Decider(Index(decode(snapshot_file(DESIGN.scaled(scale)).read_bytes())), _geo(), AnswerSettings())


@cache
def _design_point() -> bytes:
    return snapshot_file(DESIGN).read_bytes()


if __name__ == "__main__":
    main()
