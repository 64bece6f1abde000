"""Read files of lines, plain or compressed by gzip, or standard input, in bounded memory."""

from __future__ import annotations

import contextlib
import gzip
import os
import stat
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.errors import InputFileError
from mirrorlist_snapshot.input_file import LINES_FILE, open_file
from mirrorlistd.errors import MirrorlistdError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

STDIN: Final = "-"
LONGEST_LINE: Final = 65_536
"""Bytes: far more than any access line; a longer line is read in pieces, each of which is a bad line."""
_MAGIC: Final = b"\x1f\x8b"
"""The first bytes of gzip: they show that a file is compressed, also on standard input."""
_LINES_A_TICK: Final = 20_000


class ReadingError(MirrorlistdError):
    """A file that cannot be read to its end; the message names it."""


@contextlib.contextmanager
def lines_of(name: str, progress: Callable[[int, int], None]) -> Generator[Iterator[bytes]]:
    """Yield the lines of a file, each with its end; raise ReadingError where it cannot be read.

    `progress` is called now and then with the bytes that were read and the size; both are 0 where the size is unknown.
    """
    try:
        with contextlib.ExitStack() as stack:
            if name == STDIN:
                raw = stack.enter_context(open(0, "rb", closefd=False))
            else:
                raw = stack.enter_context(open_file(Path(name), LINES_FILE, pipes=True))
            facts = os.fstat(raw.fileno())
            size = facts.st_size if stat.S_ISREG(facts.st_mode) else 0
            compressed = raw.peek(len(_MAGIC)).startswith(_MAGIC)
            readline = stack.enter_context(gzip.GzipFile(fileobj=raw)).readline if compressed else raw.readline
            yield _ticking(readline, lambda: progress(raw.tell() if size else 0, size))
    except InputFileError as error:
        raise ReadingError(str(error)) from error
    except (OSError, EOFError, zlib.error) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ReadingError(f"{name}: cannot be read: {why}") from error


def _ticking(readline: Callable[[int], bytes], tick: Callable[[], None]) -> Iterator[bytes]:
    for number, line in enumerate(iter(lambda: readline(LONGEST_LINE), b"")):
        if not number % _LINES_A_TICK:
            tick()
        yield line
