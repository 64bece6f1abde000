"""The values of an entry -> a mirror's table as a source has it; what no source may have gets a line instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from mirrorlist_snapshot.errors import Complaint
from mirrorlist_snapshot.importers.about import checked_about
from mirrorlist_snapshot.importers.bandwidths import megabits
from mirrorlist_snapshot.importers.naming import with_protocol
from mirrorlist_snapshot.importers.places import Place, place_named
from mirrorlist_snapshot.importers.records import as_table
from mirrorlist_snapshot.model import BANDWIDTH_RANGE
from mirrorlist_snapshot.source import rules

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mirrorlist_snapshot.importers.entries import Content, Entry

AUTO: Final = "auto"
"""The country that `compile` looks up."""
_LISTS: Final[dict[str, Callable[[str], str | int]]] = {"asns": rules.asn, "netblocks": rules.client_prefix}
_COUNTRIES: Final = ("allowed_countries", "denied_countries")


class Values:
    """Checks the values of one entry."""

    def __init__(self, entry: Entry, default_country: str) -> None:
        """`default_country` is that of an entry that states no place."""
        self._entry = entry
        self._default = default_country
        self.label = entry.name or next((url for content in entry.contents.values() for url in content.urls), "")
        """What lines call the entry: its name, else its first URL."""
        self.complaints: list[Complaint] = []
        self.place = Place()
        """Where the mirror is; known after `table`."""

    def say(self, message: str) -> None:
        """Add a line about something of the entry that is not taken."""
        entry = self._entry
        text = f"not taken: {message}"
        self.complaints.append(Complaint(file=entry.file, line=entry.line, key=self.label, message=text, warning=True))

    def urls(self, content: Content) -> list[str]:
        """Return the usable URLs of a content, canonical and distinct."""
        found: dict[str, None] = {}
        for text in content.urls:
            try:
                found[rules.url(with_protocol(text.strip()))] = None
            except rules.RuleError as error:
                self.say(str(error))
        return list(found)

    def details(self, content: Content) -> dict[str, object]:
        """Return what is special about a content: `arches` and `families`, where the list states them."""
        arches: dict[str, None] = {}
        for text in content.arches:
            try:
                arches[rules.name(text)] = None
            except rules.RuleError as error:
                self.say(str(error))
        found = {"arches": list(arches), "families": list(dict.fromkeys(content.families))}
        return {key: value for key, value in found.items() if value}

    def table(self) -> dict[str, object]:
        """Return the keys of the mirror in a source, without `categories`."""
        found = self._where()
        for key, value in self._entry.settings.items():
            checked = None if value in ("", None) else self._checked(key, value)
            if (checked is False) if key == "active" else checked:
                found[key] = checked
        self._settle(found)
        if about := checked_about(self._entry.about, self.say):
            found["about"] = about
        return found

    def _settle(self, table: dict[str, object]) -> None:
        """Resolve what contradicts itself, so that no mirror is offered to more clients than the list means."""
        if denied := set(cast("list[str]", table.get("denied_countries", []))):
            allowed = cast("list[str]", table.get("allowed_countries", []))
            if both := sorted(denied & set(allowed)):
                self.say(f"{', '.join(both)} is both allowed and denied; it is denied now")
                table["allowed_countries"] = [country for country in allowed if country not in denied]
        if self._entry.settings.get("allowed_countries") and not table.get("allowed_countries"):
            self.say("no country is left that is allowed; the mirror is switched off, so that it is not offered to all")
            table.pop("allowed_countries", None)
            table["active"] = False
        if table.get("private") and table.pop("fallback", False):
            self.say("a private mirror cannot be the last resort of all clients; it is private now")

    def _where(self) -> dict[str, object]:
        texts = self._entry.places if any(text.strip() for text in self._entry.places) else [self._default]
        if texts == [AUTO]:
            return {"country": AUTO}
        named = [place for text in texts if (place := self._place(text)) is not None]
        self.place = named[0] if named else Place()
        found: dict[str, object] = {
            "country": self.place.country,
            "continent": self.place.continent,
            "worldwide": self.place.worldwide,
            "also_countries": _distinct(named[1:], self.place.country),
        }
        return {key: value for key, value in found.items() if value}

    def _place(self, text: str) -> Place | None:
        place = place_named(text)
        if place is None:
            self.say(f"{rules.shown(text)} is no place that is known")
        return place

    def _checked(self, key: str, value: object) -> object:
        """Return a setting in the form of a source."""
        if key == "bandwidth":
            low, high = BANDWIDTH_RANGE
            rate = megabits(value) if isinstance(value, str) else cast("int", value)
            if rate is None:
                self.say(f"the bandwidth {rules.shown(str(value))} is no number of bits a second")
            return None if rate is None else min(max(rate, low), high)
        if key in _COUNTRIES:
            return _distinct([place for text in cast("list[str]", value) if (place := self._place(text)) is not None])
        return self._listed(key, cast("list[object]", value)) if key in _LISTS else value

    def _listed(self, key: str, items: Sequence[object]) -> list[object]:
        found: list[object] = []
        for item in items:
            table = as_table(item)
            text = str(table["prefix"]) if "prefix" in table else str(item)
            try:
                checked = _LISTS[key](text.strip())
            except rules.RuleError as error:
                self.say(str(error))
                continue
            whole = {**table, "prefix": checked} if table else checked
            if whole not in found:
                found.append(whole)
        return found


def _distinct(places: Sequence[Place], but: str | None = None) -> list[str]:
    """Return the distinct countries of places."""
    return list(dict.fromkeys(place.country for place in places if place.country and place.country != but))
