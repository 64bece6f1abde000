"""The interpreter's own pauses are kept short: collecting garbage, and switching threads.

What requests leave behind is freed by counting references; what is collected besides is next to nothing. A collection
that walks what a State is made of holds requests up for milliseconds, one that walks all memos for 70.
Measured by bench/memory_and_reload.py.
"""

from __future__ import annotations

import contextlib
import gc
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator


def set_gc_policy() -> None:
    """Do so from now on, in this process and those forked from it."""
    gc.set_threshold(100_000, 50, 1_000)
    # A reload loads in a thread. Each request wants the interpreter three times and would wait this long each time;
    # usual are 5 ms.
    sys.setswitchinterval(0.000_05)


def freeze_heap() -> None:
    """Let no collection look at what there is now: it stays."""
    gc.collect()
    gc.freeze()


@contextlib.contextmanager
def gc_paused() -> Generator[None]:
    """Collect nothing while a State is made, and never look at it afterwards."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
