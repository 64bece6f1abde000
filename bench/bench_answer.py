"""What one answer costs, in-process: `python bench/bench_answer.py` (pyperf; `--fast` for a first look).

The world is the built-in snapshot (a thousand real mirrors) and built-in geo data; the generator is seeded. Figures and
the environment they were taken in are in README.md beside this file.
"""

from __future__ import annotations

from itertools import cycle
from random import Random

import pyperf

from mirrorlist_snapshot.format import decode, encode
from mirrorlistd.address import Trust, client_address, parse_address
from mirrorlistd.answer import answer
from mirrorlistd.config import Config
from mirrorlistd.decision import Decider
from mirrorlistd.geo import Geo
from mirrorlistd.index import Index
from mirrorlistd.query import parse_query
from mirrorlistd.state import load_state

ADDRESSES = 10_000


def main() -> None:
    """Run every benchmark."""
    runner = pyperf.Runner()
    random = Random(20261122)
    state = load_state(Config())
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


if __name__ == "__main__":
    main()
