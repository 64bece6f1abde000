"""The pages of `mirrorlist-admin serve` in Chromium without JavaScript: as wide as a phone and as a desk."""

from __future__ import annotations

import re
import shutil
import time
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from support.admin_server import admin_server
from support.colours import contrast
from support.observed_example import fill
from support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

PHONE, DESK = 360, 1200
PACKAGES = ROOT / "snapshot"
STYLES = (
    PACKAGES / "mirrorlist_snapshot" / "page_style" / "style.css",
    PACKAGES / "mirrorlist_admin" / "web" / "templates" / "style.css",
)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with mirrors in every state."""
    folder = tmp_path_factory.mktemp("state")
    fill(folder, int(time.time()))
    with admin_server(folder) as server:
        yield server.url


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's browser, without a window."""
    with sync_playwright() as playwright:
        # Its sandbox needs more than a container's root has; what it is shown is our own.
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


def look(chromium: Browser, url: str, width: int, scheme: str = "light") -> Page:
    """Open a page; whatever the browser complains of, and each request that is not the page itself, fails."""
    context = chromium.new_context(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if scheme == "dark" else "light",
        java_script_enabled=False,
    )
    page = context.new_page()
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    reply = page.goto(url)
    assert reply is not None
    assert reply.status == 200
    assert (complaints, asked) == ([], [url])
    return page


@pytest.mark.process
@pytest.mark.browser
@pytest.mark.parametrize("width", [PHONE, DESK])
def test_pages_are_seen(chromium: Browser, url: str, width: int) -> None:
    """Nothing is wider than the screen, nothing complains, nothing else is asked for; links lead from page to page."""
    page = look(chromium, f"{url}/mirrors", width, "dark" if width == DESK else "light")

    def fits() -> None:
        assert page.locator("h1").is_visible()
        assert page.evaluate("document.documentElement.scrollWidth") == width, page.url

    fits()
    page.get_by_label("State").select_option("out of date")
    page.get_by_role("button", name="Show").click()
    fits()
    page.get_by_role("link", name="stale.example").click()
    fits()
    page.get_by_label("What held at").fill(time.strftime("%Y-%m-%d %H:%M", time.gmtime()))
    page.get_by_role("button", name="Show").click()
    assert "was stale since" in page.locator("main").inner_text()
    fits()
    page.get_by_role("link", name="epel-8 x86_64").first.click()
    fits()
    box = page.get_by_role("img", name=re.compile("percent of 58 mirrors have the newest version")).bounding_box()
    assert box is not None
    assert box["width"] > (300 if width == PHONE else 700)
    for curve in page.locator("svg path").all():
        shape = curve.bounding_box()
        assert shape is not None
        assert shape["width"] > box["width"] / 3
        assert shape["height"] > box["height"] / 3
    page.get_by_role("link", name="Propagation").click()
    fits()
    page.context.close()


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_states_are_readable(scheme: int) -> None:
    """The words of states have a contrast of 4.5 (WCAG AA) on both grounds."""
    palette: dict[str, str] = {}
    for style in STYLES:
        found = re.findall(r":root \{([^}]*)\}", style.read_text())
        palette |= dict(re.findall(r"--(\w+): (#\w+)", found[0]))
        palette |= dict(re.findall(r"--(\w+): (#\w+)", found[scheme]))
    for word in ("good", "warn", "bad", "quiet", "accent"):
        assert contrast(palette[word], palette["paper"]) >= 4.5, word
    for curve in ("accent", "second", "quiet"):
        assert contrast(palette[curve], palette["paper"]) >= 3, curve
