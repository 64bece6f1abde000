"""Presets: how a query is read, the default length of lists, comment lines and error texts. Pure.

The selection rules are the same in all presets. No code branches on the name of a preset: a preset is a row of values
and functions.
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
