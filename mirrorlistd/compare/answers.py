"""The part of an answer that is compared: status, URLs in their order, and facts about the file. Pure.

The format of a list is recognised by its bytes: text (a URL per line), JSON, metalink. A redirect is a list of one URL.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Iterator

_OWN_NETWORKS: Final = ("Using preferred netblock", "Using ASN ")
"""In the first line of mirrorlist-server's lists, and of those with our preset `mirrormanager`."""
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]{0,31}://\S+")
"""The scheme is bounded: without a bound a long word would be searched from each of its letters."""


class SeenAnswer(NamedTuple):
    """One answer, as far as it is compared."""

    status: int
    urls: tuple[str, ...]
    """In the order of preference, each once."""
    facts: frozenset[str]
    """Sizes, times and hashes that a metalink states."""
    own_networks: int = 0
    """How many of netblock and AS the comment line names as sources of mirrors, 0 to 2."""

    @property
    def is_redirect(self) -> bool:
        """Whether it sends the client to one mirror, which the server drew."""
        return 300 <= self.status < 400  # noqa: PLR2004 - RFC 9110, 15.4


def read_answer(status: int, location: str | None, body: bytes) -> SeenAnswer:
    """Read an answer; a body that cannot be read is a list without URLs."""
    if location is not None:
        return SeenAnswer(status, (location,), frozenset())
    text = body.decode("utf-8", "replace")
    start = text.lstrip()[:1]
    if start == "<":
        return SeenAnswer(status, *_metalink(body))
    urls = _json(text) if start == "[" else _lines(text)
    own_networks = sum(mark in text.partition("\n")[0] for mark in _OWN_NETWORKS)
    return SeenAnswer(status, tuple(dict.fromkeys(urls)), frozenset(), own_networks)


def read_tiers(body: bytes) -> dict[str, int]:
    """Read an explanation of ours: URL -> number of its tier, 0 for the nearest; empty where it is none."""
    try:
        rows: Any = json.loads(body)["list"]
        keys = [(row["tier"], row["group"]) for row in rows]
        numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
        return {url: numbers[key] for key, row in zip(keys, rows, strict=True) for url in row["urls"]}
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}


def _lines(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if not line.startswith("#") and (found := _URL.search(line)):
            yield found[0]


def _json(text: str) -> list[str]:
    try:
        rows: Any = json.loads(text)
    except (ValueError, RecursionError):
        return []
    found = [cast("dict[str, object]", row).get("url") for row in rows if isinstance(row, dict)]
    return [url for url in found if isinstance(url, str)]


def _metalink(body: bytes) -> tuple[tuple[str, ...], frozenset[str]]:
    """Read every URL, size, time and hash of version 3 or 4."""
    try:
        root = ET.fromstring(body)  # noqa: S314 - expat bounds expansion, and the servers are the operator's own
    except ET.ParseError:
        return (), frozenset()
    ranked: list[tuple[int, str]] = []
    facts: set[str] = set()
    for element in root.iter():
        name, text = element.tag.rpartition("}")[2], (element.text or "").strip()
        match name:
            case "url" if text:
                # Version 3 prefers high numbers, version 4 low ones.
                preference, priority = element.get("preference", "0"), element.get("priority", "0")
                ranked.append((_whole(priority) - _whole(preference), text))
            case "hash" if text:
                facts.add(f"{element.get('type')}:{text}")
            case "size" | "timestamp" if text:
                facts.add(f"{name}:{text}")
            case _:
                pass
    ranked.sort(key=lambda pair: pair[0])  # stable: equal ones keep their order
    return tuple(dict.fromkeys(url for _, url in ranked)), frozenset(facts)


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 9 else 0  # noqa: PLR2004 - digits of a 32-bit number
