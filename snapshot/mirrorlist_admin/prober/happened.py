"""Events of the prober, made in one place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypedDict, Unpack

from mirrorlist_admin.store.rows import Event, Subject


class About(TypedDict, total=False):
    """The fields of an event that may be empty."""

    mirror: str
    category: str
    name: str
    before: str
    after: str
    cause: str
    evidence: str


@dataclass(slots=True)
class Happened:
    """The events of one moment, in order."""

    at: int
    by: str = "prober"
    events: list[Event] = field(default_factory=list[Event])

    def add(self, subject: Subject, **about: Unpack[About]) -> None:
        """Add an event."""
        self.events.append(
            Event(
                at=self.at,
                mirror=about.get("mirror", ""),
                category=about.get("category", ""),
                subject=subject,
                name=about.get("name", ""),
                before=about.get("before", ""),
                after=about.get("after", ""),
                cause=about.get("cause", ""),
                evidence=about.get("evidence", ""),
                by=self.by,
            )
        )
