"""The walk: lists in order, the mirrors of each in order, until one has given the whole and right file.

1. Known size and hash, and large enough: parts from several mirrors at once.
2. Otherwise, and for what is missing then: one mirror after the other, each going on where the last one ended if a
   hash will tell in the end whether the pieces fit.
3. Pieces that do not fit accuse nobody: all begin again with each mirror alone, so that the one that lies is named.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final, Literal

from mirrorlistd.fetch.discovery import discover
from mirrorlistd.fetch.errors import FetchError, ListError, MirrorError, UsageError
from mirrorlistd.fetch.exchange import OK, PARTIAL, UNSATISFIABLE, Limits, MirrorResponse, asked, new_client, receive
from mirrorlistd.fetch.partial import Partial, PartialOrigin
from mirrorlistd.fetch.parts import Gathering, PartPlan
from mirrorlistd.fetch.progress import ProgressListener, Trail
from mirrorlistd.fetch.source import WEAK, Hash, Kind, MirrorUrl, Source, safe_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    import httpx2

    from mirrorlistd.fetch.errors import AbandonedMirror

CONNECTIONS: Final = 4
"""Mirrors asked at once, unless the list or the caller says otherwise; more gain little and cost mirrors sockets."""
Verdict = Literal["right", "wrong", "mixed"]
"""Of a whole file: right; wrong, and its only giver was left; wrong, and nobody can say by whom."""
_EARLIER: Final = "an earlier run"
"""Stands among the contributors for a beginning that was there when we came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to fetch."""

    path: str | None = None
    """The file below the mirrors of a list, or the one file of a metalink of several; see `source.check_path`."""
    kind: Kind | None = None
    """What the URLs are; None: look."""
    sha256: str | None = None
    """A hash the caller knows, 64 lower-case hexadecimal digits."""
    connections: int | None = None
    """Mirrors asked at once; None: as many as the list allows, at most CONNECTIONS."""
    part_size: int = 4 << 20
    """Bytes; files of less than two parts are fetched whole. Costs a request each, and memory."""
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A file that is there and right."""

    file: Path
    size: int
    """Bytes."""
    seconds: float
    mirrors: tuple[str, ...]
    """URLs that gave its bytes, best first; empty if an earlier run had got them all."""
    verified: tuple[str, ...]
    """The hash functions it was checked with; empty: no hash was known."""
    left: tuple[AbandonedMirror, ...]
    """Who was tried and left, in order; servers of lists, too."""

    @property
    def weak(self) -> bool:
        """Whether an attacker could have made another file that passes: no hash was known, or only an old one."""
        return WEAK.issuperset(self.verified)


async def find(urls: Iterable[str], options: Options, watcher: ProgressListener | None = None) -> Source:
    """The first list that can be had; FetchError if there is none."""
    trail = Trail(watcher or ProgressListener())
    async with new_client(options.limits, 1) as client:
        for url in urls:
            source = await _source(client, url, options, trail)
            if source is not None:
                return source
    raise FetchError("no list could be had", trail.left, listed=False)


async def fetch(
    urls: Iterable[str], file: Path | None, options: Options, watcher: ProgressListener | None = None
) -> Result:
    """Fetch a file to `file`, or under the list's name into the current folder if that is free.

    Raises FetchError if no mirror gave it, LocalError if it cannot be written, UsageError if the list's name is odd.
    """
    trail, listed, began = Trail(watcher or ProgressListener()), False, monotonic()
    async with new_client(options.limits, options.connections or CONNECTIONS) as client:
        for url in urls:
            source = await _source(client, url, options, trail)
            if source is None:
                continue
            listed = True
            with Partial(file or _free(source)) as part:
                walk = _Walk(client, source, part, options, trail)
                if await walk.run():
                    part.publish()
                    return Result(
                        file=part.file,
                        size=part.size,
                        seconds=monotonic() - began,
                        mirrors=tuple(mirror.url for mirror in source.mirrors if mirror.url in walk.contributors),
                        verified=tuple(known.algorithm for known in walk.checks),
                        left=tuple(trail.left),
                    )
    raise FetchError("no mirror gave the file" if listed else "no list could be had", trail.left, listed=listed)


def _free(source: Source) -> Path:
    """The list's name for the file in the current folder, where nothing may be replaced by it."""
    path = Path(safe_name(source.name or ""))
    if path.is_symlink() or path.exists():
        raise UsageError(f"{path}: exists; say with -o FILE what may be replaced")
    return path


async def _source(client: httpx2.AsyncClient, url: str, options: Options, trail: Trail) -> Source | None:
    """One list; None if it cannot be had, which the trail has then."""
    try:
        source = await discover(client, url, options.limits, path=options.path, kind=options.kind)
        source = source.no_larger_than(options.limits.max_size)
        return source if options.sha256 is None else source.pinned(options.sha256)
    except (MirrorError, ListError) as error:
        trail.leave(url, error)
        return None


class _Walk:
    """One list's mirrors. The trail is that of the whole run: who failed once is not asked again."""

    def __init__(
        self, client: httpx2.AsyncClient, source: Source, part: Partial, options: Options, trail: Trail
    ) -> None:
        self.contributors: set[str] = {_EARLIER} if part.size else set()
        self.checks = source.version.hashes[:1]
        if options.sha256 is not None:
            self.checks = tuple(dict.fromkeys((*self.checks, Hash("sha256", options.sha256))))
        self._client = client
        self._source = source
        self._part = part
        self._options = options
        self._limits = options.limits
        self._trail = trail

    async def run(self) -> bool:
        """Whether the file is there and right."""
        if self._part.size > self._most:
            self._reset()
        if self._is_complete() and self._settle() == "right":
            return True  # an earlier run had only the last step left
        await self._together()
        verdict = self._settle() if self._is_complete() else "wrong"
        if verdict == "wrong":
            verdict = await self._in_turn(alone=False)
        if verdict == "mixed":
            self._trail.watcher.note("the pieces do not fit together: asking one mirror at a time")
            verdict = await self._in_turn(alone=True)
        return verdict == "right"

    async def _together(self) -> None:
        """Parts from several mirrors, where that is safe, allowed and worth it."""
        size, options = self._source.version.size, self._options
        allowed = options.connections or min(CONNECTIONS, self._source.connections or CONNECTIONS)
        mirrors = self._order()
        if not self.checks or size is None or size - self._part.size < 2 * options.part_size:
            return
        if allowed < 2 or len(mirrors) < 2:  # noqa: PLR2004 - several
            return
        plan = PartPlan(size=size, connections=allowed, part_size=options.part_size, limits=self._limits)
        gathering = Gathering(self._client, mirrors, self._part, plan, self._trail)
        await gathering.run()
        self.contributors |= gathering.contributors

    async def _in_turn(self, *, alone: bool) -> Verdict:
        """One mirror after the other until the file is there; `alone`: each from its first byte."""
        for mirror in self._order():
            if alone:
                self._reset()
            try:
                await self._take(mirror.url)
            except MirrorError as error:
                self._trail.leave(mirror.url, error)
                continue
            if (verdict := self._settle()) != "wrong":
                return verdict
        return "wrong"

    def _order(self) -> list[MirrorUrl]:
        """Who may still be asked, best first. Where only one mirror can vouch for what we have, it comes first."""
        origin = None if self.checks else self._part.origin()
        mirrors = (mirror for mirror in self._source.mirrors if not self._trail.has_left(mirror.url))
        return sorted(mirrors, key=lambda mirror: origin is None or mirror.url != origin.url)

    async def _take(self, url: str) -> None:
        """What is missing, from one mirror; all of it, if it cannot go on where the file ends."""
        if self._is_complete():
            return
        for headers in (self._resumption(url), {}):
            async with asked(self._client, url, headers, self._limits) as answer:
                if headers and not self._continues(answer):
                    self._reset()
                    continue
                await self._read(url, answer)
                return

    def _resumption(self, url: str) -> dict[str, str]:
        """Headers that ask for the rest only; none if nothing would tell whether it fits."""
        if not self._part.size:
            return {}
        rest = {"Range": f"bytes={self._part.size}-"}
        if self.checks:
            return rest
        origin = self._part.origin()
        return rest | {"If-Range": origin.etag} if origin is not None and origin.url == url else {}

    def _continues(self, answer: MirrorResponse) -> bool:
        """Whether an answer to `_resumption` can be used; a whole file always can."""
        if answer.status == PARTIAL and not self.checks:
            origin = self._part.origin()
            return origin is not None and answer.etag == origin.etag  # some servers ignore If-Range
        return answer.status != UNSATISFIABLE

    async def _read(self, url: str, answer: MirrorResponse) -> None:
        """Append an answer's body to the file, or begin the file anew with it."""
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
            # Without a hash only this mirror can say later whether it still has the same file.
            self._reset(PartialOrigin(url, answer.etag) if answer.etag and not self.checks else None)
        self.contributors.add(url)
        most = total if total is not None else min(self._most, self._unannounced)

        def keep(piece: bytes) -> None:
            if self._part.size + len(piece) > most:
                raise MirrorError("long", f"gives more than {most} bytes")
            self._part.append(piece)
            self._trail.watcher.progress(self._part.size, total, url)

        await receive(answer, keep, self._limits)
        if total is not None and self._part.size != total:
            raise MirrorError("short", f"gives {self._part.size} of {total} bytes")
        self._check_size(self._part.size)

    def _check_size(self, size: int) -> None:
        expected = self._source.version.size
        if size > self._most or (expected is not None and size < expected):
            behind = any(size == version.size for version in self._source.previous)
            detail = f"has {size} bytes, not {self._most}" if expected is not None else f"has {size} bytes, too many"
            detail += ": the size of a previous version" if behind else ""
            raise MirrorError("short" if size < self._most else "long", detail)

    @property
    def _unannounced(self) -> int:
        """Bytes, of which never one more is written unless the list or the mirror has announced them."""
        size = self._source.version.size
        return self._limits.max_unannounced if size is None else size

    @property
    def _most(self) -> int:
        """Bytes, of which never one more is written."""
        size = self._source.version.size
        return self._limits.max_size if size is None else size

    def _is_complete(self) -> bool:
        """Whether there is nothing more to get, as far as can be known without asking."""
        return bool(self.checks) and self._part.size == self._source.version.size

    def _settle(self) -> Verdict:
        """Judge a whole file. A wrong one is dropped, and held against a mirror that gave it alone."""
        wrong = next((known for known in self.checks if self._part.digest(known.algorithm) != known.digest), None)
        if wrong is None:
            return "right"
        found = Hash(wrong.algorithm, self._part.digest(wrong.algorithm))
        givers = self.contributors
        self._reset()
        if len(givers) != 1 or _EARLIER in givers:
            return "mixed"
        if any(found in version.hashes for version in self._source.previous):
            detail = "still has a previous version"
        else:
            detail = f"gives other bytes: {found.algorithm} {found.digest}, not {wrong.digest}"
        self._trail.leave(next(iter(givers)), MirrorError("hash", detail))
        return "wrong"

    def _reset(self, origin: PartialOrigin | None = None) -> None:
        self._part.reset(origin)
        self.contributors = set()
