"""Compare a snapshot with the one that it shall replace: which mirrors, repositories and directories are lost. Pure.

A source that was read half, a crawler that found everything out of date, or a filter that matched too much gives a
valid snapshot that serves almost nothing. So the names that clients could get before are compared with those that they
can get now. A mirror counts if it is active and carries something. A repository counts if its name or an alias is
answered. A directory counts if such a mirror carries it, directly or by an ancestor's rule.

A mirror that the new snapshot still has, and of which it says that it was seen down or out of date, is not lost: the
prober's brake bounds how many those are in a run. That holds for half of the mirrors (three where that is more), and
never for all: beyond that they count as lost, whatever was seen.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.errors import Loss, LossError
from mirrorlist_snapshot.model import CategoryKind
from mirrorlist_snapshot.tables import PIECE, pieces

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from mirrorlist_snapshot.model import Snapshot

DEFAULT_LIMIT: Final = 0.1
"""Fraction: a tenth of a mirror network does not disappear between two publications without a known reason."""
NAMES_SHOWN: Final = 5
MOST_LEFT_OUT: Final = 0.5
"""Fraction of the mirrors that may be seen down or out of date without counting as lost; as `--max-down` of servers."""
_FEW: Final = 3
"""Mirrors that may be in any case, if there are more."""
_BYTES: Final = 1 << 18
"""Compared at once."""


def losses(old: Snapshot, new: Snapshot) -> tuple[Loss, Loss, Loss]:
    """Return what clients could get from `old` and cannot get from `new`: mirrors, repositories, directories.

    The time taken is proportional to the number of directories, and less if both snapshots have the same ones.
    """
    before, now = _offered(old), _offered(new)
    mirrors = _mirrors(old, before)
    gone_mirrors = mirrors - _mirrors(new, now)
    left_out = _left_out(new)
    excused = len(gone_mirrors & left_out)
    if excused == len(mirrors) or excused > max(_FEW, MOST_LEFT_OUT * len(mirrors)):
        left_out = frozenset[str]()
    # Only what the other mirrors carried can be lost.
    others = _offered(old, left_out) if left_out else before
    gone = [
        f"{old.categories[category].name}:/{path.decode('utf-8', 'replace')}"
        for category, path in _missing(old, others, new, now)
    ]
    directories = sum(count for number, count in _uses(old).items() if before[number])
    return (
        _loss_of_names("mirrors", len(mirrors), list(gone_mirrors - left_out)),
        _loss_between("repositories", _repositories(old), _repositories(new) | _aliases(new)),
        _loss_of_names("directories", directories, gone),
    )


def check_loss(old: Snapshot, new: Snapshot, limit: float = DEFAULT_LIMIT) -> tuple[Loss, Loss, Loss]:
    """Return the `losses`; raise LossError if one of them exceeds `limit`, a fraction (1 allows every loss)."""
    found = losses(old, new)
    if large := [loss for loss in found if loss.fraction > limit]:
        raise LossError(large, limit)
    return found


def _loss_between(kind: str, before: Collection[str], now: Collection[str]) -> Loss:
    return _loss_of_names(kind, len(before), [name for name in before if name not in now])


def _loss_of_names(kind: str, before: int, gone: list[str]) -> Loss:
    return Loss(kind=kind, before=before, lost=len(gone), names=tuple(sorted(gone)[:NAMES_SHOWN]))


def _left_out(snapshot: Snapshot) -> frozenset[str]:
    """Return the active mirrors of which something is left out because of what was observed."""
    return frozenset(
        snapshot.mirrors[number].name
        for number, health in snapshot.health.items()
        if snapshot.mirrors[number].active
        and (any(not url.family for url in health.down) or any(not unit.offered for unit in health.old))
    )


def _offered(snapshot: Snapshot, without: frozenset[str] = frozenset()) -> list[int]:
    """Return the active mirrors in each carrier set, by set number; bit m is mirror m. Some are left `without`."""
    active = sum(
        1 << number for number, mirror in enumerate(snapshot.mirrors) if mirror.active and mirror.name not in without
    )
    return [snapshot.sets.bits(number) & active for number in range(len(snapshot.sets))]


def _uses(snapshot: Snapshot) -> Counter[int]:
    """Return carrier set number -> the number of its directories."""
    sets = snapshot.directories.sets
    counted: Counter[int] = Counter()
    for piece in pieces(len(sets), PIECE):
        counted.update(sets[piece])
    return counted


def _mirrors(snapshot: Snapshot, offered: list[int]) -> frozenset[str]:
    carrying = 0
    for number in _uses(snapshot):
        carrying |= offered[number]
    return frozenset(mirror.name for number, mirror in enumerate(snapshot.mirrors) if carrying >> number & 1)


def _repositories(snapshot: Snapshot) -> frozenset[str]:
    return frozenset(repository.name for repository in snapshot.repositories if not repository.disabled)


def _aliases(snapshot: Snapshot) -> frozenset[str]:
    """Return the aliases of enabled repositories: a renamed repository that left an alias is not lost."""
    named = _repositories(snapshot)
    return frozenset(alias for alias, name in snapshot.aliases.items() if name in named)


def _missing(old: Snapshot, before: list[int], new: Snapshot, now: list[int]) -> Iterator[tuple[int, bytes]]:
    """Yield each directory, as (category number, path), that had carriers in `old` and has none in `new`."""
    names = [category.name for category in old.categories]
    if _same(new.directories.keys.data, old.directories.keys.data) and names == [one.name for one in new.categories]:
        # The common case: the same directories, with few distinct pairs of carrier sets.
        ours, theirs = old.directories.sets, new.directories.sets
        pairs: set[tuple[int, int]] = set()
        for piece in pieces(len(ours), PIECE):
            pairs.update(zip(ours[piece], theirs[piece], strict=True))
        if not any(before[number] and not now[there] for number, there in pairs):
            return
        for (category, path, number), there in zip(old.directories, new.directories.sets, strict=True):
            if before[number] and not now[there]:
                yield category, path
        return
    numbers = {category.name: number for number, category in enumerate(new.categories)}
    carried = {(category, path) for category, path, number in new.directories if now[number]}
    for category, path, number in old.directories:
        same = numbers.get(names[category])
        if before[number] and (same, path) not in carried and not _below_a_carried(new, now, same, path):
            yield category, path


def _same(one: memoryview, other: memoryview) -> bool:
    return len(one) == len(other) and all(
        bytes(one[piece]) == bytes(other[piece]) for piece in pieces(len(one), _BYTES)
    )


def _below_a_carried(new: Snapshot, now: list[int], category: int | None, path: bytes) -> bool:
    """Whether the category exists, is open, and offers an unlisted directory by an ancestor's rule."""
    if category is None or new.categories[category].kind is not CategoryKind.OPEN:
        return False
    found = new.directories.nearest(category, path)
    return found is not None and bool(now[found])
