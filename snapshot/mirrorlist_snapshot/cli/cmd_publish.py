"""`publish FILE TARGET`: put a compiled snapshot where servers read it, if it is fit for that."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.cli.console import add_verb, load
from mirrorlist_snapshot.cli.publishing_flags import EXIT_CODES, add_flags, add_target, publish_by
from mirrorlist_snapshot.publishing.rules import publish

if TYPE_CHECKING:
    import argparse

    from mirrorlist_snapshot.cli.console import Verbs
    from mirrorlist_snapshot.publishing.rules import Publication, PublicationRules, Target

_EPILOG: Final = f"""\
Writes aside, flushes, reads back and verifies, renames: whoever opens TARGET sees the old snapshot or the new one.
TARGET keeps its permissions and group. What it held stays beside it as TARGET.SERIAL, for `rollback`. In a store
(s3://bucket/key, gs://, az://; `pip install 'mirrorlistd[pull]'`) the same holds for objects: of two publishers at
once, the store refuses one. Credentials come from the store's own variables (AWS_ACCESS_KEY_ID, ...), not from a URL.

Refused, unless forced: more than --max-loss of the mirrors, repositories or directories would be lost; the serial is
not more than that of what is in place; what is in place is signed and FILE is not. What is no good snapshot is never
published. Servers have a limit of their own (--max-loss) and, with --trusted-key, never go back to an older serial:
what is forced here must be meant there, too.

{EXIT_CODES}
examples:
  mirrorlist-snapshot publish build/mirrors.mls /srv/mirrors.mls
  mirrorlist-snapshot publish mirrors.mls /srv/mirrors.mls --sign-key 2026.key --signal /run/mirrorlistd/pid
  mirrorlist-snapshot publish mirrors.mls /srv/mirrors.mls --signal mirrorlistd.pid --readyz unix:/run/mirrorlistd/http
  mirrorlist-snapshot publish mirrors.mls s3://bucket/mirrors.mls --sign-key 2026.key
"""


def add(verbs: Verbs) -> None:
    """Add the verb to the command's parser."""
    parser = add_verb(verbs, "publish", run, "Put a snapshot where servers read it, safely.", _EPILOG)
    parser.add_argument("file", metavar="FILE", type=Path, help="a snapshot; - is standard input")
    add_target(parser)
    add_flags(parser)


def run(options: argparse.Namespace) -> int:
    """Publish, or say why not."""
    data = load(options.file, bytes)

    def step(target: Target, rules: PublicationRules) -> Publication:
        return publish(data, target, rules)

    return publish_by(options, step)
