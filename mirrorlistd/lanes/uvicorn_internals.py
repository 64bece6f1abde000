"""The names of uvicorn that the server uses and that uvicorn does not document: all of them, for one minor version.

Every other module imports private names from here. Importing this module raises StateError where another minor version
of uvicorn is installed, before a name that it lacks can fail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import uvicorn

from mirrorlistd.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Mapping

TESTED_VERSION: Final = (0, 54)
"""The minor version of uvicorn that the tests run with; `pyproject.toml` allows no other one."""

METHODS: Final[Mapping[str, tuple[str, ...]]] = {
    "HttpToolsProtocol": (
        *("connection_made", "connection_lost", "data_received", "pause_writing", "resume_writing", "shutdown"),
        *("on_message_begin", "on_headers_complete", "on_message_complete", "on_response_complete"),
        *("send_400_response", "_unsupported_upgrade_warning"),
    ),
    "Server": ("startup", "shutdown", "capture_signals", "handle_exit", "on_tick"),
}
"""Class -> methods that the server calls or overrides."""
ATTRIBUTES: Final[Mapping[str, tuple[str, ...]]] = {
    "HttpToolsProtocol": ("connections", "cycle", "headers", "parser", "timeout_keep_alive", "transport", "url"),
    "RequestResponseCycle": ("response_complete", "keep_alive", "disconnected"),
    "Server": ("config", "force_exit", "server_state", "servers", "should_exit", "started"),
    "ServerState": ("connections", "default_headers"),
}
"""Class -> attributes of its instances that the server reads or writes."""


def check_version(version: str) -> None:
    """Raise StateError unless a version of uvicorn is the tested one."""
    tested = ".".join(map(str, TESTED_VERSION))
    if not version.startswith(f"{tested}."):
        following = f"{TESTED_VERSION[0]}.{TESTED_VERSION[1] + 1}"
        raise StateError(
            f"uvicorn {version} is installed, but the server uses parts of uvicorn {tested} that other versions "
            f"change; install 'uvicorn>={tested},<{following}'"
        )


check_version(uvicorn.__version__)

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol  # noqa: E402 - once the version is known
from uvicorn.server import ServerState  # noqa: E402 - as above

__all__ = ["STATUS_LINE", "HttpToolsProtocol", "ServerState"]
