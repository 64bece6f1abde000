"""The common part of `publish` and `rollback`: the rules as flags, the report, and the reload of a running server."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from mirrorlist_snapshot.cli.key_flags import add_sign_key, signing_key
from mirrorlist_snapshot.cli.shared import (
    CommandError,
    add_json,
    add_max_loss,
    console,
    max_loss,
)
from mirrorlist_snapshot.console import NOT_REPORTED, YELLOW, real, report_done, show_json, whole
from mirrorlist_snapshot.errors import (
    LossError,
    PublishedError,
    PublishError,
    ServingError,
    SnapshotError,
    StoreError,
)
from mirrorlist_snapshot.publishing.file_target import FileTarget
from mirrorlist_snapshot.publishing.rules import DEFAULT_KEEP, PublicationRules
from mirrorlist_snapshot.publishing.running_server import READYZ, ReadyzEndpoint, reload_until_served
from mirrorlist_snapshot.publishing.store_target import StoreTarget
from mirrorlist_snapshot.publishing.stores import StoredObject, is_url, split_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirrorlist_snapshot.publishing.rules import Publication, Target

NOT_SERVED: Final = 3
"""Exit status: the snapshot is published, but the server does not serve it."""
EXIT_STATUSES: Final = f"""\
exit status: 0 done (with --signal: and served), 1 refused or failed: the snapshot in place is unchanged, 2 wrong usage,
{NOT_SERVED} published, but the server is not known to serve it: the message has the reason from /readyz,
{NOT_REPORTED} published, but a later step failed, or the output cannot be written
"""


def add_target(parser: Any) -> None:  # noqa: ANN401 - argparse's own
    """Add TARGET."""
    parser.add_argument(
        "target",
        metavar="TARGET",
        help="the file that servers read, or the object that they pull: s3://bucket/key, gs://, az://, https://",
    )


def open_target(text: str) -> Target:
    """Return the place that TARGET names; raise CommandError."""
    if not is_url(text):
        return FileTarget(Path(text))
    try:
        if split_url(text)[0] == "file":
            return FileTarget(Path(unquote(urlsplit(text).path)))
        target = StoreTarget(StoredObject.at(text))
    except StoreError as failure:
        raise CommandError(str(failure)) from failure
    if not target.keeps:
        console().say("warning: an HTTP server refuses no second publisher and keeps nothing for a rollback", YELLOW)
    return target


def add_publishing_flags(parser: Any) -> None:  # noqa: ANN401 - argparse's own
    """Add the rules of a publication, and the server that shall load it."""
    add_sign_key(parser)
    parser.add_argument("--force", action="store_true", help="publish a valid snapshot that the rules refuse")
    add_max_loss(parser, "TARGET")
    parser.add_argument(
        "--keep",
        metavar="N",
        type=whole(0, 1000),
        default=DEFAULT_KEEP,
        help="generations to keep beside TARGET, for rollback (default: %(default)s)",
    )
    parser.add_argument(
        "--signal",
        metavar="PIDFILE",
        type=Path,
        help="make the server that holds this pid file reload, and wait until it serves the new serial",
    )
    parser.add_argument(
        "--readyz",
        metavar="URL",
        type=_readyz,
        default=ReadyzEndpoint(READYZ),
        help=f"/readyz of that server: http://HOST:PORT/readyz, or unix:PATH (default: {READYZ})",
    )
    parser.add_argument(
        "--wait",
        metavar="SECONDS",
        type=real(0, 3600, "a number of seconds"),
        default=60.0,
        help="how long to wait for it (default: %(default)g)",
    )
    add_json(parser)


def publish_by(options: argparse.Namespace, step: Callable[[Target, PublicationRules], Publication]) -> int:
    """Publish by a step, report, and make the server load the snapshot; return the exit status."""
    rules = PublicationRules(
        signer=signing_key(options.sign_key), limit=max_loss(options), keep=options.keep, force=options.force
    )
    try:
        done = step(open_target(options.target), rules)
    except PublishedError as failure:
        return _fail(options, str(failure), NOT_REPORTED, changed=True)
    except (LossError, PublishError, SnapshotError) as failure:
        reason = str(failure)
        if isinstance(failure, LossError):
            reason = f"{options.target}: refused: {reason}; if that is intended, add --force"
        return _fail(options, reason, int(options.trouble), changed=False)
    _report(done, options.target)
    trouble = None if options.signal is None else _serve(options, done.header.serial)

    def report() -> None:
        if options.json:
            show_json(_facts(done, options, trouble))

    return report_done(console(), report, f"{options.target} is published", NOT_SERVED if trouble else 0)


def _fail(options: argparse.Namespace, reason: str, status: int, *, changed: bool) -> int:
    console().error(reason)

    def report() -> None:
        if options.json:
            show_json({"ok": False, "target": options.target, "changed": changed, "error": reason})

    return report_done(console(), report, f"{options.target} is {'published' if changed else 'unchanged'}", status)


def _serve(options: argparse.Namespace, serial: int) -> str | None:
    """Make the server load the snapshot; return why it is not known to serve it, None if it does."""
    try:
        reload_until_served(options.signal, options.readyz, serial, options.wait, _progress())
    except ServingError as failure:
        trouble = str(failure)
    except KeyboardInterrupt:
        trouble = "the wait for the server was interrupted"
    else:
        console().say(f"served: serial {serial}")
        return None
    console().error(f"{options.target} is published, but {trouble}")
    return trouble


def _report(done: Publication, target: str) -> None:
    for warning in done.warnings:
        console().say(f"warning: {warning}", YELLOW)
    for loss in done.losses:
        if loss.lost:
            console().say(f"lost: {loss}")
    replaced = f" instead of {done.replaced}" if done.replaced is not None else ""
    what = (
        f"published {target}: serial {done.header.serial}{replaced}" if done.changed else f"{target}: in place already"
    )
    signed = f", signed by key {done.header.key_id}" if done.header.signed else ""
    console().say(f"{what}, {done.header.length:,} bytes, digest {done.header.digest}{signed}")


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
    """Return a function that shows each message once; elsewhere than on a terminal only the first message."""
    shown: set[str] = set()

    def show_once(text: str) -> None:
        if text not in shown and (console().is_terminal or not shown):
            console().say(text)
        shown.add(text)

    return show_once


def _readyz(text: str) -> ReadyzEndpoint:
    try:
        return ReadyzEndpoint.parse(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected http://HOST:PORT/readyz or unix:PATH, found {text!r}") from None
