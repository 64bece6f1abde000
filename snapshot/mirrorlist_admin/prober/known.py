"""What the prober knows, in memory: read from the store at the start, and every changed row written back."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from mirrorlist_admin.plan import BURST
from mirrorlist_admin.store import schema
from mirrorlist_admin.store.rows import MirrorProbe

if TYPE_CHECKING:
    from mirrorlist_admin.store import Store
    from mirrorlist_admin.store.rows import (
        Arrival,
        Event,
        HeldRemoval,
        UnitProbe,
        UnitStart,
        UnitVersion,
        UrlProbe,
        WatchedUnit,
    )
    from mirrorlist_snapshot.freshness.observed import MirrorObservation, UnitObservation, UrlObservation

UnitKey = tuple[str, str]
"""(category, path)."""
UrlKey = tuple[str, str, int]
"""(category, base URL, family)."""

_KEEP_STARTS = 3 * 86_400
"""Seconds after which nobody asks for the bytes of a superseded version."""
_KEEP_VERSIONS = 60 * 86_400


class Known:
    """Rows by their keys. Use the methods to change them: they note what is to be written."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.units: dict[UnitKey, WatchedUnit] = {}
        self.versions: defaultdict[UnitKey, dict[str, UnitVersion]] = defaultdict(dict)
        self.urls: defaultdict[str, dict[UrlKey, UrlProbe]] = defaultdict(dict)
        self.probes: defaultdict[str, dict[UnitKey, UnitProbe]] = defaultdict(dict)
        self.mirrors: dict[str, MirrorProbe] = {}
        self.url_states: defaultdict[str, dict[UrlKey, UrlObservation]] = defaultdict(dict)
        self.unit_states: defaultdict[str, dict[UnitKey, UnitObservation]] = defaultdict(dict)
        self.mirror_states: dict[str, MirrorObservation] = {}
        self.held: dict[tuple[str, str, str, str], HeldRemoval] = {}
        for watched in store.read(schema.UNIT):
            self.units[watched.category, watched.unit] = watched
        for version in store.read(schema.UNIT_VERSION):
            self.versions[version.category, version.unit][version.sha256] = version
        keys: dict[UnitKey, UnitKey] = {}  # one tuple for all mirrors
        for url in store.read(schema.URL_PROBE):
            self.urls[url.mirror][url.category, url.url, url.family] = url
        for probe in store.read(schema.UNIT_PROBE):
            key = keys.setdefault((probe.category, probe.unit), (probe.category, probe.unit))
            self.probes[probe.mirror][key] = probe
        for mirror in store.read(schema.MIRROR_PROBE):
            self.mirrors[mirror.mirror] = mirror
        for url_state in store.read(schema.URL_STATE):
            self.url_states[url_state.mirror][url_state.category, url_state.url, url_state.family] = url_state
        for unit_state in store.read(schema.UNIT_STATE):
            key = keys.setdefault((unit_state.category, unit_state.unit), (unit_state.category, unit_state.unit))
            self.unit_states[unit_state.mirror][key] = unit_state
        for mirror_state in store.read(schema.MIRROR_STATE):
            self.mirror_states[mirror_state.mirror] = mirror_state
        for held in store.read(schema.HELD):
            self.held[held.mirror, held.category, held.subject, held.name] = held
        self._changed_probes: dict[tuple[str, UnitKey], UnitProbe] = {}
        self._arrivals: list[Arrival] = []

    def mirror(self, name: str, now: int) -> MirrorProbe:
        """Return what is known of requests to a mirror."""
        return self.mirrors.get(name) or MirrorProbe(
            mirror=name,
            allowance=float(BURST),
            allowance_at=now,
            quiet_until=0,
            usual_lag=0,
            back_since=0,
        )

    def current(self, key: UnitKey) -> UnitVersion | None:
        """Return the version of a unit that the master has."""
        watched = self.units.get(key)
        return self.versions[key].get(watched.current) if watched and watched.current else None

    def watch(self, watched: WatchedUnit, versions: list[UnitVersion], start: UnitStart | None) -> None:
        """Take and write what was read from the master."""
        key = watched.category, watched.unit
        self.units[key] = watched
        for version in versions:
            self.versions[key][version.sha256] = version
        self._store.write(schema.UNIT, [watched])
        self._store.write(schema.UNIT_VERSION, versions)
        if start is not None:
            self._store.write(schema.UNIT_START, [start])
            self._forget_versions(key, watched.checked)

    def _forget_versions(self, key: UnitKey, now: int) -> None:
        """Forget what is known of versions that were superseded long ago: a mirror that has one is stale anyway."""
        for version in list(self.versions[key].values()):
            if not version.superseded:
                continue
            row = schema.UNIT_VERSION.key_of(version)
            if now - version.superseded > _KEEP_STARTS:
                self._store.remove(schema.UNIT_START, [row])
            if now - version.superseded > _KEEP_VERSIONS:
                self._store.remove(schema.UNIT_VERSION, [row])
                del self.versions[key][version.sha256]

    def put_probe(self, probe: UnitProbe, key: UnitKey) -> None:
        """Take what was seen of a unit on a mirror; `flush` writes it."""
        if self.probes[probe.mirror].get(key) is not probe:
            self.probes[probe.mirror][key] = probe
            self._changed_probes[probe.mirror, key] = probe

    def put_arrivals(self, arrivals: list[Arrival]) -> None:
        """Take first sights of versions."""
        self._arrivals += arrivals

    def flush(self) -> None:
        """Write what `put_probe` and `put_arrivals` took, in one transaction of its own."""
        if not self._changed_probes and not self._arrivals:
            return
        with self._store.transaction():
            self.write_probes()

    def write_probes(self) -> None:
        """Write what `put_probe` and `put_arrivals` took, inside a transaction."""
        self._store.write(schema.UNIT_PROBE, self._changed_probes.values())
        self._store.write(schema.ARRIVAL, self._arrivals)
        self._changed_probes = {}
        self._arrivals = []

    def put_url(self, probe: UrlProbe) -> None:
        """Take and write what is known of a URL, inside a transaction."""
        self.urls[probe.mirror][probe.category, probe.url, probe.family] = probe
        self._store.write(schema.URL_PROBE, [probe])

    def put_mirror(self, probe: MirrorProbe) -> None:
        """Take and write what holds for requests to a mirror, inside a transaction."""
        if self.mirrors.get(probe.mirror) != probe:
            self.mirrors[probe.mirror] = probe
            self._store.write(schema.MIRROR_PROBE, [probe])

    def put_url_state(self, state: UrlObservation) -> None:
        """Put a URL's state in force, inside a transaction."""
        self.url_states[state.mirror][state.category, state.url, state.family] = state
        self._store.write(schema.URL_STATE, [state])

    def put_unit_states(self, states: list[tuple[UnitKey, UnitObservation]]) -> None:
        """Put states of units in force, inside a transaction."""
        for key, state in states:
            self.unit_states[state.mirror][key] = state
        self._store.write(schema.UNIT_STATE, [state for _, state in states])

    def put_mirror_state(self, mirror: str, state: MirrorObservation | None) -> None:
        """Put what holds for a mirror in force, None for nothing, inside a transaction."""
        if self.mirror_states.get(mirror) == state:
            return
        if state is None:
            del self.mirror_states[mirror]
            self._store.remove(schema.MIRROR_STATE, [(mirror,)])
        else:
            self.mirror_states[mirror] = state
            self._store.write(schema.MIRROR_STATE, [state])

    def set_held(self, held: dict[tuple[str, str, str, str], HeldRemoval]) -> None:
        """Replace what is held back, inside a transaction."""
        if held != self.held:
            self.held = held
            self._store.replace_all(schema.HELD, held.values())

    def add_events(self, events: list[Event]) -> None:
        """Write events, inside a transaction."""
        self._store.add_events(events)

    def forget_url(self, mirror: str, key: UrlKey) -> None:
        """Forget a URL that is gone from the sources or from DNS, inside a transaction."""
        self.urls[mirror].pop(key, None)
        self.url_states[mirror].pop(key, None)
        self._store.remove(schema.URL_PROBE, [(mirror, *key)])
        self._store.remove(schema.URL_STATE, [(mirror, *key)])

    def forget_unit(self, mirror: str, key: UnitKey) -> None:
        """Forget a unit that a mirror is not expected to have any more, inside a transaction."""
        self.probes[mirror].pop(key, None)
        self._changed_probes.pop((mirror, key), None)
        self.unit_states[mirror].pop(key, None)
        self._store.remove(schema.UNIT_PROBE, [(mirror, *key)])
        self._store.remove(schema.UNIT_STATE, [(mirror, *key)])

    def forget_others(self, mirrors: set[str]) -> None:
        """Forget all mirrors but some, inside a transaction."""
        for mirror in (self.urls.keys() | self.probes.keys()) - mirrors:
            for url in list(self.urls[mirror]):
                self.forget_url(mirror, url)
            for unit in list(self.probes[mirror] | self.unit_states[mirror]):
                self.forget_unit(mirror, unit)
            self.put_mirror_state(mirror, None)
            self.mirrors.pop(mirror, None)
            self._store.remove(schema.MIRROR_PROBE, [(mirror,)])
            del self.urls[mirror], self.probes[mirror]
