"""Three mirrors on addresses of their own, a server that lists them in a known order, and every repository on them.

The first mirror of a list serves this machine's netblock, the second its country, the third its continent, so that
chance has no say. For every defect of a mirror there is a repository of each kind whose first mirror has it:
`epel-9-truncated`, `debian-refused`, ... Of the plain names (`epel-9`) all three mirrors are good.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from support.clients.repositories import BUILDERS, details
from support.mirrors import StaticMirror
from support.processes import Server, eventually, write_snapshot

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path

    from support.mirrors import Mode

BAD: Final[Mapping[str, tuple[Mode, str]]] = {
    **{mode: (mode, "*") for mode in ("refused", "reset", "404", "500", "stalled", "truncated", "corrupt")},
    "corrupt-index": ("corrupt", "*/repomd.xml"),
}
"""How a first mirror can fail: a defect, and the paths that have it."""
GOOD: Final = "ok"


@dataclass(frozen=True)
class World:
    """Everything that a client can reach."""

    site: Path
    """The folder that all mirrors serve: a folder per repository, named as in `BUILDERS`."""
    server: Server
    first: Mapping[str, StaticMirror]
    """Defect (or GOOD) -> first mirror of the repositories of that kind."""
    second: StaticMirror
    third: StaticMirror

    @property
    def url(self) -> str:
        """The server's address, without a slash at the end."""
        return f"http://127.0.0.1:{self.server.port}"

    def served(self, mirror: StaticMirror) -> list[str]:
        """Paths that a mirror was asked for and has; clients also ask for files that need not exist."""
        paths = [request.path for request in list(mirror.requests)]
        return [path for path in paths if (self.site / path.lstrip("/")).exists()]

    def log(self) -> list[dict[str, Any]]:
        """The server's log up to now, complete: a request of ours is waited for, and left out."""
        mark = f"mark={len(self.server.lines)}"
        self.server.get(f"/mirrorlist?{mark}")
        eventually(lambda: any(mark in line for line in self.server.lines), f"{mark} in the log")
        events = self.server.events()
        return events[: next(number for number, event in enumerate(events) if event.get("query") == mark)]

    def asked(self, word: str) -> list[dict[str, Any]]:
        """Log events of the requests that have a word in path or query."""
        requests = [event for event in self.log() if event["event"] == "request"]
        return [event for event in requests if word in f"{event['path']}?{event['query']}"]


def named(kind: str, defect: str) -> str:
    """A repository's name."""
    return kind if defect == GOOD else f"{kind}-{defect}"


def description(site: Path, first: Mapping[str, str], others: Mapping[str, str]) -> dict[str, Any]:
    """The source that describes the mirrors: defect -> URL of the first mirror, country -> URL of another one."""
    kinds = [kind for kind in BUILDERS if (site / kind).is_dir()]
    names = {(kind, defect): named(kind, defect) for kind in kinds for defect in (first or (GOOD,))}
    mirrors: dict[str, Any] = {
        f"first-{defect}": {
            "netblocks": ["127.0.0.1/32"],
            "categories": {name: f"{url}{kind}/" for (kind, of), name in names.items() if of == defect},
        }
        for defect, url in first.items()
    }
    mirrors |= {
        f"mirror-{country}": {
            "country": country,
            "categories": {name: f"{url}{kind}/" for (kind, _), name in names.items()},
        }
        for country, url in others.items()
    }
    return {
        "categories": {name: {} for name in names.values()},
        "repositories": {name: _repository(site / kind, kind, name) for (kind, _), name in names.items()},
        "mirrors": mirrors,
        "overrides": {"netblocks": {"127.0.0.0/8": "DE"}},
    }


def _repository(place: Path, kind: str, name: str) -> dict[str, Any]:
    what = BUILDERS[kind]
    described: dict[str, Any] = {"category": name, "path": what.path}
    arch = what.arches[0] if what.arches else None
    folder = place / what.path.format(arch=arch)
    described["files"] = [details(folder, path) | ({"arch": arch} if arch else {}) for path in what.files]
    return described | ({"arches": list(what.arches)} if arch else {})


@contextlib.contextmanager
def world(site: Path, folder: Path) -> Generator[World]:
    """Start all of it; the snapshot is `mirrors.mls` in the folder."""
    folder.mkdir(exist_ok=True)
    with contextlib.ExitStack() as stack:

        def start(host: str, mode: Mode = "ok", only: str = "*") -> StaticMirror:
            return stack.enter_context(StaticMirror(site, host=host, mode=mode, only=only))

        first = {GOOD: start("127.0.0.2")} | {defect: start("127.0.0.2", *how) for defect, how in BAD.items()}
        second, third = start("127.0.0.3"), start("127.0.0.4")
        urls = {defect: mirror.url for defect, mirror in first.items()}
        source = description(site, urls, {"DE": second.url, "FR": third.url})
        snapshot = write_snapshot(folder / "mirrors.mls", source)
        # Networks of two or three mirrors: to lose one is no mistake here.
        server = stack.enter_context(Server("--snapshot", str(snapshot), "--max-loss", "100", "--access-log"))
        yield World(site, server, first, second, third)
