"""`rollback TARGET`: publish an earlier snapshot again, under a new serial."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mirrorlist_snapshot import format as snapshot_format
from mirrorlist_snapshot.cli.publishing_flags import (
    EXIT_STATUSES,
    add_publishing_flags,
    add_target,
    open_target,
    publish_by,
)
from mirrorlist_snapshot.cli.shared import CommandError
from mirrorlist_snapshot.console import show, show_json, whole
from mirrorlist_snapshot.errors import PublishError, SnapshotError
from mirrorlist_snapshot.publishing.rules import rollback
from mirrorlist_snapshot.report.text import moment, plural

if TYPE_CHECKING:
    import argparse

    from mirrorlist_snapshot.publishing.rules import Publication, PublicationRules, Target

_COUNTED: Final = {
    "active_mirrors": ("active mirror", "active mirrors"),
    "repositories": ("repository", "repositories"),
    "directories": ("directory", "directories"),
}
"""Counts of a generation: key of its facts -> noun in singular and plural."""
EXAMPLES: Final = f"""\
Without --to, publishes the newest generation that is older than the snapshot in place; a second rollback goes further
back. The content gets a serial above all others, because servers that check signatures never go back to an older
serial. For such servers, sign it with --sign-key. For the rest see `publish --help`.

{EXIT_STATUSES}
examples:
  mirrorlist-snapshot rollback /srv/mirrors.mls --list
  mirrorlist-snapshot rollback /srv/mirrors.mls --sign-key 2026.key --signal /run/mirrorlistd/pid
  mirrorlist-snapshot rollback /srv/mirrors.mls --to 1763800000
  mirrorlist-snapshot rollback s3://bucket/mirrors.mls --sign-key 2026.key
"""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the verb."""
    add_target(parser)
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--to",
        metavar="SERIAL",
        type=whole(0, snapshot_format.MAX_SERIAL, "a serial"),
        help="the generation to publish again",
    )
    which.add_argument("--list", action="store_true", help="show the generations, newest first, and do nothing else")
    add_publishing_flags(parser)


def run(options: argparse.Namespace) -> int:
    """Roll back, or list the generations."""
    if options.list:
        return _list(options)

    def step(target: Target, rules: PublicationRules) -> Publication:
        return rollback(target, rules, options.to)

    return publish_by(options, step)


def _list(options: argparse.Namespace) -> int:
    target = open_target(options.target)
    try:
        found = [_facts("in place", target.current())]
        found += [_facts(f"--to {serial}", target.generation(serial)) for serial in target.generations()]
    except PublishError as failure:
        raise CommandError(str(failure)) from failure
    if options.json:
        show_json(found)
    else:
        show("".join(f"{_line(one)}\n" for one in found))
    return 0


def _facts(where: str, data: bytes | None) -> dict[str, Any]:
    if data is None:
        return {"where": where, "error": "nothing is there"}
    try:
        snapshot, header = snapshot_format.decode(data), snapshot_format.header(data)
    except SnapshotError as failure:
        return {"where": where, "error": str(failure)}
    return {
        "where": where,
        "serial": header.serial,
        "built": header.built,
        "digest": header.digest,
        "key_id": header.key_id,
        "active_mirrors": sum(mirror.active for mirror in snapshot.mirrors),
        "repositories": len(snapshot.repositories),
        "directories": len(snapshot.directories),
    }


def _line(one: dict[str, Any]) -> str:
    if "error" in one:
        return f"{one['where']:<16}  {one['error']}"
    counts = ", ".join(plural(one[key], *words) for key, words in _COUNTED.items())
    signed = f"signed by {one['key_id']}" if one["key_id"] else "unsigned"
    return f"{one['where']:<16}  serial {one['serial']}, built {moment(one['built'])}, {counts}, {signed}"
