"""Networks of mirrors for the tests of mirrorlist-fetch."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


from support.downloads import Net


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Net]]:
    """Give a maker of networks; they end with the test. The machine's own proxies do not meddle."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    with contextlib.ExitStack() as stack:
        yield lambda *modes, **options: Net(tmp_path, stack, modes, **options)
