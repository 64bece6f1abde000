"""What people see: the front page, and the list of repositories for people and programs.

The page works without JavaScript and asks no third party for anything. It shows what the server thinks of its reader
and the list they would get, so that "why is my mirror far away?" starts with facts. The form keeps whatever was asked,
right or wrong: nobody types twice. The template escapes everything.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from importlib import resources
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, quote

import jinja2

from mirrorlistd.explain import explain, tell_place

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    from mirrorlist_snapshot.model import Repository, Snapshot
    from mirrorlistd.answer import Asker
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


_NEARNESS: Final = {
    "netblock": "{} network",
    "asn": "{} network",
    "country": "{} country",
    "neighbours": "neighbour country",
    "continent": "{} continent",
    "global": "elsewhere",
    "fallback": "last resort",
}
"""Tier -> what it is to the reader."""
_RARE: Final = ("path", "file", "protocol", "limit", "netblock")
"""Parameters whose fields appear only once they are in use."""


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
    """One query string a line, ready to stand after `/mirrorlist?`: all that one may ask for, aliases too."""
    lines = [
        f"repo={name}" + (f"&arch={directory.arch}" if directory.arch else "")
        for repository in snapshot.repositories
        if not repository.disabled
        for name in (repository.name, *sorted(a for a, named in snapshot.aliases.items() if named == repository.name))
        for directory in repository.directories
    ]
    return "".join(line + "\n" for line in lines)


def front_page(decider: Decider, query_string: bytes, asker: Asker, random: Random) -> str:
    """Render `/`: the repositories, what the server thinks of the reader, and the list they would get.

    The query string takes the same parameters as `/mirrorlist`. Where it names nothing, the first repository is
    shown; where it names none of a repository's architectures, the first one: the form cannot know the next one's.
    """
    snapshot = decider.index.snapshot
    offered = [repository for repository in snapshot.repositories if not repository.disabled]
    given = _given(query_string)
    asked = query_string
    if "path" not in given and "repo" not in given and offered:
        given["repo"] = offered[0].name
        asked += f"&repo={quote(given['repo'])}".encode()
    name = given.get("repo", "")
    name = snapshot.aliases.get(name, name)
    arches = _arches(offered, name)
    if arches and given.get("arch") not in arches:
        given["arch"] = arches[0]
        asked += f"&arch={quote(given['arch'])}".encode()
    told: dict[str, Any] = explain(decider, asked, asker.address, random, full=False)
    return _ENVIRONMENT.get_template("index.html").render(
        style=_STYLE,
        repositories=[repository.name for repository in offered],
        chosen=name,
        arches=arches,
        given=given,
        rare=[parameter for parameter in _RARE if parameter in given],
        told=told,
        near=_nearness(told),
        you=tell_place(decider, asker.address, asker.place, ()),
        address=asker.address.text if asker.address else None,
        serial=snapshot.serial,
        built=datetime.fromtimestamp(snapshot.built, UTC),
        mirrors=sum(1 for mirror in snapshot.mirrors if mirror.active and not mirror.private),
    )


def _given(query_string: bytes) -> dict[str, str]:
    """The parameters as they were given, whether they mean anything or not; read as `query` reads them."""
    text = query_string.replace(b"+", b"%2B").decode("utf-8", "replace")
    return dict(parse_qsl(text, errors="replace"))


def _arches(offered: list[Repository], name: str) -> list[str]:
    return [
        directory.arch
        for repository in offered
        if repository.name == name
        for directory in repository.directories
        if directory.arch
    ]


def _nearness(told: Mapping[str, Any]) -> dict[str, str]:
    """The words for tiers, seen from the reader, the address asked for, or the countries asked for."""
    whose = "that" if told["client"]["on_behalf"] else "your"
    words = {tier: word.format(whose) for tier, word in _NEARNESS.items()}
    if told.get("by_country"):
        words |= {"country": "country asked for", "continent": "same continent", "global": "anywhere"}
    return words
