"""`publish FILE TARGET`: put a compiled snapshot where servers read it, if the rules allow it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.cli.publishing_flags import EXIT_STATUSES, add_publishing_flags, add_target, publish_by
from mirrorlist_snapshot.cli.shared import read_snapshot
from mirrorlist_snapshot.publishing.rules import publish

if TYPE_CHECKING:
    import argparse

    from mirrorlist_snapshot.publishing.rules import Publication, PublicationRules, Target

EXAMPLES: Final = f"""\
Writes a temporary file, flushes it, reads it back, verifies it, and renames it: a reader of TARGET sees the old
snapshot or the new one. TARGET keeps its permissions and group. The old snapshot is kept beside it as TARGET.SERIAL,
for `rollback`. In a store (s3://bucket/key, gs://, az://; `pip install 'mirrorlistd[pull]'`) the same holds for
objects, and the store refuses the slower one of two publishers. Credentials come from the store's own variables
(AWS_ACCESS_KEY_ID, ...), not from a URL.

Refused, unless forced: a loss of more than --max-loss of the mirrors, repositories or directories; a serial that is not
more than that of the snapshot in place; an unsigned snapshot in place of a signed one. An invalid snapshot is always
refused. Servers have their own limit (--max-loss), and with --trusted-key never go back to an older serial: what is
forced here must be forced there, too.

{EXIT_STATUSES}
examples:
  mirrorlist-snapshot publish build/mirrors.mls /srv/mirrors.mls
  mirrorlist-snapshot publish mirrors.mls /srv/mirrors.mls --sign-key 2026.key --signal /run/mirrorlistd/pid
  mirrorlist-snapshot publish mirrors.mls /srv/mirrors.mls --signal mirrorlistd.pid --readyz unix:/run/mirrorlistd/http
  mirrorlist-snapshot publish mirrors.mls s3://bucket/mirrors.mls --sign-key 2026.key
"""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the verb."""
    parser.add_argument("file", metavar="FILE", type=Path, help="a snapshot; - is standard input")
    add_target(parser)
    add_publishing_flags(parser)


def run(options: argparse.Namespace) -> int:
    """Publish a snapshot."""
    data = read_snapshot(options.file)

    def step(target: Target, rules: PublicationRules) -> Publication:
        return publish(data, target, rules)

    return publish_by(options, step)
