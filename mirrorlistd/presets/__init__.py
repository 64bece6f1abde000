"""Ways of answering, each whole: how a query is read, how long lists are, and what is said around and instead of them.

The rules of selection are the same in all. A preset is chosen at set-up and never asked about by name: it is a row of
values and functions, and what comes of it is remembered with the answers. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mirrorlistd.presets.default import DEFAULT
from mirrorlistd.presets.mirrormanager import MIRRORMANAGER, MIRRORMANAGER_AS_IT_WAS
from mirrorlistd.presets.preset import UNLIMITED, Preset, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DEFAULT", "MIRRORMANAGER", "MIRRORMANAGER_AS_IT_WAS", "PRESETS", "UNLIMITED", "Preset", "Refused"]

PRESETS: Final[Mapping[str, Preset]] = {preset.name: preset for preset in (DEFAULT, MIRRORMANAGER)}
"""Every value of --preset."""
