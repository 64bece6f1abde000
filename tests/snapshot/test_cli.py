"""`mirrorlist-snapshot` as a user runs it: real processes, real files, exit codes, and who gets which output."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shlex
import signal
import subprocess
import termios
import time
from pathlib import Path

import jsonschema
import pytest

from mirrorlist_snapshot import format as snapshot_format
from support.caches import encode, small_cache
from support.snapshot_command import COMMAND, SECONDS, SOURCE, environment, json_of, run
from support.snapshot_files import small_snapshot
from support.snapshots import mirror, snapshot_of

pytestmark = pytest.mark.process

IMPORT = ["compile", "--check", "--from", "mirrormanager"]
MISTAKES = SOURCE.replace('"NL"', '"ZZ"').replace("kind", "knid")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a source without and one with mistakes, and two snapshots."""
    (tmp_path / "good.toml").write_text(SOURCE)
    (tmp_path / "bad.toml").write_text(MISTAKES)
    (tmp_path / "old.mls").write_bytes(snapshot_format.encode(snapshot_of([mirror("m", "NL")])))
    (tmp_path / "new.mls").write_bytes(snapshot_format.encode(snapshot_of([mirror("m", "BE")], serial=2)))
    return tmp_path


def test_compile_writes_a_snapshot(folder: Path) -> None:
    """A source becomes a snapshot that verifies, with one line about it on standard error."""
    result = run(folder, "compile", "good.toml", "-o", "a.mls", "--serial", "7")
    snapshot = snapshot_format.verify((folder / "a.mls").read_bytes())
    assert (snapshot.serial, [one.name for one in snapshot.mirrors]) == (7, ["m"])
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("wrote a.mls: serial 7, 1 mirror, 1 repository, 1 directory, 1 carrier set, 0 files, ")


def test_compile_is_reproducible(folder: Path) -> None:
    """The same sources, serial and SOURCE_DATE_EPOCH give the same bytes; the time gives others, the digest stays."""
    for name, epoch in (("a.mls", "1700000000"), ("b.mls", "1700000000"), ("c.mls", "1700000001")):
        run(folder, "compile", "good.toml", "-o", name, "--serial", "7", SOURCE_DATE_EPOCH=epoch)
    a, b, c = ((folder / name).read_bytes() for name in ("a.mls", "b.mls", "c.mls"))
    assert a == b != c
    assert snapshot_format.digest(a) == snapshot_format.digest(c)
    assert snapshot_format.header(a).built == 1_700_000_000


def test_serials_grow(folder: Path) -> None:
    """Without --serial it is the build time, but more than the old file's; a smaller --serial is warned about."""

    def serial(*more: str, epoch: str = "1000") -> int:
        run(folder, "compile", "good.toml", "-o", "a.mls", *more, SOURCE_DATE_EPOCH=epoch)
        return snapshot_format.header((folder / "a.mls").read_bytes()).serial

    assert serial() == 1000
    assert serial() == 1001
    assert serial(epoch="500") == 1002
    assert serial(epoch="5000") == 5000
    result = run(folder, "compile", "good.toml", "-o", "a.mls", "--serial", "5")
    assert "warning: serial 5 is not more than 5000" in result.stderr
    (folder / "a.mls").write_bytes(b"damaged")
    result = run(folder, "compile", "good.toml", "-o", "a.mls", SOURCE_DATE_EPOCH="6000")
    assert "warning: a.mls: the old serial cannot be read" in result.stderr
    assert snapshot_format.header((folder / "a.mls").read_bytes()).serial == 6000


def test_mistakes_refuse_the_compilation(folder: Path) -> None:
    """All mistakes are listed, one a line with file, line and key; the old file stays; the exit code is 1."""
    before = (folder / "old.mls").read_bytes()
    result = run(folder, "compile", "bad.toml", "-o", "old.mls", code=1)
    *lines, last = result.stderr.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("bad.toml:2: categories.c.knid: ")
    assert lines[1].startswith("bad.toml:6: mirrors.m.country: ")
    assert last == "refused: 2 mistakes; nothing was written"
    assert result.stdout == ""
    assert (folder / "old.mls").read_bytes() == before


def test_compile_for_programs(folder: Path) -> None:
    """With --json, standard output has the facts, or the complaints with file, line and key."""
    found = json_of(run(folder, "compile", "good.toml", "-o", "a.mls", "--serial", "7", "--json"))
    assert (found["ok"], found["file"], found["serial"], found["complaints"]) == (True, "a.mls", 7, [])
    assert found["digest"] == snapshot_format.digest((folder / "a.mls").read_bytes())
    found = json_of(run(folder, "compile", "bad.toml", "--check", "--json", code=1))
    assert not found["ok"]
    assert [(one["file"], one["line"], one["key"], one["warning"]) for one in found["complaints"]] == [
        ("bad.toml", 2, "categories.c.knid", False),
        ("bad.toml", 6, "mirrors.m.country", False),
    ]


def test_check_writes_nothing(folder: Path) -> None:
    """With --check everything is done but writing, with the same exit codes."""
    before = sorted(folder.iterdir())
    result = run(folder, "compile", "good.toml", "--check")
    assert result.stderr.startswith("checked, nothing written: ")
    run(folder, "compile", "bad.toml", "--check", "-o", "a.mls", code=1)
    assert sorted(folder.iterdir()) == before


def test_compile_to_standard_output(folder: Path) -> None:
    """With `-o -` standard output is the snapshot."""
    command = [*COMMAND, "compile", "good.toml", "-o", "-"]
    result = subprocess.run(command, cwd=folder, env=environment({}), capture_output=True, timeout=SECONDS, check=True)
    assert len(snapshot_format.verify(result.stdout).mirrors) == 1
    assert result.stderr.startswith(b"wrote standard output: ")


def test_the_json_schema_needs_no_source(folder: Path) -> None:
    """--json-schema prints a schema that is one, and nothing else."""
    schema = json_of(run(folder, "compile", "--json-schema"))
    jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param([], "VERB", id="no verb"),
        pytest.param(["compile"], "SOURCE", id="no source"),
        pytest.param(["compile", "good.toml"], "-o FILE", id="no output"),
        pytest.param(["compile", "good.toml", "-o", "a", "--serial", "-1"], "--serial", id="serial"),
        pytest.param(["compile", "good.toml", "-o", "-", "--json"], "--json", id="two outputs"),
        pytest.param(["verify"], "FILE", id="no file"),
        pytest.param(
            ["compile", "x", "--chek"],
            "compile: error: unrecognized arguments: --chek; did you mean --check?",
            id="misspelt",
        ),
        pytest.param(["verify", "x", "--zzz"], "--zzz; `mirrorlist-snapshot verify --help` lists", id="unknown"),
        pytest.param(["diff", "old.mls"], "NEW", id="one file"),
        pytest.param(["diff", "-", "-"], "standard input", id="one standard input twice"),
    ],
)
def test_wrong_usage(folder: Path, arguments: list[str], message: str) -> None:
    """Wrong usage is exit code 2, with the usage and what is wrong; of a misspelt flag, what was probably meant."""
    result = run(folder, *arguments, code=2)
    assert result.stderr.startswith("usage: mirrorlist-snapshot")
    assert message in result.stderr


def test_a_wrong_source_date_epoch(folder: Path) -> None:
    """A SOURCE_DATE_EPOCH that is no number of seconds is wrong usage, an empty one is none."""
    for text in ("soon", "-1", "1e9", "9" * 30):
        result = run(folder, "compile", "good.toml", "--check", code=2, SOURCE_DATE_EPOCH=text)
        assert "SOURCE_DATE_EPOCH" in result.stderr
    run(folder, "compile", "good.toml", "--check", SOURCE_DATE_EPOCH="")


def test_help_has_examples(folder: Path) -> None:
    """Each --help shows examples and exit statuses; only diff has other ones, those of diff(1)."""
    text = run(folder, "--help").stdout
    assert "examples:" in text
    assert "exit status: 0 done, 1 refused, or something cannot be read or written, 2 wrong usage" in text
    for verb in ("compile", "verify", "inspect", "diff"):
        text = run(folder, verb, "--help").stdout
        assert f"  mirrorlist-snapshot {verb} " in text
        assert "exit status" in text
        assert ("as of diff(1)" in text) == (verb == "diff")
        assert ("2 wrong usage" in " ".join(text.split())) == (verb != "diff")


def test_version(folder: Path) -> None:
    """--version is the name that the command leaves in the snapshots it makes."""
    text = run(folder, "--version").stdout
    run(folder, "compile", "good.toml", "-o", "a.mls")
    assert text.startswith("mirrorlist-snapshot")
    assert text.strip() == snapshot_format.decode((folder / "a.mls").read_bytes()).generator


def test_help_says_how_to_attach_the_schema(folder: Path) -> None:
    """For each syntax of sources there is the line that makes editors use the JSON Schema."""
    text = run(folder, "compile", "--help").stdout
    assert "#:schema ./mirrors.schema.json" in text
    assert "# yaml-language-server: $schema=./mirrors.schema.json" in text
    assert '{ "$schema": "./mirrors.schema.json",' in text


def test_verify(folder: Path) -> None:
    """A good file is exit code 0 and one line; a damaged one is 1 and a line that names file and remedy."""
    result = run(folder, "verify", "old.mls")
    assert result.stdout.startswith("old.mls: good: serial 1, format version 1, digest ")
    data = (folder / "old.mls").read_bytes()
    (folder / "old.mls").write_bytes(data[:-8])
    result = run(folder, "verify", "old.mls", code=1)
    (line,) = result.stderr.splitlines()
    assert line.startswith("mirrorlist-snapshot: old.mls: expected ")
    assert line.endswith(": the file was cut off; copy it again")


def test_verify_for_programs(folder: Path) -> None:
    """With --json, standard output says whether the file is good, and of which content, or why not."""
    data = (folder / "old.mls").read_bytes()
    assert json_of(run(folder, "verify", "old.mls", "--json")) == {
        "ok": True,
        "file": "old.mls",
        "serial": 1,
        "built": 1_700_000_000,
        "format_version": 1,
        "digest": snapshot_format.digest(data),
        "key_id": None,
        "signature_checked": False,
        "bytes": len(data),
    }
    for name in ("good.toml", "missing.mls"):
        result = run(folder, "verify", name, "--json", code=1)
        found = json_of(result)
        assert (found["ok"], found["file"]) == (False, name)
        assert result.stderr == f"mirrorlist-snapshot: {found['error']}\n"


def test_standard_input(folder: Path) -> None:
    """verify, inspect and one side of diff read `-` from standard input, and name it where it is bad or closed."""

    def shell(line: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-c", f"{line}; test $? -eq {code}", "sh", *COMMAND],
            cwd=folder,
            env=environment({}),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=True,
        )

    assert shell('"$@" verify - < old.mls').stdout.startswith("standard input: good: serial 1, ")
    assert json_of(shell('"$@" verify - --json < old.mls'))["file"] == "standard input"
    assert json_of(shell('"$@" inspect --json - < new.mls'))["serial"] == 2
    assert "~ m: country: NL -> BE" in shell('"$@" diff - new.mls < old.mls', code=1).stdout
    assert shell('"$@" verify - < /dev/null', code=1).stderr == (
        "mirrorlist-snapshot: standard input: expected a snapshot file, found an empty file;"
        " name a file made by compile\n"
    )
    assert shell('"$@" inspect - <&-', code=1).stderr == "mirrorlist-snapshot: standard input: Bad file descriptor\n"


def test_inspect(folder: Path) -> None:
    """Inspection is text for people and JSON for programs, with the age by the clock."""
    (folder / "small.mls").write_bytes(snapshot_format.encode(small_snapshot()))
    assert "ftp.example.nl" in run(folder, "inspect", "small.mls").stdout
    found = json_of(run(folder, "inspect", "small.mls", "--json"))
    assert found["serial"] == 42
    assert found["age"] > 0


def test_names_that_the_terminal_cannot_show(folder: Path) -> None:
    """A name outside of the terminal's encoding is escaped, not a traceback."""
    (folder / "a.mls").write_bytes(snapshot_format.encode(snapshot_of([mirror("miroir-été", urls=("https://m/",))])))
    assert "miroir-\\xe9t\\xe9" in run(folder, "inspect", "a.mls", PYTHONIOENCODING="ascii").stdout


def test_diff(folder: Path) -> None:
    """Equal snapshots are exit code 0, different ones 1, as of diff(1); both as text and JSON."""
    assert "no differences" in run(folder, "diff", "old.mls", "old.mls").stdout
    assert "~ m: country: NL -> BE" in run(folder, "diff", "old.mls", "new.mls", code=1).stdout
    found = json_of(run(folder, "diff", "old.mls", "new.mls", "--json", code=1))
    assert {"NL", "BE"} <= set(found["answers"][0]["countries"])


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param(["verify", "FILE"], 1, id="verify"),
        pytest.param(["inspect", "FILE"], 1, id="inspect"),
        pytest.param(["diff", "FILE", "new.mls"], 2, id="old"),
        pytest.param(["diff", "old.mls", "FILE"], 2, id="new"),
        pytest.param(["compile", "good.toml", "-o", "missing/FILE"], 1, id="output"),
    ],
)
@pytest.mark.parametrize("name", ["missing.mls", "folder", "good.toml"])
def test_files_that_cannot_be_used(folder: Path, arguments: list[str], code: int, name: str) -> None:
    """A file that is missing, a folder or no snapshot is one line that names it."""
    (folder / "folder").mkdir()
    result = run(folder, *(one.replace("FILE", name) for one in arguments), code=code)
    (line,) = result.stderr.splitlines()
    assert name in line
    assert line.startswith("mirrorlist-snapshot: ")


def test_a_missing_source(folder: Path) -> None:
    """A source that is not there is a complaint, not a traceback."""
    assert "missing.toml" in run(folder, "compile", "missing.toml", "--check", code=1).stderr


def test_a_reader_that_goes_away(folder: Path) -> None:
    """Output into a closed pipe ends quietly, as it would for any filter."""
    many = [mirror(f"mirror-{number}.example", "NL") for number in range(3000)]
    (folder / "many.mls").write_bytes(snapshot_format.encode(snapshot_of(many)))
    command = [*COMMAND, "inspect", "many.mls"]
    with subprocess.Popen(
        command, cwd=folder, env=environment({}), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(SECONDS) == 141


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param(["inspect", "old.mls"], 1, id="inspect"),
        pytest.param(["verify", "old.mls", "--json"], 1, id="verify"),
        pytest.param(["compile", "good.toml", "-o", "-"], 1, id="compile"),
        pytest.param(["diff", "old.mls", "new.mls"], 2, id="diff"),
    ],
)
def test_output_that_cannot_be_written(folder: Path, arguments: list[str], code: int) -> None:
    """A full disk behind standard output is an error, said in one line: exit code 1, of diff 2 as of diff(1)."""
    with Path("/dev/full").open("wb") as full:
        result = subprocess.run(
            [*COMMAND, *arguments],
            cwd=folder,
            env=environment({}),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    assert result.returncode == code
    assert result.stderr.splitlines()[0] == "mirrorlist-snapshot: cannot write the output: No space left on device"
    assert "Traceback" not in result.stderr


def test_interrupted(folder: Path) -> None:
    """Ctrl-C ends the command quietly with 130."""
    with subprocess.Popen(
        [*COMMAND, "verify", "-"], cwd=folder, env=environment({}), stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin
        assert process.stderr
        process.stdin.write(bytes(1 << 20))  # more than a pipe holds: returns when the command reads
        state = Path(f"/proc/{process.pid}/stat")
        # The pipe is empty and the command sleeps: it waits for more.
        while any(fcntl.ioctl(process.stdin, termios.FIONREAD, bytes(4))) or ") S " not in state.read_text():
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == 130
        assert process.stderr.read() == b""


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["verify", "PIPE"], id="verify"),
        pytest.param(["verify", "old.mls", "--trusted-key", "PIPE"], id="trusted key"),
        pytest.param(["inspect", "PIPE"], id="inspect"),
        pytest.param(["diff", "old.mls", "PIPE"], id="diff"),
        pytest.param(["publish", "PIPE", "a.mls"], id="publish"),
        pytest.param(["publish", "old.mls", "PIPE"], id="publish over"),
        pytest.param(["publish", "old.mls", "a.mls", "--sign-key", "PIPE"], id="signing key"),
        pytest.param(["publish", "old.mls", "a.mls", "--signal", "PIPE", "--wait", "1"], id="pid file"),
        pytest.param(["rollback", "PIPE"], id="rollback"),
        pytest.param(["compile", "PIPE.toml", "--check"], id="source"),
        pytest.param(["compile", "good.toml", "-o", "PIPE"], id="compile over"),
        pytest.param(["compile", "good.toml", "--check", "--file-details", ".", "--previous", "PIPE"], id="previous"),
        pytest.param([*IMPORT, "PIPE"], id="cache"),
        pytest.param(
            ["compile", "--from", "mirrormanager", "cache", "--country-continent", "PIPE", "--check"], id="CSV"
        ),
        pytest.param([*IMPORT, "cache", "--global-netblocks", "PIPE"], id="AS"),
    ],
)
def test_what_is_not_a_regular_file_is_refused_at_once(folder: Path, arguments: list[str]) -> None:
    """A pipe without a writer is refused wherever a file is named; no verb waits for it."""
    for name in ("PIPE", "PIPE.toml"):
        os.mkfifo(folder / name)
    (folder / "cache").write_bytes(encode(small_cache()))
    result = subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=environment({}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert result.returncode in {1, 2, 3}
    assert "PIPE" in result.stderr
    assert re.search(r"not a regular file|no pid file|no running server", result.stderr), result.stderr


@pytest.mark.parametrize("verb", ["publish", "rollback", "compile", "keygen"])
@pytest.mark.parametrize("output", ["full", "closed", "gone"])
@pytest.mark.parametrize("error", ["read", "full"])
def test_the_exit_status_tells_what_happened_to_the_file(folder: Path, verb: str, output: str, error: str) -> None:
    """If a file is written and the report of it cannot be, the exit status is 4; refused is 1, whatever the output."""
    good = {
        "publish": ["publish", "new.mls", "t.mls", "--force", "--json"],
        "rollback": ["rollback", "t.mls", "--force", "--json"],
        "compile": ["compile", "good.toml", "-o", "t.mls", "--json"],
        "keygen": ["keygen", "key", "--json"],
    }[verb]
    refused = {
        "publish": ["publish", "good.toml", "t.mls", "--json"],
        "rollback": ["rollback", "t.mls", "--to", "5", "--json"],
        "compile": ["compile", "bad.toml", "-o", "t.mls", "--json"],
        "keygen": ["keygen", "key", "--json"],
    }[verb]
    run(folder, "publish", "old.mls", "t.mls")
    run(folder, "publish", "new.mls", "t.mls", "--force")
    if verb == "publish":
        (folder / "t.mls").write_bytes((folder / "old.mls").read_bytes())
    before = (folder / "t.mls").read_bytes()
    assert output_fails(folder, good, output, error) == 4
    assert verb == "keygen" or (folder / "t.mls").read_bytes() != before
    after = (folder / "t.mls").read_bytes()
    # Before anything is written, a reader that has gone ends the command as it does any filter.
    assert output_fails(folder, refused, output, error) in ({1, 141} if verb in {"compile", "keygen"} else {1})
    assert (folder / "t.mls").read_bytes() == after


def output_fails(folder: Path, arguments: list[str], output: str, error: str) -> int:
    """Run the command with an output that cannot be written, and maybe such a standard error; its exit status."""
    with Path("/dev/full").open("wb") as full:
        read, write = os.pipe()
        os.close(read)
        words = " ".join(map(shlex.quote, [*COMMAND, *arguments]))
        try:
            result = subprocess.run(
                ["/bin/sh", "-c", f"exec {words} >&-"] if output == "closed" else [*COMMAND, *arguments],
                cwd=folder,
                env=environment({}),
                stdout=write if output == "gone" else full,
                stderr=full if error == "full" else subprocess.PIPE,
                timeout=SECONDS,
                check=False,
            )
        finally:
            os.close(write)
    assert b"Traceback" not in (result.stderr or b"")
    return result.returncode


@pytest.mark.parametrize("no_color", ["", "1"])
def test_colours_only_on_a_terminal(folder: Path, no_color: str) -> None:
    """Mistakes are red on a terminal, unless NO_COLOR asks for none; pipes and files never get colours."""
    terminal, side = pty.openpty()
    try:
        subprocess.run(
            [*COMMAND, "compile", "bad.toml", "--check"],
            cwd=folder,
            env=environment({"NO_COLOR": no_color}),
            stdin=subprocess.DEVNULL,
            stderr=side,
            timeout=SECONDS,
            check=False,
        )
        output = os.read(terminal, 1 << 16)
    finally:
        os.close(side)
        os.close(terminal)
    assert (b"\x1b[31mbad.toml:2: " in output) == (not no_color)
    assert "\x1b" not in run(folder, "compile", "bad.toml", "--check", code=1).stderr
