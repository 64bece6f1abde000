"""What documents ask of the server works with the built-in snapshot, and the output that they show is real."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from support.paths import ROOT
from support.processes import SECONDS, Server

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.process

DOCUMENTS: Final = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BUILT_IN: Final = ("debian", "ubuntu", "cran", "pypi")
READER: Final = "193.0.6.139"
"""An address in the Netherlands, the README's example."""
SOURCES: Final = "".join(path.read_text("utf-8") for path in (ROOT / "snapshot" / "examples").glob("*.toml"))
"""The sources of the built-in snapshot: one mirror's own URL has a doubled segment."""
HOSTS: Final = r"(?:https://mirrors\.example\.org|(?:http://)?127\.0\.0\.1:8080)"


def documented() -> list[str]:
    """Every path and query that a document asks of our server, of repositories that the built-in snapshot has."""
    found: set[str] = set()
    for document in DOCUMENTS:
        found |= set(re.findall(rf"{HOSTS}(/[^\s'\"`)|]*)", document.read_text("utf-8")))
    names = "|".join(BUILT_IN)
    return sorted(target for target in found if re.search(rf"(?:repo=|/r/|/mirrors/)(?:{names})\b", target))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The built-in snapshot."""
    with Server("--trusted-proxy", "127.0.0.1") as running:
        yield running


def test_documents_ask_something() -> None:
    """The documents have lists, redirects and files of the built-in repositories in them."""
    found = documented()
    for word in ("/mirrorlist?repo=debian", "/r/pypi/", "/mirrors/debian.txt", "/r/debian/pool/"):
        assert [target for target in found if target.startswith(word)], word


@pytest.mark.parametrize("target", documented())
def test_what_is_documented_works_with_the_built_in_snapshot(server: Server, target: str) -> None:
    """Each documented URL of a built-in repository leads to mirrors, and no segment of a mirror's URL is doubled."""
    reply = server.get(target, headers={"x-forwarded-for": READER})
    assert reply.status in (200, 302), reply.text
    urls = re.findall(r"https?://[^\s<>\"]+", f"{reply.headers.get('location', '')} {reply.text}")
    assert urls or target.startswith("/mirrors?")
    doubled = [found[0] for url in urls if (found := re.search(r".*/([^/]+)/\1(?:/|$)", url))]
    assert [url for url in doubled if url not in SOURCES] == []


def test_the_index_of_the_package_installers_is_the_simple_index(server: Server) -> None:
    """The URL that pip and uv are given leads to the `simple/` folder of a mirror."""
    page = (ROOT / "docs" / "clients.md").read_text("utf-8")
    indexes = re.findall(rf"{HOSTS}(/r/pypi/\S*?)\"?\n", page)
    assert len(indexes) == 2
    for index in indexes:
        assert re.search(r"(?<!/simple)/simple/$", server.get(index).headers["location"])
        assert re.search(r"(?<!/simple)/simple/hello/$", server.get(f"{index}hello/").headers["location"])


def test_the_readme_shows_real_output(server: Server) -> None:
    """The comment line is the server's own, and the mirrors shown are of the tier that such a client gets."""
    readme = (ROOT / "README.md").read_text("utf-8")
    shown = re.search(r"\$ curl '127\.0\.0\.1:8080(/mirrorlist\S*)'\n((?:    .*\n)+)", readme)
    assert shown
    lines = [line.strip() for line in shown[2].splitlines()]
    everything = server.get(f"{shown[1].replace('limit=3', 'limit=100')}").text.splitlines()
    assert lines[0] == everything[0]
    assert len(lines) == 4
    assert set(lines[1:]) <= set(everything[1:])
    redirect = re.search(
        r"\$ curl -i '127\.0\.0\.1:8080(/r/\S*)'\n    HTTP/1\.1 302 Found\n    location: (\S+)", readme
    )
    assert redirect
    reply = server.get(redirect[1])
    assert reply.status == 302
    assert redirect[2].endswith("/debian/dists/stable/InRelease")
    assert any(redirect[2].startswith(url) for url in everything[1:])


def run(command: str, folder: Path) -> str:
    """Output of a documented command, run in a folder by the installed programs."""
    programs = Path(sys.executable).parent
    words = shlex.split(command.replace(".venv/bin/", f"{programs}/"))
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=True).stdout


def test_the_readmes_own_mirrors_work_as_written(tmp_path: Path) -> None:
    """The source compiles, the campus sees its private mirror first, others never do, and the reload takes a change."""
    readme = (ROOT / "README.md").read_text("utf-8")
    section = readme[readme.index("## Your own mirrors") : readme.index("## Who gets what")]
    source = re.search(r"```toml\n(.*?)```", section, re.DOTALL)
    assert source
    (tmp_path / "mirrors.toml").write_text(source[1])
    compiles, serves, curl, explains, again = re.findall(r"^    (\S.*)$", section, re.MULTILINE)
    run(compiles, tmp_path)
    told = run(explains, tmp_path)
    assert told.index("mirror.example.edu/epel/9/") < told.index("ftp.example.de/epel/9/")
    words = shlex.split(serves.split("serve ")[1].removesuffix("&"))
    flags = [word if word.startswith("--") else str(tmp_path / word) for word in words]
    target = re.search(rf"{HOSTS}(/[^']*)'", curl)
    assert target
    with Server(*flags) as server:
        listed = server.get(target[1]).text
        assert "https://ftp.example.de/epel/9/Everything/x86_64/" in listed
        assert "mirror.example.edu" not in listed
        (tmp_path / "mirrors.toml").write_text(source[1].replace("ftp.example.de/epel", "ftp.example.de/moved"))
        run(again.split(" && ")[0], tmp_path)
        assert again.endswith("kill -HUP $(cat mirrors.pid)")
        assert (tmp_path / "mirrors.pid").read_text().strip() == str(server.process.pid)
        server.send_sighup()
        server.wait_for_log("reloaded")
        assert "https://ftp.example.de/moved/9/Everything/x86_64/" in server.get(target[1]).text


def test_the_commands_for_sources_work_as_written(tmp_path: Path) -> None:
    """Compiling, inspecting and the JSON Schema, as docs/sources.md has them."""
    page = (ROOT / "docs" / "sources.md").read_text("utf-8")
    example = (ROOT / "snapshot" / "examples" / "pypi.toml").read_text("utf-8")
    (tmp_path / "mirrors.toml").write_text(example)
    commands = [line.strip() for line in page.splitlines() if line.startswith("    mirrorlist-snapshot ")]
    assert len(commands) == 6
    for command in commands:
        run(f".venv/bin/{command.partition(' > ')[0]}", tmp_path)


PROGRAMS: Final = {
    "mirrorlistd": "mirrorlistd",
    "mirrorlist-snapshot": "mirrorlist_snapshot",
    "mirrorlist-admin": "mirrorlist_admin",
    "mirrorlist-fetch": "mirrorlistd.fetch",
    "mirrorlist-report": "mirrorlist_admin.mirrorlist_report",
}
VERBS: Final = {
    "mirrorlistd": ("serve", "check", "explain", "pull", "stats", "compare"),
    "mirrorlist-snapshot": (
        *("convert", "compile", "verify", "inspect", "diff", "export", "publish", "rollback", "keygen"),
    ),
    "mirrorlist-admin": ("probe", "serve", "token", "status", "explain", "propagation"),
    "mirrorlist-fetch": ("",),
    "mirrorlist-report": ("",),
}
PAGES: Final = [*DOCUMENTS, ROOT / "CHANGELOG.md", ROOT / "ARCHITECTURE.md", ROOT / "deploy" / "mirrorlistd.toml"]


@cache
def flags_of(program: str, verb: str) -> frozenset[str]:
    """Every flag that the help of a command names, and the opposite of its switches."""
    command = [sys.executable, "-m", PROGRAMS[program], *filter(None, [verb]), "--help"]
    text = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True).stdout
    found = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", text))
    return frozenset(found | {f"--no-{flag.removeprefix('--')}" for flag in found if f"[{flag} |" in text})


def commands(text: str) -> Iterator[tuple[str, str, list[str]]]:
    """(program, verb, flags) of each command of ours in the code of a document."""
    code = [*re.findall(r"`([^`\n]+)`", text), *re.findall(r"^ {4,}(.*)$", text, re.MULTILINE)]
    code += [
        line
        for block in re.findall(r"^```\w*[^\n]*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        for line in block.splitlines()
    ]
    for line in code:
        found = re.search(rf"(?:^|[\s/])({'|'.join(VERBS)}) +([a-z]*)([^|;#&]*)", line)
        if found and (found[2] in VERBS[found[1]] or VERBS[found[1]] == ("",)):
            verb = found[2] if found[2] in VERBS[found[1]] else ""
            yield found[1], verb, re.findall(r"(?<!\S)--[a-z][a-z0-9-]*", found[3])


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_flag_in_a_documented_command_exists(page: Path) -> None:
    """A command in a document has no flag that the command does not know."""
    found = [(program, verb, flag) for program, verb, flags in commands(page.read_text("utf-8")) for flag in flags]
    assert [(program, verb, flag) for program, verb, flag in found if flag not in flags_of(program, verb)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_flag_named_alone_exists(page: Path) -> None:
    """A flag in backticks is one of some command of ours, or of mirrorlist-server or podman."""
    known = {flag for program, verbs in VERBS.items() for verb in verbs for flag in flags_of(program, verb)}
    named = set(re.findall(r"`(--[a-z][a-z0-9_-]*)[^`]*`", page.read_text("utf-8")))
    original = {"--cache", "--cccsv", "--geoip", "--global_netblocks", "--internet2_netblocks", "--listen", "--log"}
    foreign = original | {"--build-arg"}
    assert named - known - foreign == set()
