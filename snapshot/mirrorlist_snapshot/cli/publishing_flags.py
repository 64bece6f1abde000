"""What `publish` and `rollback` share: the rules as flags, what is told of a publication, and having it served."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from mirrorlist_snapshot.cli.console import YELLOW, CommandError, add_max_loss, error, max_loss, number, say, show_json
from mirrorlist_snapshot.cli.key_flags import add_sign_key, signing_key
from mirrorlist_snapshot.errors import LossError, PublishError, ServingError, SnapshotError, StoreError
from mirrorlist_snapshot.publishing.file_target import FileTarget
from mirrorlist_snapshot.publishing.rules import DEFAULT_KEEP, PublicationRules
from mirrorlist_snapshot.publishing.running_server import READYZ, ReadyzEndpoint, reload_until_served
from mirrorlist_snapshot.publishing.store_target import StoreTarget
from mirrorlist_snapshot.publishing.stores import StoredObject, is_url, split_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirrorlist_snapshot.publishing.rules import Publication, Target

NOT_SERVED: Final = 3
"""Exit code: it is published, and the server that was told to does not serve it."""
EXIT_CODES: Final = """\
exit codes: 0 done (with --signal: and served), 1 refused or failed: what was in place still is, 2 wrong usage,
3 published, but the server does not serve it: the message has the reason that /readyz gives
"""


def add_target(parser: Any) -> None:  # noqa: ANN401 - argparse's own
    """Add TARGET."""
    parser.add_argument(
        "target",
        metavar="TARGET",
        help="the file that servers read, or the object that they pull: s3://bucket/key, gs://, az://, https://",
    )


def open_target(text: str) -> Target:
    """Give the place that TARGET names."""
    if not is_url(text):
        return FileTarget(Path(text))
    try:
        if split_url(text)[0] == "file":
            return FileTarget(Path(unquote(urlsplit(text).path)))
        target = StoreTarget(StoredObject.at(text))
    except StoreError as failure:
        raise CommandError(str(failure)) from failure
    if not target.keeps:
        say("warning: an HTTP server refuses no second publisher and keeps nothing for a rollback", YELLOW)
    return target


def add_flags(parser: Any) -> None:  # noqa: ANN401 - argparse's own
    """Add what a publication can be told."""
    add_sign_key(parser)
    parser.add_argument("--force", action="store_true", help="publish what would be refused, if it is a good snapshot")
    add_max_loss(parser, "TARGET")
    parser.add_argument(
        "--keep",
        metavar="N",
        type=_count,
        default=DEFAULT_KEEP,
        help="generations to keep beside TARGET, for rollback (default: %(default)s)",
    )
    parser.add_argument(
        "--signal",
        metavar="PIDFILE",
        type=Path,
        help="have the server that holds this pid file reload, and wait until it serves the new serial",
    )
    parser.add_argument(
        "--readyz",
        metavar="URL",
        type=_readyz,
        default=ReadyzEndpoint(READYZ),
        help=f"where to ask that server: http://HOST:PORT/readyz, or unix:PATH (default: {READYZ})",
    )
    parser.add_argument(
        "--wait", metavar="SECONDS", type=_seconds, default=60.0, help="how long to wait for it (default: %(default)g)"
    )
    parser.add_argument("--json", action="store_true", help="write JSON for programs instead of text for people")


def publish_by(options: argparse.Namespace, step: Callable[[Target, PublicationRules], Publication]) -> int:
    """Publish by a step, tell, and have the server serve it; give the exit code."""
    rules = PublicationRules(
        signer=signing_key(options.sign_key), limit=max_loss(options), keep=options.keep, force=options.force
    )
    try:
        done = step(open_target(options.target), rules)
    except (LossError, PublishError, SnapshotError) as failure:
        reason = str(failure)
        if isinstance(failure, LossError):
            reason = f"{options.target}: refused: {reason}; if that is meant, add --force"
        if options.json:
            show_json({"ok": False, "target": options.target, "changed": False, "error": reason})
        raise CommandError(reason) from failure
    _report(done, options.target)
    trouble = None
    if options.signal is not None:
        try:
            reload_until_served(options.signal, options.readyz, done.header.serial, options.wait, _progress())
        except ServingError as failure:
            trouble = str(failure)
            error(f"{options.target} is published, but {trouble}")
        else:
            say(f"served: serial {done.header.serial}")
    if options.json:
        show_json(_facts(done, options, trouble))
    return NOT_SERVED if trouble else 0


def _report(done: Publication, target: str) -> None:
    for warning in done.warnings:
        say(f"warning: {warning}", YELLOW)
    for loss in done.losses:
        if loss.lost:
            say(f"lost: {loss}")
    instead = f" instead of {done.replaced}" if done.replaced is not None else ""
    what = (
        f"published {target}: serial {done.header.serial}{instead}" if done.changed else f"{target}: in place already"
    )
    signed = f", signed by key {done.header.key_id}" if done.header.signed else ""
    say(f"{what}, {done.header.length:,} bytes, digest {done.header.digest}{signed}")


def _facts(done: Publication, options: argparse.Namespace, trouble: str | None) -> dict[str, Any]:
    return {
        "ok": trouble is None,
        "target": options.target,
        "changed": done.changed,
        "serial": done.header.serial,
        "replaced": done.replaced,
        "built": done.header.built,
        "digest": done.header.digest,
        "key_id": done.header.key_id,
        "losses": [
            {"kind": one.kind, "before": one.before, "lost": one.lost, "names": one.names} for one in done.losses
        ],
        "warnings": done.warnings,
        "served": None if options.signal is None else trouble is None,
        "error": trouble,
    }


def _progress() -> Callable[[str], None]:
    """Say each thing once; on a terminal that is enough to see that it goes on."""
    said: set[str] = set()

    def tell(text: str) -> None:
        if text not in said and (sys.stderr.isatty() or not said):
            say(text)
        said.add(text)

    return tell


def _seconds(text: str) -> float:
    return number(text, 3600, "a number of seconds from 0 to 3600")


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 1000):  # noqa: PLR2004 - more is a mistake
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 to 1000, found {text!r}")
    return int(text)


def _readyz(text: str) -> ReadyzEndpoint:
    try:
        return ReadyzEndpoint.parse(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected http://HOST:PORT/readyz or unix:PATH, found {text!r}") from None
