"""`compile --file-details`: sizes, times and hashes from local trees, earlier versions from the previous snapshot."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mirrorlist_snapshot import format as snapshot_format
from mirrorlist_snapshot.cli.shared import CommandError, console, load
from mirrorlist_snapshot.console import YELLOW, real
from mirrorlist_snapshot.errors import Complaint, InputFileError, SnapshotError
from mirrorlist_snapshot.file_details import tree
from mirrorlist_snapshot.file_details.alternates import MAX_ALTERNATES, PreviousFiles, directories_of, with_file_details
from mirrorlist_snapshot.input_file import SNAPSHOT, read_file
from mirrorlist_snapshot.report.text import plural

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirrorlist_snapshot.model import FileVersion
    from mirrorlist_snapshot.records import NetworkRecords

EPILOG: Final = f"""\
Metalinks state details of files: size, time and hashes. --file-details reads them from TREE, a local copy of the
category's top directory: in every directory of a repository, and in every listed directory, the files
{chr(10).join(f"  {name:<22}({clients})" for name, clients in tree.WELL_KNOWN.items())}
and those that match --file-details-name. `files` in the sources win over the tree. A file that cannot be read, or
changes while it is read, gives a warning and keeps its previous details, if it has any.

If a file has changed since the previous snapshot (the existing FILE, or --previous), its previous version becomes an
alternate, so that clients accept mirrors that lag behind: for --keep-alternates days after the timestamp of the version
that replaced it, at most {MAX_ALTERNATES} alternates a file. The same files and times, --previous, flags and
SOURCE_DATE_EPOCH give the same bytes.
"""
_DAY: Final = 86_400
_MAX_DAYS: Final = 36_500


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of file details to the verb."""
    group = parser.add_argument_group("file details")
    group.add_argument(
        "--file-details",
        metavar="[CATEGORY=]TREE",
        action="append",
        default=[],
        help="read size, time and hashes of the files that clients start from in this local copy of the category; "
        "repeatable, and without CATEGORY if there is only one",
    )
    group.add_argument(
        "--file-details-name",
        metavar="GLOB",
        action="append",
        default=[],
        type=_name,
        help="read also files that match: a path below a repository's directory, such as 'images/*.iso'; repeatable",
    )
    group.add_argument(
        "--previous",
        metavar="FILE",
        type=Path,
        help="snapshot with earlier versions (default: the file of -o)",
    )
    group.add_argument(
        "--keep-alternates",
        metavar="DAYS",
        type=real(0, _MAX_DAYS, "a number of days"),
        default=7.0,
        help="how long a replaced version stays an alternate (default: %(default)g)",
    )
    group.add_argument(
        "--trust-mtime",
        action="store_true",
        help="do not read files whose size and time (in seconds) are those in the previous snapshot: faster, but "
        "misses a file that was rewritten within a second or had its time set back",
    )


def _name(text: str) -> str:
    try:
        return tree.check_name(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def check_usage(options: argparse.Namespace) -> None:
    """Refuse flags that would have no effect."""
    if not options.file_details and (options.file_details_name or options.previous or options.trust_mtime):
        options.parser.error("--file-details-name, --previous and --trust-mtime need --file-details")


def add_file_details(
    options: argparse.Namespace, records: NetworkRecords, built: int
) -> tuple[NetworkRecords, tuple[Complaint, ...]]:
    """Return the records with details from the trees that the options name, and the warnings that were shown."""
    trees = _trees(options.file_details, [category.name for category in records.categories], options.parser.error)
    earlier, complaints = _earlier(options)
    found: dict[tuple[str, str], FileVersion] = {}
    unread: list[tuple[str, str]] = []
    skipped = hashed = 0
    for category, place in trees.items():
        reading = _read(options, records, category, place, earlier)
        found |= {(category, path): version for path, version in reading.files.items()}
        unread += [(category, path) for path in sorted(reading.unread)]
        skipped += reading.skipped
        hashed += reading.hashed
        complaints += reading.complaints
        if not (reading.files or reading.unread or reading.skipped):
            complaints.append(_warning(place, f"has no file to read; is it the top directory of category {category}?"))
    for complaint in complaints:
        console().say(str(complaint), YELLOW)
    unread_files = f"; {skipped} not read, the sources describe them" if skipped else ""
    console().say(f"file details: {plural(len(found), 'file')}, {hashed:,} bytes hashed{unread_files}")
    return with_file_details(
        records, found, unread, earlier, built=built, keep=round(options.keep_alternates * _DAY)
    ), tuple(complaints)


def _trees(values: list[str], categories: list[str], fail: Callable[[str], Any]) -> dict[str, Path]:
    """Return category -> its local copy; a name with a slash is that of a tree, never of a category."""
    found: dict[str, Path] = {}
    allowed = ", ".join(sorted(categories)[:20]) + (", ..." if len(categories) > 20 else "")  # noqa: PLR2004 - a line
    for value in values:
        category, equals, place = value.partition("=")
        if not equals or (category not in categories and "/" in category):
            if len(categories) != 1:
                fail(f"--file-details {value}: its category is not clear: write CATEGORY=TREE; categories: {allowed}")
            category, place = categories[0], value
        if category not in categories:
            fail(f"--file-details {value}: there is no category {category!r}; categories: {allowed}")
        if not place:
            fail(f"--file-details {value}: write a directory after the =")
        if category in found:
            fail(f"--file-details {value}: category {category} is given twice; a category has one tree")
        found[category] = Path(place)
    return found


def _earlier(options: argparse.Namespace) -> tuple[PreviousFiles, list[Complaint]]:
    """Read the previous snapshot. --previous must be readable; the file of -o may be missing or damaged."""
    if options.previous is not None:
        return PreviousFiles.of(load(options.previous, snapshot_format.decode)), []
    output: Path | None = options.output
    if output is None or str(output) == "-" or not output.is_file():  # - is standard output
        return PreviousFiles.of(None), []
    try:
        return PreviousFiles.of(snapshot_format.decode(read_file(output, SNAPSHOT))), []
    except (InputFileError, SnapshotError) as failure:
        reason = failure.found if isinstance(failure, InputFileError) else failure
        return PreviousFiles.of(None), [_warning(output, f"cannot be used, so no file has alternates: {reason}")]


def _read(
    options: argparse.Namespace, records: NetworkRecords, category: str, place: Path, earlier: PreviousFiles
) -> tree.TreeReading:
    def known(path: str) -> FileVersion | None:
        details = earlier.find(category, path) if options.trust_mtime else None
        return None if details is None else details.current

    line, done = console(), 0

    def progress(path: str, size: int) -> None:
        nonlocal done
        done += size
        if line.wants_progress:
            line.progress(f"hashed {done:,} bytes: {path}")

    try:
        return tree.read_tree(
            place,
            directories_of(records, category),
            names=options.file_details_name,
            skip=frozenset(path for name, path in records.files if name == category),
            known=known,
            progress=progress,
        )
    except OSError as failure:
        raise CommandError(f"{place}: cannot be read: {failure.strerror or failure}") from failure
    finally:
        line.clear()


def _warning(place: Path, message: str) -> Complaint:
    return Complaint(file=str(place), line=None, key="", message=message, warning=True)
