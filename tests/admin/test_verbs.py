"""The verbs that read the store, and `token`: their text, their JSON, their errors."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mirrorlist_admin.checkin.counter import first_check_in
from mirrorlist_admin.cli import main
from mirrorlist_admin.store import Store, schema
from mirrorlist_admin.store.rows import HeldRemoval, Subject
from support.observed_example import HOUR, fill

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store with mirrors in every state, as of now."""
    folder = tmp_path_factory.mktemp("state")
    fill(folder, int(time.time()), mirrors=12)
    return str(folder)


def named(state: str, prefix: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The mirror that is named after a state."""
    assert main(["status", "--state", state, "--json"]) == 0
    mirrors = json.loads(capsys.readouterr().out)["mirrors"]
    return next(str(one["mirror"]) for one in mirrors if one["mirror"].startswith(f"{prefix}."))


def test_status_shows_the_worst_first(state: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line a mirror, private ones included; what holds for the network is on standard error."""
    assert main(["status", "--state", state]) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert lines[0] == "12 mirrors, last run 2 minutes ago"
    assert [line.split()[0].partition(".")[0] for line in lines[2:5]] == ["maintenance", "down", "stale"]
    assert "(private)" in shown.out
    assert "only 1 of 5 reference hosts answers" in shown.err
    assert "\x1b" not in shown.out


def test_status_says_what_the_brake_holds_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A removal that waits for a second run is named, with what confirms it."""
    fill(tmp_path, int(time.time()), mirrors=2)
    with Store(tmp_path) as store:
        held = HeldRemoval(mirror="fresh.example", category="epel", subject=Subject.URL, name="https://x/ v4", since=1)
        store.write(schema.HELD, [held])
    assert main(["status", "--state", str(tmp_path)]) == 0
    assert "held back by the brake: fresh.example; the next run, or `probe --once --confirm`" in capsys.readouterr().err
    assert main(["status", "--state", str(tmp_path), "--json"]) == 0
    waiting = json.loads(capsys.readouterr().out)["held"]
    assert waiting == [{"mirror": "fresh.example", "name": "https://x/ v4", "since": 1}]


def test_status_of_some_states(state: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--only` chooses by state, in text and JSON."""
    assert main(["status", "--state", state, "--only", "down", "--only", "late", "--json"]) == 0
    assert [one["state"] for one in json.loads(capsys.readouterr().out)["mirrors"]] == ["down", "late"]


def test_explain_says_why_and_since_when(state: str, capsys: pytest.CaptureFixture[str]) -> None:
    """URLs with their state and reason, index files that are not fresh, and the events."""
    assert main(["explain", named(state, "stale", capsys), "--state", state]) == 0
    shown = capsys.readouterr().out
    assert "out of date: 8/aarch64/repodata/repomd.xml: repomd.xml of 2026-11-28 03:00" in shown
    assert "27 h" in shown
    assert "late -> stale (lag over 24 h; repomd.xml of 2026-11-28 03:00)" in shown
    assert "reported -> wrong" in shown
    assert "last report 1 hour ago; a report was wrong: reports do not raise until" in shown


def test_explain_says_what_a_mirror_reports_of_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its limit, its traffic and its usual interval: for the operators, not for the pages."""
    now = int(time.time())
    fill(tmp_path, now, mirrors=1)
    name = named(str(tmp_path), "fresh", capsys)
    row = replace(
        first_check_in(name), received=now - 60, interval=7200, limit=200, traffic=2_500_000, syncing=now - 300
    )
    with Store(tmp_path) as store:
        store.write(schema.CHECK_IN, [row])
    assert main(["explain", name, "--state", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "last report 1 minute ago, usually every 2 h" in shown or "usually every 120 min" in shown
    assert "it can give 200 Mbit/s by its own word; it sent 20.0 Mbit/s between its last two reports" in shown
    assert "it has been synchronising for 5 min" in shown


def test_explain_at_a_moment(state: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--at` answers what held then, and shows only the events up to it."""
    name = named(state, "down", capsys)
    during = time.strftime("%Y-%m-%d %H:%M", time.gmtime(time.time() - HOUR))
    assert main(["explain", name, "--at", during, "--state", state]) == 0
    assert "v4: down since" in capsys.readouterr().out
    before = time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime(time.time() - 24 * HOUR))
    assert main(["explain", name, "--at", before, "--state", state, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["at"]["facts"] == []
    assert [event["after"] for event in found["events"]] == ["up"]


def test_propagation_shows_each_architecture(state: str, capsys: pytest.CaptureFixture[str]) -> None:
    """When each version appeared, and when half, 90 % and 99 % of the mirrors had it."""
    assert main(["propagation", "epel-9", "--state", state]) == 0
    shown = capsys.readouterr().out
    assert "epel-9 x86_64: 10 public mirrors carry epel/9/x86_64/repodata/repomd.xml" in shown
    assert "50 % after" in shown
    assert main(["propagation", "epel-9", "--arch", "aarch64", "--json", "--state", state]) == 0
    assert [one["arch"] for one in json.loads(capsys.readouterr().out)] == ["aarch64"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["explain", "dwn.example.de"], "did you mean down.example."),
        (["explain", "zzz"], "there is no mirror 'zzz'"),
        (["propagation", "epel-99"], "did you mean epel-9"),
        (["propagation", "epel-9", "--arch", "z80"], "it has aarch64, ppc64le, x86_64"),
        (["token", "dwn.example.de"], "the sources have no mirror 'dwn.example.de'; did you mean down.example."),
        (["token", "--revoke", "abc"], "there is no token 'abc'"),
    ],
)
def test_a_wrong_name_is_answered_with_a_near_one(
    state: str, words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 1, and one line."""
    assert main([*words, "--state", state]) == 1
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize("words", [["status"], ["explain", "m"], ["propagation", "r"]])
def test_a_folder_without_a_store_is_named(
    tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """What reads makes no file; it says what would."""
    assert main([*words, "--state", str(tmp_path)]) == 1
    assert f"{tmp_path}/observations.db: there is none yet" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_token_is_shown_once_listed_and_revoked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Standard output has the token alone; the list has what is kept; a revoked one is gone."""
    fill(tmp_path, int(time.time()), mirrors=2)
    state = ["--state", str(tmp_path)]
    name = named(str(tmp_path), "fresh", capsys)
    assert main(["token", name, "--expires", "30d", *state]) == 0
    shown = capsys.readouterr()
    token = shown.out.strip()
    assert token.startswith("mlr_")
    assert "it is not shown again" in shown.err
    assert main(["token", "--list", *state]) == 0
    listed = capsys.readouterr().out
    assert token not in listed
    identifier = listed.splitlines()[1].split()[1]
    assert main(["token", name, "--expires", "never", "--json", *state]) == 0
    assert json.loads(capsys.readouterr().out)["expires"] == 0
    assert main(["token", "--revoke", identifier, *state]) == 0
    with Store(tmp_path) as store:
        assert len(store.read(schema.TOKEN)) == 1


@pytest.mark.parametrize("text", ["", "5", "1m", "20000d", "soon"])
def test_a_wrong_expiry_is_wrong_usage(state: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 2, with what is allowed."""
    with pytest.raises(SystemExit) as end:
        main(["token", "m", "--expires", text, "--state", state])
    assert end.value.code == 2
    assert "or write never" in capsys.readouterr().err
