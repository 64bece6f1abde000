"""Flags of `convert`, and of `compile --from FORMAT`: which list is read, and what the list itself does not say."""

from __future__ import annotations

import argparse
import textwrap
from typing import TYPE_CHECKING, Any, Final, cast

from mirrorlist_snapshot.cli.shared import CommandError, console
from mirrorlist_snapshot.console import YELLOW, show, show_json
from mirrorlist_snapshot.errors import InputFileError
from mirrorlist_snapshot.importers import COLUMN_KEYS, FORMATS, ImportedFile, ImportOptions, import_list
from mirrorlist_snapshot.input_file import SOURCE_FILE, YAML_FILE, read_file
from mirrorlist_snapshot.report.text import plural, table
from mirrorlist_snapshot.source import rules
from mirrorlist_snapshot.source.syntax import YAML_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mirrorlist_snapshot.importers import Format, Imported
    from mirrorlist_snapshot.source.reading import Document

EPILOG: Final = f"""\
The list is read as it is: nothing is fetched. What no source can state is left out, and each such entry or detail has a
line: FILE:LINE: warning: KEY: not taken: the reason. All URLs of a list are base URLs of one content tree, a category;
it and its repository are called --category NAME, by default as the network calls it, or for tables `mirrors`.

Columns of tables are recognised by their usual names: url, https, http, rsync, country, bandwidth, sponsor and so on.
--column KEY=COLUMN names others, a key with dots in JSON and YAML (country=geo.code), a number where a table has no
heading. KEY is one of
{textwrap.fill(", ".join(COLUMN_KEYS), 118, initial_indent="  ", subsequent_indent="  ")}.
What is recognised as nothing is kept in the table `about.extra`.
"""


def add_flags(group: Any) -> None:  # noqa: ANN401 - argparse's own
    """Add the flags, except the one for the format."""
    group.add_argument(
        "--list-formats",
        action="store_true",
        help="list the formats of mirror lists that are read, and do nothing else",
    )
    group.add_argument(
        "--category",
        metavar="NAME",
        type=_name,
        help="the name of the content tree that the mirrors of the list carry, and of its repository",
    )
    group.add_argument(
        "--country",
        metavar="CC",
        help="the country of mirrors for which the list states none: a code, a name, `worldwide`, or `auto` to have it"
        " looked up by `compile`",
    )
    group.add_argument(
        "--column",
        metavar="KEY=COLUMN",
        action="append",
        default=[],
        type=_column,
        help="the column of a table that has a key; repeatable",
    )


def check_usage(options: argparse.Namespace, kind: Format | None) -> None:
    """Refuse flags that would have no effect."""
    fail = options.parser.error
    if kind is None and (options.category or options.country or options.column):
        fail("--category, --country and --column need the format of a list: --from FORMAT")
    if kind is not None and options.column and not kind.columns:
        fail(f"--column is for formats with columns: {', '.join(one.name for one in FORMATS.values() if one.columns)}")


def list_formats(*, as_json: bool) -> None:
    """Write the formats."""
    if as_json:
        show_json([{"name": one.name, "title": one.title, "category": one.category} for one in FORMATS.values()])
    else:
        rows = [[one.name, one.title] for one in FORMATS.values()]
        show("\n".join(line.removeprefix("  ") for line in table(["FORMAT", "what it is"], rows)))


def read(options: argparse.Namespace, kind: Format, paths: Sequence[Path]) -> Imported:
    """Read a list; raise SourceError if it is not in the format, CommandError if a file cannot be read."""
    files = [_file(path) for given in paths for path in _below(given, kind)]
    choice = ImportOptions(
        category=options.category or kind.category, country=options.country or "", columns=dict(options.column)
    )
    return import_list(kind, files, choice)


def say_not_taken(imported: Imported) -> None:
    """Write a line for everything that was left out."""
    for complaint in imported.not_taken:
        console().say(str(complaint), YELLOW)


def has_news(imported: Imported) -> bool:
    """Whether a list has a mirror, or something else than its own category and repository."""
    return imported.mirrors > 0 or any("overrides" in _data(document) for document in imported.documents)


def summary(imported: Imported) -> str:
    """Return what came of the list, in one clause."""
    details = len(imported.not_taken)
    near = sum(len(_data(document).get("overrides", {}).get("neighbours", {})) for document in imported.documents)
    entries = plural(imported.entries, "entry", "entries")
    return (
        f"{entries}, {imported.left:,} left out, {plural(imported.mirrors, 'mirror')}"
        + (f", neighbours of {plural(near, 'country', 'countries')}" if near else "")
        + (f", {plural(details, 'line')} about what is not taken" if details else "")
    )


def _data(document: Document) -> dict[str, Any]:
    return cast("dict[str, Any]", document.data)


def _below(path: Path, kind: Format) -> Iterator[Path]:
    """Yield a file, or the files of the format at and below a folder, by name."""
    if not path.is_dir():
        yield path
        return
    try:
        found = sorted(
            one
            for one in path.rglob("*")
            if one.is_file()
            and not any(part.startswith(".") for part in one.relative_to(path).parts)
            and (not kind.suffixes or one.suffix.lower() in kind.suffixes)
        )
    except OSError as failure:
        raise CommandError(f"{path}: cannot be read: {failure.strerror or failure}") from failure
    if not found:
        named = f"no file named {', '.join(f'*{suffix}' for suffix in kind.suffixes)}" if kind.suffixes else "no file"
        raise CommandError(f"{path}: has {named} in it")
    yield from found


def _file(path: Path) -> ImportedFile:
    limit = YAML_FILE if path.suffix.lower() in YAML_SUFFIXES else SOURCE_FILE
    try:
        return ImportedFile(str(path), read_file(path, limit))
    except InputFileError as failure:
        raise CommandError(str(failure)) from failure


def _name(text: str) -> str:
    try:
        return rules.name(text)
    except rules.RuleError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _column(text: str) -> tuple[str, str]:
    key, equals, column = text.partition("=")
    if not equals or not column:
        raise argparse.ArgumentTypeError(f"found {text!r}; write KEY=COLUMN, such as url=Address")
    if key not in COLUMN_KEYS:
        raise argparse.ArgumentTypeError(f"{key!r} is no key of a column; allowed: {', '.join(COLUMN_KEYS)}")
    return key, column
