"""`explain`: which mirrors somebody gets, and why the others are left out."""

from __future__ import annotations

import json
import sys
from random import Random
from time import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from mirrorlistd.cli.console import add_verb, load
from mirrorlistd.config import add_arguments
from mirrorlistd.errors import ConfigError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from mirrorlistd.cli.console import Verbs
    from mirrorlistd.request.client_address import Address

_EXAMPLES: Final = """\
examples:
  mirrorlistd explain --repo pypi --ip 193.0.6.139
  mirrorlistd explain --snapshot mirrors.mls --repo epel-9 --arch x86_64 --ip 2001:db8::1 --json
  mirrorlistd explain --path debian/dists/ --ip 193.0.6.139 --query 'country=DE&limit=3'
  mirrorlistd explain --repo debian --from PL --mirror ftp.de.debian.org      why no traffic from Poland?

exit status: 0 explained, 1 refused, or the answer is no list (400, 403, 404), 2 wrong usage"""
_DECIDES: Final = (
    *("snapshot", "mirrormanager", "state-dir", "geo", "asn", "demo", "minimum", "limit", "preset", "config"),
    *("status", "max-down"),
)
"""The options that decide a list."""


def add(verbs: Verbs) -> None:
    """Add the verb to the command's parser."""
    why = add_verb(
        verbs, "explain", run, "say which mirrors an address gets and why the others are left out", _EXAMPLES
    )
    why.add_argument("--repo", metavar="NAME", help="repository")
    why.add_argument("--arch", metavar="ARCH", help="architecture, where the repository has several")
    why.add_argument("--path", metavar="PATH", help="directory or file, instead of --repo")
    who = why.add_mutually_exclusive_group()
    who.add_argument("--ip", metavar="ADDRESS", help="the client's address")
    who.add_argument(
        "--from", dest="country", metavar="COUNTRY", help="anyone in this country, as PL: no AS, no netblock is known"
    )
    why.add_argument(
        "--mirror",
        metavar="NAME",
        action="append",
        help="show only this mirror, or all whose names hold this text (repeatable)",
    )
    why.add_argument("--query", metavar="QUERY", default="", help="more parameters, as after the `?` of a request")
    why.add_argument("--json", action="store_true", help="print the decision as JSON")
    add_arguments(why, _DECIDES)


def run(arguments: argparse.Namespace, _: list[int]) -> int:
    """Decide, and tell of it."""
    from mirrorlistd.answering.explain import explain  # noqa: PLC0415 - as above
    from mirrorlistd.answering.explain_text import text  # noqa: PLC0415 - as above
    from mirrorlistd.request.client_address import parse_address  # noqa: PLC0415 - `--help` must not pay for the server

    state = load(arguments)
    client: Address | str | None = arguments.country
    if arguments.ip is not None and (client := parse_address(arguments.ip)) is None:
        raise ConfigError(f"--ip: expected an address such as 192.0.2.1 or 2001:db8::1; found {arguments.ip!a}")
    wanted = {key: value for key in ("repo", "arch", "path") if (value := getattr(arguments, key))}
    query = "&".join(filter(None, (urlencode(wanted, quote_via=quote), arguments.query)))
    report: dict[str, Any] = explain(state.decider, query.encode(), client, Random(), full=True, now=time())  # noqa: S311 - no secret
    if arguments.mirror and "error" not in report:
        report |= _only(report, arguments.mirror)
    if arguments.json:
        print(json.dumps(report, indent=2))
    else:
        print(text(report), end="", file=sys.stderr if "error" in report else sys.stdout)
    return 0 if report["status"] == 200 else 1  # noqa: PLR2004 - a status


def _only(report: Mapping[str, Any], wanted: Sequence[str]) -> dict[str, Any]:
    """The rows of the mirrors that are called so, or else of those whose names hold the text."""
    names = {row["mirror"] for key in ("list", "left_out") for row in report[key]}
    shown: set[str] = set()
    for word in wanted:
        found = {word} & names or {name for name in names if word.lower() in name.lower()}
        if not found:
            raise ConfigError(f"--mirror: no mirror's name is or holds {word!a}")
        shown |= found
    return {key: [row for row in report[key] if row["mirror"] in shown] for key in ("list", "left_out")}
