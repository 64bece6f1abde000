"""Lines of a file -> the requests to send. Pure.

A line is a target, a target after the client's address, a line of a web server's log (common or combined), or an access
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
from mirrorlistd.usage.statistics_line import LineError, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_TARGET: Final = re.compile(r"(?:(\S+) +)?(/[\x21-\x7e]*)")
_LOGGED: Final = re.compile(r"[^\"]*\"(?:GET|HEAD) (/[\x21-\x7e]*) HTTP/[\d.]+\"")


class Request(NamedTuple):
    """One request."""

    target: str
    """As it is written after GET: printable ASCII that begins with a slash."""
    address: str | None
    """The client's address; None: that of the machine which compares."""


class RequestList(NamedTuple):
    """The requests of a file."""

    lines: dict[Request, int]
    """Distinct requests, in the order of their first lines -> the number of their lines."""
    left_out: int
    """Lines with further requests than were wanted."""
    bad: int
    """Lines without a request."""


def read_request(line: str) -> Request | None:
    """Read a line; None where it has none of these forms."""
    text = line.strip()
    if match := _TARGET.fullmatch(text):
        address = parse_address(match[1]) if match[1] else None
        return Request(match[2], address.text if address else None) if address or not match[1] else None
    if match := _LOGGED.match(text):
        address = parse_address(text.partition(" ")[0])
        return Request(match[1], address.text if address else None)
    try:
        access = read(text.encode() + b"\n")
    except LineError:
        return None
    address = parse_address(access.address or "")
    wanted = {"repo": access.repo} | ({"arch": access.arch} if access.arch else {})
    return Request(f"/mirrorlist?{urlencode(wanted)}", address.text if address else None)


def read_requests(
    lines: Iterable[str], most: int, addresses: Sequence[str], complain: Callable[[int], None]
) -> RequestList:
    """Read at most `most` distinct requests; one without an address is sent for each of `addresses`, if there are any.

    `complain` gets the number of each line without a request. Empty lines and comments (`#`) are skipped.
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
        has_address = request.address is not None or not addresses
        for each in [request] if has_address else [request._replace(address=address) for address in addresses]:
            if each in wanted or len(wanted) < most:
                wanted[each] = wanted.get(each, 0) + 1
            else:
                left_out += 1
    return RequestList(wanted, left_out, bad)
