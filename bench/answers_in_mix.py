"""What `answer()` costs for the real mix, in-process, beside one client and one repository in the same process."""

from __future__ import annotations

import gc
import time
from itertools import islice, repeat
from random import Random
from statistics import median
from typing import TYPE_CHECKING, Final

import real_mix
from corpus import snapshot_file
from geography import database_file
from mirrorlist_snapshot.format import decode
from mirrorlistd.answering.answer import answer
from mirrorlistd.answering.decider import Decider
from mirrorlistd.answering.plan import AnswerSettings
from mirrorlistd.geo.locate import Geo
from mirrorlistd.request.client_address import Address, parse_address
from mirrorlistd.selection.index import Index

if TYPE_CHECKING:
    from collections.abc import Iterable

    from corpus import Size

WARM: Final = 20_000
"""Requests before anything is timed."""
CALLS: Final = 2_000
"""Of a block: real mix and one client take turns, block by block."""
BLOCKS: Final = 40
SINGLE: Final = 60_000
"""Calls that are timed one by one."""

Asked = tuple[bytes, "Address | None"]


def figures(size: Size, *, registries: bool = False) -> dict[str, float]:
    """Time calls in processor time of the thread, microseconds; `registries`: without a geo database."""
    decider = Decider(
        Index(decode(snapshot_file(size).read_bytes())),
        Geo.open(None if registries else database_file(), None),
        AnswerSettings(),
    )
    mixed = (
        (request.query, parse_address(request.address)) for request in real_mix.requests(size, registries=registries)
    )
    one: Asked = (size.queries()[0], parse_address("193.0.6.139"))
    random = Random(0)
    _block(decider, islice(mixed, WARM), random)
    means = []
    for _ in range(BLOCKS):
        blocks = (list(islice(mixed, CALLS)), list(repeat(one, CALLS)))
        means.append([_block(decider, block, random) / CALLS for block in blocks])
    singles = _singles(decider, list(islice(mixed, SINGLE)), random)
    ratios = [mix / hot for mix, hot in means]
    hot = median(hot for _, hot in means)
    return {
        "one client, mean": hot,
        "real mix, mean": median(mix for mix, _ in means),
        "real mix / one client": median(ratios),
        "real mix / one client, least": min(ratios),
        "real mix / one client, most": max(ratios),
        "real mix, p99": _part(singles, 0.99),
        "real mix, p99.9": _part(singles, 0.999),
        "real mix, p99 / mean of one client": _part(singles, 0.99) / hot,
        "real mix, p99.9 / mean of one client": _part(singles, 0.999) / hot,
    }


def _block(decider: Decider, asked: Iterable[Asked], random: Random) -> float:
    gc.disable()
    started = time.thread_time()
    for query, address in asked:
        answer(decider, query, address, random)
    took = time.thread_time() - started
    gc.enable()
    return took * 1e6


def _singles(decider: Decider, asked: list[Asked], random: Random) -> list[float]:
    """Time each call, without what reading the clock takes; ascending."""
    clock = time.thread_time_ns
    empty = sorted(-clock() + clock() for _ in range(CALLS))[CALLS // 2]
    took = []
    gc.disable()
    for query, address in asked:
        before = clock()
        answer(decider, query, address, random)
        took.append((clock() - before - empty) / 1e3)
    gc.enable()
    return sorted(took)


def _part(ascending: list[float], part: float) -> float:
    return ascending[int(part * len(ascending))]
