"""`compile SOURCE... -o FILE`: turn sources into the snapshot that servers load."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mirrorlist_snapshot import format as snapshot_format
from mirrorlist_snapshot.cli import (
    file_details_flags,
    import_flags,
    location_flags,
    mirrormanager_flags,
    observations_flag,
)
from mirrorlist_snapshot.cli.key_flags import add_sign_key, signing_key
from mirrorlist_snapshot.cli.shared import (
    STANDARD,
    CommandError,
    add_json,
    console,
    generator,
)
from mirrorlist_snapshot.compiler import compile_snapshot
from mirrorlist_snapshot.console import NOT_REPORTED, RED, REFUSED, YELLOW, report_done, show_bytes, show_json, whole
from mirrorlist_snapshot.errors import InputFileError, PublishedError, PublishError, SnapshotError, SourceError
from mirrorlist_snapshot.importers import FORMATS
from mirrorlist_snapshot.input_file import SNAPSHOT, read_file
from mirrorlist_snapshot.publishing.file_target import write_snapshot
from mirrorlist_snapshot.report.text import plural
from mirrorlist_snapshot.source import json_schema, read_documents, read_sources

if TYPE_CHECKING:
    import argparse

    from mirrorlist_snapshot.errors import Complaint
    from mirrorlist_snapshot.model import Snapshot
    from mirrorlist_snapshot.records import NetworkRecords
    from mirrorlist_snapshot.signing import SigningKey

EXAMPLES: Final = f"""\
SOURCE is a TOML, YAML or JSON file, or a folder of them. All mistakes of all files are listed, one on each line:
FILE:LINE: KEY: what was found and what is allowed.

The serial must grow with every publication. Without --serial it is the serial of the existing FILE plus one, or the
build time in seconds if that is more, so that it also grows if the old file is lost.
The build time is SOURCE_DATE_EPOCH if set, else now (or MirrorManager's, see below). The same sources, --serial and
SOURCE_DATE_EPOCH give the same bytes.

{file_details_flags.EPILOG}
{location_flags.EPILOG}
{observations_flag.EPILOG}
{mirrormanager_flags.EPILOG}
With --from FORMAT, SOURCE is a list of mirrors that a network has, such as Debian's or a CSV file; `convert` makes
source files of it instead.
{import_flags.EPILOG}
With the JSON Schema, editors complete keys and mark mistakes while you write. Attach it in a source's first line:
  TOML  #:schema ./mirrors.schema.json                          (Taplo, Even Better TOML)
  YAML  # yaml-language-server: $schema=./mirrors.schema.json
  JSON  {{ "$schema": "./mirrors.schema.json",

exit status: 0 compiled, 1 nothing was written: the sources are refused, or a file cannot be read or written, 2 wrong
usage, 4 FILE is written, but a later step failed, or the output cannot be written

examples:
  mirrorlist-snapshot compile mirrors.toml overrides.yaml -o /srv/mirrors.mls
  mirrorlist-snapshot compile mirrors/ --check
  mirrorlist-snapshot compile mirrors/ -o /srv/mirrors.mls --file-details epel=/srv/pub/epel
  mirrorlist-snapshot compile mirrors/ -o /srv/mirrors.mls --observations /var/lib/mirrorlist-admin/observations.db
  mirrorlist-snapshot compile --from mirrormanager /var/lib/mirrormanager -o /srv/mirrors.mls
  mirrorlist-snapshot compile --from mirrormanager mirrorlist_cache.proto -o mirrors.mls \\
      --country-continent country_continent.csv --global-netblocks global_netblocks.txt
  mirrorlist-snapshot compile --from debian Mirrors.masterlist -o /srv/mirrors.mls
  mirrorlist-snapshot compile --json-schema > mirrors.schema.json
"""
_FILES: Final = "files"
"""The kind of sources that people write."""
_NOUNS: Final = {
    "mirrors": ("mirror", None),
    "repositories": ("repository", "repositories"),
    "directories": ("directory", "directories"),
    "carrier_sets": ("carrier set", None),
    "files": ("file", None),
}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the verb."""
    parser.add_argument("sources", metavar="SOURCE", type=Path, nargs="*", help="a source file, or a folder of them")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="the snapshot to write; - is standard output")
    parser.add_argument(
        "--serial",
        metavar="N",
        type=whole(0, snapshot_format.MAX_SERIAL, "a serial"),
        help="serial number (default: see below)",
    )
    parser.add_argument("--check", action="store_true", help="do everything but write the file")
    parser.add_argument(
        "--json-schema",
        action="store_true",
        help="write the JSON Schema of sources and do nothing else; see below how to attach it in an editor",
    )
    parser.add_argument(
        "--from",
        dest="kind",
        metavar="FORMAT",
        choices=(_FILES, mirrormanager_flags.KIND, *FORMATS),
        default=_FILES,
        help=f"what SOURCE is: {_FILES} that people write (the default), the cache of {mirrormanager_flags.KIND}, or a"
        " mirror list in a format of --list-formats",
    )
    add_sign_key(parser)
    add_json(parser)
    import_flags.add_flags(parser.add_argument_group("mirror lists of other programs"))
    file_details_flags.add_flags(parser)
    location_flags.add_flags(parser)
    observations_flag.add_flags(parser)
    mirrormanager_flags.add_flags(parser)


def run(options: argparse.Namespace) -> int:
    """Compile sources into a snapshot."""
    if options.json_schema:
        show_json(json_schema())
        return 0
    if options.list_formats:
        import_flags.list_formats(as_json=options.json)
        return 0
    _check_usage(options)
    date = _source_date(options.parser)
    key = signing_key(options.sign_key)  # first: a wrong key must not cost a compilation
    try:
        return _compile(options, date, key)
    except SourceError as refusal:
        return _refuse(refusal.complaints, as_json=options.json)


def _compile(options: argparse.Namespace, date: int | None, key: SigningKey | None) -> int:
    source = _read(options)
    _list(source.complaints)
    built = next(one for one in (date, source.time, int(time.time())) if one is not None)
    if options.file_details:
        records, warnings = file_details_flags.add_file_details(options, source.records, built)
        source = replace(source, records=records, complaints=source.complaints + warnings)
    if options.observations:
        seen = observations_flag.merge(options.observations, source.records, built)
        complaints = source.complaints + seen.complaints
        source = replace(source, records=seen.records, complaints=complaints, observations=seen.facts)
    serial = _serial(options.serial, options.output, built)
    try:
        snapshot = compile_snapshot(source.records, serial=serial, built=built, generator=generator())
        data = snapshot_format.encode(snapshot)
        if key:
            data = snapshot_format.reissue(data, serial=serial, signer=key)
    except SnapshotError as failure:
        raise CommandError(f"cannot compile this: {failure}") from failure
    if options.kind == mirrormanager_flags.KIND:
        mirrormanager_flags.check_loss(options, snapshot)
    trouble = None if options.check else _write(data, options.output)
    if trouble:
        console().error(trouble)

    def report() -> None:
        _summarise(options, snapshot, data, source)

    status = NOT_REPORTED if trouble else 0
    if options.check or options.output == STANDARD:
        report()
        return status
    return report_done(console(), report, f"{options.output} is written", status)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """The result of reading any kind of source."""

    records: NetworkRecords
    complaints: tuple[Complaint, ...]
    """Warnings."""
    time: int | None = None
    """The source's own time, in seconds since 1970 UTC, if it has one."""
    skipped: dict[str, dict[str, int]] | None = None
    """File -> table -> number of skipped rows, of an import."""
    observations: dict[str, Any] | None = None
    """What was observed, for --json."""


def _read(options: argparse.Namespace) -> _Source:
    """Read the sources; raise SourceError if they are refused."""
    if options.kind == mirrormanager_flags.KIND:
        found = mirrormanager_flags.read(options)
        skipped = {one.file: one.counts for one in found.skips}
        return _Source(records=found.records, complaints=found.complaints, time=found.time, skipped=skipped)
    try:
        locator = location_flags.locator(options)
    except InputFileError as failure:
        raise CommandError(f"--geo {failure}") from failure
    if options.kind in FORMATS:
        imported = import_flags.read(options, FORMATS[options.kind], options.sources)
        records, complaints = read_documents(imported.documents, imported.not_taken, locator)
    else:
        records, complaints = read_sources(options.sources, locator)
    return _Source(records=records, complaints=complaints)


def _check_usage(options: argparse.Namespace) -> None:
    fail = options.parser.error
    if not options.sources:
        fail("name at least one SOURCE, a file or a folder")
    if options.output is None and not options.check:
        fail("name the snapshot to write with -o FILE, or use --check")
    if options.output == STANDARD and not options.check and (options.json or sys.stdout.isatty()):
        fail("-o - writes the snapshot itself to standard output: redirect that, and do not use --json")
    file_details_flags.check_usage(options)
    mirrormanager_flags.check_usage(options)
    import_flags.check_usage(options, FORMATS.get(options.kind))


def _source_date(parser: argparse.ArgumentParser) -> int | None:
    """Return SOURCE_DATE_EPOCH, if set: https://reproducible-builds.org/specs/source-date-epoch/."""
    text = os.environ.get("SOURCE_DATE_EPOCH")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and int(text[:20]) <= snapshot_format.MAX_TIME):
        parser.error(f"SOURCE_DATE_EPOCH must be a number of seconds since 1970, found {text[:40]!r}")
    return int(text)


def _serial(requested: int | None, output: Path | None, built: int) -> int:
    """Return the requested serial, else one above that of the file to be replaced, and at least the build time."""
    old = _old_serial(output)
    if requested is None:
        return max(old + 1, built)
    if requested <= old:
        console().say(f"warning: serial {requested} is not more than {old}, that of the existing {output}", YELLOW)
    return requested


def _old_serial(output: Path | None) -> int:
    """Return the serial of the file to be replaced, -1 if there is none."""
    if output is None or output == STANDARD or not output.is_file():
        return -1
    try:
        return snapshot_format.header(read_file(output, SNAPSHOT)).serial
    except (InputFileError, SnapshotError) as failure:
        reason = failure.found if isinstance(failure, InputFileError) else failure
        console().say(
            f"warning: {output}: the old serial cannot be read, so the new one may not grow: {reason}", YELLOW
        )
        return -1


def _write(data: bytes, output: Path) -> str | None:
    """Write the snapshot; return what failed after it was in place. Raise CommandError if it was not written."""
    try:
        if output == STANDARD:
            show_bytes(data)
        else:
            write_snapshot(data, output)
    except PublishedError as failure:
        return str(failure)
    except (PublishError, SnapshotError) as failure:
        raise CommandError(str(failure)) from failure
    return None


def _list(complaints: tuple[Complaint, ...]) -> None:
    for complaint in complaints:
        console().say(str(complaint), None if complaint.note else YELLOW if complaint.warning else RED)


def _refuse(complaints: tuple[Complaint, ...], *, as_json: bool) -> int:
    mistakes = sum(not complaint.warning for complaint in complaints)
    _list(complaints)
    console().say(f"refused: {plural(mistakes, 'mistake')}; nothing was written")
    if as_json:
        show_json({"ok": False, "complaints": [asdict(complaint) for complaint in complaints]})
    return REFUSED


def _summarise(options: argparse.Namespace, snapshot: Snapshot, data: bytes, source: _Source) -> None:
    header = snapshot_format.header(data)
    place = "standard output" if options.output == STANDARD else str(options.output)
    counts = {
        "mirrors": len(snapshot.mirrors),
        "repositories": len(snapshot.repositories),
        "directories": len(snapshot.directories),
        "carrier_sets": len(snapshot.sets),
        "files": len(snapshot.files),
    }
    console().say(
        f"{'checked, nothing written' if options.check else f'wrote {place}'}: serial {snapshot.serial}, "
        + ", ".join(plural(number, *_NOUNS[name]) for name, number in counts.items())
        + f", {len(data):,} bytes, digest {header.digest}"
        + (f", signed by key {header.key_id}" if header.signed else "")
        + (f"; {plural(mirrormanager_flags.rows(source.skipped), 'row')} skipped" if source.skipped is not None else "")
    )
    if options.json:
        facts: dict[str, Any] = {
            "ok": True,
            "file": None if options.check else place,
            "serial": snapshot.serial,
            "built": snapshot.built,
            "format_version": header.version,
            "digest": header.digest,
            "key_id": header.key_id,
            "bytes": len(data),
            "counts": counts,
            "complaints": [asdict(complaint) for complaint in source.complaints],
        }
        if source.observations is not None:
            facts["observations"] = source.observations
        if source.skipped is not None:
            facts |= {"skipped": source.skipped, "skipped_rows": mirrormanager_flags.rows(source.skipped)}
        show_json(facts)
