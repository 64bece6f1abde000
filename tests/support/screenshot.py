"""Make docs/map.png, the README's picture: the map page of a running server, in Debian's Chromium.

Run it as `.venv/bin/python tests/support/screenshot.py`.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from playwright.sync_api import sync_playwright

from support.paths import ROOT
from support.processes import Server

PICTURE = ROOT / "docs" / "map.png"
READER = "193.0.6.139"
"""An address in the Netherlands."""


def main() -> None:
    """Serve the built-in snapshot, and take a picture of the page as a reader in the Netherlands sees it."""
    with Server("--trusted-proxy", "127.0.0.1") as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        context = browser.new_context(
            viewport={"width": 1100, "height": 760},
            color_scheme="light",
            java_script_enabled=False,
            extra_http_headers={"x-forwarded-for": READER},
        )
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{server.port}/?repo=debian")
        page.screenshot(path=PICTURE)
        browser.close()


if __name__ == "__main__":
    main()
