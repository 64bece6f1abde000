"""`explain`: which mirrors a client gets, and why the others are left out."""

from __future__ import annotations

from random import Random
from time import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from mirrorlist_snapshot.console import Console, show, show_json
from mirrorlistd.answering.answer import RedirectContext
from mirrorlistd.answering.explain import explain, only_mirrors
from mirrorlistd.answering.explain_text import text
from mirrorlistd.cli.loading import load
from mirrorlistd.config import add_arguments
from mirrorlistd.errors import ConfigError, QueryError
from mirrorlistd.request.client_address import parse_address

if TYPE_CHECKING:
    import argparse

    from mirrorlistd.request.client_address import Address

EXAMPLES: Final = """\
examples:
  mirrorlistd explain --repo pypi --ip 193.0.6.139
  mirrorlistd explain --snapshot mirrors.mls --repo epel-9 --arch x86_64 --ip 2001:db8::1 --json
  mirrorlistd explain --path debian/dists/ --ip 193.0.6.139 --query 'country=DE&limit=3'
  mirrorlistd explain --repo debian --from PL --mirror ftp.de.debian.org      why no traffic from Poland?

exit status: 0 explained, 1 refused, or the answer is an error instead of a list (400, 403, 404), 2 wrong usage"""
_DECIDES: Final = (
    *("snapshot", "mirrormanager", "state-dir", "geo", "asn", "demo", "minimum", "limit", "preset", "config"),
    *("status", "max-down"),
)
"""The settings that decide a list."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the verb and the settings that decide a list."""
    parser.add_argument("--repo", metavar="NAME", help="repository")
    parser.add_argument("--arch", metavar="ARCH", help="architecture, where the repository has several")
    parser.add_argument("--path", metavar="PATH", help="directory or file, instead of --repo")
    client = parser.add_mutually_exclusive_group()
    client.add_argument("--ip", metavar="ADDRESS", help="the client's address")
    client.add_argument(
        "--from", dest="country", metavar="COUNTRY", help="a client in this country, such as PL, of unknown address"
    )
    parser.add_argument(
        "--mirror",
        metavar="NAME",
        action="append",
        help="show only this mirror, or all whose names contain this text (repeatable)",
    )
    parser.add_argument("--query", metavar="QUERY", default="", help="more parameters, as after the `?` of a request")
    parser.add_argument("--json", action="store_true", help="print the decision as JSON")
    add_arguments(parser, _DECIDES)


def run(options: argparse.Namespace) -> int:
    """Decide, and explain the decision."""
    state = load(options)
    client: Address | str | None = options.country
    if options.ip is not None and (client := parse_address(options.ip)) is None:
        raise ConfigError(f"--ip: expected an address such as 192.0.2.1 or 2001:db8::1; found {options.ip!a}")
    wanted = {key: value for key in ("repo", "arch", "path") if (value := getattr(options, key))}
    query = "&".join(filter(None, (urlencode(wanted, quote_via=quote), options.query)))
    random, context = Random(), RedirectContext(now=time())  # noqa: S311 - no secret
    report: dict[str, Any] = explain(state.decider, query.encode(), client, random, context, full=True)
    if options.mirror and "error" not in report:
        try:
            report |= only_mirrors(report, options.mirror)
        except QueryError as error:
            raise ConfigError(f"--mirror: {error.message}") from error
    if options.json:
        show_json(report)
    elif "error" in report:
        Console("mirrorlistd").say(text(report))
    else:
        show(text(report))
    return 0 if report["status"] == 200 else 1  # noqa: PLR2004 - a status
