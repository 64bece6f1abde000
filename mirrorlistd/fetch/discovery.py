"""A URL -> its Source: one request, and the answer shows whether it is a list, a metalink or the file itself."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mirrorlistd.fetch.errors import ListError, MirrorError
from mirrorlistd.fetch.exchange import OK, Limits, MirrorResponse, open_response, read_body
from mirrorlistd.fetch.lists import (
    ACCEPT,
    ENOUGH,
    MAX_DOCUMENT,
    from_headers,
    is_list_url,
    is_redirect_url,
    parse,
    sniff,
)
from mirrorlistd.fetch.source import Kind, Source, is_fetchable, name_of

if TYPE_CHECKING:
    import httpx2


class _FileItselfError(Exception):
    """Ends the reading: the answer is not a list."""


async def discover(  # noqa: PLR0913 - what is known of the URL beforehand
    client: httpx2.AsyncClient,
    url: str,
    limits: Limits,
    *,
    path: str | None = None,
    kind: Kind | None = None,
    folders: bool = False,
) -> Source:
    """Find out what a URL is, unless `kind` has it, and read it; raise MirrorError or ListError if it is of no use.

    With `path` it must be a list, or a metalink that has this file; the Source is then of this file. With `folders` a
    list may be one of folders, without a file.
    """
    if not is_fetchable(url):
        raise ListError("expected an http or https URL")
    if kind == "file":
        return Source(kind="file", mirrors=from_headers(url, (), ()).mirrors, name=name_of(url))
    may_be_file = kind is None and path is None and not is_list_url(url)
    redirected: list[Source] = []

    def redirects(redirect: MirrorResponse, target: str) -> bool:
        """Return whether the redirect is a list itself, because it names other mirrors in its headers."""
        found = _from_headers(url, redirect, target)
        is_list = len(found.mirrors) > 1 or (folders and is_redirect_url(url))
        if is_list and (folders or not target.endswith("/")) and kind is None and path is None:
            redirected.append(found)
        return bool(redirected)

    async with open_response(client, url, {"Accept": ACCEPT}, limits, redirects) as response:
        if redirected:
            return redirected[0]
        document, found = await _read(response, limits, kind, may_be_file=may_be_file)
        if found != "file":
            return parse(document, found, path, folders=folders)
        if not may_be_file:
            raise ListError(f"expected a list or a metalink, found {response.content_type[:80]!a}")
        return _from_headers(url, response, response.url)


async def _read(answer: MirrorResponse, limits: Limits, kind: Kind | None, *, may_be_file: bool) -> tuple[bytes, Kind]:
    """Return a whole list and its kind; of a file, read only enough to know that it is one."""
    if answer.status != OK:
        raise MirrorError("status", f"answers {answer.status}")
    document = bytearray()

    def collect(piece: bytes) -> None:
        document.extend(piece)
        if may_be_file and len(document) >= ENOUGH and sniff(bytes(document[:ENOUGH]), answer.content_type) == "file":
            raise _FileItselfError
        if len(document) > MAX_DOCUMENT:
            raise ListError(f"expected a list of up to {MAX_DOCUMENT} bytes, found a longer one")

    try:
        await read_body(answer, collect, limits)
    except _FileItselfError:
        return b"", "file"
    return bytes(document), kind or sniff(bytes(document[:ENOUGH]), answer.content_type)


def _from_headers(url: str, answer: MirrorResponse, file_url: str) -> Source:
    """Return a file and what the headers state. A hash counts only from the URL itself: a mirror's proves nothing."""
    headers = answer.response.headers
    digests = [*headers.get_list("digest"), *headers.get_list("repr-digest")] if answer.url == url else []
    return replace(from_headers(file_url, headers.get_list("link"), digests), name=name_of(url))
