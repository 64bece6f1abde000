"""The form of a report: bytes from a stranger -> a Report, or a Refusal that says what is wrong. Pure.

docs/http-api.md, Check-in, describes it. Compressed bytes are counted while they inflate.
"""

from __future__ import annotations

import zlib
from typing import Annotated, Final, Literal

import pydantic
from pydantic import BaseModel, ConfigDict, Field

LARGEST: Final = 1 << 20
"""Bytes of a report, compressed or not: some 6,000 units."""
_LATEST: Final = 1 << 40
"""Seconds, and the greatest serial: far in the future, far below what SQLite holds."""
_GREATEST: Final = 1 << 62

Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(min_length=1, max_length=1024)]
Moment = Annotated[int, Field(ge=0, le=_LATEST)]


class Refusal(Exception):  # noqa: N818 - it is an answer
    """A request that is not taken: its HTTP status, and the reason for people."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class FileReport(_Strict):
    """One index file on the mirror's disk."""

    sha256: Hash
    size: Annotated[int, Field(ge=0, le=_GREATEST)]
    time: Annotated[int, Field(ge=-_LATEST, le=_LATEST)]
    """Modification time."""


class Proof(_Strict):
    """The answer to a challenge."""

    nonce: Annotated[str, Field(max_length=64)]
    hmac: Hash


class Report(_Strict):
    """What a mirror says. Either `units`, or one of `down_until` and `syncing`."""

    form: Literal[1]
    serial: Annotated[int, Field(ge=1, le=_LATEST)]
    time: Moment
    units: dict[Name, dict[Name, FileReport | None]] | None = None
    """Category -> path of the index file below its top -> what is there, None for nothing."""
    proof: Proof | None = None
    limit: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    """Mbit/s."""
    sent: Annotated[int, Field(ge=0, le=_GREATEST)] | None = None
    """Bytes that the mirror's interface has sent since the host's start."""
    syncing: bool = False
    down_until: Moment | None = None
    """0: the mirror is back."""
    reason: Annotated[str, Field(max_length=200)] = ""


def inflate(data: bytes, encoding: str) -> bytes:
    """Return the bytes of a body that was sent with this Content-Encoding; raise Refusal."""
    if encoding in {"", "identity"}:
        return data
    if encoding != "gzip":
        raise Refusal(415, f"Content-Encoding {encoding[:40]!a} is not understood; send gzip or none")
    inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        inflated = inflater.decompress(data, LARGEST + 1)
    except zlib.error as error:
        raise Refusal(400, "the body is not gzip") from error
    if len(inflated) > LARGEST:
        raise too_large()
    if not inflater.eof or inflater.unused_data:
        raise Refusal(400, "the body is not one whole gzip stream")
    return inflated


def too_large() -> Refusal:
    """Return the refusal of a body that is too large."""
    return Refusal(413, f"a report has at most {LARGEST} bytes, inflated")


def parse_report(data: bytes) -> Report:
    """Parse the JSON of a report; raise Refusal."""
    try:
        report = Report.model_validate_json(data)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(step)[:60] for step in first["loc"])
        text = f"{where}: {first['msg']}" if where else first["msg"]
        raise Refusal(400, f"the report is malformed: {text[:300]}") from error
    said = sum((report.units is not None, report.down_until is not None, report.syncing))
    if said != 1:
        raise Refusal(400, "a report has exactly one of units, down_until and syncing")
    return report
