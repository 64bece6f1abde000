"""What the processes of a server use, from /proc: for the `process_*` metrics where there are several."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mirrorlistd.telemetry.counters import WorkerFacts

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessUsage:
    """What one process uses; of a supervisor also what its ended workers have used."""

    cpu: float
    """Processor time, seconds."""
    reaped: float
    """Processor time of its children that have ended, seconds."""
    resident: int
    """Bytes of memory; pages shared with other processes count in each of them."""
    virtual: int
    """Bytes of address space."""
    open_files: int
    max_files: int
    started_at: float
    """Unix time."""

    @classmethod
    def read(cls, pid: int) -> Self | None:
        """Read it; None where the process has ended or may not be looked at."""
        with suppress(OSError, ValueError, IndexError):
            folder = _PROC / str(pid)
            # Fields of proc_pid_stat(5) from the third on: the second, the command, may hold spaces and parentheses.
            fields = (folder / "stat").read_text("ascii", "replace").rpartition(")")[2].split()
            ticks = os.sysconf("SC_CLK_TCK")
            user, system, reaped_user, reaped_system = (int(field) / ticks for field in fields[11:15])
            return cls(
                cpu=user + system,
                reaped=reaped_user + reaped_system,
                resident=int(fields[21]) * os.sysconf("SC_PAGE_SIZE"),
                virtual=int(fields[20]),
                open_files=len(os.listdir(folder / "fd")),  # noqa: PTH208 - no paths are made: there may be 100,000
                max_files=_max_files((folder / "limits").read_text("ascii")),
                started_at=_boot_time() + int(fields[19]) / ticks,
            )
        return None


@dataclass(frozen=True, slots=True)
class ServerUsage:
    """What the processes of a server of several workers use."""

    workers: Mapping[int, ProcessUsage]
    """Number of the worker slot -> usage; without workers that have ended."""
    server: ProcessUsage | None
    """All processes together; None where the supervisor may not be looked at."""

    @classmethod
    def read(cls, workers: Iterable[WorkerFacts], supervisor: int) -> Self:
        """Read it; `supervisor` is a process id. It takes a moment for each file that a process has open."""
        found = {worker.number: ProcessUsage.read(worker.pid) for worker in workers if worker.up}
        usages = {number: usage for number, usage in found.items() if usage is not None}
        above = ProcessUsage.read(supervisor)
        return cls(usages, whole(usages.values(), above) if above is not None else None)


def whole(processes: Iterable[ProcessUsage], supervisor: ProcessUsage) -> ProcessUsage:
    """Return what a server uses: sums; but the files of the process that is nearest to its limit of them."""
    every = [supervisor, *processes]
    fullest = max(every, key=lambda one: one.open_files / max(1, one.max_files))
    return ProcessUsage(
        cpu=sum(one.cpu for one in every) + supervisor.reaped,  # so that the sum never decreases
        reaped=0.0,
        resident=sum(one.resident for one in every),
        virtual=sum(one.virtual for one in every),
        open_files=fullest.open_files,
        max_files=fullest.max_files,
        started_at=supervisor.started_at,
    )


def _max_files(limits: str) -> int:
    line = next(line for line in limits.splitlines() if line.startswith("Max open files"))
    soft = line.split()[3]
    return int(soft) if soft.isdecimal() else 1 << 62  # "unlimited"


def _boot_time() -> float:
    text = (_PROC / "stat").read_text("ascii")
    return float(next(line for line in text.splitlines() if line.startswith("btime")).split()[1])
