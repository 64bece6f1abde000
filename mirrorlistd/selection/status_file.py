"""Which mirrors are down, draining or of another weight for the time being: laid over a snapshot, not compiled into it.

It is the brake that an operator pulls at night, and where health probes plug in. A file names mirrors:

    "ftp.example.de" = "down"                                   # offered to nobody
    "mirror.example.fr" = { status = "draining", reason = "moves on Monday" }   # only the last resort
    "mirror.example.edu" = { weight = "25%" }                   # of its bandwidth; or in Mbit/s: weight = 500

An overlay changes what mirrors are before an index is made of them, so that requests cost what they always do. Pure.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, cast

from mirrorlist_snapshot.model import BANDWIDTH_RANGE
from mirrorlist_snapshot.toml import parse_toml
from mirrorlistd.errors import StatusError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mirrorlist_snapshot.model import Mirror, Snapshot

DOWN: Final = "down"
"""Not offered."""
DRAINING: Final = "draining"
"""Only the last resort; a private mirror, which cannot be that, is not offered."""
_STATUSES: Final = (DOWN, DRAINING)
_KEYS: Final = ("status", "weight", "reason")
_LONGEST_REASON: Final = 200
"""Characters: a line for people."""
_MOST_PERCENT: Final = 1_000
_ALLOWED: Final = (
    'expected "down", "draining" or a table such as { status = "down", reason = "..." } or { weight = "25%" }'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorStatus:
    """What is said of one mirror."""

    status: str | None = None
    """DOWN, DRAINING, or None: as ever."""
    weight: int | None = None
    """Mbit/s instead of its own."""
    percent: float | None = None
    """Of its own Mbit/s."""
    reason: str = ""
    """One line for people who see full explanations."""

    def bandwidth(self, own: int) -> int:
        """Give the Mbit/s by which a mirror is weighted, within BANDWIDTH_RANGE; `own` are the snapshot's."""
        wanted = self.weight if self.weight is not None else round(own * (self.percent or 100) / 100)
        return min(max(wanted, BANDWIDTH_RANGE[0]), BANDWIDTH_RANGE[1])

    def __str__(self) -> str:
        """`down: disk full`, `draining`, `weight 25 %: one uplink`."""
        words = [self.status] if self.status else []
        if self.weight is not None:
            words.append(f"weight {self.weight} Mbit/s")
        elif self.percent is not None:
            words.append(f"weight {self.percent:g} %")
        return ", ".join(words) + (f": {self.reason}" if self.reason else "")

    def document(self) -> dict[str, object]:
        """Write it as `parse` reads it."""
        weight = f"{self.percent}%" if self.percent is not None else self.weight
        facts = {"status": self.status, "weight": weight, "reason": self.reason}
        return {key: value for key, value in facts.items() if value}


@dataclass(frozen=True, slots=True)
class StatusFile:
    """What is said of all mirrors, by name; of most, nothing."""

    statuses: Mapping[str, MirrorStatus]

    def __bool__(self) -> bool:
        """Whether anything is said."""
        return bool(self.statuses)

    def document(self) -> bytes:
        """Write it as JSON that `parse` reads."""
        return json.dumps({name: standing.document() for name, standing in self.statuses.items()}).encode()

    def unknown(self, snapshot: Snapshot) -> list[str]:
        """Name, in order, the mirrors that a snapshot does not have: a probe may know more, or less, than it."""
        return sorted(self.statuses.keys() - {mirror.name for mirror in snapshot.mirrors})

    def counts(self, snapshot: Snapshot) -> dict[str, int]:
        """Count the snapshot's mirrors that are `down`, `draining` or only `weighted`, and the `unknown` ones."""
        counts: dict[str, int] = dict.fromkeys((*_STATUSES, "weighted"), 0)
        for mirror in snapshot.mirrors:
            if (standing := self.statuses.get(mirror.name)) is not None:
                counts[standing.status or "weighted"] += 1
        return counts | {"unknown": len(self.unknown(snapshot))}

    def check(self, snapshot: Snapshot, limit: float) -> None:
        """Raise StatusError where more than `limit`, a fraction, of the active mirrors would be down or draining."""
        active = [mirror.name for mirror in snapshot.mirrors if mirror.active]
        gone = [name for name in active if (one := self.statuses.get(name)) is not None and one.status]
        if active and len(gone) / len(active) > limit:
            raise StatusError(
                [f"takes away {len(gone)} of {len(active)} active mirrors, more than --max-down {100 * limit:g} %"]
            )

    def apply(self, snapshot: Snapshot) -> Snapshot:
        """Give the snapshot with its mirrors as they are for now; nothing is copied but changed mirrors."""
        if not self:
            return snapshot
        return replace(snapshot, mirrors=tuple(self._applied(mirror) for mirror in snapshot.mirrors))

    def _applied(self, mirror: Mirror) -> Mirror:
        standing = self.statuses.get(mirror.name)
        if standing is None:
            return mirror
        hidden = standing.status == DOWN or (standing.status == DRAINING and mirror.private)
        return replace(
            mirror,
            active=mirror.active and not hidden,
            fallback=mirror.fallback or standing.status == DRAINING,
            bandwidth=standing.bandwidth(mirror.bandwidth),
        )


NO_STATUS: Final = StatusFile({})
"""What there is without a file."""


def parse(name: str, raw: bytes) -> StatusFile:
    """Read an overlay, in JSON if the file's name ends so, else in TOML; raise StatusError with every mistake."""
    try:
        text = raw.decode()
        document: object = json.loads(text) if name.endswith(".json") else parse_toml(text)
    except (ValueError, RecursionError) as error:
        syntax = "JSON" if name.endswith(".json") else "TOML"
        raise StatusError([f"{name}: expected {syntax} in UTF-8, found: {error}"]) from None
    if not isinstance(document, dict):
        raise StatusError([f"{name}: expected mirrors by name, found {type(document).__name__}"])
    problems: list[str] = []
    statuses: dict[str, MirrorStatus] = {}
    for mirror, said in cast("dict[str, object]", document).items():
        complaints = list(_complaints(said))
        problems += [f"{name}: {json.dumps(mirror)}{complaint}" for complaint in complaints]
        if not complaints:
            statuses[mirror] = _standing(said)
    if problems:
        raise StatusError(problems)
    return StatusFile(statuses)


def _complaints(said: object) -> Iterator[str]:
    mistake = f": {_ALLOWED}; found {_shown(said)}"
    if isinstance(said, str):
        if said not in _STATUSES:
            yield mistake
        return
    table = cast("dict[str, object]", said) if isinstance(said, dict) else {}
    if not table:
        yield mistake
        return
    for key, value in table.items():
        if key not in _KEYS:
            dotted = "; a name with dots stands in quotes" if isinstance(value, dict) else ""
            yield f".{key!a:.60}: no such key; there are {', '.join(_KEYS)}{dotted}"
        elif key == "status" and value not in _STATUSES:
            yield f'.status: expected "down" or "draining", found {_shown(value)}'
        elif key == "weight" and _weight(value) is None:
            low, high = BANDWIDTH_RANGE
            yield f'.weight: expected Mbit/s from {low} to {high}, or a percentage such as "25%"; found {_shown(value)}'
        elif key == "reason" and not (isinstance(value, str) and value.isprintable() and len(value) <= _LONGEST_REASON):
            yield f".reason: expected one line of at most {_LONGEST_REASON} characters, found {_shown(value)}"


def _shown(value: object) -> str:
    try:
        return f"{value!a:.60}"
    except ValueError:  # TOML's hexadecimal has numbers that Python will not write in decimal
        return "a number of thousands of digits"


def _standing(said: object) -> MirrorStatus:
    """Read what has no complaint."""
    if isinstance(said, str):
        return MirrorStatus(status=said)
    facts = cast("dict[str, Any]", said)
    weight = _weight(facts["weight"]) if "weight" in facts else None
    return MirrorStatus(
        status=facts.get("status"),
        weight=weight if isinstance(weight, int) else None,
        percent=weight if isinstance(weight, float) else None,
        reason=facts.get("reason", ""),
    )


def _weight(value: object) -> int | float | None:
    """Give Mbit/s as a whole number, a percentage as a fraction; None for what is neither."""
    if isinstance(value, str) and value.endswith("%"):
        try:
            percent = float(value[:-1])
        except ValueError:
            return None
        return percent if 0 < percent <= _MOST_PERCENT else None
    low, high = BANDWIDTH_RANGE
    return value if type(value) is int and low <= value <= high else None
