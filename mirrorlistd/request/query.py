"""Queries: the bytes after `?` -> a `Query`, or one `QueryError` with a readable message. Pure.

The rules are those of docs/selection.md, What is asked: values are percent-decoded and `+` is a plus; the order of
parameters does not matter; unknown ones are ignored; a parameter with an empty value counts as absent, and of several
with the same name the last one counts; a value is everything after the first `=` (docs/prior-defects.md, Defect 7).
Only `&` separates parameters. Parsing takes time linear in the number of bytes, which is bounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from mirrorlist_snapshot.countries import country_code
from mirrorlist_snapshot.country_names import place_called
from mirrorlistd.errors import QueryError
from mirrorlistd.request.client_address import parse_address
from mirrorlistd.request.escapes import kept

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mirrorlistd.request.client_address import Address

MAX_QUERY: Final = 8 * 1024
"""Bytes; the limit of common servers (nginx `large_client_header_buffers`, Apache `LimitRequestLine`)."""
MAX_PARAMETERS: Final = 100
"""Clients send three or four; each costs a microsecond."""
MAX_ESCAPES: Final = 2_048
"""Percent-escapes in a query; this bounds the cost of decoding, and is twice what the longest path can need."""
MAX_LIMIT: Final = 100
"""The largest number of mirrors that a client may ask for."""
MAX_COUNTRIES: Final = 64
"""Distinct countries in one `country=`; the largest continent has fewer."""
MAX_PROTOCOLS: Final = 8
_MAX_WORD: Final = 32
"""Characters of a protocol's or format's name."""

PARAMETERS: Final = frozenset(
    [
        "repo",
        "arch",
        "path",
        "file",
        "country",
        "protocol",
        "limit",
        "ip",
        "netblock",
        "redirect",
        "time",
        "comments",
        "format",
    ]
)
"""All known parameters."""
FILE_AS_SENT: Final = b"file-as-sent"
"""What `routes` writes instead of `file` for a path with escapes: the value, decoded once, is the path as sent."""
HASHED: Final = b"hashed"
"""The parameter that `routes` adds for a name that ends in `.sha256` or the like."""
_OFF: Final = frozenset((b"0", b"false", b"no", b"off"))
_BY_PRESENCE: Final = frozenset((b"netblock", b"redirect", b"time"))
_DIGITS: Final = len(str(MAX_LIMIT))
_COUNTRY_LETTERS: Final = 2
_LONGEST_NAME: Final = 48
"""Bytes of the name of a country."""
_WORD: Final = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-")
_SCHEME: Final = _WORD | frozenset(b"+.")
"""Characters of a URL scheme (RFC 3986 3.1), in lower case."""
_PREFERRED: Final = {"https": 0, "http": 1}
_CONTROL: Final = bytes((*range(0x20), 0x7F))
_DOTS: Final = frozenset((b".", b".."))


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A query in canonical form: queries for the same list are equal, however they are spelled."""

    repo: str | None = None
    """Any text; bytes that are not UTF-8 become U+FFFD, which no name contains."""
    arch: str | None = None
    """As `repo`."""
    path: bytes | None = None
    """Percent-decoded; no slash at either end, none doubled, no dot segments or control bytes. Empty: the top."""
    file: bytes | None = None
    """A path below the repository's directory, in the form of `path`; None for the directory itself."""
    directory: bool = False
    """Whether the path, or else the file, was written with a slash at its end."""
    sent: bytes = b""
    """The path, or else the file, in the client's own percent-encoding; empty where `escapes.quoted` gives the same."""
    countries: tuple[str, ...] = ()
    """Codes of countries, or of continents where no country has the code (`EU`); upper case, distinct, in the client's
    order. `UK` and `EL` are read as `GB` and `GR`."""
    everywhere: bool = False
    """Whether `global` is among the countries."""
    protocols: tuple[str, ...] = ()
    """Lower case, distinct: https, http, then the others sorted; empty for the default."""
    limit: int | None = None
    """1 to MAX_LIMIT mirrors."""
    ip: Address | None = None
    """The address that the list is for, instead of the client's."""
    netblock: bool = True
    """Whether the tiers of client netblocks and autonomous systems apply."""
    redirect: bool = False
    time: bool = False
    """Whether the list states when the snapshot was built."""
    comments: bool = True
    hashed: str = ""
    """`sha256` or the like of a file with such a suffix: if that hash is known, it is the answer, and no redirect."""
    format: str = ""
    """Lower-case name, not checked against the formats that exist; empty for the default."""


def parse_query(raw: bytes, *, flags_by_presence: bool = False) -> Query:
    """Parse the bytes after `?`; raise QueryError with the mistake.

    With `flags_by_presence` three parameters are read as MirrorManager reads them: `redirect` and `time` are on if they
    are present, even as `time=0`, and `netblock` is off with any value other than 1, even an empty one.
    """
    if len(raw) > MAX_QUERY:
        raise QueryError(f"the query is too long: at most {MAX_QUERY} bytes, as in ?repo=debian&arch=amd64")
    if raw.count(b"&") >= MAX_PARAMETERS:
        raise QueryError(f"the query has too many parameters: at most {MAX_PARAMETERS}, as in ?repo=debian&arch=amd64")
    if raw.count(b"%") > MAX_ESCAPES:
        raise QueryError(f"the query has too many percent-escapes: at most {MAX_ESCAPES}")
    values: dict[bytes, bytes] = {}
    sent: dict[bytes, bytes] = {}
    for part in raw.split(b"&"):
        name, _, value = part.partition(b"=")
        if b"%" in part:
            name, escaped, value = unquote_to_bytes(name), value, unquote_to_bytes(value)
            if name == FILE_AS_SENT:
                name, escaped, value = b"file", value, unquote_to_bytes(value)
            else:
                # These escapes belong to the query, not the path: a query must escape `&`, and clients escape `/` too.
                escaped = escaped.replace(b"%2F", b"/").replace(b"%2f", b"/").replace(b"%26", b"&")
        else:
            escaped = b""
        if value:
            sent[name] = escaped
        if flags_by_presence and name in _BY_PRESENCE:
            value = b"0" if name == b"netblock" and value != b"1" else b"1"
        if value:
            values[name] = value
    get = values.get
    path, file = get(b"path"), get(b"file")
    countries, everywhere = _countries(given) if (given := get(b"country")) else ((), False)
    return Query(
        repo=_text(given) if (given := get(b"repo")) else None,
        arch=_text(given) if (given := get(b"arch")) else None,
        path=_path(path) if path else None,
        file=_path(file) if file else None,
        directory=(path or file or b"").endswith(b"/"),
        sent=kept(sent.get(b"path" if path else b"file", b"")),
        countries=countries,
        everywhere=everywhere,
        protocols=_protocols(given) if (given := get(b"protocol")) else (),
        limit=_limit(given) if (given := get(b"limit")) else None,
        ip=_ip(given) if (given := get(b"ip")) else None,
        netblock=_flag(get(b"netblock"), absent=True),
        redirect=_flag(get(b"redirect"), absent=False),
        time=_flag(get(b"time"), absent=False),
        comments=_flag(get(b"comments"), absent=True),
        hashed=_format(given) if (given := get(HASHED)) else "",
        format=_format(given) if (given := get(b"format")) else "",
    )


def format_of(raw: bytes) -> str:
    """Return the format that a malformed query names; empty where it names none."""
    parts = raw.split(b"&", MAX_PARAMETERS)
    values = [part.removeprefix(b"format=") for part in parts if part.startswith(b"format=")]
    return next((value.decode("latin-1").lower() for value in reversed(values) if value), "")


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _flag(value: bytes | None, *, absent: bool) -> bool:
    return absent if value is None else value.lower() not in _OFF


def _path(value: bytes) -> bytes:
    """Normalise a path. Dot segments are refused, not resolved: no package client writes them."""
    if value.translate(None, _CONTROL) != value:
        raise QueryError("a path holds a control character; a path is written as path=pub/debian/dists")
    segments = [segment for segment in value.split(b"/") if segment]
    if not _DOTS.isdisjoint(segments):
        raise QueryError("a path holds a `.` or `..` segment; write the path itself, as in path=pub/debian/dists")
    return b"/".join(segments)


def _countries(value: bytes) -> tuple[tuple[str, ...], bool]:
    """Return distinct codes, and whether `global` was among them. Empty items are ignored."""
    # A dictionary is an ordered set. Bytes that are not ASCII fail isalpha() and stay out of the text.
    items = dict.fromkeys(value.upper().split(b","))
    items.pop(b"", None)
    everywhere = b"GLOBAL" in items
    items.pop(b"GLOBAL", None)
    if not all(len(item) == _COUNTRY_LETTERS and item.isalpha() for item in items):
        hint = "" if (meant := _meant(items)) is None else f"; did you mean country={meant}?"
        raise QueryError(f"country= takes two-letter codes or `global`, separated by commas, as in country=DE,FR{hint}")
    if len(items) > MAX_COUNTRIES:
        raise QueryError(f"country= takes at most {MAX_COUNTRIES} countries, as in country=DE,FR; ask for global")
    return tuple(dict.fromkeys(country_code(item.decode("ascii")) for item in items)), everywhere


def _meant(items: Iterable[bytes]) -> str | None:
    """Return the codes of countries and continents that are written by name or in three letters; None for others."""
    codes: dict[str, None] = {}
    for item in items:
        if len(item) > _LONGEST_NAME or len(codes) > MAX_COUNTRIES:
            return None
        is_code = len(item) == _COUNTRY_LETTERS and item.isalpha()
        code = country_code(item.decode()) if is_code else place_called(item.decode("utf-8", "replace"))
        if code is None:
            return None
        codes[code] = None
    return ",".join(codes)


def _protocols(value: bytes) -> tuple[str, ...]:
    """Return distinct protocols in canonical order. Empty items are ignored."""
    items = set(value.lower().split(b","))
    items.discard(b"")
    if not all(len(item) <= _MAX_WORD and _SCHEME.issuperset(item) for item in items):
        raise QueryError("protocol= takes names separated by commas, as in protocol=https,http")
    if len(items) > MAX_PROTOCOLS:
        raise QueryError(f"protocol= takes at most {MAX_PROTOCOLS} protocols, as in protocol=https,http")
    names = (item.decode("ascii") for item in items)
    return tuple(sorted(names, key=lambda name: (_PREFERRED.get(name, len(_PREFERRED)), name)))


def _limit(value: bytes) -> int:
    # isdigit() of bytes accepts ASCII digits alone.
    if len(value) <= _DIGITS and value.isdigit() and 1 <= (number := int(value)) <= MAX_LIMIT:
        return number
    raise QueryError(f"limit= takes a whole number from 1 to {MAX_LIMIT}, as in limit=20")


def _ip(value: bytes) -> Address:
    address = parse_address(value.decode("latin-1"))  # never fails; what is not ASCII is no address
    if address is None:
        raise QueryError("ip= takes one IPv4 or IPv6 address, as in ip=192.0.2.1 or ip=2001:db8::1")
    return address


def _format(value: bytes) -> str:
    name = value.lower()
    if len(name) > _MAX_WORD or not _WORD.issuperset(name):
        raise QueryError("format= takes a name of letters, digits and hyphens, as in format=json")
    return name.decode("ascii")
