"""The rules of publishing: nothing unverified, nothing older, no large loss, unless forced.

The rules are the same for every `Target`, the place where a snapshot is published. A rollback publishes an earlier
snapshot under a new, higher serial, so that every server accepts it and no server goes back to an older serial.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from mirrorlist_snapshot import format as snapshot_format
from mirrorlist_snapshot.errors import LossError, PublishError, SnapshotError
from mirrorlist_snapshot.loss import DEFAULT_LIMIT, losses

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from mirrorlist_snapshot.errors import Loss
    from mirrorlist_snapshot.format import Header, Signer

DEFAULT_KEEP = 5
"""Generations: a day or a week of publications."""


class Target(Protocol):
    """A place where snapshots are published, such as `file_target.FileTarget`. Every failure raises PublishError."""

    @property
    def name(self) -> str:
        """The name of the target in messages."""
        ...

    def locked(self) -> AbstractContextManager[None]:
        """Keep other publishers out."""
        ...

    def current(self) -> bytes | None:
        """Return the snapshot in place, None if there is none."""
        ...

    def generations(self) -> list[int]:
        """Return the serials of the kept generations, newest first."""
        ...

    def generation(self, serial: int) -> bytes:
        """Return one generation."""
        ...

    def replace(self, data: bytes, replaced: int | None, keep: int) -> list[str]:
        """Put `data` in place; keep the one with serial `replaced` as a generation, and `keep` generations in all.

        Return warnings about generations. Raise PublishedError for other failures after `data` was put in place.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicationRules:
    """The conditions of a publication."""

    signer: Signer | None = None
    """Signs the snapshot; None leaves it as it is."""
    limit: float = DEFAULT_LIMIT
    """Fraction of mirrors, repositories or directories that may be lost."""
    keep: int = DEFAULT_KEEP
    """Generations."""
    force: bool = False
    """Whether to publish a snapshot that the rules refuse. Invalid snapshots are always refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """The outcome of a publication."""

    header: Header
    changed: bool
    """False if exactly these bytes were in place already."""
    replaced: int | None
    """Serial of the snapshot that was in place; None if there was no valid one."""
    losses: tuple[Loss, ...]
    """Losses against the snapshot that was in place, or the newest valid generation; empty if there was neither."""
    warnings: tuple[str, ...]
    """What `force` overrode, and what was wrong with the file in place."""


def publish(data: bytes, target: Target, rules: PublicationRules) -> Publication:
    """Put a snapshot in place.

    Raise SnapshotError for an invalid snapshot, and PublishError or LossError if the rules or the target refuse it. In
    each case nothing has changed. Raise PublishedError if the snapshot is in place but a later step failed.
    """
    snapshot_format.verify(data)
    if rules.signer is not None:
        data = snapshot_format.reissue(data, serial=snapshot_format.header(data).serial, signer=rules.signer)
    with target.locked():
        return _publish(data, target, rules)


def rollback(target: Target, rules: PublicationRules, to: int | None = None) -> Publication:
    """Publish an earlier generation again under a new serial: the one with serial `to`, or the one before.

    The one before is the newest generation older than the first with the content in place, so that a second rollback
    goes further back. Raise the errors of `publish`.
    """
    with target.locked():
        data = target.current()
        kept = target.generations()
        chosen = _before(data, target, kept) if to is None else to
        if chosen not in kept:
            known = ", ".join(map(str, kept)) or "none"
            raise PublishError(f"{target.name}: no generation with serial {chosen} was kept; those that were: {known}")
        earlier = target.generation(chosen)
        snapshot_format.verify(earlier)
        newest = max(kept[0], _serial(data))
        return _publish(snapshot_format.reissue(earlier, serial=newest + 1, signer=rules.signer), target, rules)


def _before(data: bytes | None, target: Target, kept: list[int]) -> int:
    """Return the newest generation that is older than the first one with the content in place."""
    digest = _digest(data)
    same = [serial for serial in kept if digest is not None and _digest(target.generation(serial)) == digest]
    for serial in kept:
        if not same or serial < min(same):
            return serial
    raise PublishError(f"{target.name}: nothing older was kept; rollback --list shows what there is")


def _publish(data: bytes, target: Target, rules: PublicationRules) -> Publication:
    warnings: list[str] = []
    header, old = snapshot_format.header(data), target.current()
    if old == data:
        return Publication(header=header, changed=False, replaced=header.serial, losses=(), warnings=())
    before = _if_valid(old, f"{target.name}: the file in place is no valid snapshot", warnings)
    baseline = before if before is not None else _newest_valid_generation(target, warnings)
    refusals: list[Exception] = []
    lost: tuple[Loss, ...] = ()
    if baseline is not None:
        refusals = _refusals(header, snapshot_format.header(baseline))
        lost = losses(snapshot_format.decode(baseline), snapshot_format.decode(data))
    if large := [loss for loss in lost if loss.fraction > rules.limit]:
        refusals.append(LossError(large, rules.limit))
    if refusals and not rules.force:
        if isinstance(refusals[0], LossError):  # the only one, as it is added last; the command adds how to force
            raise refusals[0]
        raise PublishError(f"{target.name}: refused: {'; '.join(map(str, refusals))}")
    replaced = None if before is None else snapshot_format.header(before).serial
    warnings += target.replace(data, replaced, rules.keep)
    warnings += map(str, refusals)
    return Publication(header=header, changed=True, replaced=replaced, losses=lost, warnings=tuple(warnings))


def _refusals(new: Header, old: Header) -> list[Exception]:
    """Return the refusals that follow from the two headers."""
    found: list[Exception] = []
    if new.serial <= old.serial:
        found.append(
            PublishError(
                f"serial {new.serial} is not more than {old.serial}, that of the one in place; compile it again"
            )
        )
    if old.signed and not new.signed:
        found.append(PublishError("the snapshot in place is signed, this one is not; sign it with --sign-key"))
    return found


def _if_valid(data: bytes | None, complaint: str, warnings: list[str]) -> bytes | None:
    """Return the data if a server would load it, else None and a warning with the reason."""
    if data is None:
        return None
    try:
        snapshot_format.decode(data)
    except SnapshotError as error:
        warnings.append(f"{complaint}: {error}")
        return None
    return data


def _newest_valid_generation(target: Target, warnings: list[str]) -> bytes | None:
    """Return the newest generation that a server would load, to compare with if the file in place is invalid."""
    for serial in target.generations():
        good = _if_valid(
            target.generation(serial), f"{target.name}: generation {serial} is no valid snapshot", warnings
        )
        if good is not None:
            return good
    return None


def _digest(data: bytes | None) -> str | None:
    try:
        return None if data is None else snapshot_format.digest(data)
    except SnapshotError:
        return None


def _serial(data: bytes | None) -> int:
    """Return the serial in place; if it cannot be read the time, the highest serial that `compile` gives by default."""
    try:
        return int(time.time()) if data is None else snapshot_format.header(data).serial
    except SnapshotError:
        return int(time.time())
