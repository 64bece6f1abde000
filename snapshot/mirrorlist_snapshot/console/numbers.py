"""Numbers as people write them: read within bounds, for flags (argparse types) and for anything else (ValueError)."""

from __future__ import annotations

import argparse
import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST = 40
"""Characters: more than any number needs, and few enough that reading them costs nothing."""


def parse_whole(text: str, least: int, most: int) -> int:
    """Read a whole number in ASCII digits, both bounds included; raise ValueError."""
    if not re.fullmatch(r"[0-9]{1,40}", text) or not least <= int(text) <= most:
        raise ValueError(f"expected a whole number from {least} to {most}, found {text[:_LONGEST]!a}")
    return int(text)


def parse_real(text: str, least: float, most: float) -> float:
    """Read a decimal number, both bounds included; raise ValueError, also for `nan`."""
    try:
        value = float(text) if len(text) <= _LONGEST else math.nan
    except ValueError:
        value = math.nan
    if not least <= value <= most:  # false for nan
        raise ValueError(f"expected a number from {least:g} to {most:g}, found {text[:_LONGEST]!a}")
    return value


def whole(least: int, most: int, what: str = "a whole number") -> Callable[[str], int]:
    """Return an argparse type for whole numbers; `what` names them in the error."""

    def read(text: str) -> int:
        try:
            return parse_whole(text, least, most)
        except ValueError:
            raise argparse.ArgumentTypeError(_expected(what, least, most, text)) from None

    return read


def real(least: float, most: float, what: str = "a number") -> Callable[[str], float]:
    """Return an argparse type for decimal numbers; `what` names them in the error."""

    def read(text: str) -> float:
        try:
            return parse_real(text, least, most)
        except ValueError:
            raise argparse.ArgumentTypeError(_expected(what, least, most, text)) from None

    return read


def _expected(what: str, least: float, most: float, text: str) -> str:
    return f"expected {what} from {least:.15g} to {most:.15g}, found {text[:_LONGEST]!a}"
