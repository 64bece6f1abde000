"""Names and parts of URLs that importers need."""

from __future__ import annotations

import re
from typing import Final

from mirrorlist_snapshot.source import rules

_RSYNC_MODULE: Final = re.compile(r"(?:rsync:/*)?([A-Za-z0-9_.-]+)::([^/:].*)")
"""rsync's own form, `host::module/path`."""


def host_of(url: str) -> str:
    """Return host and port of a canonical URL."""
    return url.partition("://")[2].partition("/")[0]


def path_of(url: str) -> str:
    """Return the path of a canonical URL, with its leading slash."""
    return f"/{url.partition('://')[2].partition('/')[2]}"


def with_protocol(text: str) -> str:
    """Return rsync's own form of a URL as a URL; any other text stays."""
    module = _RSYNC_MODULE.fullmatch(text)
    return f"rsync://{module[1]}/{module[2]}" if module else text


def mirror_name(text: str) -> str:
    """Return a text as a mirror's name: what no name may have becomes `-`; empty if nothing is left."""
    name = re.sub(r"[^!-~]+", "-", text.strip())[: rules.MAX_NAME - 8].strip("-")
    return name if re.search(r"[A-Za-z0-9]", name) else ""


def is_name(text: str) -> bool:
    """Whether a category or a repository can have the name."""
    try:
        rules.name(text)
    except rules.RuleError:
        return False
    return True
