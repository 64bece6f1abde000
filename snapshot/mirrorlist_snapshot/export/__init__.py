"""A snapshot's mirrors in formats that other programs read: one function a format, a row in FORMATS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.export.as_json import arch_status, everything
from mirrorlist_snapshot.export.as_text import csv, debian_masterlist, mirmon, pacman
from mirrorlist_snapshot.export.selected import Selected, select

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["FORMATS", "Format", "Selected", "select"]


@dataclass(frozen=True, slots=True)
class Format:
    """A format of `export`."""

    write: Callable[[Selected], str]
    purpose: str
    """For --list-formats."""
    one_tree: bool
    """Whether it lists the mirrors of one category."""


FORMATS: Final[Mapping[str, Format]] = {
    "json": Format(everything, "everything that is public, for programs of your own", one_tree=False),
    "csv": Format(csv, "a table, a row for each mirror and category; RFC 4180", one_tree=False),
    "mirmon": Format(mirmon, "a plain mirror_list for mirmon: country and URL", one_tree=True),
    "debian": Format(debian_masterlist, "paragraphs such as those of Debian's Mirrors.masterlist", one_tree=True),
    "pacman": Format(pacman, "a mirrorlist by country for pacman and rankmirrors", one_tree=True),
    "arch-status": Format(arch_status, "the JSON of Arch Linux' mirror status, for reflector", one_tree=True),
}
"""Name -> format."""
