"""Which paths are lists, and which parameters each implies: path and query -> one canonical query. Pure.

Everything behind this module works on the canonical query and never on a path:

    /mirrorlist?repo=debian                the query as it is; any path that ends so
    /metalink?repo=epel-9&arch=x86_64      format=metalink; any path that ends so
    /mirrors/debian.txt                    repo=debian, format=apt: for clients that take no query
    /mirrors/debian/amd64.txt              the same with arch=amd64
    /mirrors/debian/DE.txt                 the same with country=DE; /mirrors/DE.txt: of the only repository
    /r/debian/dists/stable/InRelease       repo=debian, file=dists/stable/InRelease, redirect=1
    /r/epel-9:x86_64/repodata/repomd.xml   the same with arch=x86_64
    /r/debian/dists/stable/InRelease.meta4 format=metalink4 of that file (.metalink: version 3, .mirrorlist: text)
    /r/debian/dists/stable/?mirrorlist     format=text of that file or directory (also ?meta4, ?metalink, ?sha256)
    /r/debian/dists/stable/Release.sha256  the hash of that file if it is known, else a redirect to a file of this name
    /debian/dists/stable/?mirrorlist       path=debian/dists/stable/, format=text; all of these words and suffixes

and an operator's own paths, by templates: URLs that clients already have. A parameter of the client cannot override
what the path says, except for the format.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from mirrorlistd.errors import ConfigError
from mirrorlistd.request.query import FILE_AS_SENT, MAX_PARAMETERS, MAX_QUERY, PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Iterator

_HASHES: Final = (b"sha256", b"sha512", b"sha1", b"md5")
_FORMAT_NAMES: Final = {
    b"meta4": b"metalink4",
    b"metalink": b"metalink",
    b"mirrorlist": b"text",
    **{name: name for name in _HASHES},
}
"""Name -> format: `FILE?NAME` asks for it, and `FILE.NAME`, as with MirrorBrain and mirrorbits."""
PAGES: Final = ("/repos", "/mirrors", "/explain", "/healthz", "/readyz", "/metrics")
"""Paths that are never lists: a template must not hide them from monitoring."""
_PAGES_IN_BYTES: Final = frozenset(page.encode() for page in PAGES)
_COUNTRY: Final = re.compile(rb"[A-Z]{2}")
_VARIABLE: Final = re.compile(r"\{([a-z]+)\}")
_REST: Final = re.compile(r"\{([a-z]+)\*\}")
"""A variable for all segments that are left."""
_VARIABLE_IN_BYTES: Final = re.compile(rb"\{([a-z]+)\}")
_EXAMPLE: Final = "write it as /mirrorlist/{version}/{repo} -> repo={repo}-{version}"


@dataclass(frozen=True, slots=True)
class _Segment:
    """The pattern of one segment of a path: literals, and between each two of them a variable of one byte or more."""

    literals: tuple[bytes, ...]
    variables: tuple[bytes, ...]
    """One fewer than the literals."""

    def match(self, segment: bytes) -> Iterator[tuple[bytes, bytes]] | None:
        """Return the variables with their values; None where the segment does not fit.

        The first variable takes as many bytes as it can, then the second one, as in a greedy regular expression.
        Looking for each literal from the right does the same in one pass, without going back.
        """
        if not self.variables:
            return iter(()) if segment == self.literals[0] else None
        first, *inner, last = self.literals
        end = len(segment) - len(last)
        if not segment.startswith(first) or not segment.endswith(last):
            return None
        values: list[bytes] = []
        for literal in reversed(inner):
            at = segment.rfind(literal, len(first) + 1, end - 1)
            if at < 0:
                return None
            values.append(segment[at + len(literal) : end])
            end = at
        if end <= len(first):
            return None
        values.append(segment[len(first) : end])
        return zip(self.variables, reversed(values), strict=True)


@dataclass(frozen=True, slots=True)
class Template:
    """One rule of an operator: a path and query names -> parameters of a list.

    Written `/mirrorlist/{version}/{repo} -> repo={repo}-{version}`, or with names of a query on the left:
    `/?release={version}&arch={arch}&repo={name} -> repo={name}-{version}&arch={arch}`. A variable in a path is a part
    of one segment; all names on the left must be in the query.
    """

    text: str
    _segments: tuple[_Segment, ...]
    _rest: bytes
    """The variable that takes all segments after these, at least one byte; empty for none."""
    _names: tuple[tuple[bytes, bytes], ...]
    """Name in the query -> variable."""
    _result: tuple[tuple[bytes, bytes], ...]
    """Our parameter -> value with variables."""

    @classmethod
    def parse(cls, text: str) -> Template:
        """Parse a template; raise ConfigError with the mistake."""
        left, arrow, right = text.partition("->")
        path, _, names = left.strip().partition("?")
        if not arrow or not path.startswith("/"):
            raise ConfigError(f"{text!r}: expected a path, `->` and parameters; {_EXAMPLE}")
        if "}{" in path:
            raise ConfigError(f"{text!r}: two variables need something between them; {_EXAMPLE}")
        *before, last = path.split("/")
        rest = _REST.fullmatch(last)
        if "*" in (path.removesuffix(last) if rest else path):
            raise ConfigError(f"{text!r}: only a whole last segment may be {{name*}}, for all that follows; {_EXAMPLE}")
        path = "/".join(before) if rest else path
        variables: list[str] = [*_VARIABLE.findall(path), *([rest[1]] if rest else [])]
        pairs: list[tuple[bytes, bytes]] = []
        for part in filter(None, names.split("&")):
            name, _, value = part.partition("=")
            if (found := _VARIABLE.fullmatch(value)) is None:
                raise ConfigError(f"{text!r}: {part!r} must give a whole value to a variable; {_EXAMPLE}")
            pairs.append((name.encode(), found[1].encode()))
            variables.append(found[1])
        if len(set(variables)) != len(variables):
            raise ConfigError(f"{text!r}: a variable stands twice on the left; {_EXAMPLE}")
        result = [part.partition("=")[::2] for part in filter(None, right.strip().split("&"))]
        used = set(_VARIABLE.findall(right))
        if not result or not all(name for name, _ in result) or not used <= set(variables):
            unknown = ", ".join(sorted(used - set(variables))) or "no parameter"
            raise ConfigError(f"{text!r}: the right side has {unknown}, not from the left; {_EXAMPLE}")
        if strange := sorted({name for name, _ in result} - PARAMETERS):
            raise ConfigError(f"{text!r}: {strange[0]} is no parameter of a list ({', '.join(sorted(PARAMETERS))})")
        template = cls(
            text=text,
            _segments=tuple(map(_segment, path.split("/"))),
            _rest=rest[1].encode() if rest else b"",
            _names=tuple(pairs),
            _result=tuple((name.encode(), value.encode()) for name, value in result),
        )
        if not template.last and (taken := [page for page in PAGES if template.match(page.encode()) is not None]):
            raise ConfigError(f"{text!r}: would hide {taken[0]}; begin the path with a segment of its own")
        return template

    @property
    def last(self) -> bool:
        """Whether it takes any path: it is tried after our own paths, and leaves the pages alone."""
        return bool(self._rest) and len(self._segments) == 1

    @property
    def redirects(self) -> bool:
        """Whether it is about files: then words and suffixes ask for other formats, as below /r/."""
        return (b"redirect", b"1") in self._result

    def match(self, path: bytes) -> dict[bytes, bytes] | None:
        """Return the variables of a path with their values; None where it does not fit."""
        values: dict[bytes, bytes] = {}
        segments = path.split(b"/")
        if self._rest and len(segments) > len(self._segments):
            count = len(self._segments)
            values[self._rest] = b"/".join(segments[count:])
            segments = segments[:count]
        if len(segments) != len(self._segments) or not values.get(self._rest, b"/"):
            return None
        for pattern, segment in zip(self._segments, segments, strict=True):
            found = pattern.match(segment)
            if found is None:
                return None
            values.update(found)
        return values

    def apply(self, path: bytes, query: bytes) -> bytes | None:
        """Return the parameters for a request; None where the template does not match."""
        values = self.match(path)
        if values is None:
            return None
        values = {name: _escape(value) for name, value in values.items()}
        if self._names:
            parts = query.split(b"&", MAX_PARAMETERS)  # more are refused by the parser
            given = {name: value for name, _, value in (part.partition(b"=") for part in parts)}
            for name, variable in self._names:
                if not given.get(name):
                    return None
                values[variable] = given[name]

        def fill(found: re.Match[bytes]) -> bytes:
            return values[found[1]]

        return b"&".join(name + b"=" + _VARIABLE_IN_BYTES.sub(fill, value) for name, value in self._result)


def _segment(text: str) -> _Segment:
    literals_and_variables = [part.encode() for part in _VARIABLE.split(text)]
    return _Segment(tuple(literals_and_variables[::2]), tuple(literals_and_variables[1::2]))


@dataclass(frozen=True, slots=True)
class Routes:
    """The paths of one configuration."""

    templates: tuple[Template, ...] = ()
    """Tried in order, before our own paths; those for any path after them."""

    def query(self, path: bytes, query: bytes) -> bytes | None:
        """Turn a raw path and a raw query string into a canonical query string; None where the path is no list.

        Of a repeated parameter the last value counts (docs/selection.md, What is asked). So what a client may override
        comes before the client's own parameters, and what it may not comes after them.
        """
        if len(path) > MAX_QUERY:
            return None
        for template in self.templates:
            if not template.last and (found := _templated(template, path, query)) is not None:
                return found
        if (found := _own(path, query)) is not None or _is_page(path):
            return found
        for template in self.templates:
            if template.last and (found := _templated(template, path, query)) is not None:
                return found
        asked = _asked(path, query)
        if not (asked.format or asked.hashed) or not asked.path.strip(b"/"):
            return None
        return _of_file(asked, query, b"path=" + _escape(asked.path[1:]))


def _own(path: bytes, query: bytes) -> bytes | None:
    """Return the query of one of our own paths."""
    if path.startswith(b"/r/"):  # first: below it files may have any name
        return _redirect(path[3:], query)
    if path.endswith(b"/mirrorlist"):
        return query
    if path.endswith(b"/metalink"):
        return b"format=metalink&" + query
    if path.startswith(b"/mirrors/") and path.endswith(b".txt"):
        return _for_apt(path[9:-4], query)
    return None


def _is_page(path: bytes) -> bool:
    return path == b"/" or path in _PAGES_IN_BYTES or path.startswith(b"/repos/")


def _for_apt(names: bytes, query: bytes) -> bytes:
    """Read `NAME`, `NAME/ARCH`, and either with `/COUNTRY` behind it; `COUNTRY` alone is of the only repository."""
    before, slash, last = names.rpartition(b"/")
    country = b""
    if _COUNTRY.fullmatch(last):
        names, country = (before if slash else b"*"), b"&country=" + last
    repo, _, arch = names.partition(b"/")
    return b"format=apt&%b&repo=%b&arch=%b%b" % (query, _escape(repo), _escape(arch), country)


def _templated(template: Template, path: bytes, query: bytes) -> bytes | None:
    """Return the query that a template gives; None where it does not match."""
    asked = _asked(path, query) if template.redirects else _Asked(path)
    fixed = template.apply(asked.path, query)
    return None if fixed is None else _of_file(asked, query, fixed) if template.redirects else query + b"&" + fixed


class _Asked(NamedTuple):
    """What a word or suffix asks for of a file."""

    path: bytes
    """The path without a suffix that only asks for a format."""
    format: bytes = b""
    hashed: bytes = b""
    """The name of a hash that the path ends with: the path may also be that of a file."""


def _asked(path: bytes, query: bytes) -> _Asked:
    """Read the suffix of a path, else the first known word of a query."""
    before, dot, name = path.rpartition(b".")
    if dot and name in _FORMAT_NAMES and before and not before.endswith(b"/"):
        return _Asked(path, hashed=name) if name in _HASHES else _Asked(before, _FORMAT_NAMES[name])
    words = {part.partition(b"=")[0] for part in query.split(b"&", MAX_PARAMETERS)} if query else frozenset[bytes]()
    return _Asked(path, next((name for word, name in _FORMAT_NAMES.items() if word in words), b""))


def _of_file(asked: _Asked, query: bytes, place: bytes) -> bytes:
    """Return the query of a file at a place, given in parameters: a redirect, or what is asked for instead."""
    if asked.format:
        return b"format=%b&%b&%b" % (asked.format, query, place)
    # `redirect` and not `format=redirect`: a format that the client names must be recognisable.
    hashed = b"&hashed=" + asked.hashed if asked.hashed else b""
    return b"%b&redirect=1%b&%b" % (query, hashed, place)


def _redirect(rest: bytes, query: bytes) -> bytes:
    repository, _, file = rest.partition(b"/")
    repo, _, arch = repository.partition(b":")  # a colon in a name is written as %3A
    asked = _asked(file, query)
    name, file = b"file", asked.path
    if b"%" in file or b"&" in file:
        name, file = FILE_AS_SENT, file.replace(b"%", b"%25")
    return _of_file(asked, query, b"repo=%b&arch=%b&%b=%b" % (*map(_escape, (repo, arch)), name, _escape(file)))


def _escape(value: bytes) -> bytes:
    """Make a raw, percent-encoded piece of a path the value of a parameter."""
    return value.replace(b"&", b"%26")
