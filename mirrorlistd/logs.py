"""The log: text for people at a terminal, one JSON object a line everywhere else.

Our own events and what libraries log through `logging`, uvicorn above all, go through one pipeline. Three rules hold:

- An event is one line; in text, one line and an indented traceback.
- No value can forge a line or control a terminal: control characters are escaped.
- A log never stops an answer or a signal. Writing never waits: a line that finds no room is dropped and counted, and
  the next line that finds room is followed by one with the number.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import re
import select
import stat
import sys
import termios
import threading
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from structlog.typing import EventDict, FilteringBoundLogger, Processor

LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
"""Level that can be configured -> its number in `logging`."""

STRANGERS_NOISE: Final = (
    "Unsupported upgrade request.",
    "Invalid HTTP request received.",
    "No supported WebSocket",
)
"""How uvicorn's warnings about single odd requests begin. They are logged at debug: strangers could fill the disk with
them, and ostree sends `Upgrade: h2c` with every request."""

_UNSAFE: Final = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028-\\u202e\\u2066-\\u2069\\ud800-\\udfff]")
"""Control characters (C0, DEL, C1), line separators, changes of writing direction, lone surrogates."""
_UNSAFE_IN_JSON: Final = re.compile("[\\x7f-\\x9f\\u2028-\\u202e\\u2066-\\u2069]")
"""Those of `_UNSAFE` that a JSON writer does not escape."""
_PIPE_BYTES: Final = 1 << 20
"""The capacity wanted for a pipe, so that a burst finds room; the most that Linux allows without privileges."""


def configure(log_format: str, level: str, stream: TextIO | None) -> None:
    """Send the log to a stream: `log_format` is auto, text or json (see Config), `level` a name in LEVELS.

    None, which Python has for a closed standard error, drops every line. A reload calls this again: every logger
    follows, except those made by `bind()` before.
    """
    global _output  # noqa: PLW0603 - a process has one log

    import structlog  # noqa: PLC0415 - slow to import, and signals must be handled before

    output = _output = _output if _output is not None and _output.stream is stream else _Output(stream)
    terminal = stream is not None and not stream.closed and stream.isatty()
    text = log_format == "text" or (log_format == "auto" and terminal)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            *(_text(colours=terminal and not os.environ.get("NO_COLOR")) if text else [_json]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_: output,
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if not isinstance(handler, _FromLogging)]
    root.addHandler(_FromLogging())
    # What libraries log at info is not for operators: our own events have what matters of it.
    root.setLevel(logging.DEBUG if level == "debug" else logging.WARNING)
    logging.getLogger("uvicorn.access").disabled = True


def get_logger() -> FilteringBoundLogger:
    """Return the logger: `log.info("reloaded", serial=7, seconds=0.08)`; cheap where the level is off."""
    import structlog  # noqa: PLC0415 - as above

    logger: FilteringBoundLogger = structlog.get_logger()
    return logger


def count_drops(counter: Callable[[int], None]) -> None:
    """Call `counter` with a number of dropped lines, each time that lines are dropped; replaces the one before."""
    global _count_drops  # noqa: PLW0603 - a process has one log
    _count_drops = counter


class _Output:
    """Writes finished lines to a stream without waiting; its methods are what structlog expects of a logger."""

    def __init__(self, stream: TextIO | None) -> None:
        self.stream = stream
        self._encoding = (stream and stream.encoding) or "utf-8"
        self._rest = b""
        """What is left of a line that was written in part."""
        self._dropped = 0
        """Lines dropped since the log last had the number."""
        self._reporting = False
        self._send = _sender(stream)

    def _write(self, line: str) -> None:
        try:
            data = f"{line}\n".encode(self._encoding)
        except UnicodeEncodeError:
            # JSON's own escapes, so that a line of JSON remains one.
            data = re.sub("[^\\x00-\\x7f]", lambda match: json.dumps(match[0])[1:-1], f"{line}\n").encode("ascii")
        with _lock:
            if not self._put(data):
                self._dropped += 1
                if not self._reporting:
                    _count_drops(1)
            elif self._dropped and not self._reporting:
                self._report()

    def _report(self) -> None:
        """Log how many lines were dropped; one that is dropped itself is not counted."""
        dropped, self._dropped, self._reporting = self._dropped, 0, True
        get_logger().error("log lines were dropped", lines=dropped)
        self._reporting = False
        if self._dropped:
            self._dropped = dropped

    def _put(self, data: bytes) -> bool:
        """Write a line, or the beginning of one; False where there is no room."""
        try:
            if self._rest:
                self._rest = self._rest[self._send(self._rest) :]
                if self._rest:
                    return False
            self._rest = data[self._send(data) :]
        except (OSError, ValueError):  # ValueError: the stream is closed
            return False
        return True

    debug = info = warning = error = critical = _write


_output: _Output | None = None
_lock = threading.RLock()
"""Held while a line is written, never while anything waits: threads and signal handlers log as well."""


def _ignore(_dropped: int) -> None:
    """Count nothing."""


_count_drops: Callable[[int], None] = _ignore
"""Takes numbers of dropped lines (see `count_drops`)."""


def _renew_lock() -> None:
    global _lock  # noqa: PLW0603 - another thread may have held the parent's when it forked
    _lock = threading.RLock()


os.register_at_fork(after_in_child=_renew_lock)


def _sender(stream: TextIO | None) -> Callable[[bytes], int]:
    """Return a function that writes bytes to a stream without waiting; it returns their number, or raises OSError."""
    try:
        if stream is None:
            return _refuse
        descriptor = stream.fileno()
        mode = os.fstat(descriptor).st_mode
    except (OSError, ValueError):
        return _refuse
    if stat.S_ISSOCK(mode):
        return _socket_sender(descriptor)
    if stat.S_ISFIFO(mode):
        with contextlib.suppress(OSError, AttributeError):  # AttributeError: another system than Linux
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    if stat.S_ISFIFO(mode) or os.isatty(descriptor):
        # Opened anew: O_NONBLOCK on the descriptor itself would also hold for other processes that share it.
        with contextlib.suppress(OSError):
            own = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
            return _Closing(own).write
        return lambda data: _write_if_room(stream.fileno(), data)
    return lambda data: os.write(stream.fileno(), data)


def _refuse(_data: bytes) -> int:
    raise OSError("there is no stream")


class _Closing:
    """A descriptor that is closed with its last use."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, data: bytes) -> int:
        return os.write(self._descriptor, data)

    def __del__(self) -> None:
        os.close(self._descriptor)


def _socket_sender(descriptor: int) -> Callable[[bytes], int]:
    import socket  # noqa: PLC0415 - needed where a service manager gives a socket

    connection = socket.socket(fileno=os.dup(descriptor))
    return lambda data: connection.send(data, socket.MSG_DONTWAIT)


def _write_if_room(descriptor: int, data: bytes) -> int:
    """Write to a pipe or a terminal that cannot be opened anew, as in a container under another user.

    At most three quarters of a pipe are used. So there is room even if other processes find the same room at the same
    moment, and if each line takes half a page more than it has.
    """
    written = 0
    for start in range(0, len(data), select.PIPE_BUF):
        if not select.select((), (descriptor,), (), 0)[1] or _is_full(descriptor):
            break
        written += os.write(descriptor, data[start : start + select.PIPE_BUF])
    if not written:
        raise BlockingIOError
    return written


def _is_full(descriptor: int) -> bool:
    try:
        size = fcntl.fcntl(descriptor, fcntl.F_GETPIPE_SZ)
    except (OSError, AttributeError):  # a terminal; another system than Linux
        return False
    queued = int.from_bytes(fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)), sys.byteorder)
    return 4 * queued > size


class _FromLogging(logging.Handler):
    """Passes what libraries log to our pipeline."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage().strip()
            noise = record.name == "uvicorn.error" and message.startswith(STRANGERS_NOISE)
            level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
            fields = {"exc_info": record.exc_info} if record.exc_info else {}
            get_logger().log(logging.DEBUG if noise else level, message, logger=record.name, **fields)
        except Exception:  # noqa: BLE001 - as every Handler: a malformed record must not hurt its caller
            # Not `handleError`, which writes to standard error and may wait there.
            get_logger().error("a log record could not be formatted", logger=record.name)


def _json(_logger: object, _method: str, event: EventDict) -> str:
    import orjson  # noqa: PLC0415 - as above

    ordered = {key: event.pop(key) for key in ("timestamp", "level", "event")} | dict(event)
    try:
        line = orjson.dumps(ordered, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # what JSON cannot hold: a file name in another encoding, an integer past 64 bits
        line = orjson.dumps(_escaped(ordered), default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    return _UNSAFE_IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", line)


def _text(*, colours: bool) -> list[Processor]:
    import structlog  # noqa: PLC0415 - as above

    renderer = structlog.dev.ConsoleRenderer(
        colors=colours, sort_keys=False, pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
    )
    return [_escape_for_text, renderer]


def _escape_for_text(_logger: object, _method: str, event: EventDict) -> EventDict:
    traceback: str | None = event.pop("exception", None)
    safe: EventDict = _escaped(event)
    if traceback is not None:
        # Indented, so that a line of an exception's message cannot pass for an event.
        safe["exception"] = "\n".join(f"    {_escaped(line)}" for line in traceback.split("\n"))
    return safe


def _escaped(value: Any) -> Any:  # noqa: ANN401 - any value that a caller logs
    """Escape every text in a value; what is neither text, number nor container becomes text."""
    match value:
        case str():
            return _UNSAFE.sub(lambda match: ascii(match[0])[1:-1], value)
        case dict():
            return {_escaped(key): _escaped(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType] - any
        case list() | tuple():
            return [_escaped(item) for item in value]  # pyright: ignore[reportUnknownVariableType] - any
        case None | bool() | float():
            return value
        case int():
            return value if value.bit_length() < 64 else str(value)  # noqa: PLR2004 - the integers of JSON writers
        case _:
            return _escaped(str(value))
