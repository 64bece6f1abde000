"""The number of workers that `auto` starts, from a system tree made for the test."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from mirrorlistd.workers.cpu_count import cpu_count

if TYPE_CHECKING:
    from pathlib import Path

ALLOWED = len(os.sched_getaffinity(0))


def tree(root: Path, group: str, quotas: dict[str, str]) -> Path:
    """A root with our control group and the quota file of some groups."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(f"1:name=systemd:/old\n0::{group}\n")
    (root / "sys/fs/cgroup" / group.strip("/")).mkdir(parents=True)
    for folder, quota in quotas.items():
        (root / "sys/fs/cgroup" / folder / "cpu.max").write_text(f"{quota}\n")
    return root


@pytest.mark.parametrize(
    ("group", "quotas", "expected"),
    [
        ("/", {}, ALLOWED),
        ("/", {"": "max 100000"}, ALLOWED),
        ("/", {"": "100000 100000"}, 1),
        ("/", {"": "50000 100000"}, 1),
        ("/", {"": "190000 100000"}, 1),
        ("/", {"": "100000000 100000"}, ALLOWED),
        ("/a.slice/b.service", {"a.slice": "100000 100000", "a.slice/b.service": "max 100000"}, 1),
        ("/a.slice/b.service", {"a.slice/b.service": "100000 100000"}, 1),
        ("/a.slice/b.service", {"a.slice/b.service": "junk"}, ALLOWED),
    ],
)
def test_the_least_quota_counts(tmp_path: Path, group: str, quotas: dict[str, str], expected: int) -> None:
    """The quotas of our group and of all around it, rounded down, but one worker at least."""
    assert cpu_count(tree(tmp_path, group, quotas)) == expected


def test_without_control_groups(tmp_path: Path) -> None:
    """Affinity alone counts where there are none."""
    assert cpu_count(tmp_path) == ALLOWED


def test_affinity_counts() -> None:
    """A process that is kept to one processor is one worker."""
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert cpu_count() == 1
    finally:
        os.sched_setaffinity(0, before)
