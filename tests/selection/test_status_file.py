"""The status file: clients get the mirrors that it leaves; the report of a mistake names the key."""

from __future__ import annotations

import json
import tracemalloc
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrorlist_snapshot.input_file import STATUS_FILE
from mirrorlistd.answering.answer import answer
from mirrorlistd.answering.decider import Decider
from mirrorlistd.answering.explain import explain
from mirrorlistd.answering.explain_text import text
from mirrorlistd.answering.plan import AnswerSettings
from mirrorlistd.errors import StatusError
from mirrorlistd.selection.index import Index
from mirrorlistd.selection.status_file import NO_STATUS, MirrorStatus, StatusFile, parse
from support.snapshots import snapshots
from support.worlds import DE, PLACES, Map, at, compiled, mirror, network

if TYPE_CHECKING:
    from mirrorlist_snapshot.model import Snapshot

WORLD = compiled(
    network(
        {
            "a": mirror("DE", bandwidth=1000),
            "b": mirror("DE", bandwidth=1000),
            "c": mirror("US"),
            "own": mirror("DE", private=True, netblocks=["198.51.100.0/24"]),
        }
    )
)


def overlay(**said: Any) -> StatusFile:
    """What a JSON file says."""
    return parse("s.json", json.dumps(said).encode())


def decider(said: StatusFile, world: Snapshot = WORLD) -> Decider:
    """A decider with the status file applied to the world, as a State has it."""
    geo: Any = Map(PLACES)
    return Decider(Index(said.apply(world), statuses=said.statuses), geo, AnswerSettings(minimum=1))


def listed(said: StatusFile, address: str = DE, world: Snapshot = WORLD) -> list[str]:
    """The mirrors of one list, in its order."""
    body = answer(decider(said, world), b"repo=r&comments=0", at(address), Random(1)).body
    return [line.split("/")[2].partition(".")[0] for line in body.decode().splitlines()]


def explained_with(said: StatusFile) -> dict[str, Any]:
    """The full explanation."""
    return explain(decider(said), b"repo=r", at(DE), Random(1), full=True)


def test_nothing_said_changes_nothing() -> None:
    """Without an overlay, and with an empty one, the snapshot is the same object."""
    assert NO_STATUS.apply(WORLD) is parse("s.toml", b"").apply(WORLD) is WORLD


def test_down_is_not_offered() -> None:
    """A mirror that is down is in no list, a private one neither; the explanation says who said so, and why."""
    assert set(listed(NO_STATUS)) == {"own", "a", "b"}
    said = overlay(a={"status": "down", "reason": "disk full"}, own="down")
    assert set(listed(said)) == {"b"}
    reasons = {row["mirror"]: row["reason"] for row in explained_with(said)["left_out"]}
    assert reasons["a"] == "down: disk full (by the status file)"
    assert reasons["own"] == "down (by the status file)"


def test_draining_is_the_last_resort() -> None:
    """A draining mirror is only in the last places; a private one, which cannot be a fallback, in none."""
    said = overlay(a="draining", own="draining")
    for _ in range(5):
        assert listed(said) == ["b", "a"]
    assert listed(overlay(a="draining", b="down", c="down", own="down")) == ["a"]
    facts = explained_with(said)
    assert [row["said"] for row in facts["list"]] == [None, "draining (by the status file)"]
    assert "draining (by the status file)" in text(facts)
    assert {row["mirror"]: row["reason"] for row in facts["left_out"]}["own"] == "draining (by the status file)"


@pytest.mark.parametrize(("weight", "expected"), [("25%", 250), (500, 500), ("0.001%", 1), ("1000%", 10_000)])
def test_weight(weight: object, expected: int) -> None:
    """A weight is in Mbit/s or in percent of the mirror's own, within what the format allows."""
    index = decider(overlay(a={"weight": weight})).index
    assert index.weights[[one.name for one in WORLD.mirrors].index("a")] == expected


def test_both_syntaxes() -> None:
    """TOML and JSON say the same; status, weight and reason can stand together."""
    in_toml = b'"ftp.example.de" = "down"\nb = { status = "draining", weight = "50%", reason = "moves" }\n'
    in_json = b'{"ftp.example.de": {"status": "down"}, "b": {"weight": "50%", "status": "draining", "reason": "moves"}}'
    assert parse("s.toml", in_toml) == parse("s.json", in_json) == parse("s", in_toml)
    assert str(parse("s.json", in_json).statuses["b"]) == "draining, weight 50 %: moves"


def test_what_the_snapshot_does_not_have() -> None:
    """Mirrors that a snapshot does not have are counted and named; they hold nothing up."""
    said = overlay(z="down", a="down", b={"weight": 5}, y="draining")
    assert said.unknown(WORLD) == ["y", "z"]
    assert said.counts(WORLD) == {"down": 1, "draining": 0, "weighted": 1, "unknown": 2}
    assert set(listed(said)) == {"own", "b"}


def test_a_mad_probe() -> None:
    """More than a part of the active mirrors is not taken away: the others are offered last.

    Mirrors that the snapshot does not have or that are only weighted do not count.
    """
    two = overlay(a="down", b="draining", c={"weight": 1}, x="down", y="down")
    assert two.limited(WORLD, 0.7, NO_STATUS) == (two, None)
    three = overlay(a="down", b="draining", c="down")
    assert three.limited(WORLD, 1.0, NO_STATUS) == (three, None)
    limited, why = three.limited(WORLD, 0.5, NO_STATUS)
    assert why == (
        "takes away 3 of 3 active public mirrors, more than --max-down 50 %; "
        "3 of them are offered last instead: a, b, c"
    )
    assert set(listed(limited)) == {"own", "a", "b", "c"}
    assert limited.counts(WORLD) == {"down": 0, "draining": 3, "weighted": 0, "unknown": 0}
    assert str(limited.statuses["a"]) == "down (offered last: --max-down)"


def test_the_mirrors_that_were_taken_away_first_stay_away() -> None:
    """Of three mirrors, two of them dead, the one that died first is out and the other one comes last, again and again.

    So it stays when the third dies, too: the last ones alive are never taken away. When there are fewer dead ones all
    of them are out.
    """
    world = compiled(network({name: mirror("DE") for name in "abc"}))
    in_force, why = overlay(b="down").limited(world, 0.5, NO_STATUS)
    assert (set(listed(in_force, world=world)), why) == ({"a", "c"}, None)
    for _ in range(3):
        in_force, why = overlay(a="down", b="down").limited(world, 0.5, in_force)
        assert (listed(in_force, world=world), bool(why)) == (["c", "a"], True)
    for _ in range(3):
        in_force, why = overlay(c="down", a="down", b="down").limited(world, 0.5, in_force)
        assert (set(listed(in_force, world=world)), bool(why)) == ({"a", "c"}, True)
    in_force, why = overlay(a="down").limited(world, 0.5, in_force)
    assert (set(listed(in_force, world=world)), why) == ({"b", "c"}, None)


def test_the_only_mirror_is_never_taken_away() -> None:
    """A status file that has it down changes nothing: last is first where there is only one."""
    world = compiled(network({"a": mirror("DE")}))
    limited, why = overlay(a="down").limited(world, 0.5, NO_STATUS)
    assert why
    assert listed(limited, world=world) == ["a"]


def test_a_private_mirror_beyond_the_limit_stays() -> None:
    """It cannot be offered last, and it may be the last one alive."""
    world = compiled(network({"p": mirror("DE", private=True, netblocks=[f"{DE}/32"])}))
    limited, _ = overlay(p="down").limited(world, 0.5, NO_STATUS)
    assert listed(limited, world=world) == ["p"]


def test_private_mirrors_make_no_room_for_more_public_ones_to_go() -> None:
    """Of two public mirrors beside three private ones one may go, whatever a failing probe says of the other."""
    inside = {f"p{number}": mirror("DE", private=True, netblocks=["198.51.100.0/24"]) for number in range(3)}
    world = compiled(network({"a": mirror("DE"), "b": mirror("DE"), **inside}))
    limited, why = overlay(a="down", b="down").limited(world, 0.5, NO_STATUS)
    assert why
    assert {"a", "b"} < set(listed(limited, world=world))
    one_of_each = overlay(a="down", p0="down")
    assert one_of_each.limited(world, 0.5, NO_STATUS) == (one_of_each, None)
    _, why = overlay(a="down", p0="down", p1="down").limited(world, 0.5, NO_STATUS)
    assert why == (
        "takes away 3 of 5 active mirrors, more than --max-down 50 %; 3 of them are offered last instead: a, p0, p1"
    )


@given(st.lists(st.dictionaries(st.sampled_from("abcde"), st.sampled_from(["down", "draining"])), max_size=6))
def test_no_sequence_of_files_takes_away_more_than_allowed(files: list[dict[str, Any]]) -> None:
    """The limit holds after any history, and no mirror that a file names is offered before another one."""
    world = compiled(network({name: mirror("DE") for name in "abcde"}))
    in_force = NO_STATUS
    for names in files:
        in_force, _ = overlay(**names).limited(world, 0.5, in_force)
        mirrors = {one.name: one for one in in_force.apply(world).mirrors}
        assert (
            sum(not one.active or (one.fallback and not in_force.statuses[name].last) for name, one in mirrors.items())
            <= 2
        )
        assert {
            name for name, one in mirrors.items() if one.active and not one.fallback
        } == mirrors.keys() - names.keys()


def test_a_number_that_cannot_be_written_is_a_mistake() -> None:
    """TOML's hexadecimal numbers may be longer than Python writes; they are not repeated, and raise nothing else."""
    for said in ("{ weight = 0x%s }", "0x%s"):
        with pytest.raises(StatusError, match="found a number of thousands of digits"):
            parse("s.toml", b'"a" = ' + (said % ("f" * 5000)).encode())


MISTAKES = {
    "a": ("dwon", 'a": expected "down", "draining" or a table'),
    "b": (5, 'b": expected "down", "draining" or a table'),
    "c": ({}, 'c": expected "down"'),
    "d": ({"state": "down"}, "d\".'state': no such key; there are status, weight, reason"),
    "e": ({"status": "up"}, 'e".status: expected "down" or "draining", found \'up\''),
    "f": ({"weight": 0}, 'f".weight: expected Mbit/s from 1 to 1000000, or a percentage such as "25%"; found 0'),
    "g": (
        {"weight": "-5%"},
        'g".weight: expected Mbit/s from 1 to 1000000, or a percentage such as "25%"; found \'-5%\'',
    ),
    "h": ({"weight": True}, 'h".weight: expected Mbit/s'),
    "i": ({"status": "down", "reason": "two\nlines"}, 'i".reason: expected one line'),
    "j": ({"weight": "nan%"}, 'j".weight: expected'),
    "k": ({"status": ["down"]}, 'k".status: expected'),
}


def test_mistakes() -> None:
    """Every mistake of a file is reported, with the file and the key; nothing of the file is used then."""
    with pytest.raises(StatusError) as refusal:
        overlay(good="down", **{key: said for key, (said, _) in MISTAKES.items()})
    assert len(refusal.value.problems) == len(MISTAKES)
    for problem, (_, expected) in zip(refusal.value.problems, MISTAKES.values(), strict=True):
        assert problem.startswith(f's.json: "{expected}')
    assert str(refusal.value).endswith("; and 1 more")


@pytest.mark.parametrize(
    ("name", "data", "complaint"),
    [
        ("s.toml", b"a = \n", "s.toml: expected TOML in UTF-8, found: .*line 1"),
        ("s.json", b'{"a": "down",}', "s.json: expected JSON in UTF-8, found: .*line 1"),
        ("s.json", b"", "s.json: expected JSON"),
        ("s.json", b"[]", "s.json: expected mirrors by name, found list"),
        ("s.json", b"[" * 100_000, "s.json: expected JSON"),
        ("s.toml", b"\xff", "s.toml: expected TOML in UTF-8"),
        ("s.toml", b'a = "down"\na = "down"\n', "s.toml: expected TOML"),
        ("s.toml", b'a.example.de = "down"', "s.toml: \"a\"[.]'example': .*; put a name with dots in quotes"),
    ],
)
def test_what_cannot_be_read(name: str, data: bytes, complaint: str) -> None:
    """What is neither TOML nor JSON is refused, with the line where the parser stopped; a bare name gets a hint."""
    with pytest.raises(StatusError, match=complaint):
        parse(name, data)


@given(name=st.sampled_from(["s.json", "s.toml"]), data=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes(name: str, data: bytes) -> None:
    """Whatever the bytes: an overlay or StatusError, nothing else."""
    try:
        assert isinstance(parse(name, data), StatusFile)
    except StatusError as error:
        assert error.problems


_STANDINGS = st.builds(
    lambda status, weight, reason: MirrorStatus(
        status=status,
        weight=weight if isinstance(weight, int) else None,
        percent=weight if isinstance(weight, float) else None,
        reason=reason,
    ),
    st.sampled_from(["down", "draining"]),
    st.none() | st.integers(1, 1_000_000) | st.floats(0.5, 1000),
    st.text("abc :|é", max_size=9),
)


@pytest.mark.slow
@given(snapshot=snapshots(), data=st.data())
def test_only_what_is_said_changes(snapshot: Any, data: st.DataObject) -> None:
    """An overlay touches no mirror that it does not name, never switches one on, and gives a snapshot that indexes."""
    names = [one.name for one in snapshot.mirrors]
    keys = st.sampled_from(names) if names else st.just("x")
    said = StatusFile(data.draw(st.dictionaries(keys, _STANDINGS, max_size=3)))
    after = said.apply(snapshot)
    for old, new in zip(snapshot.mirrors, after.mirrors, strict=True):
        assert old.name in said.statuses or new is old
        assert old.active or not new.active
    Index(after, statuses=said.statuses)
    assert sum(said.counts(snapshot).values()) == len(said.statuses)


def test_strangers_learn_nothing_of_the_status_file() -> None:
    """An explanation for a stranger names neither the mirrors that are down nor the reasons."""
    said = overlay(a={"status": "down", "reason": "secret"}, b={"weight": "50%", "reason": "secret"})
    assert "secret" not in json.dumps(explain(decider(said), b"repo=r", at(DE), Random(1), full=False))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "text"),
    {
        "one dotted key": ("s.toml", ".".join(["a"] * 20_000) + ' = "down"'),
        "one dotted header": ("s.toml", "[" + ".".join(["a"] * 20_000) + "]"),
        "nested tables": ("s.toml", "a = " + "{a=" * 50_000),
        "nested lists": ("s.json", '{"a": ' + "[" * 200_000),
        "a long number": ("s.json", '{"a": ' + "9" * 200_000 + "}"),
        "many mistakes": ("s.toml", "".join(f"a{number} = 1\n" for number in range(10_000))),
        "a long key": ("s.json", json.dumps({"a": {"k" * 500_000: 1}})),
        "a long value": ("s.json", json.dumps({"a": "v" * 500_000, "b": {"reason": "r" * 500_000}})),
    }.values(),
)
def test_no_status_file_takes_memory_out_of_proportion(name: str, text: str) -> None:
    """Each is refused with the one error, which is short, and takes little memory."""
    tracemalloc.start()
    try:
        with pytest.raises(StatusError) as caught:
            parse(name, text.encode())
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    assert len(str(caught.value)) < 5_000


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("a", '{"a": "down", "b": "down", "a": "draining"}'),
        ("weight", '{"a": {"weight": 1, "status": "down", "weight": 2}}'),
    ],
)
def test_a_key_that_json_gives_twice_is_refused(key: str, text: str) -> None:
    """One of the two values would be lost without a word; TOML has no such text, either."""
    with pytest.raises(StatusError, match=f"the key '{key}' twice in one table"):
        parse("s.json", text.encode())


def test_a_status_file_of_a_thousand_mirrors_with_the_longest_reasons_is_small_enough() -> None:
    """The limit of size leaves twice the room of the design point, in either syntax."""
    statuses = {f"mirror{n}.some.university.example.edu": {"status": "down", "reason": "r" * 200} for n in range(1_000)}
    assert 1.5 * len(json.dumps(statuses)) < STATUS_FILE.size
