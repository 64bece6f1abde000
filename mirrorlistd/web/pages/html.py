"""What all pages share: the templates, the style, and the headers."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib import resources
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from mirrorlist_snapshot.page_style import STYLE, page_headers
from mirrorlistd.answering.health_words import instant
from mirrorlistd.web.pages.world_map import country_name

if TYPE_CHECKING:
    from mirrorlist_snapshot.model import Snapshot


def _template(name: str) -> str:
    return resources.files("mirrorlistd.web.pages").joinpath("templates", name).read_text(encoding="utf-8")


def _quoted(text: str) -> str:
    """Encode a segment of a path, or a value of a query."""
    return quote(text, safe="")


def _breakable(name: str) -> Markup:
    """Allow a line break after each slash of a long name."""
    return Markup("/<wbr>").join(name.split("/"))  # which escapes the pieces


_STYLE: Final = STYLE + _template("style.css")
_NAMES: Final = ("base.html", "front.html", "repositories.html", "repository.html", "mirrors.html")
_ENVIRONMENT: Final = jinja2.Environment(
    loader=jinja2.DictLoader({name: _template(name) for name in _NAMES}),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters["country"] = country_name
_ENVIRONMENT.filters["quoted"] = _quoted
_ENVIRONMENT.filters["instant"] = instant
_ENVIRONMENT.filters["breakable"] = _breakable

_LATEST: Final = 253_402_300_799
"""The end of the year 9999, the last that can be written."""

HTML_HEADERS: Final = page_headers(_STYLE)


def html(name: str, snapshot: Snapshot, **values: object) -> str:
    """Render a template; all values are escaped."""
    built = datetime.fromtimestamp(min(snapshot.built, _LATEST), UTC)
    return _ENVIRONMENT.get_template(name).render(style=_STYLE, serial=snapshot.serial, built=built, **values)
