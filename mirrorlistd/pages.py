"""What people see: the front page, and the list of repositories for people and programs.

The page works without JavaScript and asks no third party for anything. It shows what the server thinks of its reader
and the list they would get, so that "why is my mirror far away?" starts with facts. The template escapes everything.
"""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import jinja2

from mirrorlistd.errors import QueryError
from mirrorlistd.explain import explain
from mirrorlistd.query import parse_query

if TYPE_CHECKING:
    from random import Random

    from mirrorlist_snapshot.model import Snapshot
    from mirrorlistd.address import Client
    from mirrorlistd.decision import Decider


def _template(name: str) -> str:
    return resources.files("mirrorlistd").joinpath("templates", name).read_text(encoding="utf-8")


_STYLE: Final = _template("style.css")
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_ENVIRONMENT: Final = jinja2.Environment(
    loader=jinja2.DictLoader({"index.html": _template("index.html")}),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)

HTML_HEADERS: Final = (
    ("content-type", "text/html; charset=utf-8"),
    ("cache-control", "private, no-store"),
    ("content-security-policy", _POLICY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
)
"""Nothing but our own style is allowed to load; nobody may frame the page."""


def repositories(snapshot: Snapshot) -> list[dict[str, object]]:
    """Every repository that can be asked for, by name."""
    aliases: dict[str, list[str]] = {}
    for alias, name in snapshot.aliases.items():
        aliases.setdefault(name, []).append(alias)
    return [
        {
            "repo": repository.name,
            "arches": [directory.arch for directory in repository.directories if directory.arch],
            "aliases": sorted(aliases.get(repository.name, [])),
            "disabled": repository.disabled,
        }
        for repository in snapshot.repositories
    ]


def repositories_text(snapshot: Snapshot) -> str:
    """One query string a line, ready to stand after `/mirrorlist?`; disabled ones are left out."""
    lines = [
        f"repo={repository.name}" + (f"&arch={directory.arch}" if directory.arch else "")
        for repository in snapshot.repositories
        if not repository.disabled
        for directory in repository.directories
    ]
    return "".join(line + "\n" for line in lines)


def front_page(decider: Decider, query_string: bytes, client: Client, random: Random) -> str:
    """Render `/`: the repositories, what the server thinks of the reader, and the list they would get.

    The query string takes the same parameters as `/mirrorlist`; where it names nothing, the first repository is shown.
    """
    snapshot = decider.index.snapshot
    offered = [repository for repository in snapshot.repositories if not repository.disabled]
    asked = query_string
    chosen: tuple[str | None, str | None] = (None, None)
    try:
        query = parse_query(query_string)
        chosen = (query.repo, query.arch)
        if query.repo is None and query.path is None and offered:
            first = offered[0]
            chosen = (first.name, first.directories[0].arch)
            asked += f"&repo={quote(first.name)}&arch={quote(chosen[1] or '')}".encode()
    except QueryError:
        pass  # `explain` says what is wrong
    told: dict[str, Any] = explain(decider, asked, client.address, random, full=False)
    return _ENVIRONMENT.get_template("index.html").render(
        style=_STYLE,
        repositories=offered,
        chosen=chosen,
        told=told,
        place=told["place"],
        address=client.address.text if client.address else None,
        serial=snapshot.serial,
        built=snapshot.built,
        mirrors=sum(1 for mirror in snapshot.mirrors if mirror.active and not mirror.private),
    )
