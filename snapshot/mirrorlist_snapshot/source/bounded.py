"""Bounds on what a source full of mistakes costs: how many are told of, and how many values validation looks at.

pydantic collects every mistake of a document, at a thousand bytes each: a file of 32 MB could have it take gigabytes.
So lists and maps are validated in chunks, and the validation of a document ends once it has cost too many mistakes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, cast

from pydantic import GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, core_schema

from mirrorlist_snapshot.errors import Complaint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydantic import ValidationInfo, ValidatorFunctionWrapHandler

MAX_COMPLAINTS: Final = 1_000
"""Mistakes, and as many warnings, that one run tells of."""
_CHUNK: Final = 1_000
"""Values of a list or map that are validated at once."""
_COUNTED_TWICE: Final = 4
"""How often a mistake is counted at most: by its list, its table, and those around them."""


class TooManyMistakesError(Exception):
    """A document has more mistakes than are told of."""


@dataclass(slots=True)
class MistakeBudget:
    """What the mistakes of one validation may still cost; pydantic hands it to all validators as their context."""

    left: int = MAX_COMPLAINTS * _COUNTED_TWICE

    def spend(self, mistakes: int) -> None:
        """Count mistakes; raise TooManyMistakesError where they are too many."""
        self.left -= mistakes
        if self.left < 0:
            raise TooManyMistakesError


def validate_counted(value: object, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:  # noqa: ANN401 - whatever the handler returns
    """Validate a value; count its mistakes."""
    try:
        return handler(value)
    except ValidationError as error:
        spend(info, error.error_count())
        raise


def spend(info: ValidationInfo, mistakes: int) -> None:
    """Count mistakes against the budget of a validation; raise TooManyMistakesError."""
    if isinstance(info.context, MistakeBudget) and mistakes > 0:
        info.context.spend(mistakes)


class Bounded:
    """Annotates a list or a map that may be long: its validation ends early where it has too many mistakes."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validate the values in chunks."""
        return core_schema.with_info_wrap_validator_function(_in_chunks, handler(source))


def _in_chunks(value: object, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> object:
    long = _long(value)
    if long is None:
        return validate_counted(value, handler, info)
    found: dict[str, object] | list[object] = {} if isinstance(long, dict) else []
    mistakes = False
    for chunk in _chunks(long):
        try:
            valid = handler(chunk)
        except ValidationError as error:
            spend(info, error.error_count())
            mistakes = True
        else:
            found.update(valid) if isinstance(found, dict) else found.extend(valid)
    return handler(value) if mistakes else found  # the whole again: its errors name the right positions


def _long(value: object) -> list[object] | dict[str, object] | None:
    """Return a list or map that is long; None for all other values."""
    if not isinstance(value, (list, dict)):
        return None
    found = cast("list[object] | dict[str, object]", value)
    return found if len(found) > _CHUNK else None


def keys_of(value: object) -> int:
    """Return the number of keys of a map; 0 for all other values."""
    return len(cast("dict[str, object]", value)) if isinstance(value, dict) else 0


def _chunks(value: list[object] | dict[str, object]) -> Iterator[object]:
    items = iter(value.items()) if isinstance(value, dict) else iter(value)
    while chunk := list(islice(items, _CHUNK)):
        yield dict(cast("list[tuple[str, object]]", chunk)) if isinstance(value, dict) else chunk


class Complaints:
    """The complaints of a run: the first of them, and whether there are more."""

    def __init__(self) -> None:
        self._kept: list[Complaint] = []
        self._counts = {True: 0, False: 0}

    def add(self, found: Iterable[Complaint]) -> None:
        """Take complaints, and no more of them once there are too many mistakes: finding each takes time."""
        for complaint in found:
            if self._counts[False] > MAX_COMPLAINTS:
                return
            self._counts[complaint.warning] += 1
            if self._counts[complaint.warning] <= MAX_COMPLAINTS:
                self._kept.append(complaint)

    @property
    def mistakes(self) -> bool:
        """Whether there is a mistake, not only warnings."""
        return self._counts[False] > 0

    def told(self) -> list[Complaint]:
        """Return the complaints, the last of which says that there are more."""
        more: list[Complaint] = []
        if self._counts[False] > MAX_COMPLAINTS:
            message = f"there are more mistakes; these are the first {MAX_COMPLAINTS:,}"
            more.append(Complaint(file="sources", line=None, key="", message=message))
        if (hidden := self._counts[True] - MAX_COMPLAINTS) > 0:
            message = f"there are {hidden:,} more warnings"
            more.append(Complaint(file="sources", line=None, key="", message=message, warning=True))
        return [*self._kept, *more]
