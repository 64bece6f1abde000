"""`export FILE --to FORMAT`: the mirrors of a snapshot or of sources, for programs that read other formats."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot import format as snapshot_format
from mirrorlist_snapshot.cli.shared import STANDARD, CommandError, console, generator, load
from mirrorlist_snapshot.compiler import compile_snapshot
from mirrorlist_snapshot.console import show, show_bytes
from mirrorlist_snapshot.errors import InputFileError, SnapshotError, SourceError
from mirrorlist_snapshot.export import FORMATS, select
from mirrorlist_snapshot.export.selected import PACMAN_LAYOUT, only
from mirrorlist_snapshot.source import read_sources

if TYPE_CHECKING:
    import argparse

    from mirrorlist_snapshot.model import Snapshot

_SOURCES: Final = frozenset((".toml", ".yaml", ".yml", ".json"))
EXAMPLES: Final = """\
FILE is a snapshot, or a source or folder of sources. The export goes to standard output. It has the mirrors that are
switched on; private ones only with --private. Contacts are never in it.
mirmon, debian, pacman and arch-status list the mirrors of one category: name it with --category where there are
several.

arch-status: a mirror that was observed (compile --observations) has its time of synchronisation and its delay; every
other one counts as synchronised when the snapshot was built.

exit status: 0 written, 1 the file is invalid or cannot be read, or the output cannot be written, 2 wrong usage

examples:
  mirrorlist-snapshot export mirrors.mls --to csv > mirrors.csv
  mirrorlist-snapshot export mirrors/ --to debian --category debian > Mirrors.masterlist
  mirrorlist-snapshot export mirrors.mls --to pacman --pacman-layout '$arch/$repo' > mirrorlist
  mirrorlist-snapshot export --list-formats
"""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the verb."""
    parser.add_argument(
        "file", metavar="FILE", type=Path, nargs="?", help="a snapshot, - for standard input; or a source"
    )
    parser.add_argument("--to", metavar="FORMAT", choices=FORMATS, help="the format: " + ", ".join(FORMATS))
    parser.add_argument("--list-formats", action="store_true", help="list the formats and do nothing else")
    parser.add_argument("--category", metavar="NAME", help="only mirrors of this category")
    parser.add_argument("--private", action="store_true", help="private mirrors, too")
    parser.add_argument(
        "--pacman-layout",
        metavar="PATH",
        default=PACMAN_LAYOUT,
        help="what pacman appends to a URL (default: %(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Write the mirrors in a format."""
    if options.list_formats:
        width = max(map(len, FORMATS))
        show("".join(f"{name:{width}}  {one.purpose}\n" for name, one in FORMATS.items()))
        return 0
    if None in {options.file, options.to}:
        options.parser.error("name a FILE and a format with --to FORMAT; --list-formats lists them")
    snapshot = _read(options.file)
    selected = replace(select(snapshot, private=options.private), layout=options.pacman_layout.lstrip("/"))
    form = FORMATS[options.to]
    categories = sorted({name for mirror in selected.mirrors for name in mirror.trees})
    wanted = options.category
    if wanted is None and form.one_tree:
        if len(categories) > 1:
            options.parser.error(
                f"{options.to} has mirrors of one category; name it with --category: {_few(categories)}"
            )
        wanted = next(iter(categories), None)
    if options.category is not None and options.category not in categories:
        raise CommandError(
            f"no mirror to be exported has the category {options.category!r}; there are {_few(categories)}"
        )
    show_bytes(form.write(selected if wanted is None else only(selected, wanted)).encode())
    return 0


def _few(names: list[str]) -> str:
    return ", ".join(names[:20]) + (" ..." if len(names) > 20 else "") or "none"  # noqa: PLR2004 - fits two lines


def _read(file: Path) -> Snapshot:
    """Read a snapshot, or compile sources; raise CommandError."""
    if file == STANDARD or not (file.is_dir() or file.suffix.lower() in _SOURCES):
        return load(file, snapshot_format.decode)
    try:
        records, _ = read_sources([file])
        return compile_snapshot(records, serial=0, built=int(time.time()), generator=generator())
    except SourceError as refusal:
        for complaint in refusal.complaints:
            console().say(str(complaint))
        raise CommandError(f"{file}: the source has mistakes; nothing is exported") from refusal
    except (SnapshotError, InputFileError) as failure:
        raise CommandError(f"{file}: {failure}") from failure
