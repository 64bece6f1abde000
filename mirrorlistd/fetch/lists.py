"""Any list in any format -> one Source: text, apt's text, libzypp's JSON, metalinks, headers of RFC 6249. Pure.

Any bytes are read or raise ListError.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import parse_qsl, urljoin, urlsplit

from mirrorlistd.fetch.errors import ListError
from mirrorlistd.fetch.metalink import parse_metalink
from mirrorlistd.fetch.source import (
    LAST,
    MAX_URL,
    ContentVersion,
    Kind,
    MirrorUrl,
    Source,
    collect,
    name_of,
    read_hashes,
    read_number,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_DOCUMENT: Final = 4 << 20
"""Longest list in bytes; a thousand mirrors in the wordiest format take a tenth of it."""
ENOUGH: Final = 4_096
"""Bytes from which `sniff` decides."""
_LIST_WORDS: Final = frozenset(("mirrorlist", "metalink", "meta4"))
"""Names of lists: the last segment of a path, or a parameter."""
_LIST_SUFFIXES: Final = (".mirrorlist", ".metalink", ".meta4")
_LIST_FORMATS: Final = ("text", "json", "apt", "pacman", "metalink", "metalink4")
_METALINK_TYPES: Final = ("application/metalink4+xml", "application/metalink+xml")
ACCEPT: Final = f"{_METALINK_TYPES[0]},{_METALINK_TYPES[1]};q=0.9,*/*;q=0.8"
"""Prefers a metalink of a file where the server has one: it brings size and hashes."""
_URL_LINE: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://[^\s]")
_LIST_ITEM: Final = re.compile(rb'\[\s*(\{\s*"url"|\])')
_LINK: Final = re.compile(r'<([^<>]*)>((?:\s*;\s*[\w!#$&+.^`|~*-]+\s*(?:=\s*(?:"[^"]*"|[^\s",;]*))?)*)')
_PARAMETER: Final = re.compile(r';\s*([\w!#$&+.^`|~*-]+)\s*(?:=\s*(?:"([^"]*)"|([^\s",;]*)))?')
_DIGEST: Final = re.compile(r"\s*([A-Za-z0-9-]+)\s*=\s*:?([A-Za-z0-9+/]+=*):?\s*")


def sniff(head: bytes, content_type: str) -> Kind:
    """Return what an answer is, from its content type and its first ENOUGH bytes (or all, if there are fewer)."""
    kind = content_type.partition(";")[0].strip().lower()
    head = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if kind in _METALINK_TYPES:
        return "metalink"
    if kind == "text/html":
        return "file"
    if head.startswith((b"<?xml", b"<metalink", b"<!--")) and re.search(rb"<metalink[\s>]", head):
        return "metalink"
    if _LIST_ITEM.match(head):
        return "list"
    lines = (line.strip() for line in head.split(b"\n"))
    first = next((line for line in lines if line and not line.startswith(b"#")), b"")
    return "list" if _URL_LINE.match(first.removeprefix(b"Server = ")) else "file"


def is_list_url(url: str) -> bool:
    """Whether a URL can only mean a list: then any other answer, such as a login page, is an error and not the file."""
    name, query = name_of(url).lower(), _query(url)
    if name in _LIST_WORDS or name.endswith(_LIST_SUFFIXES):
        return True
    return not _LIST_WORDS.isdisjoint(query) or query.get("format", "") in _LIST_FORMATS


def is_redirect_url(url: str) -> bool:
    """Whether a URL asks a server of lists for a redirect: the target is a mirror, not the list's new place."""
    query = _query(url)
    return query.get("format") == "redirect" or query.get("redirect", "0").lower() not in (
        "",
        "0",
        "false",
        "no",
        "off",
    )


def _query(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True, max_num_fields=MAX_URL))


def parse(document: bytes, kind: Kind, path: str | None = None, *, folders: bool = False) -> Source:
    """Read a whole list or metalink; with `path`, return the URLs of that file below the mirrors of a list.

    A list of folders without `path` has no file: it is a ListError unless `folders` are wanted.
    """
    if kind == "metalink":
        return parse_metalink(document, path)
    listed = Source(kind="list", mirrors=_listed(document, variables=folders))
    if path is not None:
        return listed.below(path)
    if folders and listed.mirrors[0].url.endswith(("/", "$arch")):
        return listed
    if listed.mirrors[0].url.endswith("/"):
        raise ListError("expected a list of files, found one of folders; name the file below them with --path PATH")
    return Source(kind="list", mirrors=listed.mirrors, name=name_of(listed.mirrors[0].url))


def _listed(document: bytes, *, variables: bool) -> tuple[MirrorUrl, ...]:
    try:
        text = document.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ListError(f"expected a list in UTF-8, found other bytes at {error.start}") from error
    return collect(_json_rows(text) if text.lstrip().startswith("[") else _lines(text, variables=variables))


def _lines(text: str, *, variables: bool) -> Iterator[MirrorUrl]:
    """Read one URL a line; comments start with `#`; apt's attributes follow after white space.

    `variables` allows pacman's form, whose URLs have variables and so are none to fetch from.
    """
    for number, line in enumerate(text.split("\n"), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if variables and words[:2] == ["Server", "="]:
            del words[:2]
        if not words or "://" not in words[0]:
            raise ListError(f"expected a URL in line {number}, found {line.strip()[:80]!a}")
        given = [word.removeprefix("priority:") for word in words[1:] if word.startswith("priority:")]
        yield MirrorUrl(words[0], read_number(given[0], f"priority in line {number}", LAST) if given else LAST)


def _json_rows(text: str) -> Iterator[MirrorUrl]:
    """Libzypp's shape: `[{"url": ..., "prio": 0}]`, other keys ignored."""
    try:
        rows: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ListError("expected a list as JSON, found malformed JSON") from error
    for number, row in enumerate(cast("list[Any]", rows), 1):
        item = cast("dict[str, Any]", row) if isinstance(row, dict) else {}
        url, priority = item.get("url"), item.get("prio", LAST)
        if not isinstance(url, str) or not isinstance(priority, int):
            raise ListError(f'expected {{"url": "...", "prio": 0}} as item {number}, found {ascii(item)[:80]}')
        yield MirrorUrl(url, priority)


def from_headers(url: str, links: Sequence[str], digests: Sequence[str]) -> Source:
    """Return the file at a URL, with the mirrors and hashes that the answer's headers name (RFC 6249, 3230, 9530).

    `links` are the values of `Link`, `digests` those of `Digest` and `Repr-Digest`. Malformed values are skipped:
    unlike a list, these headers may have other uses.
    """
    mirrors = [MirrorUrl(url, 0)]
    for value in links:
        for link in _LINK.finditer(value):
            parameters = {name.lower(): quoted or token for name, quoted, token in _PARAMETER.findall(link[2])}
            if "duplicate" in parameters.get("rel", "").lower().split():
                rank = parameters.get("pri", "")
                priority = int(rank) if re.fullmatch(r"[0-9]{1,6}", rank) else LAST
                mirrors.append(MirrorUrl(_joined(url, link[1]), priority, parameters.get("geo", "").lower() or None))
    hashes: dict[str, str] = {}
    for item in ",".join(digests).split(","):
        if found := _DIGEST.fullmatch(item):
            hashes.setdefault(found[1].lower(), _hexadecimal(found[2]))
    try:
        known = read_hashes(("sha1" if name == "sha" else name, digest) for name, digest in hashes.items() if digest)
    except ListError:
        known = ()
    return Source(kind="file", mirrors=collect(mirrors), name=name_of(url), version=ContentVersion(None, known))


def _joined(base: str, target: str) -> str:
    try:
        return urljoin(base, target)
    except ValueError:
        return ""


def _hexadecimal(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).hex()
    except binascii.Error:
        return ""
