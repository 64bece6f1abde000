"""Small mirror networks for tests: written as sources, compiled by the real compiler, decided by the real parts."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from mirrorlist_snapshot.compiler import compile_snapshot
from mirrorlist_snapshot.freshness.merging import apply
from mirrorlist_snapshot.source import read_sources
from mirrorlistd.answering.answer import Answer, answer
from mirrorlistd.answering.decider import Decider
from mirrorlistd.answering.plan import AnswerSettings
from mirrorlistd.config import Config
from mirrorlistd.geo.locate import Geo, Location
from mirrorlistd.request.client_address import Address, NetworkSet, Trust, parse_address
from mirrorlistd.selection.index import Index
from mirrorlistd.selection.status_file import NO_STATUS
from mirrorlistd.state.state import State, StateOrigin

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mirrorlist_snapshot.freshness.observed import Observations
    from mirrorlist_snapshot.model import Snapshot


def compiled(
    source: Mapping[str, Any], *, serial: int = 1, built: int = 1_700_000_000, seen: Observations | None = None
) -> Snapshot:
    """Compile a source document given as plain data, merged with what was seen."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "mirrors.json")
        path.write_text(json.dumps(source))
        records, _warnings = read_sources([path])
    if seen is not None:
        records = apply(records, seen).records
    return compile_snapshot(records, serial=serial, built=built, generator="tests")


def state_of(decider: Decider, trust: Trust, insiders: Sequence[str], *, access_log: bool = False) -> State:
    """A State around a decider of a test's own."""
    return State(
        config=Config(),
        decider=decider,
        trust=trust,
        explain_networks=NetworkSet.parse(insiders),
        access_log=access_log,
        origin=StateOrigin(source="tests"),
        data=memoryview(b""),
        published=decider.index.snapshot,
        status_file=NO_STATUS,
        max_age=0,
    )


class Map:
    """A geo database of the test's own: address text -> location. Written by hand, as `Geo` documents itself."""

    failures = 0
    sources = ()

    def __init__(self, places: Mapping[str, tuple[str | None, str | None, int]]) -> None:
        self._places = {text: Location(*place) for text, place in places.items()}

    def locate(self, address: Address) -> Location:
        """Where the test says it is."""
        return self._places.get(address.text, Location(None, None, 0))


def at(text: str) -> Address:
    """An address that must parse."""
    address = parse_address(text)
    assert address is not None
    return address


DE, FR, US, JP, NOWHERE = "198.51.100.1", "198.51.100.2", "198.51.100.3", "198.51.100.4", "198.51.100.9"
PLACES: dict[str, tuple[str | None, str | None, int]] = {
    DE: ("DE", "EU", 680),
    FR: ("FR", "EU", 0),
    US: ("US", "NA", 7018),
    JP: ("JP", "AS", 0),
}


def decider(
    source: Mapping[str, Any], *, places: Any = None, seen: Observations | None = None, **settings: Any
) -> Decider:
    """A decider over a source document, with PLACES (or others) as its map of the world."""
    geo: Any = Map(PLACES if places is None else places)
    wanted = AnswerSettings(**settings)
    return Decider(Index(compiled(source, seen=seen), wanted.preset.heaviest), geo, wanted)


def again(world: Decider) -> Decider:
    """The same network with nothing remembered: equal seeds draw equal lists from it."""
    return Decider(world.index, world.geo, world.settings)


def built_in_geo() -> Geo:
    """The geo data that the server has of its own."""
    return Geo.open(None, None)


def ask(decider: Decider, query: str, client: str | None = None, seed: int = 0) -> Answer:
    """One answer."""
    return answer(decider, query.encode(), at(client) if client else None, Random(seed))


def urls(reply: Answer) -> list[str]:
    """The URLs of a text list."""
    assert reply.status == 200, reply
    return [line for line in reply.body.decode().splitlines() if not line.startswith("#")]


def hosts(reply: Answer) -> list[str]:
    """The host names of a text list, in order."""
    return [url.split("/")[2] for url in urls(reply)]


def mirror(country: str | None, **fields: Any) -> dict[str, Any]:
    """A mirror of the category `c`; its host is its name, filled in by `network`."""
    return ({"country": country} if country else {}) | fields


def network(mirrors: Mapping[str, Mapping[str, Any]], **more: Any) -> dict[str, Any]:
    """A source with one open category `c`, one repository `r` at its top, and these mirrors."""
    full = {name: {"categories": {"c": f"https://{name}/c/"}} | dict(fields) for name, fields in mirrors.items()}
    return {"categories": {"c": {}}, "repositories": {"r": {"category": "c"}}, "mirrors": full} | more
