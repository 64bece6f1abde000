"""`compile --from mirrormanager`: MirrorManager's cache as a source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot import format as snapshot_format
from mirrorlist_snapshot import loss
from mirrorlist_snapshot.cli.shared import STANDARD, CommandError, add_max_loss, console, max_loss
from mirrorlist_snapshot.errors import Complaint, InputFileError, LossError, SnapshotError, SourceError
from mirrorlist_snapshot.input_file import SNAPSHOT, read_file

if TYPE_CHECKING:
    import argparse

    from mirrorlist_snapshot.model import Snapshot
    from mirrorlist_snapshot.source.mirrormanager import ImportedCache

KIND: Final = "mirrormanager"
EPILOG: Final = """\
With --from mirrormanager, SOURCE is the cache that MirrorManager's generator writes (mirrorlist_cache.proto), or its
folder, from which country_continent.csv and global_netblocks.txt are then read, too, if they exist. The build time is
the cache's own, unless SOURCE_DATE_EPOCH is set. Rows that cannot be used are skipped and counted. Refused are a cache
that is cut off, a cache that lacks a repository's directory, and a loss of more than --max-loss of the mirrors,
repositories or directories in the existing FILE; --force overrides the last two. docs/mirrormanager.md describes how
each field is used.
"""
CACHE: Final = "mirrorlist_cache.proto"
COUNTRIES: Final = "country_continent.csv"
NETBLOCKS: Final = "global_netblocks.txt"


@dataclass(frozen=True, slots=True)
class _Files:
    cache: Path
    countries: Path | None
    netblocks: Path | None


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the import to the verb."""
    group = parser.add_argument_group("MirrorManager")
    group.add_argument(
        "--country-continent",
        metavar="FILE.csv",
        type=Path,
        help="lines `CC,CONTINENT`: the continent of each country",
    )
    group.add_argument(
        "--global-netblocks",
        metavar="FILE.txt",
        type=Path,
        help="lines `CIDR ASN`: the system that announces each network",
    )
    add_max_loss(group, "FILE")
    group.add_argument(
        "--force",
        action="store_true",
        help="import a cache that lacks repositories' directories, or loses much of FILE",
    )


def check_usage(options: argparse.Namespace) -> None:
    """Refuse flags that would have no effect, and several caches."""
    if options.kind == KIND:
        if len(options.sources) != 1:
            options.parser.error(f"--from {KIND} takes one SOURCE: the cache, or its folder")
    elif options.country_continent or options.global_netblocks or options.force or options.max_loss is not None:
        options.parser.error(f"--country-continent, --global-netblocks, --max-loss and --force need --from {KIND}")


def read(options: argparse.Namespace) -> ImportedCache:
    """Read the files that the options name; raise SourceError if they are refused."""
    from mirrorlist_snapshot.source.mirrormanager import read_mirrormanager  # noqa: PLC0415 - protobuf is slow to import

    files = _files(options)
    line = console()

    def progress(path: Path, position: int) -> None:
        if line.wants_progress:
            size = path.stat().st_size
            part = f" of {size:,} ({100 * position // size} %)" if size else ""
            line.progress(f"read {position:,}{part} bytes: {path}")

    try:
        return read_mirrormanager(
            files.cache,
            country_continent=files.countries,
            global_netblocks=files.netblocks,
            progress=progress,
            force=options.force,
        )
    except InputFileError as failure:
        raise CommandError(str(failure)) from failure
    except OSError as failure:
        raise CommandError(f"{failure.filename or files.cache}: {failure.strerror or failure}") from failure
    finally:
        line.clear()


def _files(options: argparse.Namespace) -> _Files:
    (source,) = options.sources
    if not source.is_dir():
        return _Files(source, options.country_continent, options.global_netblocks)
    countries, netblocks = source / COUNTRIES, source / NETBLOCKS
    return _Files(
        cache=source / CACHE,
        countries=options.country_continent or (countries if countries.is_file() else None),
        netblocks=options.global_netblocks or (netblocks if netblocks.is_file() else None),
    )


def check_loss(options: argparse.Namespace, snapshot: Snapshot) -> None:
    """Raise SourceError if the file to be replaced offers much that the new snapshot lacks."""
    output: Path | None = options.output
    if options.force or output is None or output == STANDARD or not output.is_file():
        return
    try:
        old = snapshot_format.decode(read_file(output, SNAPSHOT))
    except (InputFileError, SnapshotError):
        return  # a warning about its serial has been given already; no server can load it
    try:
        loss.check_loss(old, snapshot, max_loss(options))
    except LossError as error:
        message = f"against the existing {output}, {error}; if that is intended, raise --max-loss"
        complaint = Complaint(file=str(_files(options).cache), line=None, key="", message=message)
        raise SourceError((complaint,)) from error


def rows(skipped: dict[str, dict[str, int]]) -> int:
    """Return the number of all skipped rows, given those of each table of each file."""
    return sum(sum(tables.values()) for tables in skipped.values())
