"""`mirrorlist-snapshot compile --from mirrormanager` as a user runs it: what is written, what stays, what is said."""

from __future__ import annotations

import functools
import json
import os
import pty
import subprocess
import sys
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mirrorlist_snapshot import cli
from mirrorlist_snapshot import format as snapshot_format
from mirrorlist_snapshot.loss import check_loss
from support import caches
from support.caches import encode, pair, small_cache
from support.snapshot_command import COMMAND, SECONDS, environment, run

pytestmark = pytest.mark.process

COMPILE = ("compile", "--from", "mirrormanager")
SMALL = encode(small_cache())


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    """A folder as MirrorManager leaves it."""
    (tmp_path / "mirrorlist_cache.proto").write_bytes(SMALL)
    (tmp_path / "country_continent.csv").write_text("DE,EU\nTR,AS\n", encoding="utf-8")
    (tmp_path / "global_netblocks.txt").write_text("203.0.113.0/24 64500\nwhat is this\n", encoding="utf-8")
    return tmp_path


@functools.cache
def small_snapshot() -> bytes:
    """What SMALL gives by itself."""
    with TemporaryDirectory() as folder:
        cache, output = Path(folder, "mirrorlist_cache.proto"), Path(folder, "mirrors.mls")
        cache.write_bytes(SMALL)
        assert cli.main([*COMPILE, str(cache), "-o", str(output)]) == 0
        return output.read_bytes()


def test_a_folder_is_imported(folder: Path) -> None:
    """A folder with the three files gives a snapshot with the cache's time, and a summary for people and programs."""
    result = run(folder, *COMPILE, ".", "-o", "mirrors.mls", "--json")
    facts = json.loads(result.stdout)
    assert facts["skipped"] == {
        "mirrorlist_cache.proto": {},
        "country_continent.csv": {},
        "global_netblocks.txt": {"lines": 1},
    }
    assert facts["skipped_rows"] == 1
    assert (facts["built"], facts["counts"]["mirrors"]) == (1_790_000_000, 4)
    assert "global_netblocks.txt:2: warning: lines: 1 row skipped: no netblock and AS number" in result.stderr
    assert result.stderr.endswith("; 1 row skipped\n")
    snapshot = snapshot_format.verify((folder / "mirrors.mls").read_bytes())
    assert snapshot.overrides.continents == {"DE": "EU", "TR": "EU"}
    assert snapshot.asn_netblocks.find(bytes((203, 0, 113, 1))) == 64500


def test_the_cache_alone_is_imported(folder: Path) -> None:
    """With the cache named, only what is named beside it is read; SOURCE_DATE_EPOCH is the stronger time."""
    cache = "mirrorlist_cache.proto"
    run(folder, *COMPILE, cache, "-o", "a.mls", "--global-netblocks", "global_netblocks.txt", SOURCE_DATE_EPOCH="77")
    snapshot = snapshot_format.verify((folder / "a.mls").read_bytes())
    assert (snapshot.built, dict(snapshot.overrides.continents)) == (77, {"TR": "EU"})
    assert len(snapshot.asn_netblocks.v4) == 2


def test_the_same_files_give_the_same_bytes(folder: Path) -> None:
    """Whatever order Python's sets have, and whichever runtime reads protobuf, the snapshot is the same."""
    (folder / "mirrorlist_cache.proto").write_bytes(SMALL + encode([(caches.REDIRECT, pair("a", b"\xff"))]))
    for seed, runtime in (("0", "upb"), ("1", "upb"), ("2", "python")):
        arguments = (*COMPILE, ".", "-o", f"{seed}.mls")
        result = run(folder, *arguments, PYTHONHASHSEED=seed, PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION=runtime)
        assert "RepositoryRedirectCache: 1 row skipped: it is no message" in result.stderr
    first, second, third = ((folder / f"{seed}.mls").read_bytes() for seed in "012")
    assert first == second == third


def test_a_cut_cache_changes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Cut between any two records or within them, a cache is refused; the snapshot in place stays as it is.

    `test_a_cache_cut_at_any_byte_is_refused` has the bytes between.
    """
    cache, output = folder / "mirrorlist_cache.proto", folder / "mirrors.mls"
    arguments = [*COMPILE, str(cache), "-o", str(output)]
    assert cli.main(arguments) == 0
    before = output.stat().st_ino, output.read_bytes()
    reasons: set[str] = set()
    ends = list(accumulate(len(encode([row])) for row in small_cache()))
    assert ends[-1] == len(SMALL)
    for length in sorted({*range(0, len(SMALL), 11), *ends[:-1], *(end + 1 for end in ends[:-1])}):
        cache.write_bytes(SMALL[:length])
        capsys.readouterr()
        assert cli.main(arguments) == 1, length
        told = capsys.readouterr().err
        assert "nothing was written" in told
        reasons |= {one for one in ("cut off", "no mirror", "cache has no directory", "would be lost") if one in told}
    assert reasons == {"cut off", "no mirror", "cache has no directory", "would be lost"}
    assert (output.stat().st_ino, output.read_bytes()) == before
    assert [path.name for path in folder.iterdir() if path.suffix == ".tmp"] == []


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, len(SMALL) - 1), out=st.integers(0, 3), put=st.binary(max_size=3))
def test_a_fuzzed_cache_changes_nothing_or_is_good(folder: Path, at: int, out: int, put: bytes) -> None:
    """Whatever bytes are changed: refused, and the snapshot in place stays; or imported, with no large loss."""
    cache, output = folder / "mirrorlist_cache.proto", folder / "mirrors.mls"
    arguments = [*COMPILE, str(cache), "-o", str(output)]
    before = small_snapshot()
    output.write_bytes(before)
    cache.write_bytes(SMALL[:at] + put + SMALL[at + out :])
    if cli.main(arguments):
        assert output.read_bytes() == before
    else:
        check_loss(snapshot_format.decode(before), snapshot_format.verify(output.read_bytes()))


def test_a_large_loss_is_refused_unless_forced(folder: Path) -> None:
    """What would take away more than a tenth, or --max-loss, says what is lost; --force is for who wants that."""
    run(folder, *COMPILE, ".", "-o", "mirrors.mls")
    (folder / "mirrorlist_cache.proto").write_bytes(encode(small_cache()[:-1]))
    refused = run(folder, *COMPILE, ".", "-o", "mirrors.mls", "--json", code=1)
    assert "1 of 6 directories (16.7 %): pub/fedora/linux:/1" in refused.stderr
    facts = json.loads(refused.stdout)
    assert not facts["ok"]
    assert "raise --max-loss" in facts["complaints"][0]["message"]
    run(folder, *COMPILE, ".", "-o", "mirrors.mls", "--max-loss", "16", code=1)
    data = (folder / "mirrors.mls").read_bytes()
    run(folder, *COMPILE, ".", "-o", "mirrors.mls", "--max-loss", "17")
    (folder / "mirrors.mls").write_bytes(data)
    run(folder, *COMPILE, ".", "-o", "mirrors.mls", "--force")
    assert len(snapshot_format.verify((folder / "mirrors.mls").read_bytes()).directories) == 5


def test_a_damaged_snapshot_in_place_is_replaced(folder: Path) -> None:
    """What cannot be read cannot be compared, and serves nobody: the import mends it, and says so."""
    (folder / "mirrors.mls").write_bytes(b"damaged")
    result = run(folder, *COMPILE, ".", "-o", "mirrors.mls")
    assert "the old serial cannot be read" in result.stderr
    snapshot_format.verify((folder / "mirrors.mls").read_bytes())


def test_many_missing_directories_are_told_in_short(folder: Path) -> None:
    """A cache cut before its directories does not list a thousand repositories."""
    rows = [(caches.REPOSITORY, pair(f"r{number}+a", f"pub/{number}")) for number in range(30)]
    (folder / "mirrorlist_cache.proto").write_bytes(encode(small_cache() + rows))
    result = run(folder, *COMPILE, ".", "-o", "mirrors.mls", code=1)
    assert len(result.stderr.splitlines()) == 12
    assert "and 20 more; the cache may be cut off" in result.stderr
    assert not (folder / "mirrors.mls").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*COMPILE, "a", "b", "-o", "x"), "takes one SOURCE"),
        (("compile", "a", "-o", "x", "--force"), "need --from mirrormanager"),
        (("compile", "a", "-o", "x", "--max-loss", "10"), "need --from mirrormanager"),
        ((*COMPILE, "a", "-o", "x", "--max-loss", "101"), "a percentage from 0 to 100"),
        (("compile", "a", "-o", "x", "--country-continent", "c"), "need --from mirrormanager"),
        (("compile", "--from", "elsewhere", "a"), "invalid choice"),
    ],
)
def test_wrong_usage(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    """Flags that would do nothing are refused rather than ignored."""
    assert message in run(folder, *arguments, code=2).stderr


def test_files_that_cannot_be_read(folder: Path) -> None:
    """A missing file is one line that names it."""
    for arguments in (("gone.proto",), (".", "--country-continent", "gone"), (".", "--global-netblocks", "gone")):
        result = run(folder, *COMPILE, *arguments, "-o", "x.mls", code=1)
        assert result.stderr.splitlines()[-1].endswith(f"{arguments[-1]}: cannot be read: No such file or directory")


def test_progress_is_for_terminals(folder: Path) -> None:
    """On a terminal one line says how far reading is, and is gone in the end; elsewhere there is none of it."""
    assert "\r" not in run(folder, *COMPILE, ".", "-o", "x.mls").stderr
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, *COMPILE, ".", "-o", "y.mls"], cwd=folder, env=environment({}), stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        seen = bytearray()
        try:
            while chunk := os.read(ours, 4096):
                seen += chunk
        except OSError:  # how Linux says that the other end is closed
            pass
        assert process.wait(SECONDS) == 0
    os.close(ours)
    assert b"bytes: mirrorlist_cache.proto" in seen
    assert b"\r\x1b[K" in seen


@pytest.mark.parametrize("arguments", [("compile", "--json-schema"), (*COMPILE, "gone", "-o", "x")])
def test_only_the_import_loads_protobuf(folder: Path, arguments: Any) -> None:
    """Who compiles other sources, or serves, neither waits for protobuf nor needs it to work."""
    code = (
        "import sys\nfrom mirrorlist_snapshot.cli import main\n"
        f"main({list(arguments)!r})\nsys.exit(any(name.startswith('google.protobuf') for name in sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment({}), capture_output=True, timeout=SECONDS, check=False
    )
    assert result.returncode == int("--from" in arguments), result.stderr
