"""`compare`: ask this server and another one the same, and say what differs."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Final

from mirrorlistd.cli.console import add_verb
from mirrorlistd.errors import MirrorlistdError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirrorlistd.cli.console import Verbs
    from mirrorlistd.compare.comparer import Result
    from mirrorlistd.compare.requests import RequestList

_EXAMPLES: Final = """\
examples:
  mirrorlistd compare --other http://127.0.0.1:3000 --requests access.log
  mirrorlistd compare --other http://127.0.0.1:3000 --requests /var/log/mirrormanager/mirrorlist.log --most 5000
  printf '/mirrorlist?repo=epel-9&arch=x86_64\\n' |
    mirrorlistd compare --url http://127.0.0.1:8080 --other https://mirrors.example.org --requests - --as 193.0.6.139

FILE has targets, each with an address before it if you like, or lines of a web server's log, or of the statistics.
Addresses are named to both servers in a header: run yours with `--trusted-proxy` for where this command comes from.
Both count these requests in their statistics, as if those addresses had asked.

Statuses, mirrors and what metalinks say of the file must be the same; the order within a tier is chance and is not
compared. Tiers are told by asking several times: what might be chance after a few asks is asked 60 times. `unclear` is
what happened less often than every fifth time, at one server only: mirrors of very unequal bandwidth, or a list cut at
a limit.

exit status: 0 the same, 1 different, 2 wrong usage, or not everything could be compared"""
_SAME, _DIFFERENT, _TROUBLE = 0, 1, 2
_COMPLAINTS: Final = 10
"""Lines that are no request, told singly."""


def add(verbs: Verbs) -> None:
    """Add the verb to the command's parser."""
    verb = add_verb(verbs, "compare", run, "ask this server and another one the same, and say what differs", _EXAMPLES)
    add = verb.add_argument
    add("--other", required=True, metavar="URL", help="the server to compare with")
    add("--url", default="http://127.0.0.1:8080", metavar="URL", help="ours (http://127.0.0.1:8080)")
    add("--requests", required=True, metavar="FILE", help="what to ask, plain or compressed; `-` for standard input")
    add("--as", dest="askers", action="append", default=[], metavar="ADDRESS", help="who asks, where no line says so")
    add("--forwarded-header", default="X-Forwarded-For", metavar="NAME", help="what names who asks (X-Forwarded-For)")
    add("--asks", type=_number(1, 60), default=8, metavar="N", help="times to ask each server, 1 to 60 (8)")
    add("--most", type=_number(1, 1_000_000), default=1000, metavar="N", help="distinct requests at most (1000)")
    add("--rate", type=_number(1, 10_000), default=50, metavar="N", help="asks a second, to each server (50)")
    add("--concurrency", type=_number(1, 64), default=4, metavar="N", help="requests at once (4)")
    add("--timeout", type=_number(1, 600), default=10, metavar="SECONDS", help="longest wait for a server (10)")
    add("--json", action="store_true", help="print all results as JSON")


def run(arguments: argparse.Namespace, _: list[int]) -> int:
    """Compare, tell of differences as they are found, and sum up."""
    try:
        return _run(arguments)
    except MirrorlistdError as error:
        print(f"mirrorlistd: {error}", file=sys.stderr)
        return _TROUBLE


def _run(arguments: argparse.Namespace) -> int:
    from mirrorlistd.compare.comparer import Comparer, ComparisonError, LoadBounds, ServerUrl  # noqa: PLC0415 - `--help` does without
    from mirrorlistd.compare.difference_report import as_json, as_text, outcome, summary  # noqa: PLC0415 - as above

    bases = ServerUrl.parse(arguments.url), ServerUrl.parse(arguments.other)
    read_requests = _plan(arguments)
    bounds = LoadBounds(
        asks=arguments.asks, concurrency=arguments.concurrency, rate=arguments.rate, timeout=arguments.timeout
    )
    results: list[Result] = []
    stopped = ""
    terminal = sys.stderr.isatty()
    try:
        for result in Comparer(*bases, arguments.forwarded_header, bounds).run(read_requests.lines):
            results.append(result)
            if outcome(result) != "same" and not arguments.json:
                print("\r\x1b[K" * terminal + as_text(result), end="", flush=True)
            if terminal:
                print(f"\r\x1b[K{len(results)} of {len(read_requests.lines)}", end="", file=sys.stderr, flush=True)
    except ComparisonError as error:
        stopped = str(error)
    if terminal:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    print(as_json(results, read_requests, stopped) if arguments.json else summary(results, read_requests), end="")
    if stopped:
        raise ComparisonError(stopped)
    outcomes = {outcome(result) for result in results}
    return _TROUBLE if "failed" in outcomes else _DIFFERENT if "different" in outcomes else _SAME


def _plan(arguments: argparse.Namespace) -> RequestList:
    from mirrorlistd.compare.comparer import ComparisonError  # noqa: PLC0415 - as above
    from mirrorlistd.compare.requests import read_requests  # noqa: PLC0415 - as above
    from mirrorlistd.request.client_address import parse_address  # noqa: PLC0415 - as above
    from mirrorlistd.usage.reading import lines_of  # noqa: PLC0415 - as above

    for asker in arguments.askers:
        if parse_address(asker) is None:
            raise ComparisonError(f"--as: expected an address such as 192.0.2.1 or 2001:db8::1; found {asker!a}")
    name: str = arguments.requests
    bad: list[int] = []

    def complain(number: int) -> None:
        if len(bad) < _COMPLAINTS:
            bad.append(number)

    with lines_of(name, lambda _done, _size: None) as lines:
        planned = read_requests(
            (line.decode("utf-8", "replace") for line in lines), arguments.most, arguments.askers, complain
        )
    for number in bad:
        print(
            f"mirrorlistd: {name}:{number}: no request: expected a target such as /mirrorlist?repo=NAME",
            file=sys.stderr,
        )
    if planned.bad > len(bad):
        print(f"mirrorlistd: {name}: {planned.bad - len(bad):,} more lines are no request", file=sys.stderr)
    if not planned.lines:
        raise ComparisonError(f"{name}: there is no request in it; write lines such as /mirrorlist?repo=NAME&arch=ARCH")
    return planned


def _number(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"expected a whole number from {least} to {most}, found {text!a}")
        return int(text)

    return read
