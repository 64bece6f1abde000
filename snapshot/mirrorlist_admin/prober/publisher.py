"""Publishing: what is in force is merged with the sources, compiled and published, if that changes a list."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from mirrorlist_admin.errors import AdminError
from mirrorlist_admin.prober.happened import Happened
from mirrorlist_admin.store import schema
from mirrorlist_admin.store.rows import PublishedSnapshot, Subject
from mirrorlist_snapshot import format as snapshot_format
from mirrorlist_snapshot.compiler import compile_snapshot
from mirrorlist_snapshot.errors import LossError, ObservationsError, PublishedError, PublishError, SnapshotError
from mirrorlist_snapshot.freshness.merging import apply, same_lists
from mirrorlist_snapshot.freshness.observations_file import read_observations
from mirrorlist_snapshot.publishing.rules import publish

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirrorlist_admin.store import Store
    from mirrorlist_snapshot.format import Header
    from mirrorlist_snapshot.freshness.merging import Merged
    from mirrorlist_snapshot.model import Snapshot
    from mirrorlist_snapshot.publishing.rules import PublicationRules, Target
    from mirrorlist_snapshot.records import NetworkRecords

GENERATOR: Final = "mirrorlist-admin probe"
REFRESH: Final = 3600
"""Seconds after which a snapshot is published although no list has changed: its pages state when mirrors were seen."""


@dataclass(slots=True)
class Publisher:
    """Publishes to one target."""

    store: Store
    target: Target
    rules: PublicationRules
    served: Callable[[int], None]
    """Makes a server load the serial; raises ServingError."""
    clock: Callable[[], float] = time.time
    kept: int = 0
    """Units of mirrors that are offered although they are out of date, because no mirror is better."""
    _merged: NetworkRecords | None = None
    """What was published last."""
    _at: float = 0.0

    def publish(self, records: NetworkRecords) -> int | None:
        """Publish if a list has changed, or an hour has passed; return the serial. Raise AdminError."""
        try:
            merged = apply(records, read_observations(self.store.path))
        except ObservationsError as error:
            raise AdminError(str(error)) from error
        now = self.clock()
        self.kept = len(merged.kept)
        if self._merged is not None and same_lists(merged.records, self._merged) and now - self._at < REFRESH:
            return None
        self._note_kept(merged, int(now))
        try:
            header, changed = self._compile_and_publish(merged.records, int(now))
        except LossError as error:
            raise AdminError(
                f"{self.target.name}: refused: {error}; if that is intended, publish it once with --max-loss or --force"
            ) from error
        except (PublishError, PublishedError, SnapshotError) as error:
            raise AdminError(str(error)) from error
        self._merged, self._at = merged.records, header.built
        if not changed:
            return None
        happened = Happened(int(now))
        happened.add(Subject.PUBLICATION, name=str(header.serial), after="published", evidence=self.target.name)
        with self.store.transaction():
            self.store.add_events(happened.events)
            row = PublishedSnapshot(at=int(now), serial=header.serial, digest=header.digest, target=self.target.name)
            self.store.write(schema.PUBLICATION, [row])
        self.served(header.serial)
        return header.serial

    def _compile_and_publish(self, records: NetworkRecords, now: int) -> tuple[Header, bool]:
        """Return the header of what is in place now, and whether it was published just now.

        It was not if what was in place gives the same lists, and is young enough.
        """
        current = self.target.current()
        old = _header(current)
        serial = now if old is None else max(now, old.serial + 1)
        snapshot = compile_snapshot(records, serial=serial, built=now, generator=GENERATOR)
        if old is not None and now - old.built < REFRESH and self._is_in_place(current, snapshot):
            return old, False
        done = publish(snapshot_format.encode(snapshot), self.target, self.rules)
        return done.header, done.changed

    def _is_in_place(self, current: bytes | None, snapshot: Snapshot) -> bool:
        """Whether an earlier process has published the same lists."""
        return self._merged is None and current is not None and _lists(current) == _lists_of(snapshot)

    def _note_kept(self, merged: Merged, now: int) -> None:
        """Say which mirrors are offered although they are out of date, because nobody is better."""
        happened = Happened(now)
        for row in merged.kept:
            last = self.store.read(
                schema.EVENT,
                "WHERE mirror = ? AND category = ? AND name = ? ORDER BY rowid DESC LIMIT 1",
                *(row.mirror, row.category, row.unit),
            )
            if not last or last[0].after != "kept":
                happened.add(
                    Subject.UNIT,
                    mirror=row.mirror,
                    category=row.category,
                    name=row.unit,
                    before=row.state,
                    after="kept",
                    cause="no mirror has it up to date: the last carriers stay",
                    evidence=row.reason,
                )
        if happened.events:
            with self.store.transaction():
                self.store.add_events(happened.events)


def _header(data: bytes | None) -> Header | None:
    try:
        return None if data is None else snapshot_format.header(data)
    except SnapshotError:
        return None  # the rules of publishing say what is to be done


def _lists(data: bytes) -> str | None:
    """Return a digest of the lists that a snapshot gives, whatever else it tells about the mirrors' health."""
    try:
        return _lists_of(snapshot_format.decode(data))
    except SnapshotError:
        return None


def _lists_of(snapshot: Snapshot) -> str:
    return snapshot_format.digest(snapshot_format.encode(replace(snapshot, observed=0, health={}, generator="")))
