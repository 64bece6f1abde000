"""The log: text for people at a terminal, one JSON object a line for everything else.

One pipeline for our own events and for what libraries say through `logging`, uvicorn above all. Three rules:
an event is one line, or in text one line and an indented traceback; no value can forge a line or steer a
terminal, so control characters are escaped; and a log that cannot be written never stops an answer.
"""

from __future__ import annotations

import json
import logging
import os
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from typing import TextIO

    from structlog.typing import EventDict, FilteringBoundLogger, Processor

LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
"""Names of the levels that can be configured, with their numbers in `logging`."""

STRANGERS_NOISE: Final = (
    "Unsupported upgrade request.",
    "Invalid HTTP request received.",
    "No supported WebSocket",
)
"""How uvicorn's warnings about single odd requests begin. Any stranger could fill the disk with them, and
ostree sends `Upgrade: h2c` as a matter of course: logged at debug."""

_UNSAFE: Final = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028-\\u202e\\u2066-\\u2069\\ud800-\\udfff]")
"""Control characters (C0, DEL, C1), line separators, changes of writing direction, half surrogate pairs."""
_UNSAFE_IN_JSON: Final = re.compile("[\\x7f-\\x9f\\u2028-\\u202e\\u2066-\\u2069]")
"""Those of the above that a JSON writer leaves alone."""


def configure(log_format: str, level: str, stream: TextIO) -> None:
    """Send the log to a stream: `log_format` is auto, text or json (see Config), `level` a name in LEVELS.

    May be called again, on reload; every logger follows, except those that `bind()` has already made.
    """
    import structlog  # noqa: PLC0415 - slow to import, and signals must be handled before

    terminal = stream.isatty()
    text = log_format == "text" or (log_format == "auto" and terminal)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            *(_text(colours=terminal and not os.environ.get("NO_COLOR")) if text else [_json]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_: _Lines(stream),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if not isinstance(handler, _FromLogging)]
    root.addHandler(_FromLogging())
    # Libraries tell their own story at info; ours says what an operator needs of it.
    root.setLevel(logging.DEBUG if level == "debug" else logging.WARNING)
    logging.getLogger("uvicorn.access").disabled = True


def get_logger() -> FilteringBoundLogger:
    """Return our logger: `log.info("reloaded", serial=7, seconds=0.08)`; cheap where the level is off."""
    import structlog  # noqa: PLC0415 - as above

    logger: FilteringBoundLogger = structlog.get_logger()
    return logger


class _Lines:
    """Writes finished lines; a full disk, a closed pipe or a poor encoding lose lines, not requests."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def _write(self, line: str) -> None:
        try:
            try:
                self._stream.write(f"{line}\n")
            except UnicodeEncodeError:
                # JSON's own escapes, so that a line of JSON stays one.
                self._stream.write(re.sub("[^\\x00-\\x7f]", lambda match: json.dumps(match[0])[1:-1], line) + "\n")
            self._stream.flush()
        except (OSError, ValueError):  # ValueError: the stream is closed
            pass

    debug = info = warning = error = critical = _write


class _FromLogging(logging.Handler):
    """Hands what libraries log to our pipeline."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage().strip()
            noise = record.name == "uvicorn.error" and message.startswith(STRANGERS_NOISE)
            level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
            fields = {"exc_info": record.exc_info} if record.exc_info else {}
            get_logger().log(logging.DEBUG if noise else level, message, logger=record.name, **fields)
        except Exception:  # noqa: BLE001 - as every Handler: a malformed record must not hurt who logged it
            self.handleError(record)


def _json(_logger: object, _method: str, event: EventDict) -> str:
    import orjson  # noqa: PLC0415 - as above

    ordered = {key: event.pop(key) for key in ("timestamp", "level", "event")} | dict(event)
    try:
        line = orjson.dumps(ordered, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # what UTF-8 cannot hold, e.g. a file's name in another encoding, or an integer past 64 bits
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
    """Escape in every text within; what is neither text, number nor container becomes text."""
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
