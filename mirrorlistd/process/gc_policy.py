"""Keep the interpreter's own pauses short: garbage collection, and the switch between threads.

Requests leave almost nothing for the collector: reference counting frees their objects. A collection that walks a State
delays requests by milliseconds, and one that walks all memos by more (bench/memory_and_reload.py measures it).
"""

from __future__ import annotations

import contextlib
import gc
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator


def set_gc_policy() -> None:
    """Set the policy for this process and those forked from it."""
    gc.set_threshold(100_000, 50, 1_000)
    # A reload loads in a thread. Each request needs the interpreter three times and would wait this long each time; the
    # default is 5 ms.
    sys.setswitchinterval(0.000_05)


def freeze_heap() -> None:
    """Exempt all present objects from collection."""
    gc.collect()
    gc.freeze()


@contextlib.contextmanager
def gc_paused() -> Generator[None]:
    """Collect nothing in the block, and exempt all objects made in it from collection."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
