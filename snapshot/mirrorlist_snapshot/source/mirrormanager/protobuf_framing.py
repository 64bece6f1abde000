"""Read a protobuf message one top-level record at a time; the protobuf runtime reads only whole messages.

A record is a varint of its field's number and wire type, then its value (protobuf.dev, "Encoding"). A file that ends
within a record was cut off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

MAX_RECORD: Final = 64 << 20
"""Bytes of one record: a directory with more than a million hosts. Larger ones are damage."""
_VARINT: Final = 0
_LENGTH: Final = 2
_FIXED: Final = {1: 8, 5: 4}
"""Wire type -> bytes, for types that the cache does not use."""
_MAX_SHIFT: Final = 70
"""Bits in the ten bytes that 64 bits take, seven to a byte."""


class CutError(ValueError):
    """The bytes end, or make no sense, within the record that starts at byte `start`."""

    def __init__(self, start: int, reason: str) -> None:
        super().__init__(reason)
        self.start = start
        self.reason = reason


class FramedRecords:
    """Iterates over (field number, value): an int, the bytes of a message or text, or None for other types.

    Raise CutError if the file ends within a record, or continues with bytes that cannot be one.
    """

    def __init__(self, file: BinaryIO) -> None:
        """Read from the current position of the file to its end."""
        self.position = 0
        """Bytes read."""
        self._file = file
        self._start = 0

    def __iter__(self) -> Iterator[tuple[int, int | bytes | None]]:
        while (tag := self._tag()) is not None:
            number, wire = tag >> 3, tag & 7
            if not number or number >> 29:
                raise self._cut(f"a record of field {number}, which cannot be")
            if wire == _VARINT:
                yield number, self._varint()
            elif wire == _LENGTH:
                yield number, self._read(self._varint())
            elif wire in _FIXED:
                self._read(_FIXED[wire])
                yield number, None
            else:
                raise self._cut(f"a record of wire type {wire}, which cannot be")

    def _tag(self) -> int | None:
        """Return the number with which a record begins; None at the end of the file."""
        self._start = self.position
        byte = self._file.read(1)
        self.position += len(byte)
        return self._varint(byte[0]) if byte else None

    def _varint(self, byte: int | None = None) -> int:
        value = shift = 0
        while shift < _MAX_SHIFT:
            if byte is None:
                byte = self._read(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:  # noqa: PLR2004 - the continuation bit
                return value
            byte = None
            shift += 7
        raise self._cut("a number of more than 64 bits")

    def _read(self, length: int) -> bytes:
        if length > MAX_RECORD:
            raise self._cut(f"a record of {length:,} bytes, more than any cache has")
        data = self._file.read(length)
        self.position += len(data)
        if len(data) < length:
            raise self._cut("the file ends in the middle of a record")
        return data

    def _cut(self, reason: str) -> CutError:
        return CutError(self._start, reason)
