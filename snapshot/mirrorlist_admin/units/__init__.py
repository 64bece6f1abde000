"""Units: index files that stand for what they list. A parser for each kind says whether bytes are one, and of when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mirrorlist_admin.units import apkindex, ostree, packages, pacman, release, repomd, simple, stamp
from mirrorlist_admin.units.parsed import NotThisUnitError, ParsedUnit

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CANDIDATES", "KINDS", "LONGEST_HEAD", "STAMP", "NotThisUnitError", "ParsedUnit", "kind_of", "parse"]

STAMP: Final = "stamp"
LONGEST_HEAD: Final = 1 << 20
"""Bytes: no parser looks further into a file, and a file that a mirror sends is kept up to here only."""
KINDS: Final[dict[str, Callable[[bytes], ParsedUnit]]] = {
    "repomd": repomd.parse,
    "release": release.parse,
    "apkindex": apkindex.parse,
    "pacman": pacman.parse,
    "ostree": ostree.parse,
    "simple": simple.parse,
    "packages": packages.parse,
    STAMP: stamp.parse,
}
"""Name of a kind -> its parser. A parser gets the first LONGEST_HEAD bytes and raises NotThisUnitError."""
CANDIDATES: Final = (
    "repodata/repomd.xml",
    "InRelease",
    "Release",
    "APKINDEX.tar.gz",
    "summary",
    "src/contrib/PACKAGES",
    "simple/",
)
"""Where units lie below a repository's directory if the sources do not say it; the first that the master has."""
_BY_NAME: Final = {
    "repomd.xml": "repomd",
    "InRelease": "release",
    "Release": "release",
    "APKINDEX.tar.gz": "apkindex",
    "summary": "ostree",
    "PACKAGES": "packages",
}


def kind_of(path: str) -> str:
    """Return the kind of the unit at a path; what no parser knows by its name is a stamp."""
    name = path.rpartition("/")[2]
    if name in _BY_NAME:
        return _BY_NAME[name]
    if path.endswith(("/", "/index.html")):
        return "simple"
    return "pacman" if name.endswith((".db", ".db.tar.gz")) else STAMP


def parse(kind: str, head: bytes) -> ParsedUnit:
    """Judge the first LONGEST_HEAD bytes of a file; raise NotThisUnitError if it is no unit of the kind."""
    return KINDS[kind](head)
