"""An object in a store as the target of publications, under the same rules as a file.

An object is replaced only if it still is the version that the rules have checked; of two publishers, the store refuses
the slower one. Generations are objects beside it, named as those of files. A plain HTTP server has neither conditional
writes nor lists: it does not refuse a second publisher, and keeps no generations.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mirrorlist_snapshot.errors import NoObjectError, PublishedError, PublishError, StoreConflictError, StoreError
from mirrorlist_snapshot.publishing.file_target import GENERATION_DIGITS

if TYPE_CHECKING:
    from collections.abc import Generator

    from mirrorlist_snapshot.publishing.stores import FetchedObject, StoredObject


@dataclass(slots=True)
class StoreTarget:
    """An object that snapshots are published to, with earlier ones beside it."""

    object: StoredObject
    _seen: FetchedObject | None = field(default=None, init=False)
    """The version that `current` has read last, which `replace` may replace."""

    @property
    def name(self) -> str:
        """The name of the target in messages."""
        return self.object.url

    @property
    def keeps(self) -> bool:
        """Whether the store keeps generations and refuses a second publisher."""
        return self.object.guards_writes

    @contextlib.contextmanager
    def locked(self) -> Generator[None]:
        """Do nothing: the store itself refuses to replace a version that is no longer in place."""
        yield

    def current(self) -> bytes | None:
        """Return the snapshot in place, None if there is none; raise PublishError."""
        with _as_publish_error():
            try:
                self._seen = self.object.fetch()
            except NoObjectError:
                self._seen = None
        return self._seen.data if self._seen else None

    def generations(self) -> list[int]:
        """Return the serials of the kept generations, newest first; raise PublishError."""
        if not self.keeps:
            return []
        pattern = re.compile(re.escape(self.object.name) + rf"\.(\d{{{GENERATION_DIGITS}}})", re.ASCII)
        with _as_publish_error():
            found = [pattern.fullmatch(name) for name in self.object.siblings()]
        return sorted((int(match[1]) for match in found if match), reverse=True)

    def generation(self, serial: int) -> bytes:
        """Return one generation; raise PublishError."""
        with _as_publish_error():
            found = self._generation(serial).fetch()
        assert found is not None, "only a conditional read can give None"  # noqa: S101 - for the type checkers
        return found.data

    def replace(self, data: bytes, replaced: int | None, keep: int) -> list[str]:
        """Replace the version that `current` read last; keep it as generation `replaced`, `keep` in all.

        Return warnings about generations. Raise PublishError, also if another version is in place by now, and
        PublishedError if the object was written but cannot be read back, or the command is interrupted then.
        """
        with _as_publish_error():
            if replaced is not None and keep and self.keeps and self._seen:
                # A generation of that serial can exist, from an attempt that failed after this step.
                with contextlib.suppress(StoreConflictError):
                    self._generation(replaced).put(self._seen.data, None)
            try:
                self.object.put(data, self._seen.version if self._seen else None)
            except StoreConflictError:
                if not self._holds(data):  # else the answer to our first try was lost, and our retry was refused
                    raise
            except KeyboardInterrupt:
                if not self._holds(data):  # Ctrl-C is noticed only when the store has answered
                    raise
                raise PublishedError(f"{self.name} was written, but the command was interrupted") from None
        try:
            self._confirm(data)
            for serial in self.generations()[keep:]:
                self._generation(serial).delete()
        except (PublishError, StoreError) as error:
            return [f"the snapshot is in place, but old generations cannot be removed: {error}"]
        except KeyboardInterrupt:
            raise PublishedError(f"{self.name} was written, but the command was interrupted") from None
        return []

    def _confirm(self, data: bytes) -> None:
        """Raise PublishedError unless the object that was just written reads back the same."""
        try:
            if self._holds(data):
                return
        except StoreError as error:
            raise PublishedError(f"{self.name} was written, but cannot be read back: {error}") from error
        reason = "reads back differently from what was written; find out what else writes there"
        raise PublishedError(f"{self.name}: {reason}")

    def _holds(self, data: bytes) -> bool:
        found = self.object.fetch()
        return found is not None and found.data == data

    def _generation(self, serial: int) -> StoredObject:
        return self.object.sibling(f"{self.object.name}.{serial:0{GENERATION_DIGITS}}")


@contextlib.contextmanager
def _as_publish_error() -> Generator[None]:
    try:
        yield
    except StoreError as error:
        raise PublishError(str(error)) from error
