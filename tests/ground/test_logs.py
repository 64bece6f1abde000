"""The log: one event a line, nothing forged, nothing that a full disk or a stranger can turn against the server.

Each test runs a program of its own, because the log's set-up belongs to a process.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from support.paths import ROOT

pytestmark = pytest.mark.process

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
EVIL = "a\nb\r\x1b[31m\x7f\x9b\u2028\u202e"
"""Line ends, terminal sequences, a separator and a change of direction."""


def run(code: str, log_format: str = "json", level: str = "info", **environ: str) -> list[str]:
    """Run code after `configure` on standard output; `log` is our logger. The lines of its output."""
    head = (
        "import sys, logging; from mirrorlistd.logs import configure, get_logger\n"
        f"configure({log_format!r}, {level!r}, sys.stdout); log = get_logger(); EVIL = {EVIL!r}\n"
    )
    base = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{ROOT / 'snapshot'}", "PYTHONUTF8": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", head + code], env=base | environ, capture_output=True, check=True
    )
    assert done.stderr == b""
    return done.stdout.decode().split("\n")[:-1]


def event(code: str, **environ: str) -> dict[str, object]:
    """Run code that logs once in JSON, and give the event."""
    (line,) = run(code, **environ)
    found: dict[str, object] = json.loads(line)
    return found


def test_json_lines() -> None:
    """An event is a JSON object with a UTC time, the level, the event and the fields, in this order."""
    found = event("log.info('reloaded', serial=7, seconds=0.25, missing=None)")
    assert list(found) == ["timestamp", "level", "event", "serial", "seconds", "missing"]
    assert str(found["timestamp"]).endswith("Z")
    assert list(found.values())[1:] == ["info", "reloaded", 7, 0.25, None]


def test_text_lines() -> None:
    """In text an event is a line with time, level, event and fields; without a terminal it has no colours."""
    (line,) = run("from pathlib import Path; log.warning('geo is old', file=Path('/g.mmdb'), days=400)", "text")
    assert line.split(maxsplit=1)[1] == "[warning  ] geo is old file=/g.mmdb days=400"


@pytest.mark.parametrize(("log_format", "is_json"), [("auto", True), ("json", True), ("text", False)])
def test_auto_is_json_without_a_terminal(log_format: str, *, is_json: bool) -> None:
    """Where nobody looks, auto means JSON; text stays text on demand."""
    (line,) = run("log.info('x')", log_format)
    assert line.startswith("{") == is_json


@pytest.mark.parametrize("no_color", ["", "1"])
def test_auto_is_coloured_text_on_a_terminal(no_color: str) -> None:
    """On a terminal auto means text, in colours unless NO_COLOR is set."""
    leader, follower = pty.openpty()
    code = "import sys; from mirrorlistd.logs import *; configure('auto', 'info', sys.stdout); get_logger().info('x')"
    environ = {"PYTHONPATH": f"{ROOT}:{ROOT / 'snapshot'}", "NO_COLOR": no_color}
    subprocess.run([sys.executable, "-c", code], env=environ, stdout=follower, check=True)
    os.close(follower)
    seen = os.read(leader, 4096)
    os.close(leader)
    assert b"{" not in seen
    assert (b"\x1b[" in seen) == (not no_color)


def test_the_level_filters_and_can_change() -> None:
    """Events below the level are dropped; configuring again, as a reload does, changes it for every logger."""
    code = "log.info('a'); log.error('b'); configure('json', 'debug', sys.stdout); log.debug('c')"
    assert [json.loads(line)["event"] for line in run(code, level="error")] == ["b", "c"]


def test_json_cannot_be_forged() -> None:
    """Whatever an event or a field contains, it stays one line of ASCII controls escaped, and nothing is lost."""
    (line,) = run("log.info(EVIL, **{'key' + EVIL: EVIL, 'nested': {EVIL: [EVIL]}})")
    assert line.isprintable()
    found = json.loads(line)
    assert found["event"] == found[f"key{EVIL}"] == EVIL
    assert found["nested"] == {EVIL: [EVIL]}


def test_text_cannot_be_forged() -> None:
    """The same in text: one line, nothing for the terminal to obey."""
    lines = run("log.info(EVIL, **{'key' + EVIL: EVIL, 'nested': {EVIL: [EVIL]}})", "text")
    assert len(lines) == 1
    assert lines[0].isprintable()


def test_what_json_has_no_words_for() -> None:
    """Half surrogate pairs, huge integers, bytes, paths and sets are logged as text, not raised."""
    found = event("log.info('x', a='\\udcff', b=2**70, c=b'\\xff', d=__import__('pathlib').Path('/p'), e={1})")
    assert [found[key] for key in "abcde"] == ["\\udcff", str(2**70), "b'\\xff'", "/p", "{1}"]


RAISE = "try: raise ValueError('bad\\n2025-01-01 [info] forged \\x1b[1m')\nexcept ValueError: log.exception('failed')"


def test_an_exception_is_a_field() -> None:
    """In JSON a traceback is a field of its event's one line."""
    found = event(RAISE)
    assert (found["level"], found["event"]) == ("error", "failed")
    assert str(found["exception"]).startswith("Traceback (most recent call last):\n")
    assert "ValueError: bad" in str(found["exception"])


def test_an_exception_in_text_is_indented() -> None:
    """In text a traceback follows its event, indented: no line of it can pass for an event."""
    first, *rest = run(RAISE, "text")
    assert first.endswith("failed")
    assert len(rest) >= 3
    assert all(line.startswith("    ") and line.isprintable() for line in rest)


def test_libraries_go_through_the_same_pipeline() -> None:
    """Warnings and errors of uvicorn and others become our events, with their tracebacks; their chatter does not."""
    code = """
uvicorn = logging.getLogger("uvicorn.error")
uvicorn.info("Started server process [%d]", 1)
uvicorn.warning("odd %s", EVIL)
logging.getLogger("uvicorn.access").info("GET /")
logging.getLogger("uvicorn.access").error("GET /")
try: raise ValueError("bad")
except ValueError: uvicorn.exception("Exception in ASGI application\\n")
logging.getLogger("asyncio").critical("stuck")
"""
    found = [json.loads(line) for line in run(code)]
    assert [(item["logger"], item["level"], item["event"]) for item in found] == [
        ("uvicorn.error", "warning", f"odd {EVIL}".strip()),
        ("uvicorn.error", "error", "Exception in ASGI application"),
        ("asyncio", "critical", "stuck"),
    ]
    assert "ValueError: bad" in found[1]["exception"]


def test_configuring_again_does_not_double() -> None:
    """After a reload an event of a library is still logged once."""
    assert len(run("configure('json', 'info', sys.stdout); logging.getLogger('x').error('y')")) == 1


def test_strangers_cannot_fill_the_log() -> None:
    """What uvicorn warns of for each odd request, `Upgrade: h2c` above all, is logged at debug only."""
    code = """
for message in ("Unsupported upgrade request.", "Invalid HTTP request received."):
    logging.getLogger("uvicorn.error").warning(message)
"""
    assert run(code) == []
    assert len(run(code, level="debug")) == 2


def test_the_noise_is_still_uvicorns() -> None:
    """The messages that are kept quiet are those of the installed uvicorn."""
    import uvicorn.protocols.http.httptools_impl as module  # noqa: PLC0415 - only this test needs it

    from mirrorlistd.logs import STRANGERS_NOISE  # noqa: PLC0415 - likewise

    source = Path(module.__file__).read_text()
    assert all(message in source for message in STRANGERS_NOISE)


def test_a_full_disk_does_not_raise() -> None:
    """A log that cannot be written loses its lines and nothing else."""
    code = "configure('json', 'info', full := open('/dev/full', 'w')); log.info('x'); log.info('y'); print('alive')\n"
    code += "configure('json', 'info', f := open('/dev/null', 'w')); f.close(); log.info('x'); print('alive')\n"
    code += "import os; os._exit(sys.stdout.flush() or 0)"  # without the interpreter's own last flush of /dev/full
    assert run(code) == ["alive", "alive"]


def test_a_poor_encoding_does_not_raise() -> None:
    """On a stream that cannot hold a character, the character is escaped."""
    code = "log.info('caf\\u00e9 \\U0001f4e6', x=EVIL)"
    found = event(code, PYTHONIOENCODING="ascii")
    assert (found["event"], found["x"]) == ("café \U0001f4e6", EVIL)
    (line,) = run(code, "text", PYTHONIOENCODING="ascii")
    assert "caf\\u00e9" in line


def test_a_malformed_record_does_not_raise() -> None:
    """A library's mistake in its own log call does not hurt the server; the log has an event of it."""
    found = [json.loads(line) for line in run("logging.getLogger('x').error('%d', 'y'); log.info('alive')")]
    assert [item["event"] for item in found] == ["a log record could not be formatted", "alive"]
    assert found[0]["logger"] == "x"


FLOOD = """
import os, sys, time
from mirrorlistd import logs
dropped = 0
def count(lines):
    global dropped
    dropped += lines
logs.configure("json", "error", open(os.devnull, "w"))
logs.get_logger().error("everything is imported, and another user need not be able to")
if sys.argv[1] == "other user":
    os.setuid(65534)
logs.configure("json", "error", sys.stderr)
logs.count_drops(count)
started = time.monotonic()
while not dropped or time.monotonic() < started + 0.2:
    logs.get_logger().error("x" * 3_000)
print(dropped, flush=True)
sys.stdin.readline()
logs.get_logger().error("there is room")
print(dropped, flush=True)
"""


def ends(kind: str) -> tuple[int, int]:
    """Descriptors: where a log is read, and where it is written."""
    if kind == "socket":
        reader, writer = socket.socketpair()
        return reader.detach(), writer.detach()
    return pty.openpty() if kind == "terminal" else os.pipe()


@pytest.mark.parametrize("kind", ["pipe", "socket", "terminal", pytest.param("other user", marks=ROOT_ONLY)])
def test_a_log_that_nobody_reads_never_waits(kind: str) -> None:
    """Lines without room are dropped and counted; once there is room, a line has their number, and all lines are whole.

    A pipe of another user cannot be opened anew, which is how a container runtime's looks to its program.
    """
    reader, writer = ends(kind)
    assert os.get_blocking(writer)
    base = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{ROOT / 'snapshot'}"}
    command = [sys.executable, "-c", FLOOD, kind]
    with subprocess.Popen(
        command, env=base, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=writer, text=True
    ) as child:
        assert child.stdin
        assert child.stdout
        dropped = int(child.stdout.readline())
        assert dropped > 1
        assert os.get_blocking(writer)  # the descriptor is shared with others: its flags are theirs as well
        os.set_blocking(reader, False)
        read = drain(reader)
        child.stdin.write("\n")
        child.stdin.flush()
        assert int(child.stdout.readline()) == dropped
        assert child.wait(30) == 0
    read += drain(reader)
    os.close(writer)
    os.close(reader)
    found = [json.loads(line) for line in read.splitlines()]
    assert [item["event"] for item in found[-2:]] == ["there is room", "log lines were dropped"]
    assert found[-1]["lines"] == dropped


def drain(reader: int) -> bytes:
    """All that is there to be read."""
    read = b""
    with contextlib.suppress(BlockingIOError):
        while data := os.read(reader, 1 << 16):
            read += data
    return read


@pytest.mark.parametrize("stream", ["None", "open('/dev/full', 'w')", "closed", "broken"])
def test_a_log_that_cannot_be_written_counts_its_lines(stream: str) -> None:
    """A closed standard error, a full disk, a stream closed later, a pipe whose reader is gone."""
    code = f"""
import os; from mirrorlistd import logs
closed = open(os.devnull, "w"); closed.close()
reader, writer = os.pipe(); os.close(reader); broken = os.fdopen(writer, "w")
counts = []; logs.count_drops(counts.append)
logs.configure("auto", "info", stream := {stream})
log.info("x"); log.error("y"); print(len(counts)); sys.stdout.flush(); os._exit(0)
"""
    assert run(code) == ["2"]


def test_configuring_again_opens_nothing_again() -> None:
    """A reload keeps the descriptor that the log has; another stream closes it."""
    code = """
import os; count = lambda: len(os.listdir("/proc/self/fd"))
before = count()
for _ in range(3): configure("json", "info", sys.stdout)
other = open(os.devnull, "w"); again = count() - 1
configure("json", "info", other)
print(before - again, again - count() + 1)
"""
    assert run(code) == ["0 1"]


def test_the_import_is_cheap() -> None:
    """Importing the module loads neither structlog nor orjson nor asyncio: signals are handled before those."""
    code = "import sys, mirrorlistd.logs; print([n for n in ('structlog', 'orjson', 'asyncio') if n in sys.modules])"
    environ = {"PYTHONPATH": f"{ROOT}:{ROOT / 'snapshot'}"}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
