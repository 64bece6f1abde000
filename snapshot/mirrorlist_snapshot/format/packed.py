"""The small sections: msgpack maps with readable keys. Defaults are left out; readers ignore unknown keys.

A parser builds objects from possibly hostile bytes: an empty map takes one byte in the file and 72 in memory. Items are
therefore read one at a time. The reader finds the extent of an item without building it, refuses an item of more than
MAX_ITEM bytes, and frees what the model does not keep before it reads the next item.
"""

from __future__ import annotations

import re
from collections.abc import Sized
from reprlib import repr as brief
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar, cast

import msgpack  # type: ignore[import-untyped] # pyright: ignore[reportMissingTypeStubs] - it has no types

from mirrorlist_snapshot.errors import SnapshotError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

C = TypeVar("C", bound=Sized)

MAX_ITEM: Final = 1 << 20
"""Bytes of one item: a mirror with 40,000 client netblocks."""
CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""What no name, path or line may hold: it would break a line, or could not be encoded."""
_msgpack: Any = msgpack
_ANY_MSGPACK_ERROR: Final[tuple[type[Exception], ...]] = (ValueError, TypeError, _msgpack.UnpackException)
"""The exceptions of msgpack for bytes that are not msgpack or exceed the limits."""


class Fields:
    """One map whose values are taken by key and type; a value of another type raises SnapshotError."""

    __slots__ = ("_place", "_values")

    def __init__(self, place: str, value: object) -> None:
        """Take `value` as a map; `place` describes it in error messages."""
        if type(value) is not dict:
            raise SnapshotError(f"a map in {place}", brief(value))
        self._place = place
        self._values = cast("dict[str, object]", value)

    def text(self, key: str, default: str | None = None) -> str:
        """Return a string; required unless there is a default."""
        value = self._values.get(key, default)
        return value if type(value) is str else self._wrong(key, "a string", value)

    def optional_text(self, key: str) -> str | None:
        """Return a string; None if it is left out."""
        return None if self._values.get(key) is None else self.text(key)

    def number(self, key: str, default: int | None = None) -> int:
        """Return a non-negative integer; required unless there is a default."""
        value = self._values.get(key, default)
        return value if type(value) is int and value >= 0 else self._wrong(key, "a non-negative integer", value)

    def optional_number(self, key: str) -> int | None:
        """Return a non-negative integer; None if it is left out."""
        return None if self._values.get(key) is None else self.number(key)

    def inner(self, key: str) -> Fields | None:
        """Return a map; None if it is left out."""
        return Fields(f"{key} of {self._place}", self._values[key]) if key in self._values else None

    def flag(self, key: str, *, default: bool) -> bool:
        """Return true or false."""
        value = self._values.get(key, default)
        return value if type(value) is bool else self._wrong(key, "true or false", value)

    def texts(self, key: str) -> tuple[str, ...]:
        """Return an array of strings; empty if it is left out."""
        return texts(f"{key} of {self._place}", self._values[key]) if key in self._values else ()

    def numbers(self, key: str) -> tuple[int, ...]:
        """Return an array of non-negative integers; empty if it is left out."""
        values = self._array(key)
        for value in values:
            if type(value) is not int or value < 0:
                self._wrong(key, "an array of non-negative integers", value)
        return cast("tuple[int, ...]", values)

    def maps(self, key: str, budget: Budget) -> list[Fields]:
        """Return an array of maps, counted before it is copied; empty if it is left out."""
        return [Fields(f"{key} of {self._place}", value) for value in budget.spend(self._array(key))]

    def map(self, key: str) -> dict[str, object]:
        """Return a map with string keys, its values unchecked; empty if it is left out."""
        return Fields(f"{key} of {self._place}", self._values.get(key, {})).values()

    def values(self) -> dict[str, object]:
        """Return the whole map, with its keys checked to be strings."""
        if not all(type(key) is str for key in self._values):
            raise SnapshotError(f"strings as keys of {self._place}", brief(list(self._values)))
        return self._values

    def _array(self, key: str) -> tuple[object, ...]:
        value: object = self._values.get(key, ())
        if type(value) is not tuple:
            self._wrong(key, "an array", value)
        return cast("tuple[object, ...]", value)

    def _wrong(self, key: str, expected: str, value: object) -> NoReturn:
        raise SnapshotError(f"{expected} as {key} of {self._place}", brief(value))


class Budget:
    """A limit for the number of items in all arrays of one kind."""

    def __init__(self, what: str, most: int) -> None:
        """Allow `most` items; `what` names them in messages."""
        self._what = what
        self._most = most
        self._spent = 0

    def spend(self, items: C) -> C:
        """Count the items of an array and return it; raise SnapshotError above the limit."""
        self._spent += len(items)
        if self._spent > self._most:
            raise SnapshotError(f"at most {self._most} {self._what}", f"{self._spent} or more", "split the snapshot")
        return items


def texts(place: str, values: object) -> tuple[str, ...]:
    """Return `values` as an array of strings; raise SnapshotError for anything else."""
    items = cast("tuple[object, ...]", values)
    if type(values) is not tuple or any(type(item) is not str for item in items):
        raise SnapshotError(f"an array of strings in {place}", brief(items))
    return cast("tuple[str, ...]", items)


def array_of_maps(place: str, data: memoryview, most: int) -> Iterator[Fields]:
    """Yield the items, at most `most`, of a section that is one array of maps, one at a time; `place` names an item."""
    for number, item in enumerate(array_items(place, data, most)):
        yield Fields(f"{place} {number}", unpack_item(place, item))


def array_items(place: str, data: memoryview, most: int) -> Iterator[memoryview]:
    """Yield the bytes of the items, at most `most`, of a section that is one array; none is unpacked."""
    try:
        # The buffer is msgpack's copy of the section; a limit of 0 would mean 100 MB.
        unpacker = _msgpack.Unpacker(max_buffer_size=len(data) or 1)
        unpacker.feed(data)
        count = unpacker.read_array_header()
        if count > most:
            raise SnapshotError(f"at most {most} items ({place})", str(count), "split the snapshot")
        start = unpacker.tell()
        for _ in range(count):
            unpacker.skip()
            end = unpacker.tell()
            yield data[start:end]
            start = end
    except _ANY_MSGPACK_ERROR as error:
        raise SnapshotError(f"an array of maps ({place})", f"bad msgpack: {_reason(error)}") from error
    if start != len(data):
        raise SnapshotError(f"the end of the section ({place})", f"{len(data) - start} bytes more")


def unpack_item(place: str, data: memoryview) -> object:
    """Unpack one msgpack item that fills `data`: arrays become tuples, there are no extension types."""
    if len(data) > MAX_ITEM:
        raise SnapshotError(f"at most {MAX_ITEM} bytes in one item ({place})", str(len(data)))
    try:
        return cast(
            "object",
            _msgpack.unpackb(
                data,
                use_list=False,
                raw=False,
                strict_map_key=True,
                ext_hook=_refuse_extension,
                max_str_len=len(data),
                max_bin_len=len(data),
                max_array_len=len(data),
                max_map_len=len(data),
                max_ext_len=0,
            ),
        )
    except _ANY_MSGPACK_ERROR as error:
        raise SnapshotError(f"msgpack ({place})", f"bad msgpack: {_reason(error)}") from error


def _refuse_extension(_code: int, _data: bytes) -> NoReturn:
    raise ValueError("extension types are not used")


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def pack_item(place: str, value: object) -> bytes:
    """Pack one msgpack item; raise SnapshotError if readers would refuse its size."""
    packed = cast("bytes", _msgpack.packb(value))
    if len(packed) > MAX_ITEM:
        raise SnapshotError(f"at most {MAX_ITEM} bytes in one item ({place})", str(len(packed)), "describe less there")
    return packed


def pack_array(place: str, items: Iterable[Mapping[str, object]]) -> bytes:
    """Pack one array of maps, the counterpart of `array_of_maps`."""
    packed = [pack_item(place, item) for item in items]
    return cast("bytes", _msgpack.Packer().pack_array_header(len(packed))) + b"".join(packed)


def without(defaults: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that differ from their defaults: these are written."""
    return {key: value for key, value in values.items() if key not in defaults or value != defaults[key]}
