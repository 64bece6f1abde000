"""`check`: whether `serve` would start with these settings, or how a running server is, for a monitoring system."""

from __future__ import annotations

from datetime import UTC, datetime
from time import time
from typing import TYPE_CHECKING, Any, Final

from mirrorlist_snapshot.console import Console, show, show_json
from mirrorlist_snapshot.errors import ServingError
from mirrorlist_snapshot.publishing.running_server import ReadyzEndpoint
from mirrorlistd.cli.check_result import Level, judge, unreachable
from mirrorlistd.cli.loading import load
from mirrorlistd.config import add_arguments
from mirrorlistd.presets import UNLIMITED

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

EXAMPLES: Final = """\
examples:
  mirrorlistd check --config /etc/mirrorlistd.toml      before a restart or a reload
  mirrorlistd check --snapshot mirrors.mls --json       for programs
  mirrorlistd check --url http://127.0.0.1:8080         for Nagios, Icinga and others; or unix:/run/mirrorlistd/http

exit status: 0 good, 1 refused (the message names the file or the setting), or the status file does not apply as it is,
or the snapshot is older than --max-age or built in the future, 2 wrong usage

exit status with --url, as of monitoring plugins: 0 OK; 1 warning: the server answers, but the snapshot is older than
--max-age (of the server, unless given here) or built in the future, the last reload failed, a new snapshot is refused
by the reload or the pull, the last good copy is served, the status file does not apply as it is, or a worker is down or
serves another snapshot; 2 critical: the server does not answer or is not ready; 3 unknown: --url is bad"""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the verb and every setting."""
    parser.add_argument(
        "--url", metavar="URL", help="ask a running server's /readyz instead, as a monitoring plugin does"
    )
    parser.add_argument("--json", action="store_true", help="print facts as JSON")
    add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Load everything and show what it is, or ask a server."""
    return _ask(options) if options.url is not None else _check(options)


def _ask(options: argparse.Namespace) -> int:
    try:
        readyz = ReadyzEndpoint.parse(options.url)
    except ValueError:
        show(f"MIRRORLISTD UNKNOWN - --url: expected http://HOST:PORT or unix:PATH, found {options.url!a}")
        return Level.UNKNOWN
    try:
        max_age = float(options.max_age) if options.max_age is not None else None
    except ValueError:
        show(f"MIRRORLISTD UNKNOWN - --max-age: expected a number of seconds, found {options.max_age!a}")
        return Level.UNKNOWN
    facts: dict[str, Any] = {}
    try:
        facts = readyz.ask()
        result = judge(facts, max_age)
    except ServingError as error:
        result = unreachable(str(error))
    except (TypeError, ValueError, AttributeError):
        result = unreachable(f"cannot query {options.url}: the answer is not mirrorlistd's")
    if options.json:
        show_json({"level": result.level.name, "problems": result.problems, "readyz": facts})
    else:
        show(result.line)
    return result.level


def _check(options: argparse.Namespace) -> int:
    state = load(options, afresh=True)
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
        "seconds_ahead": state.seconds_ahead(time()),
        "status": state.status_file.counts(snapshot),
        "status_error": state.origin.status_error,
    }
    if options.json:
        show_json(facts)
    else:
        show("\n".join(_lines(facts)))
    console = Console("mirrorlistd")
    if facts["seconds_ahead"]:
        console.error(f"the snapshot was built {facts['seconds_ahead']} s in the future: a clock is wrong")
    elif facts["stale"]:
        console.error(f"the snapshot is stale: more than {state.max_age:g} s old")
    if facts["status_error"]:
        console.error(f"--status: {facts['status_error']}")
    return 0 if _is_good(facts) else 1


def _is_good(facts: dict[str, Any]) -> bool:
    return not (facts["stale"] or facts["seconds_ahead"] or facts["status_error"])


def _lines(facts: dict[str, Any]) -> Iterator[str]:
    yield f"snapshot      {facts['snapshot']}: serial {facts['serial']}, built {facts['built']}"
    yield f"mirrors       {facts['mirrors']}"
    yield f"repositories  {len(facts['repositories'])}: {' '.join(facts['repositories'][:20])}"
    for source in facts["databases"]:
        yield f"{source['kind']:<13} {source['type']}: {source['path']}"
    how_many = f"up to {facts['limit']} mirrors" if facts["limit"] else "all near mirrors"
    yield f"lists         preset {facts['preset']}: {how_many}; far ones only below {facts['minimum']}"
    status = facts["status"]
    if any(status.values()):
        yield f"status        {', '.join(f'{count} {what}' for what, count in status.items() if count)}"
    if _is_good(facts):
        yield "ok: settings, snapshot and databases are good"
