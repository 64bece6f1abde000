"""A store as the place where snapshots are published: the same rules as for a file, by other means.

Where a file is locked and renamed, an object is replaced only if it still is the version that the rules have judged: of
two publishers, the slower one is refused by the store itself. Generations are objects beside it, named as files are.
A plain HTTP server knows neither conditions nor lists: there, nothing but the publisher's own discipline keeps a second
one away, and no generations are kept.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mirrorlist_snapshot.errors import NoObjectError, PublishError, StoreConflictError, StoreError
from mirrorlist_snapshot.publishing.file_target import GENERATION_DIGITS

if TYPE_CHECKING:
    from collections.abc import Generator

    from mirrorlist_snapshot.publishing.stores import FetchedObject, StoredObject


@dataclass(slots=True)
class StoreTarget:
    """An object that snapshots are published to, with earlier ones beside it."""

    object: StoredObject
    _seen: FetchedObject | None = field(default=None, init=False)
    """What `current` has found last, and `replace` may replace."""

    @property
    def name(self) -> str:
        """As people are told of it."""
        return self.object.url

    @property
    def keeps(self) -> bool:
        """Whether earlier snapshots can be kept there, and a second publisher is refused."""
        return self.object.guards_writes

    @contextlib.contextmanager
    def locked(self) -> Generator[None]:
        """Do nothing: the store itself refuses who has judged what is no longer there."""
        yield

    def current(self) -> bytes | None:
        """Read what is in place, None where there is nothing; raise PublishError."""
        with _as_publish_error():
            try:
                self._seen = self.object.fetch()
            except NoObjectError:
                self._seen = None
        return self._seen.data if self._seen else None

    def generations(self) -> list[int]:
        """List the serials of what was in place before and has been kept, the newest first; raise PublishError."""
        if not self.keeps:
            return []
        pattern = re.compile(re.escape(self.object.name) + rf"\.(\d{{{GENERATION_DIGITS}}})", re.ASCII)
        with _as_publish_error():
            found = [pattern.fullmatch(name) for name in self.object.siblings()]
        return sorted((int(match[1]) for match in found if match), reverse=True)

    def generation(self, serial: int) -> bytes:
        """Read one of these; raise PublishError."""
        with _as_publish_error():
            found = self._generation(serial).fetch()
        assert found is not None, "no version was named that it could still be"  # noqa: S101 - for the type checkers
        return found.data

    def replace(self, data: bytes, replaced: int | None, keep: int) -> None:
        """Put `data` in place of what `current` gave last; keep that, if its serial is given, `keep` in all.

        Raises PublishError, also where something else is in place by now.
        """
        with _as_publish_error():
            if replaced is not None and keep and self.keeps and self._seen:
                # A generation of that serial can be there: from an attempt that got no further.
                with contextlib.suppress(StoreConflictError):
                    self._generation(replaced).put(self._seen.data, None)
            try:
                self.object.put(data, self._seen.version if self._seen else None)
            except StoreConflictError:
                if not self._holds(data):  # else an answer was lost, and our own second try was refused
                    raise
            if not self._holds(data):
                raise PublishError(
                    f"{self.name}: reads back as something else than what was written; see who else writes there"
                )
            for serial in self.generations()[keep:]:
                self._generation(serial).delete()

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
