"""Trees of files with known times."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from mirrorlist_snapshot.model import FileVersion

if TYPE_CHECKING:
    from pathlib import Path

DAY = 86_400


def write(tree: Path, path: str, content: str = "x", day: float = 1) -> Path:
    """Write a file below a tree, modified on a day since 1970."""
    file = tree / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    os.utime(file, (day * DAY, day * DAY))
    return file


def version(content: str, day: float = 1) -> FileVersion:
    """What a file with some content is, from a second implementation: one hash at a time."""
    data = content.encode()
    return FileVersion(
        timestamp=round(day * DAY),
        size=len(data),
        **{
            name: hashlib.new(name, data, usedforsecurity=False).hexdigest()
            for name in ("md5", "sha1", "sha256", "sha512")
        },
    )
