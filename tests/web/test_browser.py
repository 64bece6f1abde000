"""Our pages in a real browser, Chromium without JavaScript: as wide as a phone and as a desk, in light and in dark."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from support.colours import contrast, luminance
from support.paths import ROOT
from support.processes import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.process, pytest.mark.browser]

PHONE, DESK = 360, 1200
PATHS = ("/?repo=debian", "/?repo=nothing", "/repos", "/repos/ubuntu", "/mirrors", "/mirrors?repo=cran&country=DE")
READER = "193.0.6.139"
"""An address in the Netherlands."""
STYLE = ROOT / "snapshot" / "mirrorlist_snapshot" / "page_style" / "style.css"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The built-in snapshot: a thousand real mirrors."""
    with Server("--trusted-proxy", "127.0.0.1") as running:
        yield running


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's browser, without a window."""
    with sync_playwright() as playwright:
        # Its sandbox needs more than a container's root has; what it is shown is our own.
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


def look(chromium: Browser, server: Server, path: str, width: int, scheme: str = "light") -> Page:
    """Open a page; whatever the browser complains of, and each request that is not the page itself, fails."""
    context = chromium.new_context(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if scheme == "dark" else "light",
        java_script_enabled=False,
        extra_http_headers={"x-forwarded-for": READER},
    )
    page = context.new_page()
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    url = f"http://127.0.0.1:{server.port}{path}"
    reply = page.goto(url)
    assert reply is not None
    assert reply.status == 200
    assert (complaints, asked) == ([], [url])
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("path", PATHS)
def test_pages_are_seen(chromium: Browser, server: Server, path: str, width: int, scheme: str) -> None:
    """Nothing is wider than the screen, nothing complains, nothing else is asked for."""
    page = look(chromium, server, path, width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.locator("h1").is_visible()
    page.context.close()


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_the_map_is_seen(chromium: Browser, server: Server, width: int) -> None:
    """Two maps with titles, with the reader's country in the colour of the nearest; a table in words."""
    page = look(chromium, server, "/?repo=debian", width)
    names = [figure.get_attribute("aria-labelledby") for figure in page.get_by_role("img").all()]
    assert names == ["m1t m1d", "m2t m2d"]
    for name in ("Mirrors by country: Europe", "Mirrors by country: The world"):
        box = page.get_by_role("img", name=re.compile(name)).bounding_box()
        assert box is not None
        assert box["width"] > (300 if width == PHONE else 400)
        assert 100 < box["height"] < 400
    near, world = (figure.bounding_box() for figure in page.locator("figure svg").all())
    assert near is not None
    assert world is not None
    assert (abs(near["height"] - world["height"]) < 3) == (width == DESK)  # side by side, or one above the other
    here = page.locator("#land path.here")
    assert here.evaluate("shape => getComputedStyle(shape).fill") == "rgb(8, 48, 107)"
    assert page.get_by_role("row", name=re.compile("your country 10 Netherlands")).count() == 1
    page.context.close()


def test_forms_work_without_scripts(chromium: Browser, server: Server) -> None:
    """Choosing and pressing the button asks again; links lead from page to page."""
    page = look(chromium, server, "/", PHONE)
    page.get_by_label("Repository").select_option("ubuntu")
    page.get_by_label("For address").fill("202.12.29.205")
    page.get_by_role("button", name="Show").click()
    assert "What it knows about the address you entered" in page.locator("main").inner_text()
    assert page.locator("#land path.here").evaluate("shape => shape.textContent").startswith("Australia: ")
    page.get_by_role("link", name="about ubuntu").click()
    assert page.locator("h1").inner_text() == "ubuntu"
    page.get_by_role("link", name="All mirrors").click()
    page.get_by_label("In (country)").select_option("NZ")
    page.get_by_role("button", name="Show").click()
    assert page.locator("tbody tr").count() > 3
    page.get_by_role("link", name="host names").click()
    assert "nz" in page.content()
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_are_told_apart_by_everyone(scheme: str) -> None:
    """Text has a contrast of 4.5 (WCAG AA). Nearness is shown by lightness alone, whichever colours an eye confuses."""
    light, dark = re.findall(r":root \{([^}]*)\}", STYLE.read_text())
    palette = dict(re.findall(r"--(\w+): (#\w+)", light))
    if scheme == "dark":
        palette |= dict(re.findall(r"--(\w+): (#\w+)", dark))
    for text in ("ink", "quiet", "accent"):
        for ground in ("paper", "raised"):
            assert contrast(palette[text], palette[ground]) >= 4.5, (text, ground)
    assert contrast(palette["here"], palette["no"]) >= 4.5
    levels = [luminance(palette[f"l{level}"]) for level in range(4)]
    assert levels == sorted(levels, reverse=scheme == "dark")
    for nearer, farther in ((0, 1), (1, 2), (2, 3)):
        assert contrast(palette[f"l{nearer}"], palette[f"l{farther}"]) >= 1.45, nearer
