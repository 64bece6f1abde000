"""`status`: every mirror with its state, lag, last check, and why."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from mirrorlist_admin.cli.shared import add_json, add_state, console
from mirrorlist_admin.store import Store, schema
from mirrorlist_admin.views.mirrors import State, mirror_statuses
from mirrorlist_admin.views.timeline import network_events, spoken
from mirrorlist_snapshot.console import YELLOW, show, show_json
from mirrorlist_snapshot.duration import in_words
from mirrorlist_snapshot.report.text import ago, moment, plural, table

if TYPE_CHECKING:
    import argparse

    from mirrorlist_admin.views.mirrors import MirrorStatus

EXAMPLES: Final = """\
The worst come first. A mirror has the worst state that anything of it has; `explain` has the details. Private mirrors,
which the public pages leave out, are here.

exit status: 0 shown, 1 the folder cannot be read, or the output cannot be written, 2 wrong usage

examples:
  mirrorlist-admin status --state /var/lib/mirrorlist-admin
  mirrorlist-admin status --state /var/lib/mirrorlist-admin --only down --only late
  mirrorlist-admin status --state /var/lib/mirrorlist-admin --json | jq '.mirrors[] | select(.lag > 43200) | .mirror'
"""
_NOTICES: Final = 5
_DAY: Final = 86_400


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the verb."""
    add_state(parser)
    parser.add_argument(
        "--only",
        metavar="STATE",
        action="append",
        choices=[state.value for state in State],
        help=f"only mirrors in this state; repeatable: {', '.join(State)}",
    )
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Show the states."""
    now = int(time.time())
    with Store(options.state, read_only=True) as store:
        found = mirror_statuses(store, now, private=True)
        taken = store.taken()
        held = store.read(schema.HELD)
        notices = [event for event in network_events(store, most=_NOTICES) if event.at > now - _DAY]
    worst = list(State)
    chosen = [one for one in found if not options.only or one.state in options.only]
    chosen.sort(key=lambda one: (worst.index(one.state), one.mirror))
    if options.json:
        waiting = [{"mirror": one.mirror, "name": one.name, "since": one.since} for one in held]
        show_json({"now": now, "taken": taken, "held": waiting, "mirrors": [one.as_json() for one in chosen]})
        return 0
    for event in reversed(notices):
        console().say(f"{moment(event.at)}: {spoken(event)}", YELLOW)
    if held:
        names = ", ".join(sorted({one.mirror for one in held}))
        console().say(
            f"held back by the brake: {names}; the next run, or `probe --once --confirm`, confirms it", YELLOW
        )
    looked = f"last run {ago(now - taken)}" if taken else "no run has ended yet"
    show("\n".join([f"{plural(len(found), 'mirror')}, {looked}", *_table(chosen, now)]) + "\n")
    return 0


def _table(statuses: list[MirrorStatus], now: int) -> list[str]:
    rows = [
        (
            f"{one.mirror} (private)" if one.private else one.mirror,
            one.country,
            one.state.value,
            in_words(one.lag) if one.lag else ("0" if one.units else ""),
            " ".join(f"v{family} {state}" for family, state in one.families.items()),
            ago(now - one.checked) if one.checked else "never",
            one.why,
        )
        for one in statuses
    ]
    return list(table(("mirror", "country", "state", "lag", "families", "checked", "why"), rows))
