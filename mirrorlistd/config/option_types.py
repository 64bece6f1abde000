"""Kinds of values: the texts that an option takes, and the values that they become. Pure."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.console import parse_real, parse_whole
from mirrorlist_snapshot.embedded_ipv4 import LENGTHS, OwnPrefixes
from mirrorlist_snapshot.errors import StoreError
from mirrorlist_snapshot.publishing.stores import split_url

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_WORKERS: Final = 256
"""More than the processors of a large machine."""

SHORTEST_PULL: Final = 0.1
LONGEST_PULL: Final = 86400.0
"""Seconds between two requests to a store."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How a value is read from text. A TOML value must be of one of the `native` types before it becomes text."""

    allowed: str
    native: tuple[type, ...]
    parse: Callable[[str], object]
    """Raises ValueError or KeyError where the text is not allowed."""


def whole(low: int, high: int) -> Kind:
    """A whole number in a range, both ends included."""
    return Kind(f"a whole number from {low} to {high}", (int,), lambda text: parse_whole(text, low, high))


def seconds(high: float, low: float = 0) -> Kind:
    """A number of seconds from `low` up to `high`."""
    return Kind(f"a number of seconds from {low:g} to {high:g}", (int, float), lambda text: parse_real(text, low, high))


def one_of(*words: str) -> Kind:
    """One of these words, in any case."""

    def parse(text: str) -> str:
        if (word := text.lower()) not in words:
            raise ValueError(text)
        return word

    return Kind(" or ".join(words), (str,), parse)


def _path(text: str) -> Path:
    if not text or "\0" in text:
        raise ValueError(text)
    return Path(text)


def _address(text: str) -> str:
    return str(ipaddress.ip_address(text))


def _network(text: str) -> str:
    return str(ipaddress.ip_network(text))


def _header(text: str) -> str:
    name = text.lower()
    # Forwarded (RFC 7239) has a grammar of its own: it is not a list of addresses.
    if name == "forwarded" or not re.fullmatch(r"[a-z0-9!#$%&'*+.^_`|~-]+", name):
        raise ValueError(text)
    return name


def _host(text: str) -> str:
    if not re.fullmatch(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?", text):
        raise ValueError(text)
    return text.lower()


def _url(text: str) -> str:
    if not re.fullmatch(r"https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~/-]*)?", text):
        raise ValueError(text)
    return text.rstrip("/")


def _store_url(text: str) -> str:
    try:
        split_url(text)
    except StoreError as error:
        raise ValueError(text) from error
    return text


def _template(text: str) -> str:
    if not text.startswith("/") or "->" not in text:  # `routes` reads the rest
        raise ValueError(text)
    return "".join(text.split())


def _layout(text: str) -> str:
    layout = text.strip("/")
    if not re.fullmatch(r"(?:(?:\$repo|\$arch|[A-Za-z0-9._~+-]+)/?)+", layout) or ".." in layout.split("/"):
        raise ValueError(text)
    return layout


def _nat64_prefix(text: str) -> str:
    OwnPrefixes.parse([text])
    return _network(text)


def _proxy(text: str) -> str:
    return "unix" if text.lower() == "unix" else _network(text)


def _mode(text: str) -> int:
    if not re.fullmatch(r"0?[0-7]{3}", text):
        raise ValueError(text)
    return int(text, 8)


def _workers(text: str) -> int:
    return 0 if text.lower() == "auto" else parse_whole(text, 0, MAX_WORKERS)


_WORDS: Final = {True: ("true", "yes", "on", "1"), False: ("false", "no", "off", "0")}
_BOOL: Final = {word: value for value, words in _WORDS.items() for word in words}

PATH: Final = Kind("a path", (str,), _path)
PERCENT: Final = Kind("a percentage from 0 to 100", (int, float), lambda text: parse_real(text, 0, 100))
FLAG: Final = Kind("true or false", (bool,), lambda text: _BOOL[text.lower()])
ADDRESS: Final = Kind("an address such as 127.0.0.1 or :: (no name, no port)", (str,), _address)
NETWORK: Final = Kind("a network such as 10.0.0.0/8 (no bits after the prefix) or an address", (str,), _network)
NAT64_PREFIX: Final = Kind(
    f"an IPv6 network with a prefix of {', '.join(map(str, LENGTHS))} bits", (str,), _nat64_prefix
)
PROXY: Final = Kind(f"unix, or {NETWORK.allowed}", (str,), _proxy)
URL: Final = Kind("a URL such as https://mirrors.example.org", (str,), _url)
HOST: Final = Kind("a host such as cdn.example.org or cdn.example.org:8443", (str,), _host)
STORE_URL: Final = Kind(
    "a URL such as s3://bucket/mirrors.mls or https://host/mirrors.mls, without user, password or query",
    (str,),
    _store_url,
)
MODE: Final = Kind('an octal mode from "000" to "777", such as "660" (in TOML as text)', (str,), _mode)
LAYOUT: Final = Kind("a path such as $repo/os/$arch or $arch/$repo", (str,), _layout)
TEMPLATE: Final = Kind("a template such as /{version}/{repo}->repo={repo}-{version}", (str,), _template)
WORKERS: Final = Kind(f"a whole number from 1 to {MAX_WORKERS}, or auto", (int, str), _workers)
HEADER: Final = Kind("a header such as x-forwarded-for (but not RFC 7239's forwarded)", (str,), _header)
