"""`compile --observations` as an operator runs it: what is left out, what is said, and what a wrong file does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mirrorlist_snapshot import format as snapshot_format
from mirrorlist_snapshot.freshness.observed import Freshness
from support.observed import NOW, seen, unit, url, write
from support.snapshot_command import json_of, run

if TYPE_CHECKING:
    from pathlib import Path

    from mirrorlist_snapshot.freshness.observed import Observations

pytestmark = pytest.mark.process

SOURCE = """\
[categories.c]
[repositories.r]
category = "c"
path = "x"
""" + "".join(
    f'[mirrors.{name}]\ncountry = "NL"\ncategories.c = "https://{name}.example/"\n' for name in ("a", "b", "d")
)
SHORT = ("compile", "s.toml", "--serial", "5", "-o", "m.mls", "--observations", "o.db")


def compiled(folder: Path, observations: Observations, now: int = NOW) -> tuple[set[str], str, dict[str, object]]:
    """Compile; return the mirrors that carry `x`, standard error, and the facts about observations."""
    (folder / "s.toml").write_text(SOURCE, encoding="utf-8")
    write(folder / "o.db", observations)
    done = run(folder, *SHORT, "--json", SOURCE_DATE_EPOCH=str(now))
    snapshot = snapshot_format.verify((folder / "m.mls").read_bytes())
    carriers = snapshot.sets.members(snapshot.directories.nearest(0, b"x") or 0)
    return {snapshot.mirrors[one].name for one in carriers}, done.stderr, json_of(done)["observations"]


def test_what_is_down_or_stale_is_left_out(tmp_path: Path) -> None:
    """The snapshot lacks what was observed as down or stale; the numbers are said, the names are in the JSON."""
    rows = seen(url("a", "https://a.example/"), unit("b", "x/f"), unit("d", "x/f", Freshness.LATE))
    carriers, said, facts = compiled(tmp_path, rows)
    assert carriers == {"d"}
    assert "observations: 3 mirrors observed, 2 left out, wholly or for some directories\n" in said
    assert facts == {"taken": NOW, "observed": 3, "left_out": ["a", "b"], "kept": []}


def test_nothing_observed_compiles_the_same_bytes(tmp_path: Path) -> None:
    """A prober that has seen nothing yet changes no byte, and the operator is told."""
    carriers, said, _ = compiled(tmp_path, seen(taken=0))
    assert carriers == {"a", "b", "d"}
    assert "o.db: warning: no run of the prober has ended yet; mirrors are offered as the sources say" in said
    before = (tmp_path / "m.mls").read_bytes()
    run(tmp_path, *SHORT[:6], SOURCE_DATE_EPOCH=str(NOW))
    assert (tmp_path / "m.mls").read_bytes() == before


def test_the_operator_is_told_what_to_look_into(tmp_path: Path) -> None:
    """A unit that is stale everywhere, and a prober that has not run for days, are warnings with names and numbers."""
    _, said, facts = compiled(tmp_path, seen(*(unit(name, "x/f") for name in "abd")), now=NOW + 3 * 86_400)
    assert "o.db: warning: c: x/f is out of date or missing on every mirror; these stay in the lists: a, b, d" in said
    assert "o.db: warning: the prober's last run ended 3 days ago; is it still running?" in said
    assert facts["kept"] == [{"mirror": name, "category": "c", "unit": "x/f"} for name in "abd"]


def test_a_wrong_file_writes_nothing(tmp_path: Path) -> None:
    """A file that is not the prober's gives one line that names it, exit status 1, and no snapshot."""
    (tmp_path / "s.toml").write_text(SOURCE, encoding="utf-8")
    (tmp_path / "o.db").write_text("mirrors", encoding="utf-8")
    done = run(tmp_path, *SHORT, code=1)
    assert "o.db: cannot be read as the prober's file: file is not a database; name the observations.db" in done.stderr
    assert not (tmp_path / "m.mls").exists()
