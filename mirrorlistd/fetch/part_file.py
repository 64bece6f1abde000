"""The unfinished file: `FILE.part`, always a beginning of the file, renamed to FILE when it is complete and right.

It is only appended to, so a killed program leaves a beginning that a later run can continue. The rest must be of the
same file: either a hash of the file is known and is checked in the end, or the same mirror confirms it by a strong
ETag, which is kept in `FILE.part.json`. FILE is replaced by rename, after fsync.
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
    """The mirror that sent the beginning, where only this mirror can confirm that the rest is of the same file."""

    url: str
    etag: str
    """Strong, with its quotes."""


class PartFile:
    """FILE.part, open and locked: one process at a time. Every failure of the system is a LocalError."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.path = file.with_name(f"{file.name}.part")
        self._origin_path = file.with_name(f"{file.name}.part.json")
        with self._local():
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # opening a FIFO would block
            self._fd = os.open(self.path, flags, 0o666)
        try:
            with self._local():
                if not stat.S_ISREG(os.fstat(self._fd).st_mode):
                    raise OSError(None, "is not a regular file")
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not os.path.samestat(os.fstat(self._fd), self.path.stat()):
                    raise BlockingIOError  # another process renamed it to FILE between opening and locking
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
        """Start again with an empty file; `origin` is the mirror that can confirm the new beginning, if any."""
        with self._local():
            self._origin_path.unlink(missing_ok=True)
            os.ftruncate(self._fd, 0)
            self.size = 0
            if origin is not None:
                self._origin_path.write_text(json.dumps(asdict(origin)), "utf-8")

    def origin(self) -> PartialOrigin | None:
        """Return the mirror that can confirm the beginning; None if there is none."""
        try:
            saved: Any = json.loads(self._origin_path.read_text("utf-8"))
            url, etag = saved["url"], saved["etag"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return PartialOrigin(url, etag) if isinstance(url, str) and isinstance(etag, str) and etag.isascii() else None

    def digest(self, algorithm: str) -> str:
        """Return the hash of the bytes so far, in lower-case hexadecimal."""
        with self._local(), open(self._fd, "rb", closefd=False) as file:
            file.seek(0)
            return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()

    def publish(self) -> None:
        """Rename it to FILE, safe against a power cut."""
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
        """Close it; remove it if it is empty."""
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
