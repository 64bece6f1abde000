"""Parse TOML in time and memory proportional to the text.

The standard library's parser takes memory with the square of the number of parts of a dotted key: 1.6 GB for one key of
40 kB. Keys are therefore measured before the text is parsed.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any, Final

MAX_KEY_PARTS: Final = 20
"""Parts of a dotted key; the documents of this project need five."""

_PART: Final = r"""(?:[A-Za-z0-9_-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')"""
_TOKEN: Final = re.compile(
    r'"""(?:[^"\\]|\\[\s\S]|"(?!""))*+(?:"{3,5})?'  # a text of several lines, which is no key
    r"|'''(?:[^']|'(?!''))*+(?:'{3,5})?"
    r"|#[^\n]*+"
    rf"|({_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{{MAX_KEY_PARTS},}}+)"
    rf"|{_PART}(?:[ \t]*+\.[ \t]*+{_PART})*+"
)


class TomlError(ValueError):
    """A text that is no TOML, or none that can be parsed at a reasonable cost; the message is one line."""


class TomlDepthError(TomlError):
    """A text whose tables or arrays are nested too deep, or that has a key of too many parts."""


def parse_toml(text: str) -> dict[str, Any]:
    """Parse a text; raise TomlError."""
    for token in _TOKEN.finditer(text):
        if token[1] is not None:
            line = text.count("\n", 0, token.start()) + 1
            raise TomlDepthError(f"a dotted key of more than {MAX_KEY_PARTS} parts (at line {line})")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise TomlDepthError("tables or arrays nested too deep") from None
    except ValueError as error:  # a TOMLDecodeError, or a number of thousands of digits
        raise TomlError(str(error)) from None
