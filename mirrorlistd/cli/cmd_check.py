"""`check`: what `serve` would serve, without serving it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

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

exit status: 0 all is good, 1 refused (the message names the file or the setting), 2 wrong usage"""


def add(verbs: Verbs) -> None:
    """Add the verb to the command's parser."""
    summary = "say what `serve` would serve with these settings, or what is wrong with them"
    verb = add_verb(verbs, "check", run, summary, _EXAMPLES)
    verb.add_argument("--json", action="store_true", help="print facts as JSON")
    add_arguments(verb)


def run(arguments: argparse.Namespace, _: list[int]) -> int:
    """Load everything and tell of it."""
    state = load(arguments)
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
        "preset": state.decider.settings.preset.name,
        "limit": state.decider.limit if state.decider.limit < UNLIMITED else None,
    }
    if arguments.json:
        print(json.dumps(facts, indent=2))
        return 0
    print(f"snapshot      {facts['snapshot']}: serial {facts['serial']}, built {facts['built']}")
    print(f"mirrors       {facts['mirrors']}")
    print(f"repositories  {len(facts['repositories'])}: {' '.join(facts['repositories'][:20])}")
    for source in facts["databases"]:
        print(f"{source['kind']:<13} {source['type']}: {source['path']}")
    how_many = f"up to {facts['limit']} mirrors" if facts["limit"] else "all near mirrors"
    print(f"lists         preset {facts['preset']}: {how_many}; far ones only below {facts['minimum']}")
    print("ok: settings, snapshot and databases are good")
    return 0
