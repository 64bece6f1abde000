"""How many processors this process may use: the number of workers that `--workers auto` starts."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cpu_count(root: Path = Path("/")) -> int:
    """Count the processors that affinity and the quotas of the control groups (version 2) allow; at least 1.

    Half a processor counts as none: a worker that shares one with another is no gain. The number is 1 on systems other
    than Linux, which do not distribute clients among sockets of one address. `root` is where `proc` and `sys` are.
    """
    if sys.platform != "linux":
        return 1
    allowed = len(os.sched_getaffinity(0))
    return max(1, int(min(allowed, _quota(root))))


def _quota(root: Path) -> float:
    """Return the least quota of the control group and those around it, in processors; infinite without one."""
    try:
        lines = (root / "proc/self/cgroup").read_text("utf-8").splitlines()
    except OSError:
        return float("inf")
    path = next((line[3:] for line in lines if line.startswith("0::")), "/")
    top = root / "sys/fs/cgroup"
    group = top / path.strip("/")
    quotas = [float("inf")]
    for folder in (group, *group.parents):
        quotas.append(_quota_of(folder))
        if folder == top:
            break
    return min(quotas)


def _quota_of(folder: Path) -> float:
    try:
        quota, period = (folder / "cpu.max").read_text("utf-8").split()
        return int(quota) / int(period)
    except (OSError, ValueError):  # the root group has no such file, and the quota may be the word `max`
        return float("inf")
