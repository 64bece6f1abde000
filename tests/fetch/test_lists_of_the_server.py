"""`mirrorlist-fetch URL --list` reads every list that the server documents (docs/http-api.md)."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from mirrorlistd.fetch.cli import main
from support.paths import ROOT
from support.processes import Server, write_snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.process, pytest.mark.network]

MIRRORS = ("https://a.example/c/", "https://b.example/c/", "https://f.example/c/")
FOLDERS = {
    *("mirrorlist?repo=r", "mirrorlist?repo=r&arch=x86_64", "any/mirrorlist?repo=r", "mirrorlist?path=c/"),
    *("mirrorlist?repo=r&format=text", "mirrorlist?repo=r&format=json", "mirrorlist?repo=r&format=apt"),
    *("mirrorlist?repo=r&format=pacman", "mirrorlist?repo=r&comments=0", "mirrorlist?repo=r&time=1"),
    *("mirrorlist?repo=r&limit=3", "mirrorlist?repo=r&ip=193.0.6.139", "mirrorlist?repo=r&netblock=0"),
    *("mirrorlist?repo=r&country=global", "mirrorlist?repo=r&protocol=https,http", "own/r"),
    *("mirrorlist?repo=r&format=redirect", "mirrorlist?repo=r&redirect=1"),
    *("mirrors/r.txt", "mirrors/r/x86_64.txt", "r/r/?mirrorlist", "r/r/d/?mirrorlist"),
}
"""URLs of lists of folders."""
FILES = {
    *("metalink?repo=r&file=d/x.iso", "any/metalink?repo=r&file=d/x.iso", "mirrorlist?repo=r&file=d/x.iso"),
    *("mirrorlist?repo=r&file=d/x.iso&format=metalink", "mirrorlist?repo=r&file=d/x.iso&format=metalink4"),
    *("mirrorlist?path=c/d/x.iso", "mirrorlist?repo=r&file=d/x.iso&format=json", "r/r/d/x.iso"),
    *("r/r/d/x.iso.meta4", "r/r/d/x.iso?meta4", "r/r/d/x.iso.metalink", "r/r/d/x.iso?metalink"),
    *("r/r/d/x.iso.mirrorlist", "r/r/d/x.iso?mirrorlist", "mirrorlist?repo=r&file=d/x.iso&redirect=1"),
}
"""URLs of lists of one file."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of three mirrors, with a file and a template of its own."""
    source: dict[str, Any] = {
        "categories": {"c": {"files": [{"path": "d/x.iso", "size": 3, "timestamp": 1, "sha256": "ab" * 32}]}},
        "repositories": {"r": {"category": "c", "path": ""}},
        "mirrors": {urlsplit(url).hostname: {"country": "DE", "categories": {"c": url}} for url in MIRRORS},
    }
    snapshot = write_snapshot(tmp_path_factory.mktemp("lists") / "m.mls", source)
    with Server("--snapshot", str(snapshot), "--url-template", "/own/{r}->repo={r}") as started:
        yield started


@pytest.mark.parametrize("target", sorted(FOLDERS | FILES))
def test_every_documented_list_can_be_listed(server: Server, target: str, capsys: pytest.CaptureFixture[str]) -> None:
    """All mirrors of the list, of the folder or the file that the URL names; of redirects the Links, too."""
    assert main([f"http://127.0.0.1:{server.port}/{target}", "--list"]) == 0, capsys.readouterr().err
    found = capsys.readouterr().out.splitlines()
    assert {urlsplit(url).hostname for url in found} == {urlsplit(url).hostname for url in MIRRORS}
    ends = ("/x.iso",) if target in FILES else ("/", "/$repo/os/$arch")
    assert all(url.endswith(ends) for url in found), found


def test_every_format_and_path_of_the_page_is_tried() -> None:
    """A new format or path in docs/http-api.md must be tried here."""
    page = (ROOT / "docs" / "http-api.md").read_text("utf-8")
    formats = set(
        re.findall(r"^\| `(\w+)` \|", page[page.index("### Formats") : page.index("### Paths")], re.MULTILINE)
    )
    tried = " ".join(FOLDERS | FILES)
    hashes = {"sha256", "sha512", "sha1", "md5"}  # no lists
    assert formats - hashes == {"text", "json", "apt", "pacman", "metalink", "metalink4", "redirect"}
    assert all(f"format={name}" in tried for name in formats - hashes)


def test_a_list_of_folders_is_listed_as_json_and_still_not_fetched(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """Listing needs no file; fetching does, and names the flag."""
    url = f"http://127.0.0.1:{server.port}/mirrorlist?repo=r"
    assert main([url, "--list", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["mirrors"]) == len(MIRRORS)
    assert main([url]) == 4
    assert "name the file below them with --path PATH" in capsys.readouterr().err
