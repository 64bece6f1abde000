"""The tables of `observations.db`: those of what is in force, which the compiler reads, and the prober's own."""

from __future__ import annotations

from typing import Final

from mirrorlist_admin.store import checkin_rows, rows
from mirrorlist_admin.store.table import Table
from mirrorlist_snapshot.freshness.observed import MirrorObservation, UnitObservation, UrlObservation

# In force: the schema of these is in mirrorlist_snapshot.freshness.observations_file.
URL_STATE: Final = Table(UrlObservation, "url_state", "mirror", "category", "url", "family")
UNIT_STATE: Final = Table(UnitObservation, "unit_state", "mirror", "category", "unit")
MIRROR_STATE: Final = Table(MirrorObservation, "mirror_state", "mirror")

# The prober's own.
UNIT: Final = Table(rows.WatchedUnit, "unit", "category", "unit")
UNIT_VERSION: Final = Table(rows.UnitVersion, "unit_version", "category", "unit", "sha256")
URL_PROBE: Final = Table(rows.UrlProbe, "url_probe", "mirror", "category", "url", "family")
UNIT_PROBE: Final = Table(rows.UnitProbe, "unit_probe", "mirror", "category", "unit")
MIRROR_PROBE: Final = Table(rows.MirrorProbe, "mirror_probe", "mirror")
ARRIVAL: Final = Table(rows.Arrival, "arrival", "category", "unit", "sha256", "mirror")
HELD: Final = Table(rows.HeldRemoval, "held", "mirror", "category", "subject", "name")
EVENT: Final = Table(rows.Event, "event", indexes=("at", "mirror"))
RUN: Final = Table(rows.Run, "probe_run")
PUBLICATION: Final = Table(rows.PublishedSnapshot, "publication", "serial", "target")
DUE: Final = Table(rows.DueUnit, "due", "mirror", "category", "unit")
UNIT_START: Final = Table(rows.UnitStart, "unit_start", "category", "unit", "sha256")
# What the sources declared at the last run, for programs that do not read the sources.
DECLARED_MIRROR: Final = Table(rows.DeclaredMirror, "declared_mirror", "mirror")
DECLARED_URL: Final = Table(rows.DeclaredUrl, "declared_url", "mirror", "category", "url")
EXPECTED_UNIT: Final = Table(rows.ExpectedUnit, "expected_unit", "mirror", "category", "unit")
REPOSITORY_UNIT: Final = Table(rows.RepositoryUnit, "repository_unit", "repository", "arch")
# Check-in.
TOKEN: Final = Table(checkin_rows.Token, "token", "digest", indexes=("mirror",))
CHECK_IN: Final = Table(checkin_rows.CheckIn, "check_in", "mirror")
CLAIM: Final = Table(checkin_rows.Claim, "claim", "mirror", "category", "unit")

OWN: Final = (
    *(UNIT, UNIT_VERSION, UNIT_START, URL_PROBE, UNIT_PROBE, MIRROR_PROBE, ARRIVAL, HELD, EVENT, RUN, PUBLICATION),
    *(DUE, DECLARED_MIRROR, DECLARED_URL, EXPECTED_UNIT, REPOSITORY_UNIT),
    *(TOKEN, CHECK_IN, CLAIM),
)
