"""docs/mirrormanager.md is held against the product: its options exist, its configuration loads, its commands parse."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mirrorlistd.config import OPTIONS, load_config
from mirrorlistd.usage.statistics_line import read
from support.paths import ROOT
from support.processes import SECONDS, Server

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (ROOT / "docs" / "mirrormanager.md").read_text()
GUIDE = PAGE[PAGE.index("## Moving from mirrorlist-server") :]
FLAGS = ["cache", "cccsv", "global_netblocks", "geoip", "minimum", "log", "listen", "port", "internet2_netblocks"]
"""All that mirrorlist-server 3.1 has."""

DIFFERENCES = {
    "no mirror can be offered (`protocol=` that no mirror has, countries not allowed, ...)": "nothing_to_offer",
    "`protocol=HTTPS`": "protocols_have_no_case",
    "empty items (`country=DE,,FR`, `country=,`, `protocol=https,`)": "empty_items_are_ignored",
    "`country=EU`, `UK`, `EL`": "codes_that_people_write",
    "`country=` whose mirrors all refuse the client's country": "countries_that_refuse_the_client",
    "`country=` with two countries without mirrors": "two_countries_without_mirrors",
    "`.` or `..` in `path=`": "dot_segments_are_refused",
    "an architecture with `+` (`repo=r&arch=a+b`)": "a_plus_belongs_to_the_repository",
    "`repo` alone": "a_repository_with_one_architecture",
    "`ip=` of another address": "a_private_mirror_of_another_address",
    "`X-Forwarded-For`": "lines_of_the_forwarding_header",
    "HTTP/2 with prior knowledge (h2c)": "connections_have_the_limits",
    "a large request head": "connections_have_the_limits",
    "an idle connection": "idle_connections_are_closed",
    "a directory's first host, for its netblock": "the_first_host_of_a_directory",
    "the client's continent, and a mirror's, if its country is not in `country_continent.csv`": (
        "the_continent_of_a_country_without_a_row"
    ),
    "a database record with `registered_country` only": "a_record_with_a_registered_country",
    "a host without bandwidth, or with 0": "hosts_without_bandwidth",
    "the base URLs": "urls_are_canonical",
    "paths in text lists": "paths_are_percent_encoded",
    "a redirect of a repository to a redirect": "redirects_of_repositories_are_followed",
    "hashes of the wrong length": "hashes_of_the_wrong_length",
    "the URLs of a mirror for `protocol=http,https`": "https_comes_first",
}
"""Differences that the page once was silent or wrong about -> the beginning of the name of the test that shows it."""
TESTS = [Path(__file__), ROOT / "tests" / "presets" / "test_documented_differences.py"]


def helped(program: str, verb: str) -> str:
    """The help of a command."""
    command = [sys.executable, "-m", program, verb, "--help"]
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True).stdout


def test_every_flag_of_the_original_has_a_row() -> None:
    """Whatever an operator has in the command line of mirrorlist-server stands in the table."""
    rows = [line.split("|")[1] for line in GUIDE.splitlines() if line.startswith("|")]
    assert not [flag for flag in FLAGS if not any(re.search(rf"--{flag}\b", row) for row in rows)]


def test_each_difference_has_a_row_and_a_test() -> None:
    """And each test of a difference belongs to a row: what the page says of the two servers is what they do."""
    rows = {line[2:].partition(" | ")[0] for line in PAGE.splitlines() if line.startswith("| ")}
    assert not DIFFERENCES.keys() - rows
    tests = "".join(path.read_text() for path in TESTS)
    assert not [name for name in DIFFERENCES.values() if f"def test_{name}" not in tests]
    shown = re.findall(r"^def test_(\w+)", TESTS[1].read_text(), re.MULTILINE)
    assert not [name for name in shown if not any(name.startswith(one) for one in DIFFERENCES.values())]


@pytest.mark.process
@pytest.mark.parametrize(
    ("program", "verb"),
    [
        ("mirrorlistd", "serve"),
        ("mirrorlistd", "compare"),
        ("mirrorlistd", "stats"),
        ("mirrorlist_snapshot", "compile"),
    ],
)
def test_every_flag_named_with_a_command_exists(program: str, verb: str) -> None:
    """What the page says to write is what the commands take."""
    said = helped(program, verb)
    pieces = re.findall(rf"\b{verb}\b[^`|\n]*(?:\\\n[^\n]*)*", GUIDE)
    flags = {flag for piece in pieces for flag in re.findall(r"(?<!\S)--[a-z-]+", piece)}
    assert not [flag for flag in sorted(flags) if not re.search(rf"{flag}\b", said)]


def test_the_configuration_loads(tmp_path: Path) -> None:
    """The TOML of the page is one that the server takes, and its keys are options."""
    found = re.search(r"```toml\n(.*?)```", GUIDE, re.DOTALL)
    assert found
    file = tmp_path / "mirrorlistd.toml"
    file.write_text(found[1])
    config = load_config({}, {}, file)
    assert (config.mirrormanager, config.state_dir) == (Path("/var/lib/mirrormanager"), Path("/var/lib/mirrorlistd"))
    assert (config.preset, config.port, config.trusted_proxies) == ("mirrormanager", 3001, ("127.0.0.1/32",))
    assert config.statistics == Path("/var/log/mirrorlistd/statistics.log")
    assert {line.split(" =")[0] for line in found[1].splitlines() if " = " in line} <= {one.name for one in OPTIONS}


def test_the_lines_shown_are_access_lines() -> None:
    """The examples of statistics can be read."""
    lines = [line.strip() for line in GUIDE.splitlines() if line.startswith("    IP: ")]
    assert [read(f"{line}\n".encode()).countme for line in lines] == [None, "2"]


TABLES = PAGE[PAGE.index("### How clients connect") :]


def exchange(port: int, data: bytes) -> bytes:
    """What a new connection answers to some bytes, until it is closed."""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        connection.sendall(data)
        connection.settimeout(SECONDS)
        received = bytearray()
        while piece := connection.recv(65536):
            received += piece
    return bytes(received)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The built-in snapshot, answered as MirrorManager does; idle connections are closed after a second."""
    with Server("--preset", "mirrormanager", "--keep-alive", "1", "--trusted-proxy", "127.0.0.1") as running:
        yield running


@pytest.mark.process
@pytest.mark.parametrize(
    ("row", "head", "status"),
    [
        ("| 400: HTTP/1.1 only |", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        ("heads of more than 16 KiB get 431", b"GET /mirrorlist HTTP/1.1\r\nX: %b\r\n\r\n" % (b"x" * 17_000), 431),
        (
            "queries of more than 8 KiB or a hundred parameters get 400",
            b"GET /mirrorlist?repo=debian&x=%b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % (b"x" * 8_300),
            400,
        ),
    ],
)
def test_connections_have_the_limits_of_the_page(server: Server, row: str, head: bytes, status: int) -> None:
    """HTTP/2 without TLS is refused, and so are heads and queries above the limits, each with its status."""
    assert row in TABLES
    assert exchange(server.port, head).split(b" ")[1] == b"%d" % status


@pytest.mark.process
def test_idle_connections_are_closed(server: Server) -> None:
    """After `--keep-alive` seconds without a request the server closes the connection."""
    assert "closed after `--keep-alive` seconds" in TABLES
    answered = exchange(server.port, b"GET /mirrorlist?repo=debian HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answered.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" not in answered.lower()


@pytest.mark.process
def test_lines_of_the_forwarding_header_are_joined(server: Server) -> None:
    """Of two lines the last one's address counts: the proxy has written it."""
    assert "lines are joined in order" in PAGE
    lines = b"X-Forwarded-For: 193.0.6.139\r\nX-Forwarded-For: 202.12.29.205\r\n"
    head = b"GET /mirrorlist?repo=debian HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%b\r\n" % lines
    assert b"country = AU" in exchange(server.port, head)


@pytest.mark.process
def test_a_repository_alone_counts_in_the_statistics(tmp_path: Path) -> None:
    """A list for `repo=` without `arch=` has its line; an error has none."""
    assert "| `repo=` without `arch=` | an error, so no line | a line" in PAGE
    file = tmp_path / "statistics.log"
    with Server("--preset", "mirrormanager", "--statistics", str(file)) as running:
        for query in ("repo=debian", "repo=nothing", "arch=x"):
            running.get(f"/mirrorlist?{query}")
    assert [read(line).repo for line in file.read_bytes().splitlines(keepends=True)] == ["debian"]
