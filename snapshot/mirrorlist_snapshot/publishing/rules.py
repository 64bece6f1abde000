"""Publishing by rules: nothing unverified, nothing older, no large loss, unless somebody says so.

The rules are the same wherever snapshots go; a `Target` is a place for them. A rollback is a publication, too: what was
in place earlier, under a serial that grows, so that every server takes it and none can be made to go back.
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
"""Generations: a day of pushes, or a week."""


class Target(Protocol):
    """Where snapshots are published: see `publish.FileTarget`. Whatever fails there raises PublishError."""

    @property
    def name(self) -> str:
        """As people are told of it."""
        ...

    def locked(self) -> AbstractContextManager[None]:
        """Let nobody else publish here meanwhile."""
        ...

    def current(self) -> bytes | None:
        """Read what is in place."""
        ...

    def generations(self) -> list[int]:
        """List the serials of what was in place before and has been kept, the newest first."""
        ...

    def generation(self, serial: int) -> bytes:
        """Read one of these."""
        ...

    def replace(self, data: bytes, replaced: int | None, keep: int) -> None:
        """Put `data` in place; keep what was there, if its serial is given, and `keep` generations in all."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicationRules:
    """What a publication must keep to."""

    signer: Signer | None = None
    """Who signs it; None leaves a file as it is."""
    limit: float = DEFAULT_LIMIT
    """Fraction of mirrors, repositories or directories that may be lost."""
    keep: int = DEFAULT_KEEP
    """Generations."""
    force: bool = False
    """Publish what the rules refuse; but nothing that is no snapshot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What has been put in place."""

    header: Header
    changed: bool
    """False where exactly these bytes were in place already."""
    replaced: int | None
    """Serial of what was in place; None where there was nothing good."""
    losses: tuple[Loss, ...]
    """Against what was in place, or the newest good generation; empty where there was neither."""
    warnings: tuple[str, ...]
    """What was refused but for force, and what was wrong with what was there."""


def publish(data: bytes, target: Target, rules: PublicationRules) -> Publication:
    """Put a snapshot in place.

    Raises SnapshotError for what is none, and PublishError or LossError where the rules or the target refuse it:
    nothing has changed then.
    """
    snapshot_format.verify(data)
    if rules.signer is not None:
        data = snapshot_format.reissue(data, serial=snapshot_format.header(data).serial, signer=rules.signer)
    with target.locked():
        return _publish(data, target, rules)


def rollback(target: Target, rules: PublicationRules, to: int | None = None) -> Publication:
    """Put an earlier generation in place again, under a new serial: that of a serial, or the one before.

    "Before" means older than what the content in place was first: going back twice goes further back. Raises as
    `publish` does.
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
    """The newest generation that is older than the first one with the content that is in place."""
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
    before = _if_valid(old, f"{target.name}: what is in place is no good snapshot", warnings)
    baseline = before if before is not None else _newest_valid_generation(target, warnings)
    refusals: list[Exception] = []
    lost: tuple[Loss, ...] = ()
    if baseline is not None:
        refusals = _refusals(header, snapshot_format.header(baseline))
        lost = losses(snapshot_format.decode(baseline), snapshot_format.decode(data))
    if large := [loss for loss in lost if loss.fraction > rules.limit]:
        refusals.append(LossError(large, rules.limit))
    if refusals and not rules.force:
        if isinstance(refusals[0], LossError):  # alone: it stands last, and is worded where --force is known
            raise refusals[0]
        raise PublishError(f"{target.name}: refused: {'; '.join(map(str, refusals))}")
    replaced = None if before is None else snapshot_format.header(before).serial
    target.replace(data, replaced, rules.keep)
    warnings += map(str, refusals)
    return Publication(header=header, changed=True, replaced=replaced, losses=lost, warnings=tuple(warnings))


def _refusals(new: Header, old: Header) -> list[Exception]:
    """What a file's first bytes are reason enough for."""
    found: list[Exception] = []
    if new.serial <= old.serial:
        found.append(
            PublishError(f"serial {new.serial} is not more than {old.serial}, that of what is there; compile it again")
        )
    if old.signed and not new.signed:
        found.append(PublishError("what is in place is signed, this is not; sign it with --sign-key"))
    return found


def _if_valid(data: bytes | None, complaint: str, warnings: list[str]) -> bytes | None:
    """Give data that a server would load; note why not."""
    if data is None:
        return None
    try:
        snapshot_format.decode(data)
    except SnapshotError as error:
        warnings.append(f"{complaint}: {error}")
        return None
    return data


def _newest_valid_generation(target: Target, warnings: list[str]) -> bytes | None:
    """What to compare with where nothing good is in place."""
    for serial in target.generations():
        good = _if_valid(target.generation(serial), f"{target.name}: generation {serial} is no good snapshot", warnings)
        if good is not None:
            return good
    return None


def _digest(data: bytes | None) -> str | None:
    try:
        return None if data is None else snapshot_format.digest(data)
    except SnapshotError:
        return None


def _serial(data: bytes | None) -> int:
    """Serial of what is in place; where that cannot be told, as high as `compile` may have made it: the time."""
    try:
        return int(time.time()) if data is None else snapshot_format.header(data).serial
    except SnapshotError:
        return int(time.time())
