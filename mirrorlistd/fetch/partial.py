"""The file under way: `FILE.part`, always a beginning of the file, put in FILE's place only when it is whole and right.

Because it is only ever appended to, whatever ends the program leaves a beginning that a later run can continue. What
continues it must be the same file: either a hash of the whole is known and tells in the end, or the same mirror vouches
for it by a strong ETag, kept in `FILE.part.json`. A good FILE is replaced by rename, after fsync, or not at all.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import stat
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from mirrorlistd.fetch.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class PartialOrigin:
    """Whose beginning it is, where nothing but that mirror can vouch for the rest."""

    url: str
    etag: str
    """Strong, with its quotes."""


class Partial:
    """FILE.part, opened and locked: one process at a time. Every failure of the system is a LocalError."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.path = file.with_name(f"{file.name}.part")
        self._origin_path = file.with_name(f"{file.name}.part.json")
        with self._local():
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # a fifo would block
            self._fd = os.open(self.path, flags, 0o666)
        try:
            with self._local():
                if not stat.S_ISREG(os.fstat(self._fd).st_mode):
                    raise OSError(None, "is not a regular file")
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not os.path.samestat(os.fstat(self._fd), self.path.stat()):
                    raise BlockingIOError  # it was put in place between our opening and locking it: a good file
                self.size = os.fstat(self._fd).st_size
        except LocalError:
            os.close(self._fd)
            raise
        self._published = False

    def append(self, data: bytes) -> None:
        """Write more of the file."""
        with self._local():
            view = memoryview(data)
            while view:
                written = os.pwrite(self._fd, view, self.size)
                self.size += written
                view = view[written:]

    def reset(self, origin: PartialOrigin | None = None) -> None:
        """Begin anew, with what will vouch for the beginning, if anything does."""
        with self._local():
            self._origin_path.unlink(missing_ok=True)
            os.ftruncate(self._fd, 0)
            self.size = 0
            if origin is not None:
                self._origin_path.write_text(json.dumps(asdict(origin)), "utf-8")

    def origin(self) -> PartialOrigin | None:
        """What vouches for the beginning; None if nothing does."""
        try:
            said: Any = json.loads(self._origin_path.read_text("utf-8"))
            url, etag = said["url"], said["etag"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return PartialOrigin(url, etag) if isinstance(url, str) and isinstance(etag, str) and etag.isascii() else None

    def digest(self, algorithm: str) -> str:
        """The hash of what there is, in lower-case hexadecimal."""
        with self._local(), open(self._fd, "rb", closefd=False) as file:
            file.seek(0)
            return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()

    def publish(self) -> None:
        """Put it in the file's place, safe against a power cut."""
        with self._local():
            os.fsync(self._fd)
            self.path.replace(self.file)
            self._published = True
            self._origin_path.unlink(missing_ok=True)
            folder = os.open(self.file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def close(self) -> None:
        """Let go; an empty beginning is no use to anybody and is removed."""
        if not self._published and not self.size:
            self.path.unlink(missing_ok=True)
            self._origin_path.unlink(missing_ok=True)
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _local(self) -> Generator[None]:
        try:
            yield
        except BlockingIOError as error:
            raise LocalError(f"{self.path}: another process is fetching to it") from error
        except OSError as error:
            raise LocalError(f"{self.path}: cannot be written: {error.strerror or error}") from error
