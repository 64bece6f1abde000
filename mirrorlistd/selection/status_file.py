"""The status file: mirrors that are down, draining or of another weight for the time being. Pure.

An operator takes a mirror out with it at once, and health probes write it. The file names mirrors:

    "ftp.example.de" = "down"                                   # not offered
    "mirror.example.fr" = { status = "draining", reason = "moves on Monday" }   # only the last resort
    "mirror.example.edu" = { weight = "25%" }                   # of its bandwidth; or in Mbit/s: weight = 500

It is applied to the snapshot's mirrors before the index is made of them, so requests cost the same with and without it.
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
_NAMES_SHOWN: Final = 10
"""Mirrors that an error names."""
_LONGEST_REASON: Final = 200
"""Characters."""
_MOST_PERCENT: Final = 1_000
_ALLOWED: Final = (
    'expected "down", "draining" or a table such as { status = "down", reason = "..." } or { weight = "25%" }'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorStatus:
    """The status of one mirror."""

    status: str | None = None
    """DOWN, DRAINING, or None: no change."""
    weight: int | None = None
    """Mbit/s instead of the mirror's own."""
    percent: float | None = None
    """Of the mirror's own Mbit/s."""
    reason: str = ""
    """One line for insiders."""
    last: bool = False
    """Offered last instead of being taken away, because of --max-down."""

    @property
    def away(self) -> bool:
        """Whether the mirror is taken away: down or draining."""
        return self.status is not None and not self.last

    def bandwidth(self, own: int) -> int:
        """Return the Mbit/s by which a mirror is weighted, within BANDWIDTH_RANGE; `own` are the snapshot's."""
        wanted = self.weight if self.weight is not None else round(own * (self.percent or 100) / 100)
        return min(max(wanted, BANDWIDTH_RANGE[0]), BANDWIDTH_RANGE[1])

    def __str__(self) -> str:
        """`down: disk full`, `draining`, `weight 25 %: one uplink`."""
        words = [self.status + (" (offered last: --max-down)" if self.last else "")] if self.status else []
        if self.weight is not None:
            words.append(f"weight {self.weight} Mbit/s")
        elif self.percent is not None:
            words.append(f"weight {self.percent:g} %")
        return ", ".join(words) + (f": {self.reason}" if self.reason else "")


@dataclass(frozen=True, slots=True)
class StatusFile:
    """The content of a status file: a status for each mirror that it names."""

    statuses: Mapping[str, MirrorStatus]

    def __bool__(self) -> bool:
        """Whether any mirror is named."""
        return bool(self.statuses)

    def unknown(self, snapshot: Snapshot) -> list[str]:
        """Return the sorted names of mirrors that are not in the snapshot, which is no error."""
        return sorted(self.statuses.keys() - {mirror.name for mirror in snapshot.mirrors})

    def counts(self, snapshot: Snapshot) -> dict[str, int]:
        """Count the snapshot's mirrors: `down`, `draining` or offered last, only `weighted`; and `unknown` names."""
        counts: dict[str, int] = dict.fromkeys((*_STATUSES, "weighted"), 0)
        for mirror in snapshot.mirrors:
            if (status := self.statuses.get(mirror.name)) is not None:
                counts[DRAINING if status.last else status.status or "weighted"] += 1
        return counts | {"unknown": len(self.unknown(snapshot))}

    def limited(self, snapshot: Snapshot, limit: float, before: StatusFile) -> tuple[StatusFile, str | None]:
        """Return the statuses that apply, and why they are not those of the file; None where they are.

        At most `limit`, a fraction, of the active mirrors are taken away (down or draining), and of the public ones
        among them. Beyond that the mirrors that `before` has taken away longest stay away, and all others are offered
        last: none is dropped that might be the last one alive. The order of `statuses` is that of age, oldest first;
        `before` is in force.
        """
        known = [name for name in before.statuses if name in self.statuses and before.statuses[name].away]
        aged = {name: self.statuses[name] for name in dict.fromkeys((*known, *self.statuses))}
        active = {mirror.name for mirror in snapshot.mirrors if mirror.active}
        public = {mirror.name for mirror in snapshot.mirrors if mirror.active and not mirror.private}
        last: list[str] = []
        found = ""
        for mirrors, kind in ((public, "public "), (active, "")):
            away = [name for name, status in aged.items() if status.away and name in mirrors and name not in last]
            allowed = int(limit * len(mirrors) + 1e-9)
            if len(away) > allowed:
                stay = {name for name in away[:allowed] if name in known}
                last += [name for name in away if name not in stay]
                what = f"{len(mirrors)} active {kind if public != active else ''}mirrors"
                found = found or f"takes away {len(away)} of {what}, more than --max-down {100 * limit:g} %"
        if not last:
            return StatusFile(aged), None
        demoted = {name: replace(aged[name], last=True) for name in last}
        names = ", ".join(last[:_NAMES_SHOWN]) + (" ..." if len(last) > _NAMES_SHOWN else "")
        return StatusFile(aged | demoted), f"{found}; {len(last)} of them are offered last instead: {names}"

    def apply(self, snapshot: Snapshot) -> Snapshot:
        """Return the snapshot with the statuses applied to its mirrors; only changed mirrors are copied."""
        if not self:
            return snapshot
        return replace(snapshot, mirrors=tuple(self._applied(mirror) for mirror in snapshot.mirrors))

    def _applied(self, mirror: Mirror) -> Mirror:
        status = self.statuses.get(mirror.name)
        if status is None:
            return mirror
        hidden = status.away and (status.status == DOWN or mirror.private)
        return replace(
            mirror,
            active=mirror.active and not hidden,
            fallback=mirror.fallback or (status.status is not None and not mirror.private),
            bandwidth=status.bandwidth(mirror.bandwidth),
        )


NO_STATUS: Final = StatusFile({})
"""Without a status file."""


def parse(name: str, raw: bytes) -> StatusFile:
    """Parse a status file, as JSON if `name` ends so, else as TOML; raise StatusError with every mistake."""
    try:
        text = raw.decode()
        document: object = _parse_json(text) if name.endswith(".json") else parse_toml(text)
    except (ValueError, RecursionError) as error:
        syntax = "JSON" if name.endswith(".json") else "TOML"
        raise StatusError([f"{name}: expected {syntax} in UTF-8, found: {error}"]) from None
    if not isinstance(document, dict):
        raise StatusError([f"{name}: expected mirrors by name, found {type(document).__name__}"])
    statuses: dict[str, MirrorStatus] = {}
    problems: list[str] = []
    for mirror, entry in cast("dict[str, object]", document).items():
        complaints = [f"{name}: {json.dumps(mirror)}{complaint}" for complaint in _complaints(entry)]
        if complaints:
            problems += complaints
        else:
            statuses[mirror] = _status(entry)
    if problems:
        raise StatusError(problems)
    return StatusFile(statuses)


def _parse_json(text: str) -> object:
    """Parse JSON; a key that is given twice, of which one value would be lost, is a ValueError as in TOML."""

    def table(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found: dict[str, object] = {}
        for key, value in pairs:
            if key in found:
                raise ValueError(f"the key {_shown(key)} twice in one table; leave one of them out")
            found[key] = value
        return found

    return json.loads(text, object_pairs_hook=table)


def _complaints(entry: object) -> Iterator[str]:
    mistake = f": {_ALLOWED}; found {_shown(entry)}"
    if isinstance(entry, str):
        if entry not in _STATUSES:
            yield mistake
        return
    table = cast("dict[str, object]", entry) if isinstance(entry, dict) else {}
    if not table:
        yield mistake
        return
    for key, value in table.items():
        if key not in _KEYS:
            dotted = "; put a name with dots in quotes" if isinstance(value, dict) else ""
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


def _status(entry: object) -> MirrorStatus:
    """Parse the status of a mirror that has no complaint."""
    if isinstance(entry, str):
        return MirrorStatus(status=entry)
    facts = cast("dict[str, Any]", entry)
    weight = _weight(facts["weight"]) if "weight" in facts else None
    return MirrorStatus(
        status=facts.get("status"),
        weight=weight if isinstance(weight, int) else None,
        percent=weight if isinstance(weight, float) else None,
        reason=facts.get("reason", ""),
    )


def _weight(value: object) -> int | float | None:
    """Return Mbit/s as an int, a percentage as a float; None for anything else."""
    if isinstance(value, str) and value.endswith("%"):
        try:
            percent = float(value[:-1])
        except ValueError:
            return None
        return percent if 0 < percent <= _MOST_PERCENT else None
    low, high = BANDWIDTH_RANGE
    return value if type(value) is int and low <= value <= high else None
