"""How the cost of an answer grows with the network of mirrors, lists being as long: the smallest of many timings.

Between the small network and the large one only what is named differs. Clients are in Europe, where both networks
have more than the 20 mirrors of a list.
"""

from __future__ import annotations

import contextlib
import gc
import time
from dataclasses import replace
from itertools import cycle, islice
from random import Random
from statistics import median
from typing import TYPE_CHECKING, Final

from corpus import Size, snapshot_file
from geography import client_networks, database_file
from measuring import Machine, Schedule, measure
from mirrorlist_snapshot.format import decode
from mirrorlistd.answering.answer import answer
from mirrorlistd.answering.decider import Decider
from mirrorlistd.answering.plan import AnswerSettings
from mirrorlistd.geo.locate import Geo
from mirrorlistd.request.client_address import parse_address
from mirrorlistd.selection.index import Index
from servers import Server, mirrorlistd, prepare, started

if TYPE_CHECKING:
    from pathlib import Path


CALLS: Final = 2_000
ROUNDS: Final = 60
NETWORKS: Final = 1_009
"""Of clients; a prime, so that every query meets every one in time."""
PAIRS: Final = 5


def small(size: Size) -> Size:
    """A tenth of the mirrors, a hundredth of everything that grows with directories."""
    part = size.scaled(0.01)
    return replace(part, mirrors=round(size.mirrors * 0.1), netblocks=round(size.netblocks * 0.1))


class Timed:
    """One network, ready to be asked with warm memos."""

    def __init__(self, size: Size, queries: int) -> None:
        self._decider = Decider(
            Index(decode(snapshot_file(size).read_bytes())), Geo.open(database_file(), None), AnswerSettings()
        )
        networks = client_networks(NETWORKS, ("EU",))
        self._queries = cycle(size.queries()[:queries])
        self._addresses = cycle([parse_address(f"{network}.77") for network in networks])
        self._random = Random(0)

    def microseconds(self) -> float:
        """Time some calls, in processor time."""
        decider, random = self._decider, self._random
        asked = list(islice(zip(self._queries, self._addresses, strict=False), CALLS))
        gc.disable()
        started_at = time.thread_time()
        for query, address in asked:
            answer(decider, query, address, random)
        took = time.thread_time() - started_at
        gc.enable()
        return took / CALLS * 1e6


def of_answer(size: Size) -> dict[str, float]:
    """Time `answer()` with everything remembered, in networks that differ in one thing each."""
    few = small(size)
    networks = {
        "70 mirrors, 1,500 directories": few,
        "700 mirrors, 1,500 directories": replace(few, mirrors=size.mirrors),
        "70 mirrors, 150,000 directories": replace(size, mirrors=few.mirrors),
        "700 mirrors, 150,000 directories": size,
    }
    timed = {name: Timed(network, few.pairs) for name, network in networks.items()}
    best = dict.fromkeys(networks, float("inf"))
    for _ in range(ROUNDS):  # in turns, so that a slow minute is everybody's
        for name, one in timed.items():
            best[name] = min(best[name], one.microseconds())
    figures = {f"answer(), {name}, µs": value for name, value in best.items()}
    figures["answer(), 70 mirrors and 1,500 directories to design point"] = (
        best["700 mirrors, 150,000 directories"] / best["70 mirrors, 1,500 directories"]
    )
    figures["answer(), design point, all its repositories, µs"] = _all_repositories(size)
    return figures


def _all_repositories(size: Size) -> float:
    """Time requests all over the network, the median: 400 queries times a thousand clients are more than memos hold."""
    one = Timed(size, size.pairs)
    return median(one.microseconds() for _ in range(ROUNDS))


def of_request(folder: Path, size: Size) -> dict[str, float]:
    """Compare whole requests over HTTP, small network and design point, the same repositories."""
    few = small(size)
    with contextlib.ExitStack() as stack:
        servers: list[Server] = []
        loads = []
        for number, network in enumerate((size, few)):
            own = folder / f"growth{number}"
            own.mkdir()
            snapshot = snapshot_file(network)
            queries = few.queries() if number else size.queries()[: few.pairs]
            loads.append(prepare(own, snapshot, queries, 2_000).keep_alive)
            target = f"/mirrorlist?{queries[0].decode()}"
            servers.append(stack.enter_context(started(mirrorlistd(snapshot), own, target)))
        schedule = Schedule(["growth"], PAIRS, 2 * PAIRS, Machine())
        for server, load in zip(servers, loads, strict=True):
            measure(server.url, server.process.pid, load, 2)
        while schedule.next() is not None:
            large, tiny = (
                lambda place=place: measure(servers[place].url, servers[place].process.pid, loads[place], 1)
                for place in (0, 1)
            )
            schedule.measure("growth", large, tiny)
        ratio = schedule.summary("growth")
    name = "whole request, 70 mirrors and 1,500 directories to design point"
    return {} if ratio is None else {name: ratio.median, f"{name}, pairs that count, of {PAIRS}": ratio.counted}
