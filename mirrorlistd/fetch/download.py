"""Download a file: try the lists in order, and the mirrors of each in order, until the file is complete and right.

1. A large file of known size and hash is fetched in parts from several mirrors at once.
2. Otherwise, and for what is missing afterwards, one mirror is asked after the other. Each continues where the one
   before ended if a hash is known, because the hash shows in the end whether the pieces fit.
3. Pieces that do not fit do not show which mirror is wrong. Then each mirror is asked alone, from the first byte.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final, Literal

from mirrorlistd.fetch.discovery import discover
from mirrorlistd.fetch.errors import FetchError, ListError, MirrorError, UsageError
from mirrorlistd.fetch.exchange import (
    OK,
    PARTIAL,
    UNSATISFIABLE,
    Limits,
    MirrorResponse,
    new_client,
    open_response,
    read_body,
)
from mirrorlistd.fetch.part_file import PartFile, PartialOrigin
from mirrorlistd.fetch.parts import PartPlan, PartsDownload
from mirrorlistd.fetch.progress import Failures, ProgressListener, TimeLimit
from mirrorlistd.fetch.source import WEAK, Hash, Kind, MirrorUrl, Source, safe_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    import httpx2

    from mirrorlistd.fetch.errors import AbandonedMirror

CONNECTIONS: Final = 4
"""Mirrors asked at once where neither the list nor the caller has a number; more gain little and cost sockets."""
Judgement = Literal["right", "wrong", "mixed"]
"""Of a complete file: right; wrong, and its only mirror is abandoned; wrong, and several mirrors sent it."""
_EARLIER: Final = "an earlier run"
"""Among the contributors: a beginning that was there before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to fetch."""

    path: str | None = None
    """The file below the mirrors of a list, or one file of a metalink that has several; see `source.check_path`."""
    kind: Kind | None = None
    """What the URLs are; None: found out from the answer."""
    sha256: str | None = None
    """A hash that the caller knows: 64 lower-case hexadecimal digits."""
    connections: int | None = None
    """Mirrors asked at once; None: as many as the list allows, at most CONNECTIONS."""
    part_size: int = 4 << 20
    """Bytes; a file of fewer than two parts is fetched whole. Each part costs a request, and memory."""
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A file that is complete and right."""

    file: Path
    size: int
    """Bytes."""
    seconds: float
    mirrors: tuple[str, ...]
    """URLs of the mirrors that sent its bytes, best first; empty if an earlier run had fetched all of them."""
    verified: tuple[str, ...]
    """The hash functions by which it was verified; empty: no hash was known."""
    abandoned: tuple[AbandonedMirror, ...]
    """Mirrors and servers of lists that failed, in order."""

    @property
    def weak(self) -> bool:
        """Whether an attacker could make another file that passes: no hash was known, or only a weak one."""
        return WEAK.issuperset(self.verified)


async def find(urls: Sequence[str], options: Options, listener: ProgressListener | None = None) -> Source:
    """Return the first list that can be read; raise FetchError if there is none."""
    limits = options.limits
    limit = TimeLimit(listener or ProgressListener(), limits.patience, limits.max_time)
    failures = Failures(limit)
    why = ""
    try:
        async with limit.running(), new_client(limits, 1, urls) as client:
            for url in urls:
                source = await _discover(client, url, options, failures, folders=True)
                if source is not None:
                    return source
    except TimeoutError as error:
        why = f": {error}"
    raise FetchError(f"no list could be read{why}", failures.abandoned, listed=False)


async def fetch(
    urls: Sequence[str], file: Path | None, options: Options, listener: ProgressListener | None = None
) -> Result:
    """Fetch a file to `file`, or without one to the list's name for it in the current folder, if that is unused.

    Raises FetchError if no mirror sent it, LocalError if it cannot be written, UsageError if its name cannot be used.
    """
    limits = options.limits
    limit = TimeLimit(listener or ProgressListener(), limits.patience, limits.max_time)
    failures, listed, began, why = Failures(limit), False, monotonic(), ""
    try:
        async with limit.running(), new_client(limits, options.connections or CONNECTIONS, urls) as client:
            for url in urls:
                source = await _discover(client, url, options, failures)
                if source is None:
                    continue
                listed = True
                with PartFile(file or _unused_path(source)) as part:
                    download = _Download(client, source, part, options, failures)
                    if await download.run():
                        part.publish()
                        return _result(source, part, download, failures, monotonic() - began)
    except TimeoutError as error:
        why = f": {error}"
    raise FetchError(
        f"{'no mirror sent the file' if listed else 'no list could be read'}{why}", failures.abandoned, listed=listed
    )


def _result(source: Source, part: PartFile, download: _Download, failures: Failures, seconds: float) -> Result:
    return Result(
        file=part.file,
        size=part.size,
        seconds=seconds,
        mirrors=tuple(mirror.url for mirror in source.mirrors if mirror.url in download.contributors),
        verified=tuple(known.algorithm for known in download.hashes),
        abandoned=tuple(failures.abandoned),
    )


def _unused_path(source: Source) -> Path:
    """Return the list's name for the file in the current folder; a list must not choose a file to replace."""
    path = Path(safe_name(source.name or ""))
    if path.is_symlink() or path.exists():
        raise UsageError(f"{path}: exists; name with -o FILE what may be replaced")
    return path


async def _discover(
    client: httpx2.AsyncClient, url: str, options: Options, failures: Failures, *, folders: bool = False
) -> Source | None:
    """Return one list, or None if it cannot be read, which is added to the failures."""
    try:
        source = await discover(client, url, options.limits, path=options.path, kind=options.kind, folders=folders)
        source = source.no_larger_than(options.limits.max_size)
        return source if options.sha256 is None else source.pinned(options.sha256)
    except (MirrorError, ListError) as error:
        failures.add(url, error)
        return None


class _Download:
    """One list's mirrors. The failures are those of the whole run: what failed once is not asked again."""

    def __init__(
        self, client: httpx2.AsyncClient, source: Source, part: PartFile, options: Options, failures: Failures
    ) -> None:
        self.contributors: set[str] = {_EARLIER} if part.size else set()
        self.hashes = source.version.hashes[:1]
        if options.sha256 is not None:
            self.hashes = tuple(dict.fromkeys((*self.hashes, Hash("sha256", options.sha256))))
        self._client = client
        self._source = source
        self._part = part
        self._options = options
        self._limits = options.limits
        self._failures = failures

    async def run(self) -> bool:
        """Download; return whether the file is complete and right."""
        if self._part.size > self._max_size:
            self._reset()
        if self._is_complete() and self._verify() == "right":
            return True  # an earlier run fetched all of it
        await self._in_parts()
        judgement = self._verify() if self._is_complete() else "wrong"
        if judgement == "wrong":
            judgement = await self._one_by_one(alone=False)
        if judgement == "mixed":
            self._failures.listener.note("the pieces do not fit together: asking one mirror at a time")
            judgement = await self._one_by_one(alone=True)
        return judgement == "right"

    async def _in_parts(self) -> None:
        """Fetch parts from several mirrors, where that is safe, allowed and worth it."""
        size, options = self._source.version.size, self._options
        allowed = options.connections or min(CONNECTIONS, self._source.connections or CONNECTIONS)
        mirrors = self._remaining()
        if not self.hashes or size is None or size - self._part.size < 2 * options.part_size:
            return
        if allowed < 2 or len(mirrors) < 2:  # noqa: PLR2004 - several
            return
        plan = PartPlan(size=size, connections=allowed, part_size=options.part_size, limits=self._limits)
        parts = PartsDownload(self._client, mirrors, self._part, plan, self._failures)
        await parts.run()
        self.contributors |= parts.contributors

    async def _one_by_one(self, *, alone: bool) -> Judgement:
        """Ask one mirror after the other until the file is complete; `alone`: each from the first byte."""
        for mirror in self._remaining():
            if alone:
                self._reset()
            try:
                await self._fetch_from(mirror.url)
            except MirrorError as error:
                self._failures.add(mirror.url, error)
                continue
            if (judgement := self._verify()) != "wrong":
                return judgement
        return "wrong"

    def _remaining(self) -> list[MirrorUrl]:
        """Return the mirrors that have not failed, best first; the one that can confirm the beginning comes first."""
        origin = None if self.hashes else self._part.origin()
        mirrors = (mirror for mirror in self._source.mirrors if not self._failures.has_failed(mirror.url))
        return sorted(mirrors, key=lambda mirror: origin is None or mirror.url != origin.url)

    async def _fetch_from(self, url: str) -> None:
        """Fetch what is missing from one mirror, or the whole file if the mirror cannot continue the beginning."""
        if self._is_complete():
            return
        for headers in (self._range_headers(url), {}):
            async with open_response(self._client, url, headers, self._limits) as answer:
                if headers and not self._can_continue(answer):
                    self._reset()
                    continue
                await self._read(url, answer)
                return

    def _range_headers(self, url: str) -> dict[str, str]:
        """Return headers that ask for the rest only; none if nothing would show whether the rest fits."""
        if not self._part.size:
            return {}
        rest = {"Range": f"bytes={self._part.size}-"}
        if self.hashes:
            return rest
        origin = self._part.origin()
        return rest | {"If-Range": origin.etag} if origin is not None and origin.url == url else {}

    def _can_continue(self, answer: MirrorResponse) -> bool:
        """Whether an answer to `_range_headers` can be used; a whole file always can."""
        if answer.status == PARTIAL and not self.hashes:
            origin = self._part.origin()
            return origin is not None and answer.etag == origin.etag  # some servers ignore If-Range
        return answer.status != UNSATISFIABLE

    async def _read(self, url: str, answer: MirrorResponse) -> None:
        """Append an answer's body to the file, or start the file again with it."""
        total = answer.length
        if answer.status == PARTIAL:
            first, end, total = answer.range()
            if first != self._part.size or end != total:
                raise MirrorError(
                    "range", f"gives bytes {first}-{end - 1} of {total}, not those from {self._part.size} on"
                )
        elif answer.status != OK:
            raise MirrorError("status", f"answers {answer.status}")
        if total is not None:
            self._check_size(total)
        if answer.status == OK:
            # Without a hash only this mirror can confirm later that it still has the same file.
            self._reset(PartialOrigin(url, answer.etag) if answer.etag and not self.hashes else None)
        self.contributors.add(url)
        most = total if total is not None else min(self._max_size, self._unannounced)

        def keep(piece: bytes) -> None:
            if self._part.size + len(piece) > most:
                raise MirrorError("long", f"gives more than {most} bytes")
            self._part.append(piece)
            self._failures.listener.progress(self._part.size, total, url)

        await read_body(answer, keep, self._limits)
        if total is not None and self._part.size != total:
            raise MirrorError("short", f"gives {self._part.size} of {total} bytes")
        self._check_size(self._part.size)

    def _check_size(self, size: int) -> None:
        expected = self._source.version.size
        if size > self._max_size or (expected is not None and size < expected):
            behind = any(size == version.size for version in self._source.previous)
            detail = (
                f"has {size} bytes, not {self._max_size}" if expected is not None else f"has {size} bytes, too many"
            )
            detail += ": the size of a previous version" if behind else ""
            raise MirrorError("short" if size < self._max_size else "long", detail)

    @property
    def _unannounced(self) -> int:
        """The largest size in bytes that is written where the mirror has announced none."""
        size = self._source.version.size
        return self._limits.max_unannounced if size is None else size

    @property
    def _max_size(self) -> int:
        """The largest size in bytes that is written."""
        size = self._source.version.size
        return self._limits.max_size if size is None else size

    def _is_complete(self) -> bool:
        """Whether nothing is missing, as far as can be known without a request."""
        return bool(self.hashes) and self._part.size == self._source.version.size

    def _verify(self) -> Judgement:
        """Judge a complete file. A wrong one is dropped; if one mirror sent all of it, that mirror has failed."""
        wrong = next((known for known in self.hashes if self._part.digest(known.algorithm) != known.digest), None)
        if wrong is None:
            return "right"
        found = Hash(wrong.algorithm, self._part.digest(wrong.algorithm))
        senders = self.contributors
        self._reset()
        if len(senders) != 1 or _EARLIER in senders:
            return "mixed"
        if any(found in version.hashes for version in self._source.previous):
            detail = "still has a previous version"
        else:
            detail = f"gives other bytes: {found.algorithm} {found.digest}, not {wrong.digest}"
        self._failures.add(next(iter(senders)), MirrorError("hash", detail))
        return "wrong"

    def _reset(self, origin: PartialOrigin | None = None) -> None:
        self._part.reset(origin)
        self.contributors = set()
