"""What any list says, whatever its format, as one frozen value: where the file is, and how to know that it is it.

Pure. A list is written by others: sizes, hashes and URLs are checked where they become values, so that nothing
behind this module need doubt them. A URL of another kind is passed over (other clients may want it), while a
malformed size or hash refuses the list: a file must not go unchecked because its hash was misspelt.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, NamedTuple
from urllib.parse import quote, unquote, urljoin, urlsplit

from mirrorlistd.fetch.errors import ListError, MirrorError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

Kind = Literal["list", "metalink", "file"]
"""A mirrorlist (text or JSON), a metalink (3 or 4), or the file itself, with or without mirrors in its headers."""

MAX_MIRRORS: Final = 1_000
"""Further ones are passed over; nobody walks that far, and the largest networks have about as many."""
MAX_URL: Final = 4_096
"""Longest URL in characters; about what servers take (Apache: 8,190 for the whole request line)."""
MAX_NAME: Final = 200
"""Longest file name in bytes: file systems have 255, and `.part.json` must fit behind it."""
MAX_SIZE: Final = 2**63 - 1
"""Largest file in bytes that an offset can name."""
LAST: Final = 999_999
"""Priority of a mirror without one (RFC 5854, section 4.2.15.1: the lowest)."""

STRENGTH: Final = ("sha512", "sha256", "sha1", "md5")
"""Known hash functions, strongest first."""
WEAK: Final = frozenset(("sha1", "md5"))
"""Made to differ at will by an attacker: they show accidents only."""
_DIGITS: Final = {"sha512": 128, "sha256": 64, "sha1": 40, "md5": 32}
_PLAIN: Final = "!$&'()*+,;=:@~%/"
"""What a path may hold as it is (RFC 3986 `pchar`), `%` included: a caller may have escaped already."""


class Hash(NamedTuple):
    """A known hash of the whole file."""

    algorithm: str
    """One of STRENGTH."""
    digest: str
    """Lower-case hexadecimal."""


@dataclass(frozen=True, slots=True)
class MirrorUrl:
    """One place where the file, or the tree with the file, is."""

    url: str
    """http or https, absolute, printable ASCII."""
    priority: int = LAST
    """Lower is better, 1 at best; equal ones stand in the list's order."""
    location: str | None = None
    """ISO country code in lower case, where the list says."""


@dataclass(frozen=True, slots=True)
class ContentVersion:
    """How to recognise a file's content."""

    size: int | None = None
    """Bytes."""
    hashes: tuple[Hash, ...] = ()
    """At most one of each algorithm, strongest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A list, read."""

    kind: Kind
    mirrors: tuple[MirrorUrl, ...]
    """Best first, no URL twice, at most MAX_MIRRORS, at least one."""
    name: str | None = None
    """The file's name as the list has it: hostile until it went through `safe_name`."""
    version: ContentVersion = ContentVersion()
    """What the file must be; empty where the list does not say."""
    previous: tuple[ContentVersion, ...] = ()
    """What it was before: tells a mirror that is behind from one that lies."""
    connections: int | None = None
    """How many connections at once the list allows for this file; None where it does not say."""

    def below(self, path: str) -> Source:
        """The same mirrors, with the URLs of a file below them; `path` without a leading slash."""
        tail = quote(path, safe=_PLAIN)
        mirrors = (replace(mirror, url=f"{mirror.url.rstrip('/')}/{tail}") for mirror in self.mirrors)
        return replace(self, mirrors=tuple(mirrors), name=path)

    def no_larger_than(self, most: int) -> Source:
        """The same; ListError if its file has more bytes."""
        if self.version.size is not None and self.version.size > most:
            raise ListError(f"expected a file of up to {most} bytes, found one of {self.version.size}")
        return self

    def pinned(self, sha256: str) -> Source:
        """The same, with a hash that the caller knows; ListError if the list knows another."""
        known = dict(self.version.hashes)
        if known.get("sha256", sha256) != sha256:
            raise ListError(f"expected the pinned sha256 {sha256}, the list has {known['sha256']}")
        return replace(self, version=replace(self.version, hashes=in_order(known | {"sha256": sha256})))


def in_order(hashes: dict[str, str]) -> tuple[Hash, ...]:
    """Checked hashes, strongest first."""
    return tuple(Hash(name, hashes[name]) for name in STRENGTH if name in hashes)


def read_hashes(found: Iterable[tuple[str, str]]) -> tuple[Hash, ...]:
    """(type, digest) as lists have them, `SHA-256` and `sha256` alike -> Hashes. Unknown types are passed over."""
    known: dict[str, str] = {}
    for kind, text in found:
        algorithm, digest = kind.strip().lower().replace("-", ""), text.strip().lower()
        if algorithm not in _DIGITS:
            continue
        if not re.fullmatch(f"[0-9a-f]{{{_DIGITS[algorithm]}}}", digest):
            raise ListError(f"expected {_DIGITS[algorithm]} hexadecimal digits of {algorithm}, found {digest[:140]!a}")
        if known.setdefault(algorithm, digest) != digest:
            raise ListError(f"expected one {algorithm} of the file, found two that differ")
    return in_order(known)


def read_number(text: str, what: str, most: int = MAX_SIZE) -> int:
    """A decimal number of ASCII digits, at most `most`."""
    if not re.fullmatch(r"[0-9]{1,19}", text.strip(), re.ASCII) or int(text) > most:
        raise ListError(f"expected {what} as a number up to {most}, found {text[:40]!a}")
    return int(text)


def is_fetchable(url: str) -> bool:
    """Whether a URL is one that this client would ask: http or https, with a host, and nothing odd in it."""
    if len(url) > MAX_URL or not url.isascii() or not url.isprintable() or re.search(r'[\s<>"\\^`{|}]', url):
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and port != 0


def collect(mirrors: Iterable[MirrorUrl]) -> tuple[MirrorUrl, ...]:
    """The fetchable ones, best first, each URL once; ListError if there is none."""
    found: dict[str, MirrorUrl] = {}
    for mirror in mirrors:
        if is_fetchable(mirror.url):
            found.setdefault(mirror.url, mirror)
    if not found:
        raise ListError("expected at least one http or https URL, found none")
    return tuple(sorted(found.values(), key=lambda mirror: mirror.priority)[:MAX_MIRRORS])


def next_hop(start: str, here: str, location: str) -> str:
    """Where a redirect leads from `here`; MirrorError if it must not be followed.

    What began with https (`start`) stays https: a list that names https has promised it. A list that names http has
    promised nothing, so there any change is allowed.
    """
    try:
        target = urljoin(here, location)
    except ValueError:
        target = location
    if not is_fetchable(target):
        raise MirrorError("redirect", f"is redirected to {target[:200]!a}, which is no http or https URL")
    if start.startswith("https:") and not target.startswith("https:"):
        raise MirrorError("redirect", f"is redirected from https to {target[:200]}")
    return target


def check_path(path: str) -> str:
    """A file's path below a mirror, without a leading slash; UsageError if it is none."""
    path = path.lstrip("/")
    segments = path.split("/")
    if not segments[-1] or ".." in segments or "." in segments or not path.isprintable():
        raise UsageError(f"--path: expected a file below a mirror, such as dists/stable/InRelease; found {path!a}")
    return path


def safe_name(name: str) -> str:
    """The name under which to keep a file in the current folder: its last segment; UsageError if anything is odd.

    Refuses what a hostile list could gain by: other folders, hidden files, options, control characters, names that no
    file system takes. Refusing instead of repairing: two names must not become one.
    """
    segments = name.split("/")
    last = segments[-1]
    odd = (
        not last
        or last[0] in ".-~ "
        or any(segment in ("", ".", "..") for segment in segments)
        or not name.isprintable()
        or "\\" in name
        or len(last.encode()) > MAX_NAME
    )
    if odd:
        shown = name if len(name) <= MAX_NAME else f"{name[:MAX_NAME]}..."
        raise UsageError(f"expected a plain file name, the list has {shown!a}; say where to write with -o FILE")
    return last


def name_of(url: str) -> str:
    """The last segment of a URL's path, unescaped; may be empty, and as hostile as the URL."""
    return unquote(urlsplit(url).path.rpartition("/")[2])
