"""`compile SOURCE... -o FILE`: from what people write to what the server serves."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mirrorlist_snapshot import format as snapshot_format
from mirrorlist_snapshot.cli import file_details_flags, mirrormanager_flags
from mirrorlist_snapshot.cli.console import (
    EXIT_REFUSED,
    RED,
    STANDARD,
    YELLOW,
    CommandError,
    add_json,
    add_verb,
    generator,
    say,
    show_bytes,
    show_json,
)
from mirrorlist_snapshot.cli.key_flags import add_sign_key, signing_key
from mirrorlist_snapshot.errors import PublishError, SnapshotError, SourceError
from mirrorlist_snapshot.publishing.file_target import write_snapshot
from mirrorlist_snapshot.report.text import plural

if TYPE_CHECKING:
    import argparse

    from mirrorlist_snapshot.cli.console import Verbs
    from mirrorlist_snapshot.errors import Complaint
    from mirrorlist_snapshot.model import Snapshot
    from mirrorlist_snapshot.records import NetworkRecords
    from mirrorlist_snapshot.signing import SigningKey

_EPILOG: Final = f"""\
SOURCE is a TOML, YAML or JSON file, or a folder of them. All mistakes of all files are listed, one a line:
FILE:LINE: KEY: what was found and what is allowed.

The serial grows with every publication. Without --serial it is the serial of FILE as it is there plus one, or the
build time in seconds if that is more (so it also grows when the old file is lost).
The build time is SOURCE_DATE_EPOCH if set, else now (or MirrorManager's, see below). The same sources, --serial and
SOURCE_DATE_EPOCH give the same bytes.

{file_details_flags.EPILOG}
{mirrormanager_flags.EPILOG}
With the JSON Schema, editors complete keys and mark mistakes while you write. Attach it in a source's first line:
  TOML  #:schema ./mirrors.schema.json                          (Taplo, Even Better TOML)
  YAML  # yaml-language-server: $schema=./mirrors.schema.json
  JSON  {{ "$schema": "./mirrors.schema.json",

exit codes: 0 compiled, 1 the sources are refused, or TREE cannot be read or an output written, 2 wrong usage

examples:
  mirrorlist-snapshot compile mirrors.toml overrides.yaml -o /srv/mirrors.mls
  mirrorlist-snapshot compile mirrors/ --check
  mirrorlist-snapshot compile mirrors/ -o /srv/mirrors.mls --file-details epel=/srv/pub/epel
  mirrorlist-snapshot compile --from mirrormanager /var/lib/mirrormanager -o /srv/mirrors.mls
  mirrorlist-snapshot compile --from mirrormanager mirrorlist_cache.proto -o mirrors.mls \\
      --country-continent country_continent.csv --global-netblocks global_netblocks.txt
  mirrorlist-snapshot compile --json-schema > mirrors.schema.json
"""
_NOUNS: Final = {
    "mirrors": ("mirror", None),
    "repositories": ("repository", "repositories"),
    "directories": ("directory", "directories"),
    "carrier_sets": ("carrier set", None),
    "files": ("file", None),
}


def add(verbs: Verbs) -> None:
    """Add the verb to the command's parser."""
    parser = add_verb(verbs, "compile", run, "Compile sources into a snapshot file.", _EPILOG)
    parser.add_argument("sources", metavar="SOURCE", type=Path, nargs="*", help="a source file, or a folder of them")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="the snapshot to write; - is standard output")
    parser.add_argument("--serial", metavar="N", type=int, help="serial number (default: see below)")
    parser.add_argument("--check", action="store_true", help="do everything but write the file")
    parser.add_argument(
        "--json-schema",
        action="store_true",
        help="write the JSON Schema of sources and do nothing else; below: how to attach it in an editor",
    )
    add_sign_key(parser)
    add_json(parser)
    file_details_flags.add_flags(parser)
    mirrormanager_flags.add_flags(parser)
    parser.set_defaults(parser=parser)


def run(options: argparse.Namespace) -> int:
    """Compile, or say why not."""
    # Only this verb needs pydantic and the parsers of sources, which take longer to import than the others to run.
    from mirrorlist_snapshot.source import json_schema  # noqa: PLC0415 - see above

    if options.json_schema:
        show_json(json_schema())
        return 0
    _check_usage(options)
    asked = _source_date(options.parser)
    key = signing_key(options.sign_key)  # before the work, not after it
    try:
        _compile(options, asked, key)
    except SourceError as refusal:
        return _refuse(refusal.complaints, as_json=options.json)
    return 0


def _compile(options: argparse.Namespace, asked: int | None, key: SigningKey | None) -> None:
    source = _read(options)
    records, complaints = source.records, source.complaints
    _list(complaints)
    built = next(one for one in (asked, source.time, int(time.time())) if one is not None)
    if options.file_details:
        records, warnings = file_details_flags.add_file_details(options, records, built)
        complaints += warnings
    from mirrorlist_snapshot.compiler import compile_snapshot  # noqa: PLC0415 - see `run`

    serial = _serial(options.serial, options.output, built)
    try:
        snapshot = compile_snapshot(records, serial=serial, built=built, generator=generator())
        data = snapshot_format.encode(snapshot)
        if key:
            data = snapshot_format.reissue(data, serial=serial, signer=key)
    except SnapshotError as failure:
        raise CommandError(f"cannot compile this: {failure}") from failure
    if options.kind == mirrormanager_flags.KIND:
        mirrormanager_flags.check_loss(options, snapshot)
    if not options.check:
        _write(data, options.output)
    _summarise(options, snapshot, data, complaints, source.skipped)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """What was read, whatever it was read from."""

    records: NetworkRecords
    complaints: tuple[Complaint, ...]
    """Warnings."""
    time: int | None = None
    """When the source was made, in seconds since 1970 UTC, if it says so."""
    skipped: dict[str, dict[str, int]] | None = None
    """File -> table -> rows that were left out, of an import."""


def _read(options: argparse.Namespace) -> _Source:
    """Read the sources; SourceError where they are refused."""
    if options.kind == mirrormanager_flags.KIND:
        found = mirrormanager_flags.read(options)
        skipped = {one.file: one.counts for one in found.skips}
        return _Source(records=found.records, complaints=found.complaints, time=found.time, skipped=skipped)
    from mirrorlist_snapshot.source import read_sources  # noqa: PLC0415 - see `run`

    records, complaints = read_sources(options.sources)
    return _Source(records=records, complaints=complaints)


def _check_usage(options: argparse.Namespace) -> None:
    fail = options.parser.error
    if not options.sources:
        fail("name at least one SOURCE, a file or a folder")
    if options.output is None and not options.check:
        fail("name the snapshot to write with -o FILE, or use --check")
    if options.serial is not None and not 0 <= options.serial <= snapshot_format.MAX_SERIAL:
        fail(f"--serial is a number from 0 to {snapshot_format.MAX_SERIAL}")
    if options.output == STANDARD and not options.check and (options.json or sys.stdout.isatty()):
        fail("-o - writes the snapshot itself to standard output: redirect that, and do not ask for --json")
    file_details_flags.check_usage(options)
    mirrormanager_flags.check_usage(options)


def _source_date(parser: argparse.ArgumentParser) -> int | None:
    """Seconds since 1970 UTC, if set: https://reproducible-builds.org/specs/source-date-epoch/."""
    text = os.environ.get("SOURCE_DATE_EPOCH")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and int(text) <= snapshot_format.MAX_TIME):
        parser.error(f"SOURCE_DATE_EPOCH is a number of seconds since 1970, not {text!r}")
    return int(text)


def _serial(asked: int | None, output: Path | None, built: int) -> int:
    """The asked serial, else one that grows: over the file that is replaced, and over time."""
    old = _old_serial(output)
    if asked is None:
        return max(old + 1, built)
    if asked <= old:
        say(f"warning: serial {asked} is not more than {old}, that of {output} as it is", YELLOW)
    return asked


def _old_serial(output: Path | None) -> int:
    """The serial of the file to be replaced, -1 where there is none."""
    if output is None or output == STANDARD or not output.is_file():
        return -1
    try:
        return snapshot_format.header(output.read_bytes()).serial
    except (OSError, SnapshotError) as failure:
        reason = failure.strerror if isinstance(failure, OSError) else failure
        say(f"warning: {output}: the old serial cannot be read, so the new one may not grow: {reason}", YELLOW)
        return -1


def _write(data: bytes, output: Path) -> None:
    if output == STANDARD:
        show_bytes(data)
        return
    try:
        write_snapshot(data, output)
    except (PublishError, SnapshotError) as failure:
        raise CommandError(str(failure)) from failure


def _list(complaints: tuple[Complaint, ...]) -> None:
    for complaint in complaints:
        say(str(complaint), YELLOW if complaint.warning else RED)


def _refuse(complaints: tuple[Complaint, ...], *, as_json: bool) -> int:
    mistakes = sum(not complaint.warning for complaint in complaints)
    _list(complaints)
    say(f"refused: {plural(mistakes, 'mistake')}; nothing was written")
    if as_json:
        show_json({"ok": False, "complaints": [asdict(complaint) for complaint in complaints]})
    return EXIT_REFUSED


def _summarise(
    options: argparse.Namespace,
    snapshot: Snapshot,
    data: bytes,
    complaints: tuple[Complaint, ...],
    skipped: dict[str, dict[str, int]] | None,
) -> None:
    header = snapshot_format.header(data)
    place = "standard output" if options.output == STANDARD else str(options.output)
    counts = {
        "mirrors": len(snapshot.mirrors),
        "repositories": len(snapshot.repositories),
        "directories": len(snapshot.directories),
        "carrier_sets": len(snapshot.sets),
        "files": len(snapshot.files),
    }
    say(
        f"{'checked, nothing written' if options.check else f'wrote {place}'}: serial {snapshot.serial}, "
        + ", ".join(plural(number, *_NOUNS[name]) for name, number in counts.items())
        + f", {len(data):,} bytes, digest {header.digest}"
        + (f", signed by key {header.key_id}" if header.signed else "")
        + (f"; {plural(mirrormanager_flags.rows(skipped), 'row')} skipped" if skipped is not None else "")
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
            "complaints": [asdict(complaint) for complaint in complaints],
        }
        if skipped is not None:
            facts |= {"skipped": skipped, "skipped_rows": mirrormanager_flags.rows(skipped)}
        show_json(facts)
