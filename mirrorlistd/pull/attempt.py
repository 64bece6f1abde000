"""One attempt to copy the store's object: fetch, check, install. A failure leaves the file as it is.

The signature is checked before the content is read, and the content before anything is written. A serial that is not
newer is refused, so that an old object in the store, or on the way from it, does not make a server go back. A damaged
file counts as no file.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from mirrorlist_snapshot import format as snapshot_format
from mirrorlist_snapshot.errors import (
    InputFileError,
    KeyFileError,
    LossError,
    MirrorlistSnapshotError,
    NoObjectError,
    PublishedError,
    SnapshotError,
    StoreError,
)
from mirrorlist_snapshot.input_file import SNAPSHOT, read_file
from mirrorlist_snapshot.loss import DEFAULT_LIMIT, check_loss
from mirrorlist_snapshot.publishing.file_target import write_snapshot
from mirrorlist_snapshot.publishing.stores import FetchedObject, ObjectVersion
from mirrorlistd.errors import PullError
from mirrorlistd.pull.http_object import read_object

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from mirrorlist_snapshot.model import Snapshot
    from mirrorlist_snapshot.publishing.stores import StoredObject
    from mirrorlist_snapshot.signing import TrustedKeys

A_SECOND: Final = 1.1
"""Seconds after which two ETags that are made of times differ."""


@dataclass(frozen=True, slots=True)
class PullOutcome:
    """The result of an attempt that succeeded."""

    installed: bool
    """False where the file already was the store's object."""
    serial: int
    """Of the file."""


class Puller:
    """Keeps a file equal to an object of a store."""

    def __init__(
        self,
        source: StoredObject,
        target: Path,
        trusted: Callable[[], TrustedKeys | None] = lambda: None,
        max_loss: float = DEFAULT_LIMIT,
        redirects: Collection[str] = (),
    ) -> None:
        """`trusted` reads the keys at each attempt, because key files are replaced; None accepts unsigned snapshots.

        A snapshot that lacks more than `max_loss`, a fraction, of the mirrors, repositories or directories in the file
        is refused: a server starts from this file. `redirects` are hosts to which the store may redirect.
        """
        self._source = source
        self._target = target
        self._trusted = trusted
        self._max_loss = max_loss
        self._redirects = redirects
        self.installing = threading.Lock()
        """Held while the file is being replaced. Whatever ends the process waits for it."""
        self._last: tuple[ObjectVersion, PullOutcome, tuple[int, ...]] | None = None
        """The version that was installed or found last, its outcome, and the stamp of the file then."""
        self._first: tuple[ObjectVersion, float] | None = None
        """The version that was read last, and the monotonic time at which it was first read."""

    def pull(self) -> PullOutcome:
        """Ask once; raise PullError where the store has no good snapshot or cannot be read."""
        last = self._last
        if last and last[2] != self._stamp():
            last = None  # something else has changed the file
        try:
            found = self._fetch(last[0] if last else None)
        except SnapshotError as error:
            raise PullError("refused", f"{self._source.url}: {error}") from error
        except StoreError as error:
            raise PullError("missing" if isinstance(error, NoObjectError) else "unreachable", str(error)) from error
        if found is None:
            if last is None:
                raise PullError(
                    "unreachable", f"{self._source.url}: the store answers `not modified` to an unconditional request"
                )
            return PullOutcome(installed=False, serial=last[1].serial)
        self._last = None
        pulled = self._install(found.data)
        if (stamp := self._stamp()) and self._is_stable(found.version, pulled):
            self._last = found.version, pulled, stamp
        return pulled

    def _fetch(self, last: ObjectVersion | None) -> FetchedObject | None:
        """Read the object; its header is checked before the rest is read."""
        if self._source.url.startswith("file:"):
            return _read_local(self._source.url, last)
        url = self._source.http_url()
        if url is None:
            return self._source.fetch(last, snapshot_format.check_start)
        etag = last.etag if last else None
        found = read_object(self._source.url, url, etag, self._redirects, snapshot_format.check_start)
        return None if found is None else FetchedObject(found.data, ObjectVersion(found.etag, None))

    def _is_stable(self, version: ObjectVersion, pulled: PullOutcome) -> bool:
        """Whether the next request may be conditional on this version.

        Where ETags are made of times, the version must have been read more than a second ago: an object that is written
        from now on has another time. Each new object is therefore read twice.
        """
        if not self._source.etags_are_times:
            return True
        now = monotonic()
        if pulled.installed or self._first is None or self._first[0] != version:
            self._first = version, now
        return now - self._first[1] > A_SECOND

    def _install(self, data: bytes) -> PullOutcome:
        try:
            if (trusted := self._trusted()) is not None:
                trusted.verify(data)
            new = snapshot_format.verify(data)
        except KeyFileError as error:
            raise PullError("local", f"--trusted-key: {error}") from error
        except MirrorlistSnapshotError as error:
            raise PullError("refused", f"{self._source.url}: {error}") from error
        current = self._current()
        if current == data:
            return PullOutcome(installed=False, serial=new.serial)
        if current is not None:
            self._check_successor(current, data, new)
        try:
            with self.installing:
                write_snapshot(data, self._target)
        except PublishedError:
            pass  # it is in place; what a power failure could undo, the next attempt does again
        except MirrorlistSnapshotError as error:
            raise PullError("local", str(error)) from error
        return PullOutcome(installed=True, serial=new.serial)

    def _check_successor(self, current: bytes, data: bytes, new: Snapshot) -> None:
        """Raise PullError where the new snapshot must not replace the current one."""
        old, found = snapshot_format.header(current), snapshot_format.header(data)
        signed_again = (found.serial, found.digest) == (old.serial, old.digest)
        if found.serial <= old.serial and not signed_again:
            raise PullError(
                "refused",
                f"{self._source.url}: expected a serial above {old.serial}, that of the file, found {found.serial} "
                "with other content; publish under a new serial; to go back, use `mirrorlist-snapshot rollback`",
            )
        try:
            check_loss(snapshot_format.decode(current), new, self._max_loss)
        except LossError as error:
            raise PullError("refused", f"{self._source.url}: {error}; if meant, raise --max-loss") from error

    def _current(self) -> bytes | None:
        """Return the bytes of the file, or None where there is none or a damaged one."""
        try:
            data = read_file(self._target, SNAPSHOT)
        except InputFileError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise PullError("local", str(error)) from error
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


def _read_local(url: str, last: ObjectVersion | None) -> FetchedObject | None:
    """Read the file of a `file:` URL as any input file: a regular one, of a snapshot's size at most."""
    path = Path(unquote(urlsplit(url).path))
    try:
        found = path.stat()
        version = ObjectVersion(f"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}", None)
        return None if version == last else FetchedObject(read_file(path, SNAPSHOT), version)
    except FileNotFoundError as error:
        raise NoObjectError(f"{url}: is not there; publish it first, or correct the URL") from error
    except InputFileError as error:
        raise StoreError(f"{url}: {error.found}") from error
    except (OSError, ValueError) as error:
        raise StoreError(f"{url}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
