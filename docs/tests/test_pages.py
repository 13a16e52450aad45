"""Every page of the site in a real browser, at the width of a desk and of a phone.

`make test-site` makes the site and runs this. The browser is a Chromium that is installed, by name
or where CHROMIUM says; none is downloaded.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin

import pytest
from playwright.sync_api import Browser, Page

SITE = Path(__file__).parents[2] / "build" / "docs" / "html"
#: Made by asv, whose pages fetch their scripts from other hosts.
NOT_OURS = "asv/"
PAGES = sorted(
    path.relative_to(SITE).as_posix()
    for path in SITE.rglob("*.html")
    if not path.relative_to(SITE).as_posix().startswith((NOT_OURS, "_static/"))
)
DESK, PHONE = (1280, 900), (390, 844)


def test_the_site_is_there():
    assert {"index.html", "search.html", "guide/index.html", "reference/index.html"} <= set(PAGES)


# Links, as the files have them.


class Parsed(HTMLParser):
    """The links of a page, and the places that links may lead to."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.places: set[str] = set()
        self.feed((SITE / name).read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for key, value in attrs:
            if key in ("href", "src") and value is not None:
                self.links.add(value)
            elif key in ("id", "name") and value:
                self.places.add(value)


@pytest.fixture(scope="session")
def parsed() -> dict[str, Parsed]:
    return {name: Parsed(name) for name in PAGES}


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str, parsed: dict[str, Parsed]) -> None:
    broken = []
    for link in parsed[name].links:
        target, fragment = urldefrag(urljoin(f"site:///{name}", link))
        if not target.startswith("site:///"):
            continue
        path = unquote(target.removeprefix("site:///")) or "index.html"
        if not (SITE / path).is_file():
            broken.append(link)
        elif fragment and path in parsed and unquote(fragment) not in parsed[path].places:
            broken.append(link)
    assert not broken


# What a browser sees.


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """Serve the site for the time of the tests."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(SITE))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def tab(browser: Browser) -> Iterator[Page]:
    tab = browser.new_page(viewport={"width": DESK[0], "height": DESK[1]})
    yield tab
    tab.close()


@pytest.fixture
def said(tab: Page, address: str) -> Iterator[list[str]]:
    """What goes wrong in the tab: errors, answers that are none, requests to other hosts."""
    wrong: list[str] = []
    handlers = {
        "console": lambda m: m.type in ("error", "warning") and wrong.append(m.text),
        "pageerror": lambda error: wrong.append(str(error)),
        "response": lambda r: r.status >= 400 and wrong.append(f"{r.status} {r.url}"),
        "request": lambda r: r.url.startswith((address, "data:", "blob:")) or wrong.append(r.url),
    }
    for event, handler in handlers.items():
        tab.on(event, handler)
    yield wrong
    for event, handler in handlers.items():
        tab.remove_listener(event, handler)


#: Returns the sources of pictures that did not load, those below the fold too.
PICTURES = """async () => {
    const all = [...document.images];
    for (const image of all) { image.loading = "eager"; }
    await Promise.all(all.map(image => image.decode().catch(() => null)));
    return all.filter(image => !image.naturalWidth).map(image => image.src);
}"""
#: Returns by how many pixels a page is wider than its window, and what sticks out.
WIDER = """() => {
    const width = document.documentElement.clientWidth;
    const over = document.documentElement.scrollWidth - width;
    if (over <= 0) { return ""; }
    const out = [...document.body.querySelectorAll("*")].filter(
        each => each.getBoundingClientRect().right > width + 1 && each.checkVisibility());
    const told = out.slice(0, 5).map(each => each.outerHTML.slice(0, 120));
    return over + " pixels: " + told.join("; ");
}"""


@pytest.mark.parametrize("name", PAGES)
def test_a_page_in_a_browser(name: str, tab: Page, address: str, said: list[str]) -> None:
    tab.set_viewport_size({"width": DESK[0], "height": DESK[1]})
    tab.goto(address + name, wait_until="load")
    assert not tab.evaluate(PICTURES)
    assert not tab.evaluate(WIDER), "wider than a desk"
    tab.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    assert not tab.evaluate(WIDER), "wider than a phone"
    assert not said


@pytest.mark.parametrize("width, height", [DESK, PHONE])
def test_search_finds(width: int, height: int, tab: Page, address: str, said: list[str]) -> None:
    tab.set_viewport_size({"width": width, "height": height})
    tab.goto(address + "search.html?q=im2col")
    for page in ("fastconv.im2col", "guide/memory"):  # they come one after the other
        tab.locator(f'#search-results li a[href*="{page}"]').first.wait_for(timeout=20_000)
    assert not said


def test_search_is_asked_from_the_first_page(tab: Page, address: str, said: list[str]) -> None:
    """By the keyboard alone, as the theme offers it."""
    tab.set_viewport_size({"width": DESK[0], "height": DESK[1]})
    tab.goto(address)
    tab.keyboard.press("Control+k")
    tab.keyboard.type("im2col")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/search.html?q=im2col*")
    tab.locator("#search-results li a").first.wait_for(timeout=20_000)
    assert not said


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_reader_who_prefers_dark_gets_it(scheme: str, browser: Browser, address: str) -> None:
    context = browser.new_context(color_scheme=scheme)
    tab = context.new_page()
    tab.goto(address)
    channels = tab.evaluate(r"getComputedStyle(document.body).backgroundColor.match(/\d+/g)")
    context.close()
    assert (sum(map(int, channels[:3])) < 3 * 128) is (scheme == "dark")
