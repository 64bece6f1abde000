"""The command line: serve, check, explain.

Exit status: 0 done, 1 refused (the message names the file or the setting) or no list to explain, 2 wrong usage. What
a program may want to read goes to standard output, and as JSON with `--json`; what is said to people goes to standard
error.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from datetime import UTC, datetime
from random import Random
from time import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from mirrorlistd import __version__
from mirrorlistd.config import add_arguments, load_config
from mirrorlistd.errors import ConfigError, MirrorlistdError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mirrorlistd.address import Address
    from mirrorlistd.state import State

_SERVE_EXAMPLES: Final = """\
examples:
  mirrorlistd serve                                     the built-in mirrors, on http://127.0.0.1:8080/
  mirrorlistd serve --snapshot mirrors.mls --geo GeoLite2-City.mmdb
  mirrorlistd serve --snapshot mirrors.mls --uds /run/mirrorlistd/http --trusted-proxy unix
  mirrorlistd serve --config /etc/mirrorlistd.toml      settings as keys: snapshot = "mirrors.mls"

SIGHUP reads snapshot, databases and settings again; SIGTERM finishes what is under way and stops.

exit status: 0 stopped as asked, 1 refused (the message names the file or the setting), 2 wrong usage"""
_CHECK_EXAMPLES: Final = """\
examples:
  mirrorlistd check --config /etc/mirrorlistd.toml      before a restart or a reload
  mirrorlistd check --snapshot mirrors.mls --json       for programs

exit status: 0 all is good, 1 refused (the message names the file or the setting), 2 wrong usage"""
_EXPLAIN_EXAMPLES: Final = """\
examples:
  mirrorlistd explain --repo pypi --ip 193.0.6.139
  mirrorlistd explain --snapshot mirrors.mls --repo epel-9 --arch x86_64 --ip 2001:db8::1 --json
  mirrorlistd explain --path debian/dists/ --ip 193.0.6.139 --query 'country=DE&limit=3'
  mirrorlistd explain --repo debian --from PL --mirror ftp.de.debian.org      why no traffic from Poland?

exit status: 0 explained, 1 refused, or the answer is no list (400, 403, 404), 2 wrong usage"""
_DECIDES: Final = ("snapshot", "geo", "asn", "demo", "minimum", "limit", "config")
"""The options that decide a list."""


def run(argv: Sequence[str], hangups: list[int]) -> int:
    """Run one command; give its exit status. `hangups` collects SIGHUPs that came before the server was up."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.verb != "serve":
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    verb: Callable[[argparse.Namespace, list[int]], int] = arguments.run
    try:
        return verb(arguments, hangups)
    except ConfigError as error:
        for problem in error.problems:
            print(f"mirrorlistd: {problem}", file=sys.stderr)
        return 1
    except MirrorlistdError as error:
        print(f"mirrorlistd: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mirrorlistd",
        description="Tell each package client which mirrors are near it.",
        epilog="`mirrorlistd VERB --help` has examples; snapshots are made by `mirrorlist-snapshot`. "
        "Exit status: 0 ok, 1 refused, 2 wrong usage.",
    )
    parser.add_argument("--version", action="version", version=f"mirrorlistd {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def add(name: str, function: object, help_text: str, examples: str) -> argparse.ArgumentParser:
        verb = verbs.add_parser(
            name,
            help=help_text,
            description=help_text[0].upper() + help_text[1:] + ".",
            epilog=examples,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        verb.set_defaults(run=function)
        return verb

    add_arguments(add("serve", _serve, "serve mirror lists over HTTP", _SERVE_EXAMPLES))
    check = add(
        "check", _check, "say what `serve` would serve with these settings, or what is wrong with them", _CHECK_EXAMPLES
    )
    check.add_argument("--json", action="store_true", help="print facts as JSON")
    add_arguments(check)
    why = add(
        "explain", _explain, "say which mirrors an address gets and why the others are left out", _EXPLAIN_EXAMPLES
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
    return parser


def _serve(arguments: argparse.Namespace, hangups: list[int]) -> int:
    from mirrorlistd.serve import serve  # noqa: PLC0415 - `--help` must not pay for the server

    def reread() -> Any:  # noqa: ANN401 - Config, which is imported lazily elsewhere
        return load_config(arguments, os.environ)

    return serve(reread(), reread, hangups)


def _state(arguments: argparse.Namespace) -> State:
    from mirrorlistd.state import load_state  # noqa: PLC0415 - as above

    return load_state(load_config(arguments, os.environ))


def _check(arguments: argparse.Namespace, _: list[int]) -> int:
    state = _state(arguments)
    snapshot = state.decider.index.snapshot
    facts: dict[str, Any] = {
        "snapshot": state.source,
        "serial": snapshot.serial,
        "built": datetime.fromtimestamp(snapshot.built, UTC).isoformat(),
        "mirrors": len(snapshot.mirrors),
        "repositories": [repository.name for repository in snapshot.repositories],
        "directories": len(snapshot.directories),
        "databases": [
            {"kind": source.kind, "type": source.database_type, "path": str(source.path or "built-in")}
            for source in state.decider.geo.sources
        ],
        "minimum": state.decider.settings.minimum,
        "limit": state.decider.settings.limit,
    }
    if arguments.json:
        print(json.dumps(facts, indent=2))
        return 0
    print(f"snapshot      {facts['snapshot']}: serial {facts['serial']}, built {facts['built']}")
    print(f"mirrors       {facts['mirrors']}")
    print(f"repositories  {len(facts['repositories'])}: {' '.join(facts['repositories'][:20])}")
    for source in facts["databases"]:
        print(f"{source['kind']:<13} {source['type']}: {source['path']}")
    print(f"lists         up to {facts['limit']} mirrors; far ones only below {facts['minimum']}")
    print("ok: settings, snapshot and databases are good")
    return 0


def _explain(arguments: argparse.Namespace, _: list[int]) -> int:
    from mirrorlistd.address import parse_address  # noqa: PLC0415 - as above
    from mirrorlistd.explain import explain  # noqa: PLC0415 - as above
    from mirrorlistd.telling import text  # noqa: PLC0415 - as above

    state = _state(arguments)
    client: Address | str | None = arguments.country
    if arguments.ip is not None and (client := parse_address(arguments.ip)) is None:
        raise ConfigError(f"--ip: expected an address such as 192.0.2.1 or 2001:db8::1; found {arguments.ip!a}")
    wanted = {key: value for key in ("repo", "arch", "path") if (value := getattr(arguments, key))}
    query = "&".join(filter(None, (urlencode(wanted, quote_via=quote), arguments.query)))
    told: dict[str, Any] = explain(state.decider, query.encode(), client, Random(), full=True, now=time())  # noqa: S311 - no secret
    if arguments.mirror and "error" not in told:
        told |= _only(told, arguments.mirror)
    if arguments.json:
        print(json.dumps(told, indent=2))
    else:
        print(text(told), end="", file=sys.stderr if "error" in told else sys.stdout)
    return 0 if told["status"] == 200 else 1  # noqa: PLR2004 - a status


def _only(told: Mapping[str, Any], wanted: Sequence[str]) -> dict[str, Any]:
    """The rows of the mirrors that are called so, or else of those whose names hold the text."""
    names = {row["mirror"] for key in ("list", "left_out") for row in told[key]}
    shown: set[str] = set()
    for word in wanted:
        found = {word} & names or {name for name in names if word.lower() in name.lower()}
        if not found:
            raise ConfigError(f"--mirror: no mirror's name is or holds {word!a}")
        shown |= found
    return {key: [row for row in told[key] if row["mirror"] in shown] for key in ("list", "left_out")}
