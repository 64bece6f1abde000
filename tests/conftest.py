"""Settings of every test: no limit on time, and no process nor foreign address without the marker that names it."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# A slow machine is not a defect: nothing here may fail by the clock.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", settings.get_profile("patient"), max_examples=5)
settings.load_profile("patient")

PROCESSES = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.exec", "os.system", "pty.spawn"}
"""Audit events of starting a process (Python's "Audit events table")."""
SOCKETS = {"socket.bind", "socket.connect", "socket.sendto"}
"""Audit events that carry an address."""
HOME = {"127.0.0.1", "::1", "localhost", ""}
"""The addresses that every machine gives to a test without privileges."""

NOT_QUICK: Final = re.compile(r"^pytestmark = .*\bmark\.(process|browser|root|network|slow|soak)\b", re.MULTILINE)
"""The line by which a module is marked as a whole."""


class Guard:
    """An audit hook that refuses what the markers of the running test do not name."""

    def __init__(self) -> None:
        self.markers: set[str] | None = None
        """Markers of the test that runs; None between tests."""
        self.broken: list[str] = []
        """What was refused in the running test, in whichever thread."""

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Refuse an event that needs a marker which the running test does not have."""
        if self.markers is None:
            return
        if event in PROCESSES and not self.markers & {"process", "browser"}:
            self.refuse(f"this test starts a process ({event} {arguments[:1]}): mark it `process` or `browser`")
        elif event in SOCKETS and "network" not in self.markers:
            address = arguments[1]
            if isinstance(address, tuple) and address[0] not in HOME:
                self.refuse(f"this test uses the address {address[0]} ({event}): mark it `network`")

    def refuse(self, reason: str) -> None:
        """Fail the test, although it may catch exceptions or run this in a thread."""
        self.broken.append(reason)
        pytest.fail(reason)


GUARD = Guard()
sys.addaudithook(GUARD.audit)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Let the guard know which test runs, fixtures included."""
    GUARD.markers = {mark.name for mark in item.iter_markers()}
    try:
        return (yield)
    finally:
        GUARD.markers = None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:  # noqa: ARG001 - the name is pytest's
    """Fail a test that has swallowed a refusal."""
    GUARD.broken.clear()
    yield
    if GUARD.broken:
        pytest.fail(GUARD.broken[0])


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With the profile `quick`, do not even import a module that is marked as a whole: imports are half of the time."""
    if config.getoption("hypothesis_profile") != "quick" or collection_path.suffix != ".py":
        return None
    return True if NOT_QUICK.search(collection_path.read_text()) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With the profile `quick`, let no property test try more examples than the profile says.

    A test's own `@settings(max_examples=...)` overrules every profile, and Hypothesis has no public way to cap it.
    """
    if config.getoption("hypothesis_profile") != "quick":
        return
    most = settings.get_profile("quick").max_examples
    for test in {item.obj for item in items if isinstance(item, pytest.Function)}:
        own = getattr(test, "_hypothesis_internal_use_settings", None)
        if own is not None and own.max_examples > most:
            test._hypothesis_internal_use_settings = settings(own, max_examples=most)
