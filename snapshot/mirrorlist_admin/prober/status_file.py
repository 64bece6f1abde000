"""`status.toml`, the server's `--status`: mirrors that are down, and the weight of those that come back.

It is written whenever it changes, and takes effect in seconds. What carries what is the snapshot's, and takes minutes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import tomli_w

from mirrorlist_admin.checkin.settling import reported_down, reported_limits
from mirrorlist_admin.errors import AdminError
from mirrorlist_admin.prober.in_force import is_away
from mirrorlist_admin.store import schema
from mirrorlist_snapshot.errors import PublishedError, PublishError
from mirrorlist_snapshot.publishing.file_target import replace_file
from mirrorlist_snapshot.toml import parse_toml

if TYPE_CHECKING:
    from pathlib import Path

    from mirrorlist_admin.prober.known import Known
    from mirrorlist_admin.store import Store

FILE_NAME: Final = "status.toml"
"""In the folder `--state`."""
_LONGEST_REASON: Final = 200
_HEADING: Final = "# Written by mirrorlist-admin; what is changed here is overwritten.\n"


def entries(store: Store, known: Known, now: int) -> dict[str, dict[str, Any]]:
    """Return the content: mirror -> its status."""
    found: dict[str, dict[str, Any]] = {}
    declared = {row.mirror: row.bandwidth for row in store.read(schema.DECLARED_MIRROR)}
    for mirror, limit in reported_limits(store, now).items():
        found[mirror] = {"weight": limit, "reason": "says so itself"}
    for mirror, state in known.mirror_states.items():
        # In Mbit/s, as the snapshot has a reduced bandwidth, too, of which a percentage would be taken.
        weight = max(1, declared.get(mirror, 1) * state.weight // 100)
        found[mirror] = {"weight": weight, "reason": f"it was down and comes back: {state.weight} %"}
    for mirror, (_, reason) in reported_down(store, now).items():
        found[mirror] = {"status": "down", "reason": f"says so itself: {_line(reason)}"[:_LONGEST_REASON]}
    for mirror in known.url_states:
        if is_away(known, mirror):
            states = known.url_states[mirror].values()
            newest = max(states, key=lambda state: (state.since, state.url))
            found[mirror] = {"status": "down", "reason": _line(newest.reason)[:_LONGEST_REASON] or "no answer"}
    return dict(sorted(found.items()))


def write(path: Path, content: dict[str, dict[str, Any]]) -> bool:
    """Replace the file if that changes it; return whether it did. Raise AdminError."""
    data = (_HEADING + tomli_w.dumps(content)).encode()
    try:
        if path.read_bytes() == data:
            return False
    except FileNotFoundError:
        pass
    except OSError as error:
        raise AdminError(f"{path}: {error.strerror}") from error
    try:
        replace_file(data, path, lambda written: parse_toml(written.decode()))
    except (PublishError, PublishedError) as error:
        raise AdminError(str(error)) from error
    return True


def _line(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)
