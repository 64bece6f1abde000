"""What one row of the table of counters is: its name, kind, help and labels, and how its value fits into shared cells.

The table is the dataclass `counters.Counters`: each field is a row. The field is the attribute that the server counts
on; the row gives its cells on the scoreboard and its Prometheus family. A field without a row is an error at import.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    Samples = Iterable[tuple[tuple[str, ...], float]]
    """Values of the labels -> number."""

Kind = Literal["counter", "gauge", "histogram", "summary"]
OTHER: Final = "other"
"""Label for every name that a shape has no cell for."""
_ROW: Final = "row"
_NANO: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Shape:
    """How a value is laid out in shared cells, which are unsigned integers, and in samples."""

    size: int
    """Number of cells."""
    initial: Callable[[], Any]
    """Returns the value before anything is counted."""
    pack: Callable[[Any], list[int]]
    """Value -> cells."""
    unpack: Callable[[Sequence[int]], Any]
    """Cells, or the sums of several workers' cells -> value."""
    samples: Callable[[Any], Samples]
    """Value -> samples."""


def number(start: float = 0) -> Shape:
    """Return the shape of one number: an int, a bool, or a float, which is kept in billionths."""
    if type(start) is float:
        return Shape(1, lambda: start, lambda it: [round(it * _NANO)], lambda cells: cells[0] / _NANO, _unlabelled)
    return Shape(1, lambda: start, lambda it: [int(it)], lambda cells: type(start)(cells[0]), _unlabelled)


def _unlabelled(value: float) -> Samples:
    yield (), value


_INTEGER: Final = number()


def by_position(names: tuple[str, ...]) -> Shape:
    """Return the shape of a list with one integer for each name of a label."""

    def samples(value: list[int]) -> Samples:
        return (((name,), count) for name, count in zip(names, value, strict=True))

    return Shape(len(names), lambda: [0] * len(names), list, list, samples)


def by_name(names: tuple[str, ...], *, sparse: bool = False) -> Shape:
    """Return the shape of a dict: name of a label -> integer. With `sparse` a name is absent until it is counted."""

    def unpack(cells: Sequence[int]) -> dict[str, int]:
        return {name: count for name, count in zip(names, cells, strict=True) if count or not sparse}

    def samples(value: dict[str, int]) -> Samples:
        return (((name,), count) for name, count in value.items())

    zeros = {} if sparse else dict.fromkeys(names, 0)
    return Shape(len(names), zeros.copy, lambda it: [it.get(name, 0) for name in names], unpack, samples)


def by_format_and_status(rows: Mapping[str, tuple[int, ...]], statuses: tuple[int, ...]) -> Shape:
    """Return the shape of a dict of dicts: format -> HTTP status -> answers.

    `rows` are 0 from the start, so that their first occurrence is a visible increase. `other` and 0 hold what has no
    cell of its own.
    """
    keys = [(name, status) for name in (*rows, OTHER) for status in (*statuses, 0)]

    def initial() -> dict[str, dict[int, int]]:
        return {name: dict.fromkeys(row, 0) for name, row in rows.items()}

    def pack(value: dict[str, dict[int, int]]) -> list[int]:
        cells = dict.fromkeys(keys, 0)
        for name, row in value.items():
            for status, count in row.items():
                cells[name if name in rows else OTHER, status if status in statuses else 0] += count
        return [*cells.values()]

    def unpack(cells: Sequence[int]) -> dict[str, dict[int, int]]:
        value = initial()
        for (name, status), count in zip(keys, cells, strict=True):
            if count:
                value.setdefault(name, {})[status] = count
        return value

    def samples(value: dict[str, dict[int, int]]) -> Samples:
        return (((str(status), name), count) for name, row in value.items() for status, count in row.items())

    return Shape(len(keys), initial, pack, unpack, samples)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What follows from one field of the table."""

    family: str | None
    """Name in Prometheus, without `_total`; None: the value is a part of another row's family."""
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    shape: Shape
    private: bool
    """Whether its values depend on private mirrors, and are for insiders alone."""
    supervisor: bool
    """The supervisor counts it for the whole server; otherwise each worker counts its own, and they are added up."""
    samples: Callable[[Any], Samples] | None
    """Counters -> samples, where these are not simply the field's own."""
    bounds: tuple[float, ...] = ()
    """Upper bounds of a histogram's buckets."""
    beside: Callable[[Any], float] | None = None
    """Counters -> sum of a histogram, or count of a summary."""


def row(  # noqa: PLR0913 - the columns of the table
    family: str | None,
    text: str = "",
    kind: Kind = "counter",
    *,
    shape: Shape = _INTEGER,
    labels: tuple[str, ...] = (),
    private: bool = False,
    supervisor: bool = False,
    samples: Callable[[Any], Samples] | None = None,
    bounds: tuple[float, ...] = (),
    beside: Callable[[Any], float] | None = None,
) -> Any:  # noqa: ANN401 - as `dataclasses.field`: the field's annotation has the type
    """Declare a field of the table of counters, with its row; see `Row` for the columns."""
    made = Row(
        family=family,
        kind=kind,
        help=text,
        labels=labels,
        shape=shape,
        private=private,
        supervisor=supervisor,
        samples=samples,
        bounds=bounds,
        beside=beside,
    )
    return field(default_factory=shape.initial, metadata={_ROW: made})


def working(make: Callable[[], Any]) -> Any:  # noqa: ANN401 - as above
    """Declare a field that holds counts only until they are added to rows; it is neither shared nor exposed."""
    return field(default_factory=make, metadata={_ROW: None})


def rows_of(table: type[Any]) -> Mapping[str, Row]:
    """Give the rows of a table of counters by the names of their fields; raise TypeError for a field without one."""
    found: dict[str, Row] = {}
    for one in fields(table):
        if _ROW not in one.metadata:
            raise TypeError(f"{table.__name__}.{one.name} has no row: declare it by `row` or `working`")
        if one.metadata[_ROW] is not None:
            found[one.name] = one.metadata[_ROW]
    return found
