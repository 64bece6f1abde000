"""`compile --file-details`: sizes, times and hashes from local trees, earlier versions from the snapshot before."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mirrorlist_snapshot import format as snapshot_format
from mirrorlist_snapshot.cli.console import YELLOW, CommandError, Progress, load, say
from mirrorlist_snapshot.errors import Complaint, SnapshotError
from mirrorlist_snapshot.file_details import tree
from mirrorlist_snapshot.file_details.alternates import MAX_ALTERNATES, PreviousFiles, directories_of, with_file_details
from mirrorlist_snapshot.report.text import plural

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirrorlist_snapshot.model import FileVersion
    from mirrorlist_snapshot.records import NetworkRecords

EPILOG: Final = f"""\
File details are what metalinks state. --file-details reads them from TREE, a local copy of the category's top
directory: of every directory that is some repository's, or is listed in the sources, the files
{chr(10).join(f"  {name:<22}({whose})" for name, whose in tree.WELL_KNOWN.items())}
and those like --file-details-name. `files` in the sources win over the tree. A file that cannot be read, or changes
while it is read, is warned about and keeps the details it had before, if any.

A file that differs from what the snapshot before says of it (FILE as it is there, or --previous) keeps that version
as an alternate, so that mirrors which lag behind are not rejected: for --keep-alternates days after the timestamp of
the version that replaced it, at most {MAX_ALTERNATES} of them. The same files and times, --previous, flags and
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
        help="read files like this, too: a path below a repository's directory, such as 'images/*.iso'; repeatable",
    )
    group.add_argument(
        "--previous", metavar="FILE", type=Path, help="snapshot that knows earlier versions (default: that of -o)"
    )
    group.add_argument(
        "--keep-alternates",
        metavar="DAYS",
        type=_days,
        default=7 * _DAY,
        help="how long a replaced version stays an alternate (default: 7)",
    )
    group.add_argument(
        "--trust-mtime",
        action="store_true",
        help="do not read files whose size and time (in seconds) are those in the snapshot before: "
        "faster, but blind to a file rewritten within a second or with its time set back",
    )


def _name(text: str) -> str:
    try:
        return tree.check_name(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _days(text: str) -> int:
    """Days, as seconds."""
    try:
        days = float(text)
    except ValueError:
        days = math.nan
    if not 0 <= days <= _MAX_DAYS:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of days from 0 to {_MAX_DAYS}")
    return round(days * _DAY)


def check_usage(options: argparse.Namespace) -> None:
    """Refuse flags that would do nothing."""
    if not options.file_details and (options.file_details_name or options.previous or options.trust_mtime):
        options.parser.error("--file-details-name, --previous and --trust-mtime need --file-details")


def add_file_details(
    options: argparse.Namespace, records: NetworkRecords, built: int
) -> tuple[NetworkRecords, tuple[Complaint, ...]]:
    """Fill records from the trees that the options name; give the warnings, too, which are listed already."""
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
        say(str(complaint), YELLOW)
    told = f"; {skipped} not read, the sources describe them" if skipped else ""
    say(f"file details: {plural(len(found), 'file')}, {hashed:,} bytes hashed{told}")
    return with_file_details(records, found, unread, earlier, built=built, keep=options.keep_alternates), tuple(
        complaints
    )


def _trees(values: list[str], categories: list[str], fail: Callable[[str], Any]) -> dict[str, Path]:
    """Category -> its local copy; a name with a slash is a tree's, never a category's."""
    found: dict[str, Path] = {}
    allowed = ", ".join(sorted(categories)[:20]) + (", ..." if len(categories) > 20 else "")  # noqa: PLR2004 - a line
    for value in values:
        category, equals, place = value.partition("=")
        if not equals or (category not in categories and "/" in category):
            if len(categories) != 1:
                fail(f"--file-details {value}: which category is it of? Write CATEGORY=TREE; categories: {allowed}")
            category, place = categories[0], value
        if category not in categories:
            fail(f"--file-details {value}: there is no category {category!r}; categories: {allowed}")
        if not place:
            fail(f"--file-details {value}: name a directory behind the =")
        if category in found:
            fail(f"--file-details {value}: category {category} is given twice; a category has one tree")
        found[category] = Path(place)
    return found


def _earlier(options: argparse.Namespace) -> tuple[PreviousFiles, list[Complaint]]:
    """Read the snapshot before. One that was asked for must be there; the one in place may be missing or damaged."""
    if options.previous is not None:
        return PreviousFiles.of(load(options.previous, snapshot_format.decode)), []
    output: Path | None = options.output
    if output is None or str(output) == "-" or not output.is_file():  # - is standard output
        return PreviousFiles.of(None), []
    try:
        return PreviousFiles.of(snapshot_format.decode(output.read_bytes())), []
    except (OSError, SnapshotError) as failure:
        reason = failure.strerror if isinstance(failure, OSError) else failure
        return PreviousFiles.of(None), [_warning(output, f"cannot be read, so no file has alternates: {reason}")]


def _read(
    options: argparse.Namespace, records: NetworkRecords, category: str, place: Path, earlier: PreviousFiles
) -> tree.TreeReading:
    def known(path: str) -> FileVersion | None:
        details = earlier.find(category, path) if options.trust_mtime else None
        return None if details is None else details.current

    line, done = Progress(), 0

    def progress(path: str, size: int) -> None:
        nonlocal done
        done += size
        if line.due():
            line.show(f"hashed {done:,} bytes: {path}")

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
