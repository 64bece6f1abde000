"""The rule for base URLs: canonical form, or what is wrong with a URL and what was probably meant."""

from __future__ import annotations

import ipaddress
import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from mirrorlist_snapshot.source.rule_error import RuleError, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

PROTOCOLS: Final = ("https", "http", "ftp", "rsync")
"""URL schemes that a mirror may offer, in the order of preference."""
MAX_URL: Final = 2000
"""Characters in a base URL: every client accepts as many."""
_MAX_HOST: Final = 255
"""Characters in a DNS name."""
_MAX_PORT: Final = 0xFFFF
_DEFAULT_PORT: Final = {"https": 443, "http": 80, "ftp": 21, "rsync": 873}

_PARTS: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/]*)(.*)")
_PATH: Final = re.compile(r"(?:[A-Za-z0-9._~!$&()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")
_HOST: Final = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.?")
_MODULE: Final = re.compile(r"(?:rsync:/*)?(?:[^/:@\[\]]+@)?([^/:@\[\]]+)::([^/:].*)", re.IGNORECASE)
"""rsync's own form, `host::module/path`."""
_PORT_MODULE: Final = re.compile(r"rsync://([^/:@\[\]]+):([^/:0-9][^:]*)", re.IGNORECASE)
"""A mixture of rsync's two forms, `rsync://host:module`."""
_NEARLY: Final = re.compile(r"([A-Za-z]{3,6})(?:[;:]+/*|//+)([^/:;].*)")
"""A protocol that is misspelt, or followed by too few or too many slashes."""
_BARE_IPV6: Final = re.compile(r"([a-z]+://)([0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)(/.*)?")


def url(text: str) -> str:
    """Return a base URL in canonical form: lower-case host, no default port, single slashes, ASCII, ending in `/`."""
    try:
        return _canonical(text)
    except RuleError as error:
        meant = _meant(text)
        if meant is None or "clients need it as" in str(error):
            raise
        raise RuleError(f"{error}; did you mean {shown(meant)}?") from None


def _canonical(text: str) -> str:
    if len(text) > MAX_URL:
        raise RuleError(f"the URL has {len(text)} characters; at most {MAX_URL} are allowed")
    if any(not char.isprintable() or char in " \"'<>\\" for char in text):
        raise RuleError(f"the URL {shown(text)} has a space, quote, bracket, backslash or control character")
    parts = _PARTS.fullmatch(text)
    if parts is None or (scheme := parts[1].lower()) not in PROTOCOLS:
        raise RuleError(f"the URL {shown(text)} has no known protocol; allowed: {', '.join(PROTOCOLS)}")
    if "?" in text or "#" in text:
        raise RuleError(f"the URL {shown(text)} has a query or fragment; paths are appended, so it must have neither")
    if "@" in parts[2]:
        raise RuleError(f"the URL {shown(text)} has a user name; lists are public")
    if parts[2].rstrip(":").lower() in PROTOCOLS and parts[3].startswith("//"):
        raise RuleError(f"the URL {shown(text)} has two protocols")
    host, port = _split_port(parts[2], text)
    host = _host(host, text)
    if port is not None and port != _DEFAULT_PORT[scheme]:
        host = f"{host}:{port}"
    return f"{scheme}://{host}{_path(parts[3], text)}"


def _split_port(authority: str, text: str) -> tuple[str, int | None]:
    """Split host and port; an IPv6 address keeps its brackets."""
    match = re.fullmatch(r"(\[[^\[\]]*\])(?::(.*))?|([^:\[\]]*)(?::(.*))?", authority)
    if match is None:
        raise RuleError(f"the URL {shown(text)} has brackets that do not enclose an IPv6 address")
    host, port = match[1] or match[3], match[2] or match[4]
    if not port:
        return host, None
    if "::" in authority and match[1] is None and port.startswith(":"):
        raise RuleError(f"the URL {shown(text)} has `::` after its host, which is no part of a URL")
    if ":" in port:
        raise RuleError(f"the URL {shown(text)} has several colons in its host; an IPv6 address needs brackets")
    if not (port.isascii() and port.isdigit()):
        raise RuleError(f"the URL {shown(text)} has a port that is not a number, {shown(port)}")
    if len(port) > 2 * len(str(_MAX_PORT)) or not 1 <= int(port) <= _MAX_PORT:
        raise RuleError(f"the URL {shown(text)} has a port outside of 1 to {_MAX_PORT}")
    return host, int(port)


def _host(host: str, text: str) -> str:
    if not host:
        raise RuleError(f"the URL {shown(text)} has no host")
    if host.startswith("["):
        try:
            if "%" not in host:  # a zone is valid on one machine only
                return f"[{ipaddress.IPv6Address(host[1:-1])}]"
            raise ValueError  # noqa: TRY301 - same complaint
        except ValueError:
            raise RuleError(f"the URL {shown(text)} has a malformed IPv6 address as its host") from None
    if not host.isascii():
        ascii_host = _ascii(host)
        hint = f"; clients need it as {ascii_host}" if ascii_host else ", which has no form in ASCII"
        raise RuleError(f"the URL {shown(text)} has a non-ASCII host{hint}")
    host = host.lower()
    if len(host) > _MAX_HOST or not _HOST.fullmatch(host):
        raise RuleError(f"the URL {shown(text)} has a malformed host")
    if re.fullmatch(r"[0-9]+|.*\.[0-9]+", host):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise RuleError(f"the URL {shown(text)} has a malformed IPv4 address as its host") from None
    return host


def _ascii(host: str) -> str | None:
    """Return an international host name in ASCII (IDNA), None if it has no such form."""
    try:
        found = host.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return None
    return found if _HOST.fullmatch(found) else None


def _path(text_path: str, text: str) -> str:
    # Non-ASCII characters have exactly one encoding in use, so they are encoded; ASCII ones may mean anything.
    found = "".join(char if char.isascii() else quote(char) for char in text_path)
    if not _PATH.fullmatch(found):
        raise RuleError(
            f"the URL {shown(text)} has a character that must be percent-encoded, or a % without two digits"
        )
    if any(segment.replace("%2e", ".") in {".", ".."} for segment in found.lower().split("/")):
        raise RuleError(f"the URL {shown(text)} has a `.` or `..` segment; write the path out")
    return re.sub("/{2,}", "/", f"{found}/")


def _meant(text: str) -> str | None:
    """Return the URL that was probably meant, in canonical form; None if that is not known."""
    if len(text) > MAX_URL:
        return None
    for candidate in _candidates(text.strip().strip("<>\"'`").strip().replace("\\", "/")):
        try:
            return _canonical(candidate)
        except RuleError:
            continue
    return None


def _candidates(text: str) -> Iterator[str]:
    yield text
    yield re.sub(r"\A[A-Za-z]+:/*(?=[A-Za-z]+://)", "", text)
    if module := _MODULE.fullmatch(text) or _PORT_MODULE.fullmatch(text):
        yield f"rsync://{module[1]}/{module[2]}"
    if (nearly := _NEARLY.fullmatch(text)) and (close := get_close_matches(nearly[1].lower(), PROTOCOLS, 1)):
        yield f"{close[0]}://{nearly[2]}"
    bare = text.lstrip("/")
    if "://" not in text and re.match(r"[^/:]+\.[^/:]+", bare):
        yield f"https://{bare}"
    if address := _BARE_IPV6.fullmatch(text):
        yield f"{address[1]}[{address[2]}]{address[3] or ''}"
    parts = _PARTS.fullmatch(text)
    if parts is None:
        return
    host = _ascii(parts[2])
    if host:
        yield f"{parts[1]}://{host}{parts[3]}"
    yield f"{parts[1]}://{parts[2].rpartition('@')[2]}{parts[3]}"
    yield re.split("[?#]", text, maxsplit=1)[0]
    if "{" not in text:  # a placeholder, which a URL cannot have
        yield f"{parts[1]}://{parts[2]}{quote(parts[3], safe='/%:@!$&()*+,;=~')}"
