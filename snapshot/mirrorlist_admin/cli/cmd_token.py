"""`token MIRROR`: give a mirror the permission to report, list such permissions, or take one back."""

from __future__ import annotations

import argparse
import difflib
import time
from typing import TYPE_CHECKING, Final

from mirrorlist_admin.checkin.tokens import identifier, new_token
from mirrorlist_admin.cli.shared import add_json, add_state, console
from mirrorlist_admin.errors import AdminError
from mirrorlist_admin.store import Store, schema
from mirrorlist_snapshot.console import show, show_json
from mirrorlist_snapshot.duration import parse_duration
from mirrorlist_snapshot.report.text import ago, moment, table

if TYPE_CHECKING:
    from mirrorlist_admin.store.checkin_rows import Token

EXAMPLES: Final = """\
A token speaks for one mirror. It is shown once, on standard output, and only its hash is kept: give it to the mirror's
admin over a channel that others do not read. Make a new one where it has leaked, then revoke the old one.

exit status: 0 done, 1 no such mirror or token, or the folder cannot be used, 2 wrong usage

examples:
  mirrorlist-admin token ftp.example.de --state /var/lib/mirrorlist-admin > ftp.example.de.token
  mirrorlist-admin token --list --state /var/lib/mirrorlist-admin
  mirrorlist-admin token --revoke 1f3a0c9d2e --state /var/lib/mirrorlist-admin
"""
_LEAST, _MOST = 3600, 10 * 365 * 86_400
_YEAR: Final = 365 * 86_400


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the verb."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("mirror", metavar="MIRROR", nargs="?", help="a mirror of the sources, by its name there")
    what.add_argument("--list", action="store_true", help="list the tokens: mirror, identifier, expiry, last use")
    what.add_argument("--revoke", metavar="ID", help="take a token back, by its identifier in the list")
    add_state(parser)
    parser.add_argument(
        "--expires", metavar="DURATION", type=_expires, default=_YEAR, help="30d, 52w, or never (default: 365d)"
    )
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Make, list or revoke tokens."""
    now = int(time.time())
    with Store(options.state) as store:
        if options.list:
            _list(store.read(schema.TOKEN, "ORDER BY mirror, created"), now, as_json=options.json)
        elif options.revoke:
            _revoke(store, options.revoke)
        else:
            _make(store, options.mirror, now, options.expires, as_json=options.json)
    return 0


def _expires(text: str) -> int:
    if text == "never":
        return 0
    try:
        return parse_duration(text, _LEAST, _MOST)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}; or write never") from None


def _make(store: Store, mirror: str, now: int, expires: int, *, as_json: bool) -> None:
    known = [row.mirror for row in store.read(schema.DECLARED_MIRROR)]
    if known and mirror not in known:
        near = difflib.get_close_matches(mirror, known, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "`mirrorlist-admin status` lists the mirrors"
        raise AdminError(f"the sources have no mirror {mirror!r}; {hint}")
    token, row = new_token(mirror, now, now + expires if expires else 0)
    with store.transaction():
        store.write(schema.TOKEN, [row])
    until = f"valid until {moment(row.expires)}" if row.expires else "valid until it is revoked"
    if not known:
        console().note("warning: no run of `mirrorlist-admin probe` has stored yet which mirrors there are")
    if as_json:
        show_json({"token": token, "id": identifier(row), "mirror": mirror, "expires": row.expires})
    else:
        show(f"{token}\n")
    console().say(f"token {identifier(row)} for {mirror}, {until}; it is not shown again")


def _list(rows: list[Token], now: int, *, as_json: bool) -> None:
    if as_json:
        show_json(
            [
                {
                    "id": identifier(row),
                    "mirror": row.mirror,
                    "created": row.created,
                    "expires": row.expires,
                    "used": row.used,
                }
                for row in rows
            ]
        )
        return
    if not rows:
        console().say("there are no tokens")
        return
    lines = [
        (
            row.mirror,
            identifier(row),
            "never" if not row.expires else f"{moment(row.expires)}{' (over)' if row.expires <= now else ''}",
            ago(now - row.used) if row.used else "never",
        )
        for row in rows
    ]
    show("\n".join(table(("mirror", "id", "expires", "last used"), lines)) + "\n")


def _revoke(store: Store, wanted: str) -> None:
    rows = [row for row in store.read(schema.TOKEN) if identifier(row) == wanted]
    if not rows:
        raise AdminError(f"there is no token {wanted!r}; `mirrorlist-admin token --list` has the identifiers")
    with store.transaction():
        store.remove(schema.TOKEN, [(row.digest,) for row in rows])
    console().say(f"revoked token {wanted} of {rows[0].mirror}")
