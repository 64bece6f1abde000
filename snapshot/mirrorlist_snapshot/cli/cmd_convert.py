"""`convert --from FORMAT FILE... -o FOLDER`: turn a mirror list that a network has into source files."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot.cli import import_flags
from mirrorlist_snapshot.cli.shared import CommandError, add_json, console
from mirrorlist_snapshot.console import RED, REFUSED, report_done, show_json
from mirrorlist_snapshot.errors import SourceError
from mirrorlist_snapshot.importers import FORMATS
from mirrorlist_snapshot.importers.folder import REST, source_files
from mirrorlist_snapshot.report.text import plural

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from mirrorlist_snapshot.importers import Imported

EXAMPLES: Final = f"""\
FILE is a file of the list, or a folder of such files. FOLDER is new, or empty: each mirror becomes a source file in it,
{REST} has the rest. Look at them, change what you like, and give the folder to `compile`. Where the list stays the
master and changes, `compile --from FORMAT` reads it each time without a folder.

{import_flags.EPILOG}
exit status: 0 written, 1 nothing was written: the list is refused, or a file cannot be read or written, 2 wrong usage,
4 FOLDER is written, but the report of it cannot be

examples:
  mirrorlist-snapshot convert --list-formats
  mirrorlist-snapshot convert --from debian Mirrors.masterlist -o mirrors/
  mirrorlist-snapshot convert --from almalinux config.yml mirrors.d/ -o mirrors/
  mirrorlist-snapshot convert --from csv mirrors.csv --category example -o mirrors/
  mirrorlist-snapshot convert --from csv list.csv --column url=Address --column country=Land -o mirrors/
  mirrorlist-snapshot compile mirrors/ -o mirrors.mls
"""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the verb."""
    parser.add_argument("files", metavar="FILE", type=Path, nargs="*", help="a file of the list, or a folder of them")
    parser.add_argument(
        "--from", dest="kind", metavar="FORMAT", choices=FORMATS, help="the format of the list; see --list-formats"
    )
    parser.add_argument(
        "-o", "--output", metavar="FOLDER", type=Path, help="the folder to write; it must be new or empty"
    )
    parser.add_argument("--check", action="store_true", help="do everything but write the folder")
    import_flags.add_flags(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Convert a list."""
    if options.list_formats:
        import_flags.list_formats(as_json=options.json)
        return 0
    kind = FORMATS[options.kind] if options.kind else None
    _check_usage(options)
    import_flags.check_usage(options, kind)
    assert kind is not None  # noqa: S101 - checked by _check_usage
    try:
        imported = import_flags.read(options, kind, options.files)
    except SourceError as refusal:
        for complaint in refusal.complaints:
            console().say(str(complaint), RED)
        console().say(f"refused: nothing was written; is it a list in the format {kind.name}?")
        if options.json:
            show_json({"ok": False, "complaints": [asdict(complaint) for complaint in refusal.complaints]})
        return REFUSED
    import_flags.say_not_taken(imported)
    if not import_flags.has_news(imported):
        raise CommandError(f"nothing of the list can be taken; is it in the format {kind.name}? Nothing was written")
    files = source_files(imported)
    if not options.check:
        _write(files, options.output)

    def report() -> None:
        _summarise(options, imported, len(files))

    if options.check:
        report()
        return 0
    return report_done(console(), report, f"{options.output} is written")


def _check_usage(options: argparse.Namespace) -> None:
    fail = options.parser.error
    if options.kind is None:
        fail("name the format of the list with --from FORMAT; --list-formats lists them")
    if not options.files:
        fail("name at least one FILE of the list")
    if options.output is None and not options.check:
        fail("name the folder to write with -o FOLDER, or use --check")


def _write(files: Mapping[str, str], folder: Path) -> None:
    """Write a folder as a whole or not at all; raise CommandError."""
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise CommandError(f"{folder}: exists and is not an empty folder; name another one, or remove it first")
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as failure:
        raise CommandError(f"{folder}: cannot be written: {failure.strerror or failure}") from failure
    try:
        for name, text in files.items():
            (aside / name).write_text(text, "utf-8")
        umask = os.umask(0)
        os.umask(umask)
        aside.chmod(0o777 & ~umask)
        aside.rename(folder)
    except OSError as failure:
        raise CommandError(f"{folder}: cannot be written: {failure.strerror or failure}") from failure
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _summarise(options: argparse.Namespace, imported: Imported, files: int) -> None:
    done = "checked, nothing written" if options.check else f"wrote {options.output}: {plural(files, 'file')}"
    console().say(f"{done}: {import_flags.summary(imported)}")
    if not options.check:
        console().say(f"next: mirrorlist-snapshot compile {shlex.quote(str(options.output))} -o mirrors.mls")
    if options.json:
        show_json(
            {
                "ok": True,
                "folder": None if options.check else str(options.output),
                "files": files,
                "entries": imported.entries,
                "left": imported.left,
                "mirrors": imported.mirrors,
                "not_taken": [asdict(complaint) for complaint in imported.not_taken],
            }
        )
