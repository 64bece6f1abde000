"""The `Accept` header: which of several media types a client prefers (RFC 9110, 12.5.1). Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_LONGEST: Final = 1_024
"""Bytes of a header that are read. Browsers send some 150."""
_MOST: Final = 64
"""Elements that are read."""
_WEIGHT: Final = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")
"""A q-value (RFC 9110, 12.4.2)."""
_OUR_PARAMETERS: Final = frozenset(("charset=utf-8", 'charset="utf-8"'))
"""Parameters that every answer fulfils. A range with other parameters matches nothing that the server has."""


class Quality(NamedTuple):
    """How welcome a media type is; greater is more welcome."""

    weight: float
    """The q-value, 0 to 1. At 0 the type is refused."""
    specificity: int
    """Of the range that matched: 3 `type/subtype`, 2 `type/*`, 1 `*/*`, 0 none (or no header)."""
    order: int
    """Minus the position of the range in the header."""


class Accept:
    """One `Accept` header, read; elements that are malformed are ignored."""

    __slots__ = ("_ranges",)

    def __init__(self, header: bytes) -> None:
        """Read the value of a header; of several header lines the values are joined by commas."""
        self._ranges: dict[str, tuple[float, int]] = {}
        for position, element in enumerate(islice(_split(header[:_LONGEST].decode("latin-1").lower(), ","), _MOST)):
            name, *parameters = (part.strip() for part in islice(_split(element, ";"), _MOST))
            weights = [part[2:] for part in parameters if part.startswith("q=")]
            others = {part for part in parameters if part and not part.startswith("q=")}
            if "/" in name and others <= _OUR_PARAMETERS and all(map(_WEIGHT.fullmatch, weights)):
                self._ranges.setdefault(name, (float(weights[0]) if weights else 1.0, position))

    def quality(self, media_type: str) -> Quality:
        """Return how welcome a type is: the most specific range decides. Without a header every type is welcome."""
        if not self._ranges:
            return Quality(1.0, 0, 0)
        for specificity, name in ((3, media_type), (2, media_type.partition("/")[0] + "/*"), (1, "*/*")):
            if (found := self._ranges.get(name)) is not None:
                return Quality(found[0], specificity, -found[1])
        return Quality(0.0, 0, 0)

    def named(self, media_type: str) -> bool:
        """Whether the type itself is named and at least as welcome as `*/*`: the client knows what to do with it."""
        quality = self.quality(media_type)
        named = self._ranges.get(media_type)
        return named is not None and 0 < quality.weight >= self._ranges.get("*/*", (0.0, 0))[0]


@lru_cache(maxsize=128)
def _read(header: bytes) -> Accept:
    return Accept(header)


def preferred(header: bytes, offered: Sequence[str]) -> str | None:
    """Return the type that the client prefers among those offered; None where it refuses all.

    Equally welcome types: the one whose range is more specific, then the one that the header names first, then the
    one that is offered first.
    """
    accept = _read(header[:_LONGEST])
    best = max(offered, key=accept.quality)
    return best if accept.quality(best).weight else None


def named(header: bytes, offered: Sequence[str]) -> str | None:
    """Return the type that the client prefers among those that it names (see `Accept.named`); None without one.

    For answers of another type than the client's URL implies: a metalink instead of a redirect, say.
    """
    accept = _read(header[:_LONGEST])
    # The position in the header does not count: a client that takes both types gets the one offered first.
    return max(filter(accept.named, offered), key=lambda media_type: accept.quality(media_type)[:2], default=None)


def joined(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the value of all `Accept` lines of a request, whose names are in lower case."""
    return b", ".join([value for name, value in headers if name == b"accept"])


def _split(text: str, separator: str) -> Iterator[str]:
    """Split at a separator outside of quoted strings, in linear time."""
    if '"' not in text:
        yield from text.split(separator)
        return
    start, quoted, escaped = 0, False, False
    for position, letter in enumerate(text):
        if escaped:
            escaped = False
        elif letter == '"':
            quoted = not quoted
        elif quoted:
            escaped = letter == "\\"
        elif letter == separator:
            yield text[start:position]
            start = position + 1
    yield text[start:]
