"""Option: how one setting is named, read and described, stated where the Config has its field."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from mirrorlistd.config.option_types import Kind

T = TypeVar("T")

ENV_PREFIX: Final = "MIRRORLISTD_"
OPTION: Final = "option"
"""Where a field's metadata has its Option."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """How a field of Config is set: by a flag, an environment variable, or a key of the TOML file."""

    group: str
    """Heading in `--help`."""
    metavar: str
    kind: Kind
    help: str
    """What it means, for `--help` and docs/options.md: one sentence, no full stop."""
    many: bool
    """A list: the flag repeats, the variable is split at commas and spaces, the key takes a list."""
    reload: bool
    """A reload (SIGHUP) applies a change; else the change waits for a restart."""
    in_file: bool
    """There is a TOML key."""
    field: str = ""
    """Of Config; also the attribute of the parsed flags."""
    name: str = ""
    """The flag without its dashes; also the TOML key."""
    default: str = ""
    """The default in words that the option itself accepts; empty where there is none."""

    @property
    def flag(self) -> str:
        """`--trusted-proxy`."""
        return f"--{self.name}"

    @property
    def variable(self) -> str:
        """`MIRRORLISTD_TRUSTED_PROXY`."""
        return ENV_PREFIX + self.name.replace("-", "_").upper()


def setting(  # noqa: PLR0913 - a row of a table: each cell is an argument
    default: T,
    group: str,
    metavar: str,
    kind: Kind,
    text: str,
    *,
    flag: str = "",
    shown: str = "",
    many: bool = False,
    reload: bool = True,
    in_file: bool = True,
) -> T:
    """Return a dataclass field with its default and its Option; `flag` and `shown` where they do not follow from these.

    For type checkers it is the default, so the field's annotation decides.
    """
    option = Option(
        group=group, metavar=metavar, kind=kind, help=text, many=many, reload=reload, in_file=in_file,
        name=flag, default=shown or _in_words(default),
    )  # fmt: skip
    return field(default=default, metadata={OPTION: option})


def _in_words(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case tuple():
            return ", ".join(map(str, value)) or "none"  # pyright: ignore[reportUnknownArgumentType] - of anything
        case _:
            return str(value)
