"""What the operator asks of the prober, read once from the command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mirrorlist_admin.fetch.pacing import DEFAULT_RATE
from mirrorlist_admin.prober.mirror_run import AskingRules

if TYPE_CHECKING:
    from pathlib import Path

    from mirrorlist_admin.netguard import Netguard


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of a prober."""

    sources: tuple[Path, ...]
    state: Path
    """The folder of `observations.db` and `status.toml`."""
    once: bool
    guard: Netguard
    rules: AskingRules = field(default_factory=AskingRules)
    rate: float = DEFAULT_RATE
    """Requests a second to one address."""
    references: tuple[str, ...] = ()
    only: frozenset[str] | None = None
    """Names of the mirrors to ask; None for all."""
    confirm: bool = False
    signal: Path | None = None
    """The pid file of a server that reloads when the status file has changed."""
