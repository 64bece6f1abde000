"""One attempt to have what the store has: fetch, check, install; whatever fails leaves the file that is there.

The order is the point: the signature is checked before the content is looked at, the content before anything is
written, and a serial that is not newer is refused, so that nobody who can write to the store, or play an old object
again, makes a server go back. What is in place is judged, too: a file that is damaged counts as none.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot import format as snapshot_format
from mirrorlist_snapshot.errors import (
    KeyFileError,
    LossError,
    MirrorlistSnapshotError,
    NoObjectError,
    SnapshotError,
    StoreError,
)
from mirrorlist_snapshot.loss import DEFAULT_LIMIT, check_loss
from mirrorlist_snapshot.publishing.file_target import write_snapshot
from mirrorlistd.errors import PullError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mirrorlist_snapshot.model import Snapshot
    from mirrorlist_snapshot.publishing.stores import ObjectVersion, StoredObject
    from mirrorlist_snapshot.signing import TrustedKeys

A_SECOND: Final = 1.1
"""By which two ETags differ that are times."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """What an attempt has led to."""

    installed: bool
    """False where the file is already what the store has."""
    serial: int
    """Of the file."""


class Puller:
    """Keeps one file as a store has it."""

    def __init__(
        self,
        source: StoredObject,
        target: Path,
        trusted: Callable[[], TrustedKeys | None] = lambda: None,
        max_loss: float = DEFAULT_LIMIT,
    ) -> None:
        """`trusted` gives the keys of the moment, for key files are replaced; what none of them has signed is refused.

        So is what takes away more than `max_loss`, a fraction, of the mirrors, repositories or directories in place:
        the file is what a server starts from, so it must not get there at all.
        """
        self._source = source
        self._target = target
        self._trusted = trusted
        self._max_loss = max_loss
        self.installing = threading.Lock()
        """Held while the file is being replaced: who ends the process at any moment waits for it."""
        self._known: tuple[ObjectVersion, Pulled, tuple[int, ...]] | None = None
        """The version that was installed or met last, and the file then."""
        self._first: tuple[ObjectVersion, float] | None = None
        """The version that was read last and when that was first, by the monotonic clock."""

    def pull(self) -> Pulled:
        """Ask once; raise PullError where the store has nothing good, or where it cannot be had."""
        known = self._known
        if known and known[2] != self._stamp():
            known = None  # somebody else has been at the file
        try:
            found = self._source.fetch(known[0] if known else None)
        except StoreError as error:
            raise PullError("missing" if isinstance(error, NoObjectError) else "unreachable", str(error)) from error
        if found is None:
            if known is None:
                raise PullError(
                    "unreachable", f"{self._source.url}: the store says that what nobody knows is unchanged"
                )
            return Pulled(installed=False, serial=known[1].serial)
        self._known = None
        pulled = self._take(found.data)
        if (stamp := self._stamp()) and self._settled(found.version, pulled):
            self._known = found.version, pulled, stamp
        return pulled

    def _settled(self, version: ObjectVersion, pulled: Pulled) -> bool:
        """Whether the version can be asked by from now on.

        Where ETags are times, it must have been read before, more than a second ago, and have been the same: what is
        written from now on has another second. This costs a second reading of each new object.
        """
        if not self._source.etags_are_times:
            return True
        now = monotonic()
        if pulled.installed or self._first is None or self._first[0] != version:
            self._first = version, now
        return now - self._first[1] > A_SECOND

    def _take(self, data: bytes) -> Pulled:
        try:
            if (trusted := self._trusted()) is not None:
                trusted.verify(data)
            new = snapshot_format.verify(data)
        except KeyFileError as error:
            raise PullError("local", f"--trusted-key: {error}") from error
        except MirrorlistSnapshotError as error:
            raise PullError("refused", f"{self._source.url}: {error}") from error
        here = self._here()
        if here == data:
            return Pulled(installed=False, serial=new.serial)
        if here is not None:
            self._compare(here, data, new)
        try:
            with self.installing:
                write_snapshot(data, self._target)
        except MirrorlistSnapshotError as error:
            raise PullError("local", str(error)) from error
        return Pulled(installed=True, serial=new.serial)

    def _compare(self, here: bytes, data: bytes, new: Snapshot) -> None:
        """Refuse what must not replace the good file that is here."""
        old, found = snapshot_format.header(here), snapshot_format.header(data)
        signed_again = (found.serial, found.digest) == (old.serial, old.digest)
        if found.serial <= old.serial and not signed_again:
            raise PullError(
                "refused",
                f"{self._source.url}: expected a serial above {old.serial}, which is in place, found {found.serial} "
                "with other content; publish under a new serial; going back is a rollback",
            )
        try:
            check_loss(snapshot_format.decode(here), new, self._max_loss)
        except LossError as error:
            raise PullError("refused", f"{self._source.url}: {error}; if meant, raise --max-loss") from error

    def _here(self) -> bytes | None:
        """What is in place and good."""
        try:
            data = self._target.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise PullError("local", f"{self._target}: cannot be read: {error.strerror}") from error
        try:
            snapshot_format.decode(data)
        except SnapshotError:
            return None
        return data

    def _stamp(self) -> tuple[int, ...]:
        try:
            found = self._target.stat()
        except OSError:
            return ()
        return found.st_ino, found.st_size, found.st_mtime_ns
