"""One transfer by libcurl: a request to one address, and what came of it. Nothing is followed, nothing inflated."""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import ssl
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import pycurl

from mirrorlist_admin.exchange import LONGEST_WAIT, Failure
from mirrorlist_admin.units import LONGEST_HEAD

if TYPE_CHECKING:
    from mirrorlist_admin.exchange import Request
    from mirrorlist_admin.netguard import Netguard

_SLOW: Final = 200
"""Bytes a second: less than that for a while is as good as nothing."""
_HEADERS: Final = 100
"""Header lines that are read; more are ignored."""
_WANTED: Final = {b"etag", b"last-modified", b"location", b"retry-after"}
_OURS: Final = {
    *(errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM),
    *(errno.EPERM, errno.EACCES, errno.ENETDOWN, errno.EAFNOSUPPORT),
}
"""Errors of our own machine or network: nothing is concluded from them."""
_CAUSES: Final = {
    pycurl.E_COULDNT_CONNECT: "refused",
    pycurl.E_OPERATION_TIMEDOUT: "timeout",
    pycurl.E_SSL_CONNECT_ERROR: "TLS",
    pycurl.E_PEER_FAILED_VERIFICATION: "certificate",
    pycurl.E_GOT_NOTHING: "no answer",
    pycurl.E_RECV_ERROR: "reset",
    pycurl.E_SEND_ERROR: "reset",
    pycurl.E_PARTIAL_FILE: "cut off",
    pycurl.E_WRITE_ERROR: "too large",
}
_HOST: Final = {"refused", "timeout", "TLS", "certificate", "no answer", "reset", "unreachable"}
"""Causes that are the host's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a transfer may take, in seconds."""

    connect: int = 10
    """For a connection, TLS included."""
    slow: int = 10
    """With less than _SLOW bytes a second."""
    whole: int = 60


@dataclass(slots=True)
class Received:
    """What arrived."""

    most: int
    lines: int = 0
    headers: dict[bytes, str] = field(default_factory=dict[bytes, str])
    head: bytearray = field(default_factory=bytearray)
    size: int = 0
    hash: Any = None

    def header(self, line: bytes) -> None:
        """Take a line of the head."""
        self.lines += 1
        name, colon, value = line.partition(b":")
        if not colon:
            if line.startswith(b"HTTP/"):  # after an interim answer the head begins again
                self.headers.clear()
        elif self.lines <= _HEADERS and (name := name.strip().lower()) in _WANTED:
            self.headers[name] = value.strip().decode("latin-1")

    def body(self, data: bytes) -> int:
        """Take bytes of the body; refuse them beyond the limit."""
        self.size += len(data)
        if self.size > self.most:
            return -1
        if self.hash is None:
            self.hash = hashlib.sha256()
        self.hash.update(data)
        if len(self.head) < LONGEST_HEAD:
            self.head += data[: LONGEST_HEAD - len(self.head)]
        return len(data)

    def wait(self, now: float) -> int:
        """Return the seconds of Retry-After, a number or a date; 0 without one."""
        text = self.headers.get(b"retry-after", "")
        try:
            seconds = int(text) if text.isdigit() else parsedate_to_datetime(text).timestamp() - now if text else 0
        except (ValueError, OverflowError, TypeError, IndexError):
            return 0
        return int(min(max(seconds, 0), LONGEST_WAIT))


def prepare(handle: pycurl.Curl, request: Request, url: str, address: str, guard: Netguard) -> Received:
    """Set a handle up for a request to one address, whatever the host's name resolves to."""
    received = Received(request.most)
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    place = f"[{address}]" if ":" in address else address
    set_option = handle.setopt
    set_option(pycurl.URL, url)
    set_option(pycurl.CONNECT_TO, [f"::{place}:{port}"])
    set_option(pycurl.OPENSOCKETFUNCTION, _opener(address, guard))
    set_option(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
    set_option(pycurl.PROXY, "")
    set_option(pycurl.NOSIGNAL, 1)
    set_option(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
    set_option(pycurl.PATH_AS_IS, 1)
    headers = ["Accept-Encoding: identity", "Accept: */*"]
    if request.etag:
        headers.append(f"If-None-Match: {request.etag}")
    elif request.modified:
        headers.append(f"If-Modified-Since: {request.modified}")
    set_option(pycurl.HTTPHEADER, headers)
    set_option(pycurl.NOBODY, int(request.head_only))
    set_option(pycurl.HEADERFUNCTION, received.header)
    set_option(pycurl.WRITEFUNCTION, received.body)
    if url.startswith("https:"):
        _trust(handle)
    return received


def limit(handle: pycurl.Curl, patience: Patience) -> None:
    """Bound how long a transfer may take."""
    handle.setopt(pycurl.CONNECTTIMEOUT, patience.connect)
    handle.setopt(pycurl.TIMEOUT, patience.whole)
    handle.setopt(pycurl.LOW_SPEED_LIMIT, _SLOW)
    handle.setopt(pycurl.LOW_SPEED_TIME, patience.slow)


def failure_of(handle: pycurl.Curl, code: int, text: str, address: str) -> Failure:
    """Return what an error of curl says about the mirror."""
    number = int(handle.getinfo(pycurl.OS_ERRNO))
    cause = _CAUSES.get(code, "protocol")
    if code == pycurl.E_COULDNT_CONNECT:
        if number in _OURS:
            return Failure(cause="own network", evidence=f"{os.strerror(number)}: {address}", certain=False, host=True)
        if number != errno.ECONNREFUSED and number:
            cause = "unreachable"
        evidence = f"{os.strerror(number).lower() if number else 'no connection'} by {address}"
    elif code == pycurl.E_OPERATION_TIMEDOUT:
        evidence = f"no whole answer in time from {address}"
    else:
        evidence = f"{text or cause} ({address})"
    return Failure(cause=cause, evidence=evidence[:200], host=cause in _HOST)


class _Descriptor:
    """A socket for pycurl, which takes a duplicate of it: ours is closed when pycurl lets go of it."""

    def __init__(self, number: int) -> None:
        self._number = number

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._number

    def __del__(self) -> None:
        os.close(self._number)


def _opener(expected: str, guard: Netguard) -> Any:  # noqa: ANN401 - pycurl's own
    """Return the function that makes curl's sockets: the last look at the address before anything is sent."""

    def open_socket(_purpose: int, target: Any) -> Any:  # noqa: ANN401 - pycurl's own
        family, kind, protocol, place = target
        address = place[0].decode() if isinstance(place[0], bytes) else place[0]
        if address != expected or guard.refusal(address) is not None:
            return pycurl.SOCKET_BAD
        return _Descriptor(socket.socket(family, kind, protocol).detach())

    return open_socket


def _trust(handle: pycurl.Curl) -> None:
    """Trust the certificates that Python trusts: curl's wheel has none of its own."""
    paths = ssl.get_default_verify_paths()
    if file := os.environ.get(paths.openssl_cafile_env) or paths.cafile:
        handle.setopt(pycurl.CAINFO, file)
    if folder := os.environ.get(paths.openssl_capath_env) or paths.capath:
        handle.setopt(pycurl.CAPATH, folder)
