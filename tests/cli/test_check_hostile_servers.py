"""`check --url` against something else than a mirrorlistd: one line and a plugin's status, in time."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time

import pytest

from support.processes import SECONDS

pytestmark = pytest.mark.process
GOOD = {"ready": True, "draining": False, "serial": 7, "mirrors": 12, "age_seconds": 90}


def answered(body: bytes, *, drip: bool = False) -> tuple[int, str, float]:
    """Exit status, output and seconds of a check of a server that answers once, with this body or by drips."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        over = threading.Event()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1000 if drip else len(body)))
                try:
                    connection.sendall(body)
                    while drip and not over.wait(0.5):
                        connection.sendall(b" ")
                except OSError:
                    return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        began = time.monotonic()
        command = [
            sys.executable,
            "-m",
            "mirrorlistd",
            "check",
            "--url",
            f"http://127.0.0.1:{listener.getsockname()[1]}",
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        over.set()
        thread.join(SECONDS)
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1
    return done.returncode, done.stdout, time.monotonic() - began


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[" * 200_000,
        b"[]",
        b"{}",
        b'"ready"',
        json.dumps(GOOD | {"age_seconds": "old", "max_age_seconds": 5, "stale": True, "status": 7}).encode(),
        json.dumps(GOOD | {"max_age_seconds": "x"}).encode(),
        json.dumps(GOOD | {"pull": ["refused"]}).encode(),
        json.dumps(GOOD | {"workers": {"up": 1, "all": 1, "serials": 7}}).encode(),
        json.dumps(GOOD | {"pull": {"failures_in_a_row": "many"}}).encode(),
    ],
    ids=["empty", "deep", "list", "nothing", "text", "types", "limit", "pull", "serials", "failures"],
)
def test_an_answer_of_something_else_is_critical(body: bytes) -> None:
    """Whatever answers there: CRITICAL, never a traceback."""
    status, line, _ = answered(body)
    assert (status, line.startswith("MIRRORLISTD CRITICAL - cannot query ")) == (2, True)


def test_an_answer_that_drips_is_given_up() -> None:
    """Each byte comes in time, the whole does not: the check ends."""
    status, line, seconds = answered(b" ", drip=True)
    assert (status, "no whole answer within 10 s" in line) == (2, True)
    assert seconds < 25


def test_what_is_said_of_a_problem_cannot_begin_performance_data_or_steer_a_terminal() -> None:
    """Reasons may hold a bar, line ends, escapes."""
    facts = GOOD | {"last_reload": {"result": "failed"}, "reload_error": "a|b\nc\x1b[2J"}
    status, line, _ = answered(json.dumps(facts).encode())
    assert (status, line.count("|")) == (1, 1)
    assert "\x1b" not in line
