"""Source: the content of a list in any format: where the file is, and how to recognise it. Pure.

Lists come from strangers: sizes, hashes and URLs are checked where they become values, so that other modules need not
check them. A URL of another kind is skipped, because other clients may use it. A malformed size or hash makes the list
unusable: a file must not go unchecked because its hash was misspelt.
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
"""Further ones are skipped; the largest networks have about as many."""
MAX_URL: Final = 4_096
"""Longest URL in characters; about what servers take (Apache: 8,190 for the whole request line)."""
MAX_NAME: Final = 200
"""Longest file name in bytes: file systems take 255, `.part.json` included."""
MAX_SIZE: Final = 2**63 - 1
"""Largest file in bytes: the largest offset."""
LAST: Final = 999_999
"""Priority of a mirror without one (RFC 5854, section 4.2.15.1: the lowest)."""

STRENGTH: Final = ("sha512", "sha256", "sha1", "md5")
"""Known hash functions, strongest first."""
WEAK: Final = frozenset(("sha1", "md5"))
"""An attacker can make two files with the same hash: these functions show accidents only."""
_DIGITS: Final = {"sha512": 128, "sha256": 64, "sha1": 40, "md5": 32}
_PLAIN: Final = "!$&'()*+,;=:@~%/"
"""Characters of a path that are not escaped (RFC 3986 `pchar`), `%` included: the path may be escaped already."""


class Hash(NamedTuple):
    """A known hash of the whole file."""

    algorithm: str
    """One of STRENGTH."""
    digest: str
    """Lower-case hexadecimal."""


@dataclass(frozen=True, slots=True)
class MirrorUrl:
    """A place of the file, or of the tree that has the file."""

    url: str
    """http or https, absolute, printable ASCII."""
    priority: int = LAST
    """Lower is better, from 1; equal ones keep the list's order."""
    location: str | None = None
    """ISO country code in lower case, where the list has one."""


@dataclass(frozen=True, slots=True)
class ContentVersion:
    """How to recognise a file's content."""

    size: int | None = None
    """Bytes."""
    hashes: tuple[Hash, ...] = ()
    """At most one of each algorithm, strongest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The content of a list."""

    kind: Kind
    mirrors: tuple[MirrorUrl, ...]
    """Best first, no URL twice, at most MAX_MIRRORS, at least one."""
    name: str | None = None
    """The file's name in the list; not to be used as a path before `safe_name` has checked it."""
    version: ContentVersion = ContentVersion()
    """Size and hashes of the file; empty where the list has none."""
    previous: tuple[ContentVersion, ...] = ()
    """Earlier versions: they tell a mirror that is behind from one with wrong bytes."""
    connections: int | None = None
    """Connections at once that the list allows for this file; None where it has no number."""

    def below(self, path: str) -> Source:
        """Return the URLs of a file below the same mirrors; `path` has no leading slash."""
        tail = quote(path, safe=_PLAIN)
        mirrors = (replace(mirror, url=f"{mirror.url.rstrip('/')}/{tail}") for mirror in self.mirrors)
        return replace(self, mirrors=tuple(mirrors), name=path)

    def no_larger_than(self, most: int) -> Source:
        """Return the same; raise ListError if its file has more bytes."""
        if self.version.size is not None and self.version.size > most:
            raise ListError(f"expected a file of up to {most} bytes, found one of {self.version.size}")
        return self

    def pinned(self, sha256: str) -> Source:
        """Return the same, with a hash that the caller knows; raise ListError if the list has another."""
        known = dict(self.version.hashes)
        if known.get("sha256", sha256) != sha256:
            raise ListError(f"expected the pinned sha256 {sha256}, the list has {known['sha256']}")
        return replace(self, version=replace(self.version, hashes=in_order(known | {"sha256": sha256})))


def in_order(hashes: dict[str, str]) -> tuple[Hash, ...]:
    """Return hashes, strongest first."""
    return tuple(Hash(name, hashes[name]) for name in STRENGTH if name in hashes)


def read_hashes(found: Iterable[tuple[str, str]]) -> tuple[Hash, ...]:
    """Read pairs of type (`SHA-256` or `sha256`) and digest. Unknown types are skipped."""
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
    """Read a decimal number of ASCII digits, at most `most`."""
    if not re.fullmatch(r"[0-9]{1,19}", text.strip(), re.ASCII) or int(text) > most:
        raise ListError(f"expected {what} as a number up to {most}, found {text[:40]!a}")
    return int(text)


def is_fetchable(url: str) -> bool:
    """Whether this client fetches a URL: http or https, with a host, without unsafe characters."""
    if len(url) > MAX_URL or not url.isascii() or not url.isprintable() or re.search(r'[\s<>"\\^`{|}]', url):
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and port != 0


def collect(mirrors: Iterable[MirrorUrl]) -> tuple[MirrorUrl, ...]:
    """Return the URLs that can be fetched, best first, each once; raise ListError if there is none."""
    found: dict[str, MirrorUrl] = {}
    for mirror in mirrors:
        if is_fetchable(mirror.url):
            found.setdefault(mirror.url, mirror)
    if not found:
        raise ListError("expected at least one http or https URL, found none")
    return tuple(sorted(found.values(), key=lambda mirror: mirror.priority)[:MAX_MIRRORS])


def next_hop(start: str, here: str, location: str) -> str:
    """Return the target of a redirect from `here`; raise MirrorError if it must not be followed.

    A URL that began with https (`start`) stays https, because the list states https. One that began with http may
    change.
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
    """Return a file's path below a mirror, without a leading slash; raise UsageError if it cannot be one."""
    path = path.lstrip("/")
    segments = path.split("/")
    if not segments[-1] or ".." in segments or "." in segments or not path.isprintable():
        raise UsageError(f"--path: expected a file below a mirror, such as dists/stable/InRelease; found {path!a}")
    return path


def safe_name(name: str) -> str:
    """Return the last segment of a name, to keep the file under it in the current folder; or raise UsageError.

    Names that could harm are refused: other folders, hidden files, flags, control characters, names that no file system
    takes. They are refused and not repaired, because two names must not become one.
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
    """Return the last segment of a URL's path, unescaped: possibly empty, and as unsafe as the URL."""
    return unquote(urlsplit(url).path.rpartition("/")[2])
