"""A server imports what it needs: a small network is served in 45 MB (bench/README.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mirrorlistd.selection.order_maker import FEW
from support.processes import Server, stamped, write_snapshot
from support.worlds import mirror

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.process

UNNEEDED = {
    "numpy": "13 MB; batches of orders, in networks of more than a few mirrors",
    "prometheus_client": "3 MB; /metrics",
    "cryptography": "7 MB; snapshots that must be signed",
    "google.protobuf": "3 MB; MirrorManager's caches",
    "pydantic": "7 MB; sources",
    "yaml": "1 MB; sources",
    "urllib.request": "1 MB; pushes and pulls",
    "xml": "1 MB; the fetch command reads metalinks",
}
"""Module -> what it takes, and what needs it."""


def imported(server: Server) -> set[str]:
    """Names of all modules that a server with PYTHONPROFILEIMPORTTIME has imported so far."""
    return {line.rpartition("|")[2].strip() for line in list(server.lines) if line.startswith("import time:")}


def test_a_small_network_is_served_without_what_it_does_not_need(tmp_path: Path) -> None:
    """Started and asked for a list and a metalink, a server has imported none of these; with many mirrors, numpy."""
    many = stamped(1)
    many["mirrors"] = {f"m{number}": mirror("DE") for number in range(FEW + 1)}
    environ = {"PYTHONPROFILEIMPORTTIME": "1"}
    with Server("--snapshot", str(write_snapshot(tmp_path / "few.mls", stamped(1))), environ=environ) as server:
        assert server.get("/mirrorlist?repo=r").status == 200
        server.get("/metalink?repo=r")
        found = imported(server)
        assert "mirrorlistd.serve" in found
        assert not {name for name in UNNEEDED if name in found}
        assert server.get("/metrics").status == 200
    with Server("--snapshot", str(write_snapshot(tmp_path / "many.mls", many)), environ=environ) as server:
        assert "numpy" in imported(server)
