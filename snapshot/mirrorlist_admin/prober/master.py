"""Reading one unit on a master: a local folder, where it lies, or a URL."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from mirrorlist_admin.exchange import ABSENT, IPV4, IPV6, NOT_MODIFIED, Request
from mirrorlist_admin.store.rows import UNIT_START_BYTES
from mirrorlist_admin.units import LONGEST_HEAD, NotThisUnitError, kind_of, parse
from mirrorlist_admin.verdict.master import Reading

if TYPE_CHECKING:
    from mirrorlist_admin.prober.mirror_run import Fetcher
    from mirrorlist_admin.store.rows import UnitVersion, WatchedUnit

LARGEST: Final = 256 << 20
"""Bytes of a unit on the master."""
SAFE: Final = "/~+@:=,!$&'()*"
"""Characters of a path that stay as they are in a URL."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The master's unit cannot be read."""

    reason: str


@dataclass(frozen=True, slots=True)
class Found:
    """What reading a unit came to."""

    reading: Reading | Unreadable | None
    """None: the master has nothing there."""
    answered: bool | None = None
    """Whether the master answered; None for a local folder."""
    requests: int = 0


class MasterReader:
    """Reads units of masters."""

    def __init__(self, fetcher: Fetcher) -> None:
        """`fetcher` may ask any address: operators name their masters themselves."""
        self._fetcher = fetcher
        self._files: dict[Path, tuple[tuple[int, int, int], Reading]] = {}

    async def read(self, master: str, path: str, before: WatchedUnit | None, current: UnitVersion | None) -> Found:
        """Read the unit at a path below a master; `before` and `current` are what is known of it."""
        if not master.startswith(("http://", "https://")):
            return Found(await asyncio.to_thread(self._read_file, Path(master), path))
        url = master + quote(path, safe=SAFE)
        addresses = await self._fetcher.lookup(urlsplit(master).hostname or "")
        answer = await self._fetcher.get(
            Request(
                url=url,
                family=IPV6 if addresses.of(IPV6) and not addresses.of(IPV4) else IPV4,
                etag=before.etag if before and current else "",
                modified=before.modified if before and current else "",
                most=LARGEST,
            )
        )
        reading: Reading | Unreadable | None = None
        if answer.failure is not None:
            reading = Unreadable(f"{url}: {answer.failure.evidence}")
        elif answer.status == NOT_MODIFIED and before and current:
            etag, modified = answer.etag or before.etag, answer.modified or before.modified
            reading = Reading(current.sha256, current.size, current.stated, 0, etag, modified, b"")
        elif answer.status not in ABSENT:
            try:
                stated = parse(kind_of(path), answer.head).stated
            except NotThisUnitError as error:
                reading = Unreadable(f"{url}: {error}")
            else:
                start, time = answer.head[:UNIT_START_BYTES], _http_time(answer.modified)
                reading = Reading(answer.sha256, answer.size, stated, time, answer.etag, answer.modified, start)
        return Found(reading, answered=bool(answer.status), requests=answer.requests)

    def _read_file(self, folder: Path, path: str) -> Reading | Unreadable | None:
        file = folder / path
        try:
            status = file.stat()
            identity = status.st_mtime_ns, status.st_size, status.st_ino
            cached = self._files.get(file)
            if cached is not None and cached[0] == identity:
                return cached[1]
            if file.is_dir():
                return None
            with file.open("rb") as opened:
                head = opened.read(LONGEST_HEAD)
                opened.seek(0)
                digest = hashlib.file_digest(opened, "sha256").hexdigest()
            stated = parse(kind_of(path), head).stated
        except (FileNotFoundError, NotADirectoryError):
            return None if folder.is_dir() else Unreadable(f"{folder}: there is no such folder")
        except OSError as error:
            return Unreadable(f"{file}: {error.strerror}")
        except NotThisUnitError as error:
            return Unreadable(f"{file}: {error}")
        reading = Reading(digest, status.st_size, stated, int(status.st_mtime), "", "", head[:UNIT_START_BYTES])
        self._files[file] = identity, reading
        return reading


def _http_time(text: str) -> int:
    try:
        return int(parsedate_to_datetime(text).timestamp()) if text else 0
    except (ValueError, OverflowError, TypeError, IndexError):
        return 0
