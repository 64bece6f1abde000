"""Sources made to exhaust the compiler: each takes memory in proportion to its size, and gives the one complaint."""

from __future__ import annotations

import resource
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.process

MEMORY = 3 << 28
"""Bytes of address space that the compiler gets: ample for a source of this size, too little for what tomllib takes
for one dotted key of 40 kB, or pydantic for 400,000 mistakes."""

HOSTILE = {
    "key.toml": b"a." * 20_000 + b"a = 1",
    "quoted.toml": b'"a".' * 10_000 + b'"a" = 1',
    "header.toml": b"[" + b"a." * 20_000 + b"a]\n",
    "inline.toml": b"a = " + b"{a = " * 8_000 + b"1" + b"}" * 8_000,
    "lists.json": b"[" * 20_000 + b"]" * 20_000,
    "tables.json": b'{"a":' * 8_000 + b"1" + b"}" * 8_000,
    "flow.yaml": b"a: " + b"[" * 5_000 + b"]" * 5_000,
    "aliases.yaml": b"a0: &a0 [x]\n"
    + b"".join(b"a%d: &a%d [%s]\n" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 20)),
    "mistakes.json": b'{"mirrors": {"m": {"asns": [' + b", ".join([b'"x"'] * 400_000) + b"]}}}",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_source_made_to_exhaust_memory_gives_its_one_error(tmp_path: Path, name: str) -> None:
    """The command names the file and ends with exit status 1, within 768 MiB and without a traceback."""
    (tmp_path / name).write_bytes(HOSTILE[name])
    done = subprocess.run(
        [sys.executable, "-m", "mirrorlist_snapshot", "compile", name, "-o", "a.mls"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        stdin=subprocess.DEVNULL,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
    )
    assert done.returncode == 1, done.stderr[-500:]
    assert name in done.stderr
    assert "Traceback" not in done.stderr
    assert "MemoryError" not in done.stderr
    assert not (tmp_path / "a.mls").exists()
