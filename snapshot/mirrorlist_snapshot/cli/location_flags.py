"""Flags for mirrors with `country = "auto"`: which data place them, and whether names of hosts are resolved."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mirrorlist_snapshot.cli.shared import CommandError
from mirrorlist_snapshot.errors import InputFileError
from mirrorlist_snapshot.host_location import GeoDatabase, HostLocator, RegistryData, resolve

if TYPE_CHECKING:
    import argparse

EPILOG: Final = """\
A mirror with country = "auto" is in the country of its host's address. Who was placed where is noted; a mirror that
cannot be placed is a mistake. Only addresses in URLs are looked up, unless --resolve lets compile ask the system's
resolver for those of names.
"""


def add_flags(parser: Any) -> None:  # noqa: ANN401 - argparse's own
    """Add the flags."""
    group = parser.add_argument_group('for mirrors with country = "auto"')
    group.add_argument(
        "--geo", metavar="FILE", type=Path, help="a database of countries in MMDB format (default: address registries)"
    )
    group.add_argument("--resolve", action="store_true", help="resolve the names of their hosts")


def locator(options: argparse.Namespace) -> HostLocator:
    """Return what the flags ask for; raise CommandError."""
    try:
        data = RegistryData() if options.geo is None else GeoDatabase(options.geo)
    except InputFileError as failure:
        raise CommandError(f"--geo {failure}") from failure
    return HostLocator(data, resolve if options.resolve else None)
