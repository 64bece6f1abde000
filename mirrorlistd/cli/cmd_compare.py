"""`compare`: send the same requests to two servers and show where their answers differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.console import Console, show, show_bytes, whole
from mirrorlistd.compare.comparer import Comparer, ComparisonError, LoadBounds, ServerUrl
from mirrorlistd.compare.difference_report import as_json, as_text, outcome, summary
from mirrorlistd.compare.requests import read_requests
from mirrorlistd.request.client_address import parse_address
from mirrorlistd.usage.reading import lines_of

if TYPE_CHECKING:
    import argparse

    from mirrorlistd.compare.comparer import Result
    from mirrorlistd.compare.requests import RequestList

EXAMPLES: Final = """\
examples:
  mirrorlistd compare --other http://127.0.0.1:3000 --requests access.log
  mirrorlistd compare --other http://127.0.0.1:3000 --requests /var/log/mirrormanager/mirrorlist.log --most 5000
  printf '/mirrorlist?repo=epel-9&arch=x86_64\\n' |
    mirrorlistd compare --url http://127.0.0.1:8080 --other https://mirrors.example.org --requests - --as 193.0.6.139

A line of FILE is a request target, with the client's address before it if you like; or a line of a web server's log; or
a line of the statistics. Both servers are given the address in a header: run yours with `--trusted-proxy` for the
address of this machine. Both servers count these requests in their statistics.

Statuses, mirrors, and size, times and hashes in metalinks must be the same. The order within a tier is random and is
not compared. Tiers are found by asking several times: a request whose answers may differ by chance is asked 60 times.
`unclear` is a difference in fewer than a fifth of the answers: mirrors of very unequal bandwidth, or a list cut at a
limit.

exit status: 0 the same, 1 different, 2 wrong usage, or some requests could not be compared"""
_SAME, _DIFFERENT, _TROUBLE = 0, 1, 2
_BAD_LINES_SHOWN: Final = 10
"""Further ones are only counted."""


def add_flags(verb: argparse.ArgumentParser) -> None:
    """Add the flags of the verb."""
    verb.set_defaults(trouble=_TROUBLE)
    add = verb.add_argument
    add("--other", required=True, metavar="URL", help="the server to compare with")
    add("--url", default="http://127.0.0.1:8080", metavar="URL", help="ours (http://127.0.0.1:8080)")
    add(
        "--requests",
        required=True,
        metavar="FILE",
        help="the requests, plain or compressed by gzip; `-` for standard input",
    )
    add(
        "--as",
        dest="addresses",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="the client's address for lines that have none (repeatable)",
    )
    add(
        "--forwarded-header",
        default="X-Forwarded-For",
        metavar="NAME",
        help="the header that names the client (X-Forwarded-For)",
    )
    add(
        "--asks",
        type=whole(1, 60),
        default=8,
        metavar="N",
        help="times to send each request to each server, 1 to 60 (8)",
    )
    add("--most", type=whole(1, 1_000_000), default=1000, metavar="N", help="distinct requests at most (1000)")
    add("--rate", type=whole(1, 10_000), default=50, metavar="N", help="requests a second to each server (50)")
    add("--concurrency", type=whole(1, 64), default=4, metavar="N", help="requests at once (4)")
    add("--timeout", type=whole(1, 600), default=10, metavar="SECONDS", help="longest wait for a server (10)")
    add("--json", action="store_true", help="print all results as JSON")


def run(options: argparse.Namespace) -> int:
    """Compare, show each difference when it is found, and sum up."""
    servers = ServerUrl.parse(options.url), ServerUrl.parse(options.other)
    console = Console("mirrorlistd")
    requests = _requests(options, console)
    bounds = LoadBounds(asks=options.asks, concurrency=options.concurrency, rate=options.rate, timeout=options.timeout)
    results: list[Result] = []
    stopped = ""
    try:
        for result in Comparer(*servers, options.forwarded_header, bounds).run(requests.lines):
            results.append(result)
            if outcome(result) != "same" and not options.json:
                console.clear()
                show(as_text(result))
            console.progress(f"{len(results)} of {len(requests.lines)}")
    except ComparisonError as error:
        stopped = str(error)
    console.clear()
    if options.json:
        show_bytes(as_json(results, requests, stopped).encode())
    else:
        show(summary(results, requests))
    if stopped:
        raise ComparisonError(stopped)
    outcomes = {outcome(result) for result in results}
    return _TROUBLE if "failed" in outcomes else _DIFFERENT if "different" in outcomes else _SAME


def _requests(options: argparse.Namespace, console: Console) -> RequestList:
    """Read the requests; complain of lines that are none."""
    for address in options.addresses:
        if parse_address(address) is None:
            raise ComparisonError(f"--as: expected an address such as 192.0.2.1 or 2001:db8::1; found {address!a}")
    name: str = options.requests
    bad: list[int] = []

    def complain(number: int) -> None:
        if len(bad) < _BAD_LINES_SHOWN:
            bad.append(number)

    with lines_of(name, lambda _done, _size: None) as lines:
        requests = read_requests(
            (line.decode("utf-8", "replace") for line in lines), options.most, options.addresses, complain
        )
    for number in bad:
        console.error(f"{name}:{number}: no request: expected a target such as /mirrorlist?repo=NAME")
    if requests.bad > len(bad):
        console.error(f"{name}: {requests.bad - len(bad):,} more lines are no request")
    if not requests.lines:
        raise ComparisonError(f"{name}: there is no request in it; write lines such as /mirrorlist?repo=NAME&arch=ARCH")
    return requests
