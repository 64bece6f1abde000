"""Countries of hosts by their addresses, at compile time: from a database in MMDB format or built-in registry data.

Names of hosts are resolved only on demand, so that a compilation asks nobody anything by surprise.
"""

from __future__ import annotations

import importlib.metadata
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from mirrorlist_snapshot.countries import CONTINENT_OF, country_code
from mirrorlist_snapshot.errors import FileProblem, InputFileError
from mirrorlist_snapshot.input_file import GEO_DATABASE, open_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    Resolver = Callable[[str], Iterable[str]]
    """Host name -> addresses; raises OSError or UnicodeError."""

_FIELDS: Final = (("country", "iso_code"), ("registered_country", "iso_code"), ("country_code",), ("country",))
"""Where databases keep the country of an address (as in the server's `geo/locate.py`)."""
_AT_ONCE: Final = 16
"""Hosts that are resolved at the same time; a name server that does not answer takes seconds for each."""


class AddressCountries(Protocol):
    """What knows countries of addresses."""

    name: str
    """For people: which data these are."""

    def find(self, address: str) -> str | None:
        """Return the country of an address; None if it is not known."""


class RegistryData:
    """The built-in data: where an address is registered."""

    def __init__(self) -> None:
        import iptocc  # noqa: PLC0415 - most sources need none of these data

        self.name = f"iptocc {importlib.metadata.version('iptocc')}"
        self._find = iptocc.country_code

    def find(self, address: str) -> str | None:
        """Return the country of an address; None if it is not known."""
        return _country(self._find(address))


class GeoDatabase:
    """A database in MMDB format that has countries."""

    def __init__(self, path: Path) -> None:
        """Open a file; raise InputFileError."""
        import maxminddb_rust  # noqa: PLC0415 - most compilations need no database

        self.name = path.name
        self._path = path
        with open_file(path, GEO_DATABASE):
            pass  # only to refuse what is no file of this size
        self._reader = self._guarded(maxminddb_rust.open_database, str(path), maxminddb_rust.MODE_MMAP)

    def find(self, address: str) -> str | None:
        """Return the country of an address, None if it is not known; raise InputFileError for a broken file."""
        record = self._guarded(self._reader.get, address)
        return next((code for path in _FIELDS if (code := _country(_dig(record, path))) is not None), None)

    def _guarded(self, call: Callable[..., Any], *values: object) -> Any:  # noqa: ANN401 - what the reader returns
        try:
            return call(*values)
        except BaseException as error:
            # A fault in the reader's Rust code derives from BaseException and cannot be imported.
            if not isinstance(error, Exception) and type(error).__module__ != "pyo3_runtime":
                raise
            found = f"is no MMDB database that can be read: {error}"
            raise InputFileError(self._path, FileProblem.UNREADABLE, found) from error


@dataclass(frozen=True, slots=True)
class HostPlace:
    """What is known of the place of a host."""

    countries: Mapping[str, str]
    """Country -> the first of the host's addresses there."""
    addresses: tuple[str, ...]
    failure: str = ""
    """Why there are no addresses."""


@dataclass(frozen=True, slots=True)
class HostLocator:
    """Finds the countries of hosts."""

    data: AddressCountries
    resolver: Resolver | None = None
    """None: only hosts that are written as an address have a place."""

    def locate(self, hosts: Iterable[str]) -> dict[str, HostPlace]:
        """Return the place of each host: a name, or an address, IPv6 without brackets."""
        names = sorted(set(hosts))
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            return dict(zip(names, threads.map(self._locate, names), strict=True))

    def _locate(self, host: str) -> HostPlace:
        addresses: tuple[str, ...]
        try:
            addresses = (str(ip_address(host)),)
        except ValueError:
            if self.resolver is None:
                return HostPlace({}, (), "names are resolved with --resolve only")
            try:
                addresses = tuple(dict.fromkeys(self.resolver(host)))
            except (OSError, UnicodeError) as error:  # UnicodeError: no name that can be looked up
                reason = error.strerror if isinstance(error, OSError) else None
                return HostPlace({}, (), f"the name cannot be resolved: {reason or error}")
        countries: dict[str, str] = {}
        for address in addresses:
            if (country := self.data.find(address)) is not None:
                countries.setdefault(country, address)
        return HostPlace(countries, addresses)


def resolve(host: str) -> list[str]:
    """Return the addresses of a host as the system resolves them; raise OSError or UnicodeError."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return sorted({str(address[0]).partition("%")[0] for *_, address in found})


def _country(value: object) -> str | None:
    code = country_code(value) if isinstance(value, str) else None
    return code if code in CONTINENT_OF else None


def _dig(record: object, path: tuple[str, ...]) -> object:
    for key in path:
        if not isinstance(record, dict):
            return None
        record = cast("dict[str, object]", record).get(key)
    return record
