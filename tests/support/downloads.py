"""A folder of files on mirrors with chosen defects, and what mirrorlist-fetch makes of them."""

from __future__ import annotations

import asyncio
import hashlib
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from mirrorlistd.fetch.download import Options, Result, fetch
from mirrorlistd.fetch.errors import FetchError
from mirrorlistd.fetch.exchange import Limits
from support.mirrors import Mode, StaticMirror

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Sequence
    from pathlib import Path


DATA = Random(7).randbytes(400_000)


NEWER = Random(8).randbytes(400_000)


SHA256 = hashlib.sha256(DATA).hexdigest()


FILE = "pool/hello.bin"


PATIENT = Limits(timeout=10)
"""For mirrors that answer at once, on however slow a machine."""


HASTY = Limits(timeout=1)
"""Where a mirror never answers."""


PART = 50_000
"""Size of a part in tests; DATA has eight."""


class Net:
    """Mirrors on 127.0.0.3 and up that carry FILE, and a server of lists on 127.0.0.2."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack, modes: Sequence[Mode], **options: Any) -> None:
        self.tree = folder / "tree"
        self.file = self.tree / FILE
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_bytes(DATA)
        self.lists = folder / "lists"
        self.lists.mkdir(exist_ok=True)
        self.mirrors = [
            stack.enter_context(StaticMirror(self.tree, host=f"127.0.0.{number}", mode=mode, **options))
            for number, mode in enumerate(modes, 3)
        ]
        self.hub = stack.enter_context(StaticMirror(self.lists, host="127.0.0.2"))
        self.out = folder / "out" / "hello.bin"
        self.out.parent.mkdir(exist_ok=True)

    @property
    def urls(self) -> list[str]:
        """FILE on each mirror."""
        return [f"{mirror.url}{FILE}" for mirror in self.mirrors]

    def mirrorlist(self) -> str:
        """A list of folders; needs `path`."""
        return self.write("mirrorlist", "# c\n" + "".join(f"{mirror.url}\n" for mirror in self.mirrors))

    def metalink(self, *, data: bytes = DATA, old: bytes = b"", name: str = "hello.bin", connections: int = 1) -> str:
        """Version 3, with an alternate."""
        urls = "".join(f'<url preference="{100 - at}">{url}</url>' for at, url in enumerate(self.urls))
        text = (
            '<metalink version="3.0" xmlns="http://www.metalinker.org/"'
            ' xmlns:mm0="http://fedorahosted.org/mirrormanager"><files>'
            f'<file name="{name}">{content(data)}<mm0:alternates><mm0:alternate>{content(old)}</mm0:alternate>'
            f'</mm0:alternates><resources maxconnections="{connections}">{urls}</resources></file></files></metalink>'
        )
        return self.write("metalink", text)

    def meta4(self, *, hashes: str | None = None, name: str = "hello.bin") -> str:
        """Version 4; `hashes` instead of the right sha-256."""
        known = f'<hash type="sha-256">{SHA256}</hash>' if hashes is None else hashes
        urls = "".join(f'<url priority="{at}">{url}</url>' for at, url in enumerate(self.urls, 1))
        text = (
            f'<metalink xmlns="urn:ietf:params:xml:ns:metalink"><file name="{name}">'
            f"<size>{len(DATA)}</size>{known}{urls}</file></metalink>"
        )
        return self.write("file.meta4", text)

    def write(self, name: str, text: str) -> str:
        """Put a document on the server of lists; its URL."""
        (self.lists / name).write_text(text)
        return f"{self.hub.url}{name}"

    def fetch(self, *urls: str, limits: Limits = PATIENT, **options: Any) -> Result:
        """Fetch to `out` and see that it is right."""
        result = asyncio.run(fetch(urls, self.out, Options(limits=limits, part_size=PART, **options)))
        assert result.file == self.out
        assert self.out.read_bytes() == self.file.read_bytes()
        assert result.size == len(DATA)
        assert names(self.out.parent) == [self.out.name]
        return result

    def fails(self, *urls: str, limits: Limits = PATIENT, **options: Any) -> FetchError:
        """Fetch in vain."""
        with pytest.raises(FetchError) as caught:
            asyncio.run(fetch(urls, self.out, Options(limits=limits, part_size=PART, **options)))
        return caught.value

    @property
    def part(self) -> Path:
        """Where the file is under way."""
        return self.out.with_name("hello.bin.part")


def content(data: bytes) -> str:
    """Size and hash as metalink 3 has them."""
    digest = hashlib.sha256(data).hexdigest()
    return f'<size>{len(data)}</size><verification><hash type="sha256">{digest}</hash></verification>'


def names(folder: Path) -> list[str]:
    """What is in a folder."""
    return sorted(path.name for path in folder.iterdir())


def reasons(outcome: Result | FetchError) -> list[str]:
    """Why each was abandoned, in order."""
    return [mirror.reason for mirror in outcome.abandoned]


REASONS: dict[Mode, str] = {
    "refused": "refused",
    "reset": "broken",
    "404": "status",
    "500": "status",
    "stalled": "stalled",
    "stalled-midway": "stalled",
    "slow": "slow",
    "truncated": "short",
    "short": "short",
    "long": "long",
    "corrupt": "hash",
    "redirect-loop": "redirect",
    "unannounced": "broken",
    "endless": "long",
}
"""Every defect of a mirror, and its name; the other modes are no defects for a client that asks for the whole."""
