"""`check`: what `serve` would serve, without serving it; or how a running server is, for a monitoring system."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from time import time
from typing import TYPE_CHECKING, Any, Final

from mirrorlist_snapshot.errors import ServingError
from mirrorlist_snapshot.publishing.running_server import ReadyzEndpoint
from mirrorlistd.cli.check_result import Level, judge, unreachable
from mirrorlistd.cli.console import add_verb, load
from mirrorlistd.config import add_arguments
from mirrorlistd.presets import UNLIMITED

if TYPE_CHECKING:
    import argparse

    from mirrorlistd.cli.console import Verbs

_EXAMPLES: Final = """\
examples:
  mirrorlistd check --config /etc/mirrorlistd.toml      before a restart or a reload
  mirrorlistd check --snapshot mirrors.mls --json       for programs
  mirrorlistd check --url http://127.0.0.1:8080         for Nagios, Icinga and others; or unix:/run/mirrorlistd/http

exit status: 0 all is good, 1 refused (the message names the file or the setting), the status file is bad, or the
snapshot is older than --max-age, 2 wrong usage

with --url, as monitoring plugins have it: 0 it serves and all is well; 1 warning: it serves, but the snapshot is older
than --max-age (that of the server, unless given here), the last reload failed, the last good copy is served, the status
file is bad, or a worker is down; 2 critical: it does not answer, or is not ready; 3 unknown: the URL is none"""


def add(verbs: Verbs) -> None:
    """Add the verb to the command's parser."""
    summary = "say what `serve` would serve with these settings, or what is wrong with them"
    verb = add_verb(verbs, "check", run, summary, _EXAMPLES)
    verb.add_argument(
        "--url", metavar="URL", help="ask a running server's /readyz instead, as a monitoring plugin does"
    )
    verb.add_argument("--json", action="store_true", help="print facts as JSON")
    add_arguments(verb)


def run(arguments: argparse.Namespace, _: list[int]) -> int:
    """Load everything and tell of it, or ask a server."""
    return _ask(arguments) if arguments.url is not None else _check(arguments)


def _ask(arguments: argparse.Namespace) -> int:
    try:
        readyz = ReadyzEndpoint.parse(arguments.url)
    except ValueError:
        print(f"MIRRORLISTD UNKNOWN - --url: expected http://HOST:PORT or unix:PATH, found {arguments.url!a}")
        return Level.UNKNOWN
    try:
        max_age = float(arguments.max_age) if arguments.max_age is not None else None
    except ValueError:
        print(f"MIRRORLISTD UNKNOWN - --max-age: expected a number of seconds, found {arguments.max_age!a}")
        return Level.UNKNOWN
    facts: dict[str, Any] = {}
    try:
        facts = readyz.ask()
        verdict = judge(facts, max_age)
    except ServingError as error:
        verdict = unreachable(str(error))
    if arguments.json:
        print(json.dumps({"level": verdict.level.name, "problems": verdict.problems, "readyz": facts}, indent=2))
    else:
        print(verdict.line)
    return verdict.level


def _check(arguments: argparse.Namespace) -> int:
    state = load(arguments, afresh=True)
    snapshot = state.published
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
        "preset": state.decider.settings.preset.name,
        "limit": state.decider.limit if state.decider.limit < UNLIMITED else None,
        "stale": state.stale(time()),
        "status": state.overlay.counts(snapshot),
        "status_error": state.origin.status_error,
    }
    if arguments.json:
        print(json.dumps(facts, indent=2))
    else:
        _tell(facts)
    if facts["stale"]:
        print(f"mirrorlistd: the snapshot is stale: more than {state.max_age:g} s old", file=sys.stderr)
    if facts["status_error"]:
        print(f"mirrorlistd: --status: {facts['status_error']}", file=sys.stderr)
    return 1 if facts["stale"] or facts["status_error"] else 0


def _tell(facts: dict[str, Any]) -> None:
    print(f"snapshot      {facts['snapshot']}: serial {facts['serial']}, built {facts['built']}")
    print(f"mirrors       {facts['mirrors']}")
    print(f"repositories  {len(facts['repositories'])}: {' '.join(facts['repositories'][:20])}")
    for source in facts["databases"]:
        print(f"{source['kind']:<13} {source['type']}: {source['path']}")
    how_many = f"up to {facts['limit']} mirrors" if facts["limit"] else "all near mirrors"
    print(f"lists         preset {facts['preset']}: {how_many}; far ones only below {facts['minimum']}")
    status = facts["status"]
    if any(status.values()):
        print(f"status        {', '.join(f'{count} {what}' for what, count in status.items() if count)}")
    if not (facts["stale"] or facts["status_error"]):
        print("ok: settings, snapshot and databases are good")
