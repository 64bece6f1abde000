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
class Number:
    """One number: an int, a bool, or a float that is kept in billionths."""

    start: float = 0
    size: int = 1

    def initial(self) -> float:
        """Give the value before anything is counted."""
        return self.start

    def pack(self, value: float, /) -> list[int]:
        """Give the cell of a value."""
        return [round(value * _NANO) if type(self.start) is float else int(value)]

    def unpack(self, cells: Sequence[int], /) -> float:
        """Give the value of a cell."""
        return cells[0] / _NANO if type(self.start) is float else type(self.start)(cells[0])

    def samples(self, value: float, /) -> Samples:
        """Give one sample without labels."""
        yield (), value


@dataclass(frozen=True, slots=True)
class Positions:
    """A list with one integer for each name of a label."""

    names: tuple[str, ...]

    @property
    def size(self) -> int:
        """Number of names."""
        return len(self.names)

    def initial(self) -> list[int]:
        """Give zeros."""
        return [0] * len(self.names)

    def pack(self, value: list[int], /) -> list[int]:
        """Give the list."""
        return value

    def unpack(self, cells: Sequence[int], /) -> list[int]:
        """Give the list."""
        return [*cells]

    def samples(self, value: list[int], /) -> Samples:
        """Give a sample for each name."""
        return (((name,), count) for name, count in zip(self.names, value, strict=True))


@dataclass(frozen=True, slots=True)
class Names:
    """A dict: name of a label -> integer. With `sparse` a name is absent until it is counted."""

    names: tuple[str, ...]
    sparse: bool = False

    @property
    def size(self) -> int:
        """Number of names."""
        return len(self.names)

    def initial(self) -> dict[str, int]:
        """Give zeros, or an empty dict."""
        return {} if self.sparse else dict.fromkeys(self.names, 0)

    def pack(self, value: dict[str, int], /) -> list[int]:
        """Give a cell for each name."""
        return [value.get(name, 0) for name in self.names]

    def unpack(self, cells: Sequence[int], /) -> dict[str, int]:
        """Give the dict."""
        return {name: n for name, n in zip(self.names, cells, strict=True) if n or not self.sparse}

    def samples(self, value: dict[str, int], /) -> Samples:
        """Give a sample for each name in the dict."""
        return (((name,), count) for name, count in value.items())


@dataclass(frozen=True, slots=True)
class FormatsAndStatuses:
    """A dict of dicts: format -> HTTP status -> answers. `other` and 0 hold what has no cell of its own."""

    rows: Mapping[str, tuple[int, ...]]
    """Those that are 0 from the start, so that their first occurrence is a visible increase."""
    statuses: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of combinations."""
        return len(self._keys())

    def _keys(self) -> list[tuple[str, int]]:
        return [(name, status) for name in (*self.rows, OTHER) for status in (*self.statuses, 0)]

    def initial(self) -> dict[str, dict[int, int]]:
        """Give zeros."""
        return {name: dict.fromkeys(row, 0) for name, row in self.rows.items()}

    def pack(self, value: dict[str, dict[int, int]], /) -> list[int]:
        """Give a cell for each combination."""
        cells = dict.fromkeys(self._keys(), 0)
        for name, row in value.items():
            for status, count in row.items():
                cells[name if name in self.rows else OTHER, status if status in self.statuses else 0] += count
        return [*cells.values()]

    def unpack(self, cells: Sequence[int], /) -> dict[str, dict[int, int]]:
        """Give the dict of dicts."""
        value = self.initial()
        for (name, status), count in zip(self._keys(), cells, strict=True):
            if count:
                value.setdefault(name, {})[status] = count
        return value

    def samples(self, value: dict[str, dict[int, int]], /) -> Samples:
        """Give the samples with status and format."""
        return (((str(status), name), count) for name, row in value.items() for status, count in row.items())


Shape = Number | Positions | Names | FormatsAndStatuses
"""How a value is laid out in shared cells, which are unsigned integers (`pack`, `unpack`), and in samples."""


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
    shape: Shape = Number(),
    labels: tuple[str, ...] = (),
    private: bool = False,
    supervisor: bool = False,
    samples: Callable[[Any], Samples] | None = None,
    bounds: tuple[float, ...] = (),
    beside: Callable[[Any], float] | None = None,
) -> Any:  # noqa: ANN401 - as `dataclasses.field`: the field's annotation has the type
    """Declare a field of the table of counters, with its row."""
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
