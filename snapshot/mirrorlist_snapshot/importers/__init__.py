"""Mirror lists that networks have today -> documents as source files give them.

    bytes ─> a format's module ─> entries ─> gathering ─> documents (as of source files), and what could not be taken

A format's module knows how the list is written and what its keys mean. `gathering` checks values, names mirrors and
merges what belongs together; `folder` writes the documents as source files. Nothing here fetches anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.importers import (
    almalinux,
    centos,
    cpan,
    debian,
    devuan,
    gentoo,
    mirmon,
    mirrorbits,
    mirrorbrain,
    mirrorcache,
    pacman,
    tabular,
    ubuntu,
)
from mirrorlist_snapshot.importers.columns import USUAL_NAMES
from mirrorlist_snapshot.importers.entries import ImportedFile, ImportOptions
from mirrorlist_snapshot.importers.gathering import Gathering, Imported

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mirrorlist_snapshot.importers.entries import Findings

__all__ = ["COLUMN_KEYS", "FORMATS", "Format", "ImportOptions", "Imported", "ImportedFile", "import_list"]

COLUMN_KEYS: Final = tuple(USUAL_NAMES)
"""What `--column KEY=COLUMN` may name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A form in which lists of mirrors are written."""

    name: str
    title: str
    """What the files are, in one line."""
    category: str
    """The usual name of the content tree."""
    suffixes: tuple[str, ...]
    """Ends of the names of its files, for those that are looked for in a folder; empty: every file."""
    read: Callable[[Sequence[ImportedFile], ImportOptions], Findings]
    columns: bool = False
    """Whether `--column` applies."""


FORMATS: Final[dict[str, Format]] = {
    one.name: one
    for one in (
        Format(
            name="debian",
            title="Debian's Mirrors.masterlist, and lists in its form",
            category="debian",
            suffixes=(),
            read=debian.read,
        ),
        Format(
            name="devuan", title="Devuan's mirror_list.txt", category="devuan", suffixes=(".txt",), read=devuan.read
        ),
        Format(
            name="almalinux",
            title="AlmaLinux' config.yml and mirrors.d/*.yml, or their folder",
            category="almalinux",
            suffixes=(".yml", ".yaml"),
            read=almalinux.read,
        ),
        Format(
            name="csv",
            title="a table in CSV, TSV or with semicolons, any columns (--column)",
            category="mirrors",
            suffixes=(".csv", ".tsv"),
            read=tabular.read_csv,
            columns=True,
        ),
        Format(
            name="json",
            title="a table in JSON or YAML, any keys (--column)",
            category="mirrors",
            suffixes=(".json", ".yaml", ".yml"),
            read=tabular.read_structured,
            columns=True,
        ),
        Format(
            name="urls", title="a text with a URL on each line", category="mirrors", suffixes=(), read=tabular.read_urls
        ),
        Format(
            name="pacman",
            title="pacman's mirrorlist: Arch, Manjaro, MSYS2, EndeavourOS",
            category="arch",
            suffixes=(),
            read=pacman.read,
        ),
        Format(
            name="arch-status",
            title="Arch's mirror status, JSON version 3",
            category="arch",
            suffixes=(".json",),
            read=tabular.read_arch,
        ),
        Format(
            name="mirrorbits",
            title="mirrorbits: what `mirrorbits show NAME` prints",
            category="mirrors",
            suffixes=(),
            read=mirrorbits.read,
        ),
        Format(
            name="mirrorbrain",
            title="MirrorBrain: `mb export --format postgresql`, or a dump of its table `server`",
            category="mirrors",
            suffixes=(".sql",),
            read=mirrorbrain.read,
        ),
        Format(
            name="mirrorcache",
            title="MirrorCache: the JSON of /rest/server, or a dump of its table `server`",
            category="mirrors",
            suffixes=(".json", ".sql"),
            read=mirrorcache.read,
        ),
        Format(
            name="gentoo",
            title="Gentoo's distfiles.xml or rsync.xml",
            category="gentoo",
            suffixes=(".xml",),
            read=gentoo.read,
        ),
        Format(
            name="centos",
            title="CentOS' country groups (ccgroups.json) and list of mirrors (CSV)",
            category="centos",
            suffixes=(".json", ".csv"),
            read=centos.read,
            columns=True,
        ),
        Format(name="cpan", title="CPAN's MIRRORED.BY or mirrors.json", category="cpan", suffixes=(), read=cpan.read),
        Format(
            name="cran", title="CRAN's CRAN_mirrors.csv", category="cran", suffixes=(".csv",), read=tabular.read_cran
        ),
        Format(
            name="alpine",
            title="Alpine's mirrors.yaml, mirrors.json or MIRRORS.txt",
            category="alpine",
            suffixes=(),
            read=tabular.read_alpine,
        ),
        Format(
            name="ubuntu", title="Ubuntu's mirrors: Launchpad's RSS", category="ubuntu", suffixes=(), read=ubuntu.read
        ),
        Format(
            name="mirmon", title="mirmon's list, plain or apache", category="mirrors", suffixes=(), read=mirmon.read
        ),
    )
}


def import_list(kind: Format, files: Sequence[ImportedFile], options: ImportOptions) -> Imported:
    """Read the files of a list; raise SourceError if one is not in the format at all."""
    gathering = Gathering(options)
    gathering.add_all(kind.read(files, options))
    return gathering.result()
