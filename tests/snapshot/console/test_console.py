"""The console: what all commands share on a terminal, in a pipe and at the end of a process."""

from __future__ import annotations

import argparse
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrorlist_snapshot.console import (
    CLOSED_PIPE,
    INTERRUPTED,
    Console,
    parse_real,
    parse_whole,
    printable,
    real,
    run_command,
    whole,
)

COMMANDS = ("mirrorlistd", "mirrorlist_snapshot", "mirrorlistd.fetch")
SECONDS = 60


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env=dict(os.environ) | environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@given(st.text())
def test_printable_text_cannot_steer_a_terminal_and_keeps_what_can_be_shown(text: str) -> None:
    """Escapes, line ends, surrogates: what is left can be printed; what could be printed is left as it was."""
    safe = printable(text)
    assert safe.isprintable()
    assert text.isprintable() == (safe == text)


@given(st.one_of(st.text(max_size=50), st.integers().map(str), st.floats().map(str)), st.integers(0, 50))
def test_numbers_are_within_their_bounds_or_a_value_error(text: str, least: int) -> None:
    """Whatever is given as a number, what is read lies within the bounds; `nan` and endless digits are refused."""
    for parse in (parse_whole, parse_real):
        try:
            value = parse(text, least, 100)
        except ValueError as error:
            assert str(error).startswith("expected a ")
            assert str(error).isprintable()
        else:
            assert least <= value <= 100


@pytest.mark.parametrize("text", ["", "nan", "-1", "101", "1" * 5000, "0x10", "\N{ARABIC-INDIC DIGIT ONE}\x1b"])
def test_a_number_that_a_flag_refuses_is_named_with_its_bounds(text: str) -> None:
    """Argparse shows the message of the type: what was expected, and what was found, in ASCII."""
    for kind in (whole(0, 100, "a percentage"), real(0, 100, "a percentage")):
        with pytest.raises(argparse.ArgumentTypeError) as caught:
            kind(text)
        assert str(caught.value).startswith("expected a percentage from 0 to 100, found '")
        assert str(caught.value).isascii()
        assert len(str(caught.value)) < 200


@pytest.mark.process
@pytest.mark.parametrize("module", COMMANDS)
def test_a_closed_pipe_ends_every_command_alike(module: str) -> None:
    """A reader that goes away (`| head`) is one exit status, 128 + SIGPIPE, and nothing on standard error."""
    ours, theirs = os.pipe()
    os.close(ours)
    try:
        done = subprocess.run(
            [sys.executable, "-m", module, "--help"],
            stdout=theirs,
            stderr=subprocess.PIPE,
            timeout=SECONDS,
            check=False,
        )
    finally:
        os.close(theirs)
    assert (done.returncode, done.stderr) == (CLOSED_PIPE, b"")


@pytest.mark.process
@pytest.mark.parametrize("module", COMMANDS)
def test_a_full_disk_behind_the_output_is_one_line(module: str) -> None:
    """Standard output that cannot be written is an error of the command, never a traceback."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", module, "--help"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    assert done.returncode not in (0, 2)
    assert done.stderr.endswith(": cannot write the output: No space left on device\n")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.process
@pytest.mark.parametrize("module", COMMANDS)
def test_help_needs_neither_the_server_nor_the_client(module: str) -> None:
    """`--help` imports no verb: no web server, no numerics, no HTTP client, no parser of sources."""
    code = f"""
import runpy, sys
sys.argv = ["command", "--help"]
try:
    runpy.run_module({module!r}, run_name="__main__")
except SystemExit:
    pass
heavy = {{"uvicorn", "starlette", "numpy", "pydantic", "httpx2", "obstore", "orjson", "msgpack", "structlog"}}
print("imported:", *sorted(heavy & sys.modules.keys()))
"""
    assert run(code).stdout.splitlines()[-1].strip() == "imported:"


def test_an_error_is_one_line_for_each_problem_and_an_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    """Errors on purpose become `NAME: TEXT` lines; others are not swallowed."""

    def refuse(options: argparse.Namespace) -> int:
        options.trouble = 7
        raise LookupError("one\x1b[2J\ntwo")

    assert run_command("tool", refuse, (LookupError,)) == 7
    assert capsys.readouterr().err == "tool: one\\x1b[2J\ntool: two\n"
    with pytest.raises(LookupError):
        run_command("tool", refuse)


def test_an_interrupt_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C ends a command with 130 and no word."""

    def interrupted(_: argparse.Namespace) -> int:
        raise KeyboardInterrupt

    assert run_command("tool", interrupted) == INTERRUPTED
    assert capsys.readouterr() == ("", "")


@pytest.mark.process
def test_output_that_is_closed_is_an_error() -> None:
    """A command that is started without a standard output says so."""
    code = (
        "import sys; from mirrorlist_snapshot.console import run_command, show; sys.stdout = None\n"
        "sys.exit(run_command('tool', lambda _: show('x') or 0))"
    )
    done = run(code)
    assert (done.returncode, done.stderr) == (1, "tool: standard output is closed\n")


@pytest.mark.process
@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_colours_and_progress_are_for_terminals(no_color: str, coloured: bool) -> None:
    """A terminal gets a line of progress, which other lines replace, and colours unless NO_COLOR is set."""
    code = (
        "from mirrorlist_snapshot.console import Console\n"
        "c = Console('tool'); c.progress('half\\x1b'); c.progress('at once again'); c.error('bad'); c.clear()"
    )
    terminal, side = pty.openpty()
    try:
        subprocess.run(
            [sys.executable, "-c", code],
            env=dict(os.environ) | {"NO_COLOR": no_color},
            stderr=side,
            timeout=SECONDS,
            check=True,
        )
        output = os.read(terminal, 1 << 16).decode()
    finally:
        os.close(side)
        os.close(terminal)
    bad = "\x1b[31mtool: bad\x1b[0m" if coloured else "tool: bad"
    assert output == f"\r\x1b[Khalf\\x1b\r\x1b[K{bad}\r\n"
    assert run(code).stderr == "tool: bad\n"


def test_a_quiet_console_writes_errors_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """`--quiet` silences notes, not errors."""
    console = Console("tool", quiet=True)
    console.say("a")
    console.note("b")
    console.error("c")
    assert capsys.readouterr().err == "tool: c\n"


@pytest.mark.process
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii"])
def test_json_can_be_read_whatever_the_encoding(encoding: str, tmp_path: Path) -> None:
    """JSON stays JSON where standard output cannot hold a character."""
    value = {"name": "\xe9\N{GRINNING FACE}\udc80"}
    code = f"from mirrorlist_snapshot.console import show_json; show_json({value!a})"
    file = tmp_path / "out.json"
    with file.open("wb") as output:
        subprocess.run(
            [sys.executable, "-c", code],
            env=dict(os.environ) | {"PYTHONIOENCODING": encoding},
            stdout=output,
            timeout=SECONDS,
            check=True,
        )
    assert json.loads(file.read_bytes()) == value
