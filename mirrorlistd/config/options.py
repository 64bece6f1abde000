"""What is made from the table of options: flags, the table for the documentation, what a reload cannot change."""

from __future__ import annotations

import argparse
import itertools
from typing import TYPE_CHECKING

from mirrorlistd.config.option_types import FLAG
from mirrorlistd.config.server_config import OPTIONS, Config

if TYPE_CHECKING:
    from collections.abc import Container


def add_arguments(parser: argparse.ArgumentParser, names: Container[str] | None = None) -> None:
    """Add the options of these names (None: all) as flags, in groups. `load_config` judges their texts.

    Options that are left out can still be set in the environment and the TOML file.
    """
    wanted = [option for option in OPTIONS if names is None or option.name in names]
    for heading, options in itertools.groupby(wanted, lambda option: option.group):
        add = parser.add_argument_group(heading).add_argument
        for option in options:
            flag, field = option.flag, option.field
            facts = f"default: {option.default}; {option.variable}" if option.default else option.variable
            text = f"{option.help} ({'repeatable; ' if option.many else ''}{facts})".replace("%", "%%")
            if option.kind is FLAG:
                add(flag, dest=field, action=argparse.BooleanOptionalAction, help=text)
            else:
                action = "append" if option.many else "store"
                add(flag, dest=field, action=action, metavar=option.metavar, help=text)


def changed_needing_restart(old: Config, new: Config) -> tuple[str, ...]:
    """Return the names of the options that differ although a reload cannot apply them."""
    fixed = [option for option in OPTIONS if not option.reload]
    return tuple(option.name for option in fixed if getattr(old, option.field) != getattr(new, option.field))


def options_table() -> str:
    """Return the table of options for docs/options.md, in Markdown."""
    rows = ["| Flag | Variable | TOML key | Default | Reload | Meaning |", "| --- " * 6 + "|"]
    for option in OPTIONS:
        flag = f"{option.flag} {option.metavar}".strip() + ("..." if option.many else "")
        cells = (
            f"`{flag}`".replace("|", r"\|"),
            f"`{option.variable}`",
            f"`{option.name}`" if option.in_file else "",
            f"`{option.default}`" if option.default else "",
            "yes" if option.reload else "restart",
            option.help,
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"
