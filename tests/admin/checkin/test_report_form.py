"""The form of a report: anything from a stranger is a Report or a Refusal, in bounded memory."""

from __future__ import annotations

import gzip
import json
import pickle
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrorlist_admin.checkin.report_form import LARGEST, Refusal, Report, inflate, parse_report

GOOD: dict[str, Any] = {
    "form": 1,
    "serial": 5,
    "time": 1_795_946_400,
    "units": {"epel": {"9/repodata/repomd.xml": {"sha256": "0" * 64, "size": 9, "time": 1}, "8/x": None}},
}


SMALL = gzip.compress(b"{}", mtime=0)
"""Names of tests are made of it: without the time they are the same in every process."""


class Trap:
    """An object that would run a command where somebody unpickles it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("the pickle was loaded",))


def refusal(data: bytes, encoding: str = "") -> tuple[int, str]:
    """The status and text of a refusal."""
    with pytest.raises(Refusal) as refused:
        parse_report(inflate(data, encoding))
    return refused.value.status, str(refused.value)


def test_a_good_report_is_read_plain_and_compressed() -> None:
    """The same report comes out, whatever the encoding."""
    plain = json.dumps(GOOD).encode()
    assert parse_report(inflate(plain, "")) == parse_report(inflate(gzip.compress(plain), "gzip"))


def test_a_zip_bomb_is_refused_without_inflating_it() -> None:
    """A few kilobytes that inflate to 16 megabytes are refused with 413, within 8 megabytes of memory."""
    data = gzip.compress(bytes(16 << 20))
    assert len(data) < LARGEST
    tracemalloc.start()
    try:
        assert refusal(data, "gzip")[0] == 413
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_a_report_of_just_the_largest_size_is_inflated() -> None:
    """The limit itself is allowed, one byte more is not."""
    assert len(inflate(gzip.compress(b" " * LARGEST), "gzip")) == LARGEST
    assert refusal(gzip.compress(b" " * (LARGEST + 1)), "gzip")[0] == 413


def test_a_pickle_is_only_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    """What would run a command if it were unpickled is refused as malformed, plain, compressed and inside JSON."""
    trap = pickle.dumps(Trap())
    assert refusal(trap)[0] == 400
    assert refusal(gzip.compress(trap), "gzip")[0] == 400
    assert refusal(json.dumps(GOOD | {"reason": trap.decode("latin-1"), "units": trap.hex()}).encode())[0] == 400
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"form": 2}, "form: Input should be 1"),
        ({"serial": 0}, "serial: Input should be greater than or equal to 1"),
        ({"serial": "5"}, "serial: Input should be a valid integer"),
        ({"serial": 2**70}, "serial: Input should be less than or equal to"),
        ({"units": {"epel": {"x": {"sha256": "0" * 63, "size": 1, "time": 1}}}}, "units.epel.x.sha256"),
        ({"units": {"epel": {"x": {"sha256": "0" * 64 + "\n", "size": 1, "time": 1}}}}, "units.epel.x.sha256"),
        ({"units": {"epel": {"x": {"sha256": "A" * 64, "size": 1, "time": 1}}}}, "units.epel.x.sha256"),
        ({"units": {"epel": {"x": {"sha256": "0" * 64, "size": -1, "time": 1}}}}, "units.epel.x.size"),
        ({"units": {"": {}}}, "at least 1 character"),
        ({"units": None}, "exactly one of units, down_until and syncing"),
        ({"syncing": True}, "exactly one of units, down_until and syncing"),
        ({"limit": 0}, "limit: Input should be greater than or equal to 1"),
        ({"reason": "x" * 201}, "reason: String should have at most 200 characters"),
        ({"mirror": "other.example"}, "mirror: Extra inputs are not permitted"),
        ({"time": 1e9}, "time: Input should be a valid integer"),
    ],
)
def test_a_mistake_is_named(change: dict[str, Any], expected: str) -> None:
    """Each refusal says where and what."""
    status, text = refusal(json.dumps(GOOD | change).encode())
    assert status == 400
    assert expected in text


@pytest.mark.parametrize(
    ("data", "encoding", "status"),
    [
        (b"", "", 400),
        (b"[]", "", 400),
        (b"[" * 100_000, "", 400),
        (b'{"form":1,"serial":1,"time":1,"syncing":true,"reason":"\xff"}', "", 400),
        (b"{}", "br", 415),
        (b"{}", "gzip, gzip", 415),
        (b"{}", "gzip", 400),
        (SMALL[:-4], "gzip", 400),
        (SMALL + SMALL, "gzip", 400),
        (b"", "gzip", 400),
    ],
)
def test_other_bytes_are_refused(data: bytes, encoding: str, status: int) -> None:
    """Deep nesting, cut and doubled streams, unknown encodings."""
    assert refusal(data, encoding)[0] == status


@given(st.binary(max_size=2000), st.sampled_from(["", "gzip", "identity", "deflate"]))
def test_garbage_gives_a_refusal(data: bytes, encoding: str) -> None:
    """Any bytes are a Report or raise Refusal, nothing else."""
    try:
        assert isinstance(parse_report(inflate(data, encoding)), Report)
    except Refusal as refused:
        assert 400 <= refused.status < 500


@settings(max_examples=30)
@given(st.dictionaries(st.text(), st.none() | st.integers() | st.text() | st.dictionaries(st.text(), st.none())))
def test_any_json_gives_a_report_or_a_refusal(value: Any) -> None:
    """So does any JSON in the place of the units."""
    try:
        parse_report(json.dumps(GOOD | {"units": value}).encode("utf-8", "replace"))
    except Refusal as refused:
        assert refused.status == 400
