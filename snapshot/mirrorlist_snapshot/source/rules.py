"""Rules for single values of all sources: each takes a value and returns it in canonical form, or raises RuleError.

The text of a RuleError is the second half of a complaint: what was found and what is allowed. Rules about several
values are in `checks`.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from mirrorlist_snapshot.country_names import continent_named, country_named, country_written, is_continent
from mirrorlist_snapshot.duration import parse_duration
from mirrorlist_snapshot.embedded_ipv4 import canonical
from mirrorlist_snapshot.format import MAX_TIME
from mirrorlist_snapshot.model import BANDWIDTH_RANGE, CONTINENTS, MAX_ABOUT_TEXT
from mirrorlist_snapshot.source.rule_error import RuleError, number, shown
from mirrorlist_snapshot.source.urls import MAX_URL, PROTOCOLS, url

# Rules and words of other modules, for the users of this one; everything below is public, too.
__all__ = ["MAX_URL", "PROTOCOLS", "RuleError", "number", "shown", "url"]

MAX_NAME: Final = 255
"""Characters in a name: what a DNS name may have."""
MAX_PATH: Final = 1024
"""Bytes in a path below a category's top: a quarter of PATH_MAX, and still a readable URL."""
MAX_ASN: Final = 0xFFFF_FFFF
MAX_SIZE: Final = (1 << 63) - 1
"""Bytes in a file: sizes are signed 64-bit integers in every client."""
HASH_DIGITS: Final = {"md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}
"""Hexadecimal digits of each kind of hash."""
AUTO: Final = "auto"
"""In the place of a mirror's country: that of its host's address."""

MIN_LAG: Final = 60
MAX_LAG: Final = 366 * 86_400
"""Seconds in the keys that say how old a mirror's version may be."""

_MAIL: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+")
"""A mail address that can stand in an HTTP header's comment."""
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.~+:@-]*")
_MIRROR_NAME: Final = re.compile(r"[\x21-\x7e]+")


def name(text: str) -> str:
    """Check the name of a repository, architecture or category: it occurs in URL queries and comment lines."""
    if len(text) > MAX_NAME:
        raise RuleError(f"the name has {len(text)} characters; at most {MAX_NAME} are allowed")
    if not _NAME.fullmatch(text):
        raise RuleError(
            f"{shown(text)} cannot be a name; use ASCII letters, digits and . _ - ~ + : @, a letter or digit first"
        )
    return text


def mirror_name(text: str) -> str:
    """Check a mirror's name: printable ASCII without spaces, e.g. `ftp.example.org` or `ftp.example.org/debian`."""
    if len(text) > MAX_NAME:
        raise RuleError(f"the name has {len(text)} characters; at most {MAX_NAME} are allowed")
    if not _MIRROR_NAME.fullmatch(text):
        raise RuleError(f"{shown(text)} cannot be a mirror's name; use printable ASCII without spaces")
    return text


def path(text: str) -> str:
    """A path below a category's top, possibly empty: slashes at the ends trimmed, repeated ones collapsed."""
    segments = [segment for segment in text.split("/") if segment]
    if "." in segments or ".." in segments:
        raise RuleError(f"the path {shown(text)} has a `.` or `..` segment; write the path out")
    if not text.isprintable():
        raise RuleError(f"the path {shown(text)} has a control or other unprintable character")
    if (length := len(text.encode())) > MAX_PATH:
        raise RuleError(f"the path has {length} bytes; at most {MAX_PATH} are allowed")
    return "/".join(segments)


def some_path(text: str) -> str:
    """Check a path that must not be empty: a file, or a prefix of `exclude`."""
    if not (found := path(text)):
        raise RuleError(f"the path {shown(text)} is empty; name something below the category's top")
    return found


def path_template(text: str) -> str:
    """Check a path in which `{arch}` is replaced by the architecture; no other braces are allowed."""
    rest = text.replace("{arch}", "")
    if "{" in rest or "}" in rest:
        raise RuleError(f"the path {shown(text)} has braces other than {{arch}}, the only placeholder")
    return path(text)


def master(text: str) -> str:
    """Return where a tree's current state is read, in canonical form: an http(s) URL ending in `/`, or a folder."""
    if "://" in text:
        found = url(text)
        if not found.startswith(("http://", "https://")):
            raise RuleError(f"the prober cannot read {shown(text)}; give a URL of http or https, or a local folder")
        return found
    if not text.startswith("/"):
        raise RuleError(f"{shown(text)} is neither a URL nor the absolute path of a folder, such as /srv/pub/epel")
    return f"/{path(text)}"


def contact(text: str) -> str:
    """Return whom mirrors may ask about the prober: an http(s) URL or a mail address."""
    if "://" in text:
        if (found := url(text)).startswith(("http://", "https://")):
            return found
    elif _MAIL.fullmatch(address := text.removeprefix("mailto:")) and len(address) <= MAX_NAME:
        return address
    raise RuleError(f"{shown(text)} is neither a web page nor a mail address, such as mirrors@example.org")


def lag(text: str) -> int:
    """Return the seconds of a duration for which a superseded version is still good for something."""
    try:
        return parse_duration(text, MIN_LAG, MAX_LAG)
    except ValueError as error:
        raise RuleError(str(error)) from None


def country(text: str) -> str:
    """Return the ISO 3166-1 alpha-2 code of a country: written as this code in any case, UK or EL, or by its name."""
    if (code := country_written(text)) is not None:
        return code
    if is_continent(text):
        raise RuleError(f"{shown(text)} is a continent, not a country; use the two letters of a country")
    if named := country_named(text):
        raise RuleError(f"{shown(text)} is not an ISO 3166 country code; did you mean {shown(named)}?")
    raise RuleError(f'{shown(text)} is not a country code; use the two letters of ISO 3166, such as "DE" or "US"')


def mirror_country(text: str) -> str:
    """Return a mirror's country as `country` does, or AUTO."""
    try:
        return AUTO if text.strip().lower() == AUTO else country(text)
    except RuleError as error:
        continent_hint = 'for a mirror of which only the continent is known, write continent = "EU" instead'
        raise RuleError(f"{error}; {continent_hint}" if is_continent(text) else str(error)) from None


def continent(text: str) -> str:
    """Return a continent's code, in any case, in upper case."""
    if (code := text.upper()) in CONTINENTS:
        return code
    named = continent_named(text)
    hint = f"did you mean {shown(named)}?" if named else f"allowed: {', '.join(CONTINENTS)}"
    raise RuleError(f"{shown(text)} is not a continent; {hint}")


def bandwidth(value: int) -> int:
    """Check a bandwidth in Mbit/s."""
    low, high = BANDWIDTH_RANGE
    if low <= value <= high:
        return value
    raise RuleError(f"found {number(value)}; allowed are {low} to {high} Mbit/s")


def asn(value: str | int) -> int:
    """Return the number of an autonomous system, written 680, "680" or "AS680"; 0 means unknown and is refused."""
    if isinstance(value, str):
        digits = value[2:] if value[:2].upper() == "AS" else value
        if not (digits.isascii() and digits.isdigit() and len(digits) <= len(str(MAX_ASN))):
            raise RuleError(f'{shown(value)} is not an AS number; write 680 or "AS680"')
        value = int(digits)
    if 1 <= value <= MAX_ASN:
        return value
    raise RuleError(f"AS number {number(value)} does not exist; allowed are 1 to {MAX_ASN}")


def about_text(text: str) -> str:
    """Return a text for people in one line: spaces and line breaks count as one space."""
    found = " ".join(text.split())
    if not found.isprintable():
        raise RuleError(f"{shown(found)} has a control or other unprintable character")
    if len(found) > MAX_ABOUT_TEXT:
        raise RuleError(f"the text has {len(found)} characters; at most {MAX_ABOUT_TEXT} are allowed")
    return found


def link(text: str) -> str:
    """Check the URL of a page or picture."""
    if not re.fullmatch(r"https?://[!#-;=?-\[\]_a-z~]+", text) or len(text) > MAX_ABOUT_TEXT:
        raise RuleError(f"{shown(text)} is not a URL; write https://HOST/PATH with other characters percent-encoded")
    return text


def degrees(most: int, value: float) -> float:
    """Return degrees of latitude or longitude, at most `most` to either side, in steps of 0.0001 (11 metres)."""
    if -most <= value <= most:
        return round(value, 4)
    raise RuleError(f"found {value:g}; allowed are -{most} to {most} degrees")


def timestamp(value: int) -> int:
    """Check a file's time in seconds since 1970 UTC; a time in milliseconds is beyond the year 9999."""
    if 0 <= value <= MAX_TIME:
        return value
    raise RuleError(f"found {number(value)}; allowed are seconds since 1970, 0 to {MAX_TIME}")


def size(value: int) -> int:
    """Check a file's size in bytes."""
    if 0 <= value <= MAX_SIZE:
        return value
    raise RuleError(f"found {number(value)}; allowed are 0 to {MAX_SIZE} bytes")


def digest(kind: str, text: str) -> str:
    """Return a hash of hexadecimal digits in lower case."""
    if re.fullmatch(r"[0-9a-fA-F]+", text) and len(text) == HASH_DIGITS[kind]:
        return text.lower()
    raise RuleError(f"{shown(text)} is no {kind}: it has {HASH_DIGITS[kind]} hexadecimal digits")


def prefix(text: str) -> str:
    """Return canonical CIDR notation. A bare address is a network of one, and IPv4 inside IPv6 is IPv4.

    Raise RuleError for bits behind the prefix: they are a mistake, not a rounding.
    """
    address, slash, length = text.partition("/")
    try:
        if "%" in text or (slash and not (length.isascii() and length.isdigit())):
            raise ValueError  # noqa: TRY301 - zone names and netmasks are no prefix lengths; same complaint
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise RuleError(f"{shown(text)} is not a netblock; write it as 192.0.2.0/24 or 2001:db8::/32") from None
    if network.network_address != ipaddress.ip_address(address):
        raise RuleError(f"{shown(text)} has bits set behind the prefix; the netblock that holds it is {network}")
    try:
        return str(canonical(network))
    except ValueError as error:
        raise RuleError(f"{error}; name IPv4 networks") from None


def client_prefix(text: str) -> str:
    """Check a prefix whose clients a mirror serves first: any but /0."""
    found = prefix(text)
    if found.endswith("/0"):
        raise RuleError(f"{shown(text)} holds every client; a mirror for all clients needs no netblock")
    return found
