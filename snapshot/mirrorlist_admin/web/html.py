"""The templates of the pages, and how times, ages and strangers' texts look in them. All values are escaped."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib import resources
from typing import Final
from urllib.parse import quote, urlsplit

import jinja2
from markupsafe import Markup

from mirrorlist_admin.views.timeline import spoken
from mirrorlist_snapshot.console import printable
from mirrorlist_snapshot.duration import in_units, in_words
from mirrorlist_snapshot.page_style import STYLE, page_headers

_NAMES: Final = (
    "base.html",
    "error.html",
    "mirror.html",
    "mirrors.html",
    "repositories.html",
    "repository.html",
    "states.html",
)


def _template(name: str) -> str:
    return resources.files("mirrorlist_admin.web").joinpath("templates", name).read_text(encoding="utf-8")


_STYLE: Final = STYLE + _template("style.css")
HTML_HEADERS: Final = page_headers(_STYLE)


def _when(seconds: int) -> Markup:
    """Return a time, in full for programs and without seconds for people."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return Markup('<time datetime="{}">{:%Y-%m-%d %H:%M} UTC</time>').format(moment.isoformat(), moment)


def _second(seconds: int) -> Markup:
    """Return a time to the second."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return Markup('<time datetime="{}">{:%Y-%m-%d %H:%M:%S}</time>').format(moment.isoformat(), moment)


def _link(url: str) -> str:
    """Return the target of a link to a stranger's URL; nothing unless a browser goes there by HTTP."""
    return url if urlsplit(url).scheme in {"http", "https"} else ""


def _quoted(text: str) -> str:
    """Encode a path, or a value of a query."""
    return quote(text, safe="/")


def _breakable(name: str) -> Markup:
    """Allow a line break after each slash of a long name."""
    return Markup("/<wbr>").join(name.split("/"))  # which escapes the pieces


_ENVIRONMENT: Final = jinja2.Environment(
    loader=jinja2.DictLoader({name: _template(name) for name in _NAMES}),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)
_ENVIRONMENT.filters |= {
    "breakable": _breakable,
    "duration": in_words,
    "exactly": in_units,
    "link": _link,
    "plain": printable,
    "quoted": _quoted,
    "second": _second,
    "spoken": spoken,
    "when": _when,
}


def html(name: str, *, now: int, page: str, **values: object) -> str:
    """Render a template; `page` is the path that the navigation marks as the current one."""
    return _ENVIRONMENT.get_template(name).render(style=_STYLE, now=now, page=page, **values)
