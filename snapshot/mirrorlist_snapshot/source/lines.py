"""Find the line of each key in a TOML or JSON text: complaints need lines, and the library's parsers keep none.

The library's parser has already accepted the text. So this module only finds where each value ends, and does not parse
values. It runs only if there are complaints. YAML nodes have their lines (see `syntax`).
"""

from __future__ import annotations

import json
import re
import tomllib
from bisect import bisect_right
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

KeyPath = tuple[str | int, ...]
"""Keys and list positions from the top of a document down to a value."""

_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_STRING: Final = re.compile(
    r'"""(?:[^\\]|\\.)*?"""(?:"{0,2})' r"|'''.*?'''(?:'{0,2})" r'|"(?:[^"\\\n]|\\.)*"' r"|'[^'\n]*'", re.DOTALL
)
_OTHER: Final = re.compile(r"[^,\]}\n#]+")
"""Numbers, booleans, dates: every value that is neither a string nor nested."""
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")


class Lines:
    """Lines of the keys and list items of one document."""

    def __init__(self) -> None:
        self._lines: dict[KeyPath, int] = {}
        self._given: set[KeyPath] = set()
        self.duplicates: list[tuple[KeyPath, int, int]] = []
        """Keys given twice: (key path, first line, second line)."""

    def add(self, path: KeyPath, line: int) -> None:
        """Record the line of a key; a second line makes it a duplicate."""
        first = self._lines.setdefault(path, line)
        if path in self._given:
            self.duplicates.append((path, first, line))
        self._given.add(path)

    def add_parents(self, path: KeyPath, line: int) -> None:
        """Record the line of a table that is implied by a key in it, unless it has one already."""
        for length in range(1, len(path) + 1):
            self._lines.setdefault(path[:length], line)

    def find(self, path: KeyPath) -> int | None:
        """Return the 1-based line of a key, or of the nearest table around it; None if neither is known."""
        while path:
            if (line := self._lines.get(path)) is not None:
                return line
            path = path[:-1]
        return None

    def __contains__(self, path: KeyPath) -> bool:
        return path in self._lines


def of_json(text: str) -> Lines:
    """Lines of a valid JSON text."""
    walk = _Walk(text, ":")
    walk.value(())
    return walk.lines


def of_toml(text: str) -> Lines:
    """Lines of a valid TOML text."""
    walk = _Walk(text, "=")
    table: KeyPath = ()
    lists: dict[KeyPath, int] = {}  # array of tables -> position of its last one

    def resolved(keys: list[str]) -> KeyPath:
        """A header's keys -> path, with the positions of the arrays of tables on the way."""
        path: KeyPath = ()
        for key in keys:
            path = (*path, key)
            if path in lists:
                path = (*path, lists[path])
        return path

    while not walk.at_end():
        if walk.take("[["):
            keys = walk.keys()
            walk.take("]]")
            path = (*resolved(keys[:-1]), keys[-1])
            walk.lines.add_parents(path, walk.line())
            lists[path] = lists.get(path, -1) + 1
            table = (*path, lists[path])
            walk.lines.add_parents(table, walk.line())
        elif walk.take("["):
            table = resolved(walk.keys())
            walk.lines.add_parents(table, walk.line())
            walk.take("]")
        else:
            walk.member(table)
    return walk.lines


class _Walk:
    """A position in a text that moves over keys and values."""

    def __init__(self, text: str, separator: str) -> None:
        self.lines: Final = Lines()
        self._text = text
        self._separator = separator
        self._read: Callable[[str], object] = json.loads if separator == ":" else _toml_string
        self._position = 0
        self._newlines = [match.start() for match in re.finditer("\n", text)]

    def line(self) -> int:
        """1-based line of the position."""
        return bisect_right(self._newlines, self._position - 1) + 1

    def at_end(self) -> bool:
        """Whether only blanks and comments are left."""
        self._move(_BLANK)
        return self._position >= len(self._text)

    def take(self, token: str) -> bool:
        """Step over a token, if it is what comes next."""
        self._move(_BLANK)
        if not self._text.startswith(token, self._position):
            return False
        self._position += len(token)
        return True

    def keys(self) -> list[str]:
        """Read a key; in TOML it may be dotted."""
        keys: list[str] = []
        while True:
            self._move(_BLANK)
            if quoted := self._move(_STRING):
                keys.append(str(self._read(quoted)))
            else:
                keys.append(self._move(_BARE_KEY))
            if self._separator == ":" or not self.take("."):
                return keys

    def member(self, table: KeyPath) -> None:
        """Read a key and its value."""
        keys = self.keys()
        line = self.line()
        self.lines.add_parents((*table, *keys[:-1]), line)
        path = (*table, *keys)
        self.lines.add(path, line)
        self.take(self._separator)
        self.value(path)

    def value(self, path: KeyPath) -> None:
        """Read a value, noting what is in it."""
        if self.take("["):
            position = 0
            while not self.take("]"):
                self.lines.add_parents((*path, position), self.line())
                self.value((*path, position))
                self.take(",")
                position += 1
        elif self.take("{"):
            while not self.take("}"):
                self.member(path)
                self.take(",")
        elif not self._move(_STRING):
            self._move(_OTHER)

    def _move(self, pattern: re.Pattern[str]) -> str:
        if (match := pattern.match(self._text, self._position)) is None:
            return ""
        self._position = match.end()
        return match.group()


def _toml_string(token: str) -> object:
    return tomllib.loads(f"key = {token}")["key"]
