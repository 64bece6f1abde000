"""docs/mirrormanager.md is held against the product: its options exist, its configuration loads, its commands parse."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mirrorlistd.config import OPTIONS, load_config
from mirrorlistd.usage.line import read
from support.paths import ROOT
from support.processes import SECONDS

PAGE = (ROOT / "docs" / "mirrormanager.md").read_text()
GUIDE = PAGE[PAGE.index("## Moving from mirrorlist-server") :]
FLAGS = ["cache", "cccsv", "global_netblocks", "geoip", "minimum", "log", "listen", "port", "internet2_netblocks"]
"""All that mirrorlist-server 3.1 has."""


def helped(program: str, verb: str) -> str:
    """The help of a command."""
    command = [sys.executable, "-m", program, verb, "--help"]
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True).stdout


def test_every_flag_of_the_original_has_a_row() -> None:
    """Whatever an operator has in the command line of mirrorlist-server stands in the table."""
    rows = [line.split("|")[1] for line in GUIDE.splitlines() if line.startswith("|")]
    assert not [flag for flag in FLAGS if not any(re.search(rf"--{flag}\b", row) for row in rows)]


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
