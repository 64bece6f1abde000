"""Watching files: a change is told once, when it rests; what is read meanwhile is no change."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mirrorlistd.config import Config
from mirrorlistd.errors import ConfigError
from mirrorlistd.process.file_watch import FileWatch

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A configuration whose files are there."""
    for name in ("c.toml", "s.mls", "status.json", "k.pub"):
        (tmp_path / name).write_text("one")
    return Config(
        config=tmp_path / "c.toml",
        snapshot=tmp_path / "s.mls",
        status=tmp_path / "status.json",
        trusted_keys=(tmp_path / "k.pub",),
        geo=tmp_path / "missing.mmdb",
    )


def put(path: Path, text: str) -> None:
    """Replace a file by rename."""
    fresh = path.with_name("fresh")
    fresh.write_text(text)
    fresh.replace(path)


def looks(watch: FileWatch, count: int = 4) -> list[bool]:
    """What so many looks tell."""
    return [watch.changed() for _ in range(count)]


@pytest.mark.parametrize("name", ["c.toml", "s.mls", "status.json", "k.pub", "missing.mmdb"])
def test_a_replaced_file_is_told_once(config: Config, tmp_path: Path, name: str) -> None:
    """A file that was replaced, removed or added is told once, at the second look that sees it."""
    watch = FileWatch(config, lambda: config)
    assert looks(watch) == [False] * 4
    put(tmp_path / name, "two")
    assert looks(watch) == [False, True, False, False]
    (tmp_path / name).unlink()
    assert looks(watch) == [False, True, False, False]


def test_a_file_that_is_being_written_is_left_alone(config: Config, tmp_path: Path) -> None:
    """Only when two looks see the same is a change told."""
    watch = FileWatch(config, lambda: config)
    for number in range(5):
        (tmp_path / "s.mls").write_text("x" * number)
        assert not watch.changed()
    assert looks(watch, 2) == [True, False]


def test_links_to_a_folder_that_is_swapped(config: Config, tmp_path: Path) -> None:
    """As Kubernetes has it: the file is a link into `..data`, a link to a folder that is replaced by another."""
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "s.mls").write_text("same")
    (tmp_path / "..data").symlink_to("old")
    (tmp_path / "linked.mls").symlink_to("..data/s.mls")
    watch = FileWatch(replace(config, snapshot=tmp_path / "linked.mls"), lambda: config)
    (tmp_path / "fresh").symlink_to("new")
    (tmp_path / "fresh").replace(tmp_path / "..data")
    assert looks(watch) == [False, True, False, False]


def test_what_is_read_is_no_change(config: Config, tmp_path: Path) -> None:
    """A reload for another reason reads what is there: it is not told again; later changes of new files are."""
    other = replace(config, snapshot=tmp_path / "other.mls")
    put(tmp_path / "other.mls", "one")
    watch = FileWatch(config, lambda: other)
    put(tmp_path / "status.json", "two")
    assert watch.reread() is other
    assert looks(watch) == [False] * 4
    put(tmp_path / "s.mls", "no longer looked at")
    assert looks(watch) == [False] * 4
    put(tmp_path / "other.mls", "two")
    assert looks(watch) == [False, True, False, False]


def test_settings_that_change_while_they_are_read(config: Config, tmp_path: Path) -> None:
    """A configuration file that is replaced while it is read is read again."""

    def reread() -> Config:
        put(tmp_path / "c.toml", "three")
        return config

    watch = FileWatch(config, reread)
    watch.reread()
    assert looks(watch) == [True, False, False, False]


def test_settings_that_are_wrong(config: Config, tmp_path: Path) -> None:
    """A configuration that is refused is told no more than once, too."""

    def refuse() -> Config:
        raise ConfigError("no")

    watch = FileWatch(config, refuse)
    put(tmp_path / "c.toml", "two")
    assert looks(watch, 2) == [False, True]
    with pytest.raises(ConfigError):
        watch.reread()
    assert looks(watch) == [False] * 4
