"""What may be served instead of what is served: signatures, serials, losses, the last good copy; files as they are."""

from __future__ import annotations

import gc
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mirrorlist_snapshot.format import encode, reissue
from mirrorlist_snapshot.signing import SigningKey
from mirrorlistd.config import Config
from mirrorlistd.errors import ConfigError, GeoError, StateError
from mirrorlistd.state.inputs import LAST_GOOD
from mirrorlistd.state.last_good import keep_last_good
from mirrorlistd.state.loading import load
from support.geo_databases import write_records
from support.processes import stamped
from support.worlds import at, compiled

if TYPE_CHECKING:
    from mirrorlistd.state.state import State

KEY, OTHER = SigningKey.generate(), SigningKey.generate()


def put(path: Path, serial: int, *, mirrors: int = 10, key: SigningKey | None = None) -> Path:
    """A snapshot in place."""
    data = encode(compiled(stamped(serial, mirrors=mirrors), serial=serial))
    path.write_bytes(reissue(data, serial=serial, signer=key) if key else data)
    return path


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A configuration with a snapshot of serial 5 and a state folder."""
    return Config(snapshot=put(tmp_path / "s.mls", 5), state_dir=tmp_path / "state")


@pytest.fixture
def trusting(config: Config, tmp_path: Path) -> Config:
    """The same with a key, by which the snapshot is signed."""
    _, public = KEY.write(tmp_path / "one")
    put(tmp_path / "s.mls", 5, key=KEY)
    return replace(config, trusted_keys=(public,))


def refused(config: Config, before: State | None, complaint: str) -> None:
    """It may not be served, for a reason."""
    with pytest.raises(StateError, match=complaint):
        load(config, before)


def test_a_large_loss_is_refused_on_reload_only(config: Config, tmp_path: Path) -> None:
    """A reload that would lose more than the limit is refused and says what; a start is not; the limit can change."""
    before = load(config)
    put(tmp_path / "s.mls", 6, mirrors=8)
    refused(
        config, before, r"s\.mls: more than 10 % would be lost: 2 of 10 mirrors .*m8\.example, m9\.example; if that"
    )
    assert load(config).serial == 6
    assert load(replace(config, max_loss=20), before).serial == 6
    put(tmp_path / "s.mls", 7, mirrors=9)
    assert load(config, before).serial == 7


def test_what_is_down_for_now_is_no_loss(config: Config, tmp_path: Path) -> None:
    """Losses are of what is published: an overlay that takes mirrors away, or gives them back, changes nothing."""
    status = tmp_path / "status.json"
    status.write_text('{"m0.example": "down", "m1.example": "down", "m2.example": "down"}')
    braked = replace(config, status=status)
    before = load(config)
    state = load(braked, before)
    assert sum(mirror.active for mirror in state.decider.index.snapshot.mirrors) == 7
    put(tmp_path / "s.mls", 6, mirrors=9)
    assert load(braked, state).serial == 6


def test_the_example_may_be_replaced_by_anything(config: Config) -> None:
    """Who has tried the built-in snapshot and then names their own loses nothing."""
    before = load(Config())
    assert before.source == "built-in"
    assert load(config, before).serial == 5


def test_signatures(trusting: Config, tmp_path: Path) -> None:
    """With a trusted key, what it has not signed is refused, at the start and on reload; several may be trusted."""
    before = load(trusting)
    for key, complaint in ((None, "found an unsigned snapshot"), (OTHER, f"found one by key {OTHER.key_id.hex()}")):
        put(tmp_path / "s.mls", 6, key=key)
        refused(trusting, None, complaint)
        refused(trusting, before, complaint)
    _, public = OTHER.write(tmp_path / "two")
    assert load(replace(trusting, trusted_keys=(*trusting.trusted_keys, public)), before).serial == 6
    with pytest.raises(ConfigError, match=r"--trusted-key: .*none\.pub: cannot be read"):
        load(replace(trusting, trusted_keys=(tmp_path / "none.pub",)), before)


def test_signed_snapshots_never_go_back(trusting: Config, config: Config, tmp_path: Path) -> None:
    """An older serial is refused on reload, and at the start beside a newer last good copy; without keys not."""
    before = load(trusting)
    keep_last_good(trusting, before)
    put(tmp_path / "s.mls", 4, key=KEY)
    refused(trusting, before, "serial 4 is less than 5, which was served before")
    state = load(trusting)
    assert state.serial == 5
    assert "serial 4 is less than 5" in str(state.origin.instead)
    assert load(config, before).serial == 4
    put(tmp_path / "s.mls", 5, key=KEY)
    assert load(trusting, before).serial == 5, "the same again is not older"


BAD: dict[str, Any] = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("damage", BAD.values(), ids=BAD)
def test_the_last_good_copy(config: Config, tmp_path: Path, damage: Any) -> None:
    """Where the snapshot is missing or bad at the start, the last good copy is served, and the reason is kept."""
    keep_last_good(config, load(config))
    assert [path.name for path in (tmp_path / "state").iterdir()] == [LAST_GOOD]
    damage(tmp_path / "s.mls")
    state = load(config)
    assert (state.serial, state.source) == (5, str(tmp_path / "state" / LAST_GOOD))
    assert str(state.origin.instead).startswith(f"{tmp_path}/s.mls: ")
    refused(config, state, r"s\.mls: ")
    with pytest.raises(StateError, match=r"s\.mls: "):
        load(config, fall_back=False)
    keep_last_good(config, state)
    (tmp_path / "state" / LAST_GOOD).write_bytes(b"damaged, too")
    refused(config, None, r"s\.mls: .*; and the last good copy cannot be served, either: .*last-good\.mls: ")
    refused(replace(config, state_dir=None), None, r"s\.mls: [^;]*(;[^;]*)?$")


def test_the_last_good_copy_must_be_signed(trusting: Config, config: Config, tmp_path: Path) -> None:
    """Whoever can write to the state folder alone cannot make the server serve what nobody has signed."""
    put(tmp_path / "s.mls", 9)
    keep_last_good(config, load(config))
    refused(trusting, None, "an unsigned snapshot.*; and the last good copy cannot be served, either: .*unsigned")


@pytest.mark.slow
def test_the_copy_is_written_when_it_changes(config: Config, tmp_path: Path) -> None:
    """The same snapshot is not written again, a new one is; the folder is made; one that is a file is told."""
    keep_last_good(config, load(config))
    copy = tmp_path / "state" / LAST_GOOD
    before = copy.stat()
    keep_last_good(config, load(config))
    assert copy.stat() == before
    put(tmp_path / "s.mls", 6)
    keep_last_good(config, load(config))
    assert copy.read_bytes() == (tmp_path / "s.mls").read_bytes()
    with pytest.raises(StateError, match="--state-dir: the last good snapshot could not be kept"):
        keep_last_good(replace(config, state_dir=tmp_path / "s.mls"), load(config))
    keep_last_good(Config(state_dir=tmp_path / "unused"), load(Config()))
    assert not (tmp_path / "unused").exists()


def test_a_folder_that_cannot_be_looked_into(config: Config, tmp_path: Path) -> None:
    """A state folder that gives an error holds no copy: nothing is kept, and a bad snapshot is refused, in words."""
    nowhere = replace(config, state_dir=tmp_path / ("x" * 300))  # root, too, may not: too long a name
    with pytest.raises(StateError, match="--state-dir: the last good snapshot could not be kept"):
        keep_last_good(nowhere, load(nowhere))
    (tmp_path / "s.mls").write_bytes(b"bad")
    refused(nowhere, None, r"s\.mls: ")


def test_an_overlay_that_cannot_be_used_holds_nothing_up(config: Config, tmp_path: Path) -> None:
    """Bad or missing: the one before applies. Too much taken away: the file applies in part. The reason is kept."""
    status = tmp_path / "status.toml"
    braked = replace(config, status=status)
    state = load(braked)
    assert "status.toml: cannot be read: No such file" in str(state.origin.status_error)
    assert not state.status_file
    status.write_text('"m0.example" = "down"\n')
    good = load(braked, state)
    assert good.origin.status_error is None
    mad = "".join(f'"m{number}.example" = "down"\n' for number in range(6))
    for number, (text, complaint) in enumerate(
        [
            ("nonsense", "expected TOML"),
            ('x = "up"', "expected"),
            ("#" * (5 << 20), "more than"),
        ]
    ):
        status.write_text(text)
        put(tmp_path / "s.mls", 10 + number)
        state = load(braked, good)
        assert state.serial == 10 + number
        assert f"{status}: " in str(state.origin.status_error)
        assert complaint in str(state.origin.status_error)
        assert state.status_file == good.status_file
    status.write_text(mad)
    limited = load(braked, good)
    assert "status.toml: takes away 6 of 10 active mirrors" in str(limited.origin.status_error)
    assert limited.status_file.counts(limited.published) == {"down": 1, "draining": 5, "weighted": 0, "unknown": 0}
    assert load(braked, limited).status_file == limited.status_file
    assert len(load(replace(braked, max_down=60), good).status_file.statuses) == 6
    assert not load(replace(braked, status=None), good).status_file


def test_stale(config: Config) -> None:
    """A snapshot is stale once it is older than --max-age; without that never."""
    state = load(replace(config, max_age=60))
    built = state.published.built
    assert [state.stale(built + age) for age in (-9, 60, 61)] == [False, False, True]
    assert not load(config).stale(built + 1e9)


def test_a_snapshot_from_the_future_is_not_fresh_for_ever(config: Config) -> None:
    """With --max-age it is stale until the clock has reached it. A small skew does not count."""
    state = load(replace(config, max_age=60))
    built = state.published.built
    for before, ahead, stale in (
        (-61, 0, True),
        (0, 0, False),
        (300, 0, False),
        (301, 301, True),
        (10**9, 10**9, True),
    ):
        assert (state.seconds_ahead(built - before), state.stale(built - before)) == (ahead, stale)
    assert not load(config).stale(built - 10**9)


def test_a_bad_push_does_not_block_the_brake(config: Config, tmp_path: Path) -> None:
    """Where the snapshot is refused but the status file has changed, the old snapshot is served with the new status."""
    status = tmp_path / "status.toml"
    status.write_text("")
    braked = replace(config, status=status)
    state = load(braked)
    for content in (None, b"damaged", (tmp_path / "s.mls").read_bytes()):
        put(tmp_path / "s.mls", 6, mirrors=2)
        if content is not None:
            (tmp_path / "s.mls").write_bytes(content)
        refusal = content is None or content == b"damaged"
        if refusal:
            refused(braked, state, r"s\.mls: ")
        status.write_text(f'"m{len(state.status_file.statuses)}.example" = "down"\n' + status.read_text())
        state = load(braked, state)
        assert (state.serial, bool(state.origin.refused)) == (5, refusal)
    assert state.status_file.counts(state.published)["down"] == 3
    assert not state.origin.refused


def geo_database(path: Path, country: str) -> Path:
    """Put a geo database in place that knows one network."""
    return write_records(path, {"192.0.2.0/24": {"country": {"iso_code": country}}})


def country(state: State) -> str | None:
    """Where a state places a client of that network."""
    return state.decider.geo.locate(at("192.0.2.7")).country


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


BAD_GEO: dict[str, Any] = {
    "missing": lambda path: path.unlink(),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-200]),
    "a pipe": _pipe,
}


@pytest.mark.parametrize("damage", BAD_GEO.values(), ids=BAD_GEO)
def test_a_bad_geo_database_holds_no_other_file_up(config: Config, tmp_path: Path, damage: Any) -> None:
    """A new snapshot and a new status file are taken, the databases in use stay, and the reason is kept.

    Where there is nothing else to take the reload fails, and at the start there is nothing to fall back to.
    """
    placed = replace(config, geo=geo_database(tmp_path / "geo.mmdb", "DE"), status=tmp_path / "status.toml")
    (tmp_path / "status.toml").write_text("")
    state = load(placed)
    damage(tmp_path / "geo.mmdb")
    for before in (None, state):
        with pytest.raises(GeoError, match=r"geo\.mmdb"):
            load(placed, before)
    put(tmp_path / "s.mls", 6)
    state = load(placed, state)
    assert (state.serial, country(state), list(state.origin.refused)) == (6, "DE", ["geo databases"])
    (tmp_path / "status.toml").write_text('"m0.example" = "down"\n')
    state = load(placed, state)
    assert (len(state.status_file.statuses), country(state)) == (1, "DE")
    (tmp_path / "geo.mmdb").unlink(missing_ok=True)
    geo_database(tmp_path / "geo.mmdb", "FR")
    (tmp_path / "s.mls").write_bytes(b"bad")
    state = load(placed, state)
    assert (state.serial, country(state), list(state.origin.refused)) == (6, "FR", ["snapshot"])


def test_a_bad_key_file_holds_the_snapshot_up_and_nothing_else(trusting: Config, tmp_path: Path) -> None:
    """Without its keys no snapshot can be judged: the one that is served stays, and the status file is taken."""
    braked = replace(trusting, status=tmp_path / "status.toml")
    (tmp_path / "status.toml").write_text("")
    state = load(braked)
    put(tmp_path / "s.mls", 6, key=KEY)
    trusting.trusted_keys[0].write_text("no key")
    with pytest.raises(ConfigError, match="--trusted-key"):
        load(braked, state)
    (tmp_path / "status.toml").write_text('"m0.example" = "down"\n')
    state = load(braked, state)
    assert (state.serial, len(state.status_file.statuses), list(state.origin.refused)) == (5, 1, ["snapshot"])


def test_refused_settings_hold_no_file_up(config: Config, tmp_path: Path) -> None:
    """The settings in force go on with a new snapshot; where there is none the reload fails with their error."""
    state = load(config)
    error = ConfigError("a mistake")
    with pytest.raises(ConfigError, match="a mistake"):
        load(config, state, refused={"settings": error})
    put(tmp_path / "s.mls", 6)
    state = load(config, state, refused={"settings": error})
    assert (state.serial, state.origin.refused) == (6, {"settings": "a mistake"})
    assert not load(config, state).origin.refused


def test_a_refused_load_leaves_nothing_open(config: Config, tmp_path: Path) -> None:
    """What was read for a load that fails is given back at once, without the collector."""
    placed = replace(config, geo=geo_database(tmp_path / "geo.mmdb", "DE"))
    state = load(placed)
    gc.collect()
    gc.disable()
    try:
        before = len(list(Path("/proc/self/fd").iterdir()))
        for content in (b"bad", encode(compiled(stamped(6, mirrors=1), serial=6))):
            (tmp_path / "s.mls").write_bytes(content)
            refused(placed, state, "s.mls")
        (tmp_path / "geo.mmdb").write_bytes(b"bad")
        for _ in range(3):
            refused(placed, state, "s.mls")
        put(tmp_path / "s.mls", 5)
        with pytest.raises(GeoError):
            load(placed, state)
        assert len(list(Path("/proc/self/fd").iterdir())) == before
    finally:
        gc.enable()
