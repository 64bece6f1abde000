"""The commands of docs/from/ are run as written, on lists of our own, beside a stand-in for the old service."""

from __future__ import annotations

import random
import re
import shlex
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from mirrorlist_snapshot import cli
from support import mirror_lists as lists
from support.paths import ROOT
from support.processes import SECONDS, Server

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

FOLDER: Final = ROOT / "docs" / "from"
GERMAN: Final = "192.0.2.200"
AMERICAN: Final = "192.0.2.201"
CLIENTS: Final = f'[overrides.netblocks]\n"{GERMAN}" = "DE"\n"{AMERICAN}" = "US"\n'
"""Addresses of the tests, so that no database of the world matters."""

Tiers = list[list[str]]
"""URLs of an answer: groups in their order, each shuffled."""

ALMALINUX: Final = "9.8/BaseOS/$basearch/os/"
OLD: Final[dict[str, dict[tuple[str, str], Tiers]]] = {
    "mirrorbits": {
        (GERMAN, "/f.iso"): [["http://de1.bits.example/pub/f.iso", "https://de2.bits.example/f.iso"]],
        (AMERICAN, "/f.iso"): [["http://us.bits.example/f.iso"]],
    },
    "mirrorbrain": {
        (GERMAN, "/f.iso.meta4"): [
            [
                "http://de1.brain.example/pub/f.iso",
                "https://de2.brain.example/f.iso",
                "https://world.brain.example/f.iso",
            ],
            ["http://it.brain.example/f.iso"],
            ["https://jp.brain.example/f.iso"],
        ],
        (AMERICAN, "/f.iso"): [["https://us.brain.example/f.iso", "https://world.brain.example/f.iso"]],
    },
    "mirrorcache": {
        (GERMAN, "/f.iso.meta4"): [
            ["https://de1.cache.example/pub/f.iso", "https://de2.cache.example/f.iso"],
            ["https://fr.cache.example/f.iso"],
            [f"https://{country}.cache.example/f.iso" for country in ("us", "jp", "za")],
        ],
        (AMERICAN, "/f.iso"): [["http://us.cache.example/f.iso"]],
    },
    "almalinux": {
        (GERMAN, "/mirrorlist/9/baseos"): [
            [f"https://de1.alma.example/almalinux/{ALMALINUX}"],
            [f"http://{country}.alma.example/alma/{ALMALINUX}" for country in ("fr", "uk")],
            [f"http://{country}.alma.example/alma/{ALMALINUX}" for country in ("us", "jp", "br", "za")],
        ],
    },
}
"""What the old service answers, by the rules of each: (client, target) -> URLs; more than one group is a list."""
FILES: Final[dict[str, Mapping[str, str]]] = {
    "mirrorbits": {"mirrors.txt": lists.MIRRORBITS},
    "mirrorbrain": {"server.sql": lists.MIRRORBRAIN},
    "mirrorcache": {"servers.json": lists.MIRRORCACHE},
    "almalinux": lists.ALMALINUX,
}


class OldService(ThreadingHTTPServer):
    """A stand-in: it redirects, or lists, what its table has for a client and a target."""

    def __init__(self, answers: Mapping[tuple[str, str], Tiers]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = answers


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: OldService

    def do_GET(self) -> None:
        tiers = self.server.answers[self.headers["X-Forwarded-For"], self.path]
        urls = [url for tier in tiers for url in random.sample(tier, len(tier))]
        listed = self.path.endswith((".meta4", "baseos"))
        body = "\n".join(urls)
        if self.path.endswith(".meta4"):
            rows = "".join(f'<url priority="{number}">{url}</url>' for number, url in enumerate(urls, 1))
            body = f'<metalink xmlns="urn:ietf:params:xml:ns:metalink"><file name="f">{rows}</file></metalink>'
        self.send_response(200 if listed else 302)
        if not listed:
            self.send_header("Location", urls[0])
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Tests have no use for it."""


def commands(page: str) -> list[str]:
    """The commands of a page, in their order: its indented lines."""
    text = (FOLDER / page).read_text("utf-8").replace("\\\n", " ")
    return re.findall(r"^(?: {4}| {7})((?:mirrorlist|curl).*)$", text, re.MULTILINE)


def files_in(page: str) -> dict[str, str]:
    """The files that a page shows: blocks with `file=NAME`."""
    text = (FOLDER / page).read_text("utf-8")
    return dict(re.findall(r"^```\w+ file=(\S+)\n(.*?)^```", text, re.DOTALL | re.MULTILINE))


def run(folder: Path, words: Sequence[str]) -> str:
    """Run an installed program in a folder; its output."""
    program = Path(sys.executable).parent / words[0]
    done = subprocess.run(
        [program, *words[1:]], cwd=folder, capture_output=True, text=True, timeout=2 * SECONDS, check=False
    )
    assert done.returncode == 0, done
    return done.stdout + done.stderr


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Write files, with the folders around them."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")


@pytest.fixture(name="old")
def _old(request: pytest.FixtureRequest) -> Iterator[OldService]:
    """The old service of a page."""
    with OldService(OLD[request.param]) as service:
        thread = threading.Thread(target=service.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield service
        service.shutdown()
        thread.join(SECONDS)


@pytest.mark.process
@pytest.mark.parametrize(("page", "old"), [(name, name) for name in OLD], indirect=["old"])
def test_moving_works_as_written(tmp_path: Path, page: str, old: OldService) -> None:
    """Convert, compile, serve, compare: each command works, and the two services are found to answer the same."""
    write(tmp_path, FILES[page])
    requests = "".join(f"{client} {target}\n" for client, target in OLD[page])
    (tmp_path / "access.log").write_text(requests)
    convert, compiles, serves, compare = commands(f"{page}.md")
    run(tmp_path, shlex.split(convert))
    write(tmp_path, {"mirrors/clients.toml": CLIENTS})
    run(tmp_path, shlex.split(compiles))
    words = shlex.split(serves.removesuffix("&"))[2:]
    at = words.index("--port")
    flags = [str(tmp_path / word) if word.endswith(".mls") else word for word in words[:at] + words[at + 2 :]]
    with Server(*flags) as server:
        here = compare.replace("127.0.0.1:8080", f"127.0.0.1:{server.port}")
        told = run(tmp_path, shlex.split(here.replace("127.0.0.1:8081", f"127.0.0.1:{old.server_port}")))
    assert f"{len(OLD[page])} same, 0 different" in told


@pytest.mark.process
@pytest.mark.parametrize("page", ["list.md", "cdn.md"])
def test_a_newcomer_gets_lists_and_redirects(tmp_path: Path, page: str) -> None:
    """From the file that the page shows, by its commands alone: a list, a redirect, a metalink and an explanation."""
    write(tmp_path, files_in(page))
    asked: list[str] = []
    server: Server | None = None
    try:
        for command in commands(page):
            words = shlex.split(command.removesuffix("&"))
            if command.endswith("&"):
                server = Server("--snapshot", str(tmp_path / words[words.index("--snapshot") + 1]))
            elif words[0] == "curl":
                assert server is not None
                reply = server.get(words[-1].partition("127.0.0.1:8080")[2])
                assert reply.status in (200, 302), reply
                assert "://" in reply.text + reply.headers.get("location", "")
                asked.append(words[-1])
            else:
                assert run(tmp_path, words)
    finally:
        if server is not None:
            with server:
                pass
    assert len(asked) >= (3 if page == "list.md" else 1)


def table_commands() -> list[str]:
    """The commands in the table of lists of distributions."""
    text = (FOLDER / "list.md").read_text("utf-8")
    return re.findall(r"^\|[^|]*\| `(mirrorlist-snapshot convert [^`]*)` \|$", text, re.MULTILINE)


@pytest.mark.parametrize("command", table_commands())
def test_lists_of_distributions_are_converted_as_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """Each command of the table takes a list of its kind, and what it writes compiles."""
    words = shlex.split(command)[1:]
    kind = words[words.index("--from") + 1]
    write(tmp_path, lists.LISTS[kind])
    monkeypatch.chdir(tmp_path)
    assert cli.main(words) == 0
    assert cli.main(["compile", "mirrors/", "-o", "mirrors.mls"]) == 0


def test_every_origin_has_its_page() -> None:
    """The index has each page and no other; each page says what becomes what, what is lost, and when to switch."""
    index = (FOLDER / "README.md").read_text("utf-8")
    pages = sorted(path.name for path in FOLDER.glob("*.md") if path.name != "README.md")
    assert sorted(re.findall(r"\]\((\w+\.md)\)", index)) == pages
    assert len(table_commands()) >= 11
    for page in pages:
        text = (FOLDER / page).read_text("utf-8").lower()
        for words in ("becomes|here \\|", "lost", "side by side", "when to switch"):
            assert re.search(words, text), (page, words)
