"""`propagation REPO`: how long new versions of a repository take to reach the mirrors."""

from __future__ import annotations

import difflib
import time
from typing import TYPE_CHECKING, Final

from mirrorlist_admin.cli.shared import add_json, add_state
from mirrorlist_admin.errors import AdminError
from mirrorlist_admin.store import Store
from mirrorlist_admin.views.propagation import QUANTILES, read_propagation, repositories
from mirrorlist_snapshot.console import show, show_json
from mirrorlist_snapshot.duration import in_units
from mirrorlist_snapshot.report.text import moment, table

if TYPE_CHECKING:
    import argparse

    from mirrorlist_admin.views.propagation import Propagation

EXAMPLES: Final = """\
For each of the last versions: when it appeared on the master, after how long 50, 90 and 99 percent of the public
mirrors had it, and how many have it by now. A mirror that skips to a later version has it, too.

exit status: 0 shown, 1 no such repository, or the folder cannot be read, or the output cannot be written, 2 wrong usage

examples:
  mirrorlist-admin propagation epel-9 --state /var/lib/mirrorlist-admin
  mirrorlist-admin propagation epel-9 --arch aarch64 --json --state /var/lib/mirrorlist-admin
"""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the verb."""
    parser.add_argument("repo", metavar="REPO", help="a repository of the sources")
    parser.add_argument("--arch", metavar="ARCH", help="one architecture (default: all)")
    add_state(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Show the propagation of one repository."""
    now = int(time.time())
    with Store(options.state, read_only=True) as store:
        rows = repositories(store)
        chosen = [row for row in rows if row.repository == options.repo]
        if not chosen:
            near = difflib.get_close_matches(options.repo, {row.repository for row in rows}, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else "only repositories with an index file are compared"
            raise AdminError(f"there is no repository {options.repo!r}; {hint}")
        if options.arch is not None:
            arches = [row.arch for row in chosen]
            chosen = [row for row in chosen if row.arch == options.arch]
            if not chosen:
                raise AdminError(f"{options.repo} has no architecture {options.arch!r}; it has {', '.join(arches)}")
        found = [read_propagation(store, row, now) for row in chosen]
    if options.json:
        show_json([one.as_json() for one in found])
    else:
        show("\n".join(line for one in found for line in _text(one)) + "\n")
    return 0


def _text(found: Propagation) -> list[str]:
    name = f"{found.repository} {found.arch}".rstrip()
    lines = [f"{name}: {found.mirrors} public mirrors carry {found.category}/{found.unit}"]
    if not found.spreads:
        return [*lines, "  no new version has appeared since the mirrors are watched"]
    rows = [
        (
            moment(spread.published),
            *(_after(spread.reached[percent], over=bool(spread.superseded)) for percent in QUANTILES),
            str(spread.have),
        )
        for spread in found.spreads
    ]
    lines += table(("appeared", *(f"{percent} % after" for percent in QUANTILES), "mirrors"), rows)
    missing = [one.mirror for one in found.slowest if one.after is None]
    if missing:
        lines.append(f"  without the newest version: {', '.join(missing)}")
    return lines


def _after(seconds: int | None, *, over: bool) -> str:
    if seconds is None:
        return "never" if over else "not yet"
    return in_units(seconds)
