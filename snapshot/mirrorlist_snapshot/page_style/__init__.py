"""The style that the pages of the server and of the admin side share, and headers that forbid everything else."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from typing import Final

STYLE: Final = resources.files(__name__).joinpath("style.css").read_text(encoding="utf-8")
"""Colours for light and dark, text, tables, forms. A page adds what it alone has."""


def page_headers(style: str) -> dict[str, str]:
    """Return the headers of a page with this style: nothing else may load, and no other site may frame the page."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
    }
