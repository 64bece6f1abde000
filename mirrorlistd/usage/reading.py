"""Files of access lines, plain or compressed by gzip, or standard input: read as they come, in bounded memory."""

from __future__ import annotations

import contextlib
import gzip
import os
import stat
import zlib
from typing import TYPE_CHECKING, Final

from mirrorlistd.errors import MirrorlistdError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

STDIN: Final = "-"
LONGEST_LINE: Final = 65_536
"""Bytes: far more than any access line; a longer one is read, and complained of, in pieces."""
_MAGIC: Final = b"\x1f\x8b"
"""How gzip begins: what is compressed is told by that, not by its name, and so also on standard input."""
_LINES_A_TICK: Final = 20_000


class ReadingError(MirrorlistdError):
    """A file that cannot be read, or no further; the message names it."""


@contextlib.contextmanager
def lines_of(name: str, progress: Callable[[int, int], None]) -> Generator[Iterator[bytes]]:
    """Give the lines of a file, each with its end; raise ReadingError where it cannot be read (on).

    `progress` is told now and then how many bytes of how many have been read; 0 of 0 where there is no telling.
    """
    try:
        with contextlib.ExitStack() as stack:
            standard = name == STDIN
            raw = stack.enter_context(open(0 if standard else name, "rb", closefd=not standard))
            facts = os.fstat(raw.fileno())
            size = facts.st_size if stat.S_ISREG(facts.st_mode) else 0
            compressed = raw.peek(len(_MAGIC)).startswith(_MAGIC)
            readline = stack.enter_context(gzip.GzipFile(fileobj=raw)).readline if compressed else raw.readline
            yield _ticking(readline, lambda: progress(raw.tell() if size else 0, size))
    except (OSError, EOFError, zlib.error) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ReadingError(f"{name}: cannot be read: {why}") from error


def _ticking(readline: Callable[[int], bytes], tick: Callable[[], None]) -> Iterator[bytes]:
    for number, line in enumerate(iter(lambda: readline(LONGEST_LINE), b"")):
        if not number % _LINES_A_TICK:
            tick()
        yield line
