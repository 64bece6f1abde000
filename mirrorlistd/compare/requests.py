"""What to ask: lines of a file -> requests. Pure.

A line is a target, a target with the address that asks, a line of a web server's log (common or combined), or an access
line of the statistics:

    /mirrorlist?repo=epel-9&arch=x86_64
    193.0.6.139 /mirrorlist?repo=epel-9&arch=x86_64
    193.0.6.139 - - [24/Nov/2026:10:00:00 +0000] "GET /metalink?repo=epel-9&arch=x86_64 HTTP/1.1" 200 51234 "-" "libdnf"
    IP: 193.0.6.139; DATE: 2026-11-24; COUNTRY: NL; REPO: epel-9; ARCH: x86_64
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlencode

from mirrorlistd.request.client_address import parse_address
from mirrorlistd.usage.line import LineError, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_TARGET: Final = re.compile(r"(?:(\S+) +)?(/[\x21-\x7e]*)")
_LOGGED: Final = re.compile(r"[^\"]*\"(?:GET|HEAD) (/[\x21-\x7e]*) HTTP/[\d.]+\"")


class Request(NamedTuple):
    """One question."""

    target: str
    """As it stands after GET: printable ASCII, beginning with a slash."""
    address: str | None
    """Who is said to ask; None: whoever compares."""


class RequestList(NamedTuple):
    """What a file asks for."""

    lines: dict[Request, int]
    """Distinct requests in the order of their first lines -> how many lines ask so."""
    left_out: int
    """Lines beyond the most requests that were wanted."""
    bad: int
    """Lines that are no request."""


def read_request(line: str) -> Request | None:
    """Read a line; None where it is no request of any of these forms."""
    text = line.strip()
    if match := _TARGET.fullmatch(text):
        asker = match[1]
        known = parse_address(asker) if asker else None
        return Request(match[2], known.text if known else None) if known or not asker else None
    if match := _LOGGED.match(text):
        known = parse_address(text.partition(" ")[0])
        return Request(match[1], known.text if known else None)
    try:
        access = read(text.encode() + b"\n")
    except LineError:
        return None
    known = parse_address(access.address or "")
    wanted = {"repo": access.repo} | ({"arch": access.arch} if access.arch else {})
    return Request(f"/mirrorlist?{urlencode(wanted)}", known.text if known else None)


def read_requests(
    lines: Iterable[str], most: int, askers: Sequence[str], complain: Callable[[int], None]
) -> RequestList:
    """Gather distinct requests, `most` at most; those that name nobody are asked for each of `askers`, if any.

    `complain` is told the number of each line that is no request; empty lines and those that begin with `#` are none
    and no fault.
    """
    wanted: dict[Request, int] = {}
    left_out = bad = 0
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        request = read_request(line)
        if request is None:
            bad += 1
            complain(number)
            continue
        named = request.address is not None or not askers
        for one in [request] if named else [request._replace(address=asker) for asker in askers]:
            if one in wanted or len(wanted) < most:
                wanted[one] = wanted.get(one, 0) + 1
            else:
                left_out += 1
    return RequestList(wanted, left_out, bad)
