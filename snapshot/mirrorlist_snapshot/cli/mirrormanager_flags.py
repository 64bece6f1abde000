"""`compile --from mirrormanager`: the cache that MirrorManager's generator writes, as a source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mirrorlist_snapshot import format as snapshot_format
from mirrorlist_snapshot import loss
from mirrorlist_snapshot.cli.console import STANDARD, CommandError, Progress, add_max_loss, max_loss
from mirrorlist_snapshot.errors import Complaint, LossError, SnapshotError, SourceError

if TYPE_CHECKING:
    import argparse

    from mirrorlist_snapshot.model import Snapshot
    from mirrorlist_snapshot.source.mirrormanager import ImportedCache

KIND: Final = "mirrormanager"
EPILOG: Final = """\
With --from mirrormanager, SOURCE is the cache that MirrorManager's generator writes (mirrorlist_cache.proto), or the
folder that it is in: then country_continent.csv and global_netblocks.txt are taken from there, too, if they are there.
The build time is the cache's own, unless SOURCE_DATE_EPOCH is set. Rows that cannot be used are skipped and counted.
Refused are a cache that is cut off, one that lacks a repository's directory, and one with which FILE as it is there
would lose more than --max-loss of its mirrors, repositories or directories; --force takes the last two as they are.
docs/mirrormanager.md says what becomes of each field.
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
        "--from",
        dest="kind",
        choices=("files", KIND),
        default="files",
        help="what SOURCE is: files that people write (the default), or MirrorManager's cache",
    )
    group.add_argument(
        "--country-continent",
        metavar="FILE.csv",
        type=Path,
        help="lines `CC,CONTINENT`: where MirrorManager has each country",
    )
    group.add_argument(
        "--global-netblocks",
        metavar="FILE.txt",
        type=Path,
        help="lines `CIDR ASN`: who announces which network",
    )
    add_max_loss(group, "FILE")
    group.add_argument(
        "--force",
        action="store_true",
        help="import a cache that lacks repositories' directories, or takes away much of FILE",
    )


def check_usage(options: argparse.Namespace) -> None:
    """Refuse flags that would do nothing, and several caches."""
    if options.kind == KIND:
        if len(options.sources) != 1:
            options.parser.error(f"--from {KIND} takes one SOURCE: the cache, or the folder that it is in")
    elif options.country_continent or options.global_netblocks or options.force or options.max_loss is not None:
        options.parser.error(f"--country-continent, --global-netblocks, --max-loss and --force need --from {KIND}")


def read(options: argparse.Namespace) -> ImportedCache:
    """Read what the options name; SourceError where it is refused."""
    # Nobody else needs protobuf, which takes longer to import than most verbs to run.
    from mirrorlist_snapshot.source.mirrormanager import read_mirrormanager  # noqa: PLC0415 - see above

    files = _files(options)
    line = Progress()

    def progress(path: Path, position: int) -> None:
        if line.due():
            size = path.stat().st_size
            part = f" of {size:,} ({100 * position // size} %)" if size else ""
            line.show(f"read {position:,}{part} bytes: {path}")

    try:
        return read_mirrormanager(
            files.cache,
            country_continent=files.countries,
            global_netblocks=files.netblocks,
            progress=progress,
            force=options.force,
        )
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
    """Raise SourceError where the file to be replaced offers much that the new snapshot does not."""
    output: Path | None = options.output
    if options.force or output is None or output == STANDARD or not output.is_file():
        return
    try:
        old = snapshot_format.decode(output.read_bytes())
    except (OSError, SnapshotError):
        return  # its serial was missed before, with a warning; and it serves nobody
    try:
        loss.check_loss(old, snapshot, max_loss(options))
    except LossError as error:
        message = f"against {output} as it is, {error}; if that is meant, raise --max-loss"
        complaint = Complaint(file=str(_files(options).cache), line=None, key="", message=message)
        raise SourceError((complaint,)) from error


def rows(skipped: dict[str, dict[str, int]]) -> int:
    """All rows that were skipped, given those of each table of each file."""
    return sum(sum(tables.values()) for tables in skipped.values())
