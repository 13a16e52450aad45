"""The page of `fastconv plan --html` in a real browser, at a desk and on a phone, by keyboard."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

import fastconv
from fastconv import plot
from fastconv.memory import format_bytes
from fastconv.plot.page import LIMITS

DESK, PHONE = (1280, 900), (390, 844)
NAME = "</script></title><img src=x onerror=alert(1)>"
#: Whether it is training, and the images of a batch.
SHOWN = {"small": (False, 20), "one": (False, 1), "training": (True, 20), "ResNet50": (False, 4)}

Open = Callable[..., Page]


def network() -> fastconv.Sequential:
    convolution = {"filters": 32, "kernel_size": 3, "padding": 1}
    layers = [
        ("Conv2D", {**convolution, "name": "<script>alert(1)<!--"}),
        "ReLU",
        *[("Conv2D", convolution), "BatchNorm", "ReLU"] * 3,
        ("Conv2DTranspose", {"filters": 4, "kernel_size": 3, "stride": 2}),
        ("MaxPool2D", {"pool_size": 2}),
        "Flatten",
        ("Dense", {"units": 3}),
    ]
    return fastconv.Sequential(layers, input_shape=(4, 24, 24), name=NAME, seed=0)


@pytest.fixture(scope="module")
def networks() -> dict[str, fastconv.Model]:
    net = network()
    others = dict.fromkeys(("small", "one", "training"), net)
    return {**others, "ResNet50": fastconv.create_model("ResNet50")}


@pytest.fixture(scope="module")
def pages(
    networks: dict[str, fastconv.Model], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    found = {}
    for name, (training, batch) in SHOWN.items():
        found[name] = folder / f"{name}.html"
        text = plot.plan_page(networks[name], batch, training=training)
        found[name].write_text(text, encoding="ascii")
    return found


@pytest.fixture
def open_page(browser: Browser, pages: dict[str, Path]) -> Iterator[Open]:
    """Open a page in a window of its own; at the end nothing must have gone wrong there."""
    wrong: list[str] = []
    contexts: list[BrowserContext] = []

    def opened(name: str, size: tuple[int, int] = DESK, **options: object) -> Page:
        viewport = {"width": size[0], "height": size[1]}
        context = browser.new_context(viewport=viewport, **options)  # type: ignore[arg-type]
        contexts.append(context)
        page, address = context.new_page(), pages[name].as_uri()
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda r: r.url in (address, "data:,") or wrong.append(r.url))
        page.goto(address)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not wrong


def focus_slider(page: Page) -> None:
    """Come to the slider as somebody does who has no mouse."""
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "limit":
            return
    raise AssertionError("Tab never comes to the slider")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("name", SHOWN)
def test_nothing_sticks_out(name: str, size: tuple[int, int], scheme: str, open_page: Open) -> None:
    page = open_page(name, size, color_scheme=scheme)
    wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    focus_slider(page)
    for key in ("End", "Home", "ArrowRight"):
        page.keyboard.press(key)
        assert page.evaluate(wider) <= 0
    channels = page.evaluate("getComputedStyle(document.body).backgroundColor")
    dark = sum(map(int, re.findall(r"\d+", channels)[:3])) < 3 * 128
    assert dark is (scheme == "dark")


#: Returns what the page says at the place where the slider stands.
SAID = """() => {
    const text = (selector) => document.querySelector(selector).innerText;
    return {
        chosen: text("#chosen"), spoken: document.activeElement.getAttribute("aria-valuetext"),
        summary: text("#summary"), peak: text("#figures dd"), row: text("#stops tr.here th"),
        layers: [...document.querySelectorAll("#layers tbody tr")].map(row => row.textContent),
    };
}"""


@pytest.mark.parametrize("name", SHOWN)
def test_the_slider_by_keyboard_shows_the_plans(
    name: str, networks: dict[str, fastconv.Model], open_page: Open
) -> None:
    training, batch = SHOWN[name]
    net, page = networks[name], open_page(name)
    limits = page.evaluate("data.stops.map(stop => stop.limit)")
    assert len(limits) == LIMITS + 1
    focus_slider(page)
    assert page.evaluate(SAID)["chosen"] == "no limit"
    page.keyboard.press("Home")
    for limit in limits[:4]:
        plan, said = net.plan(batch, training=training, memory_limit=limit), page.evaluate(SAID)
        assert said["chosen"] == said["spoken"] == said["row"] == format_bytes(limit)
        assert f"the peak is {format_bytes(plan.peak)}; " in said["summary"]
        again = [node for node in plan.nodes if node.recomputed]
        if again:
            some = f"{len(again)} of {len(plan.nodes)} layers are computed again"
            assert some in said["summary"]
        rows = list(dict.fromkeys(node.rows for node in plan.nodes))
        if rows != [batch]:
            assert f"{', then '.join(map(str, rows))} of {batch} at a time" in said["summary"]
        assert said["peak"].split("\n") == [format_bytes(plan.peak), f"at {plan.where}"]
        assert len(said["layers"]) == len(plan.nodes)
        for text, node in zip(said["layers"], plan.nodes, strict=True):
            assert node.id in text and format_bytes(node.live) in text and node.algorithm in text
            assert ("computed again" in text) == node.recomputed
        page.keyboard.press("ArrowRight")
    page.keyboard.press("End")
    assert page.evaluate(SAID)["chosen"] == "no limit"


def test_of_one_image_nothing_is_said_of_rows(open_page: Open) -> None:
    assert "; all 20 at once" in open_page("small").locator("#summary").inner_text()
    page = open_page("one")
    assert "at " not in page.locator("#summary").inner_text().split(";", 1)[-1]
    assert "Rows of the batch" not in page.locator("#figures").inner_text()


def test_bars_are_as_long_as_what_they_stand_for(
    networks: dict[str, fastconv.Model], open_page: Open
) -> None:
    page, free = open_page("training"), networks["training"].plan(20, training=True)
    shares = """[...document.querySelectorAll("#layers .bar")].map(bar =>
        [...bar.children].reduce((sum, part) => sum + part.getBoundingClientRect().width, 0)
        / bar.getBoundingClientRect().width)"""
    expected = [node.live / free.peak for node in free.nodes]
    assert page.evaluate(shares) == pytest.approx(expected, abs=2e-3)
    focus_slider(page)
    page.keyboard.press("Home")
    low = page.evaluate(shares)
    assert max(low) < max(expected)
    page.keyboard.press("Tab")  # to the box that lets the bars fill the page
    page.keyboard.press("Space")
    assert max(page.evaluate(shares)) == pytest.approx(1, abs=2e-3)


def test_the_taken_algorithms_are_marked(
    networks: dict[str, fastconv.Model], open_page: Open
) -> None:
    page, net = open_page("small"), networks["small"]
    plan = net.plan(20)
    taken = """[...document.querySelectorAll("#convolutions tbody tr")].map(row =>
        [...row.querySelectorAll(".taken")].map(cell => cell.dataset.name))"""
    nodes = [node for node in plan.nodes if node.algorithm]
    assert page.evaluate(taken) == [[node.algorithm] for node in nodes]
    focus_slider(page)
    page.keyboard.press("Home")
    least = page.evaluate("data.stops[0].limit")
    nodes = [node for node in net.plan(20, memory_limit=least).nodes if node.algorithm]
    assert page.evaluate(taken) == [[node.algorithm] for node in nodes]
    assert "im2col would unfold" in page.locator("#convolutions-note").inner_text()


def test_bytes_are_written_as_everywhere(open_page: Open) -> None:
    sizes = [0, 1, 999, 1000, 1023, 1024, 1025, 1536, 102400, 102912, 103936, 2**20 - 1, 2**20]
    sizes += [70912, 70862, 1029, 1034, 10 * 1024 - 1, 100 * 1024 - 1]  # some of them are ties
    sizes += [int(1.5**power) for power in range(1, 80)]
    found = open_page("small").evaluate("sizes => sizes.map(formatBytes)", sizes)
    assert found == list(map(format_bytes, sizes))


def test_names_are_texts(open_page: Open) -> None:
    page = open_page("small")
    assert page.locator("#name").inner_text() == NAME
    assert page.title() == f"Memory of {NAME}"
    assert page.locator("#layers tbody bdi").first.inner_text() == "<script>alert(1)<!--+relu_1"
    assert page.locator("img").count() == 0 and page.locator("script").count() == 2


def test_what_a_screen_reader_finds(open_page: Open) -> None:
    page = open_page("training", PHONE)
    slider = page.get_by_role("slider", name="Most bytes for everything")
    assert slider.count() == 1
    assert page.get_by_role("status").inner_text().startswith("Without a limit the peak is ")
    for name in ("The run", "Every layer", "im2col beside direct", "Every limit"):
        assert page.get_by_role("region", name=name).count() == 1
        assert page.get_by_role("heading", name=name, level=2).count() == 1
    layers = page.locator("#layers")
    nodes = page.evaluate("nodes.length")
    assert page.get_by_role("table").count() == 3
    assert layers.get_by_role("rowheader").count() == nodes
    heads = layers.get_by_role("columnheader").all_inner_texts()
    assert heads == ["layer", "runs as", "output", "workspace", "packed", "saved", "alive"]
    assert layers.get_by_role("cell").count() == nodes * (len(heads) - 1)
    for chart in page.get_by_role("img").all():
        assert chart.get_attribute("aria-label")


def ratio(one: str, other: str) -> float:
    """Return the contrast of two colours as the guidelines for accessible pages define it."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_stand_out(scheme: str, open_page: Open) -> None:
    page = open_page("small", color_scheme=scheme)

    def colour(name: str) -> str:
        style = "getComputedStyle(document.documentElement)"
        return str(page.evaluate(f"{style}.getPropertyValue('--{name}').trim()"))

    for ground in ("page", "panel"):
        for text in ("text", "faint", "strong"):
            assert ratio(colour(text), colour(ground)) >= 4.5, (text, ground)
        for part in ("packed", "activations", "saved", "gradients", "workspace", "im2col"):
            assert ratio(colour(part), colour(ground)) >= 3, (part, ground)
    assert ratio(colour("text"), colour("mark")) >= 4.5
    assert ratio(colour("faint"), colour("mark")) >= 4.5


def test_it_prints(open_page: Open) -> None:
    page = open_page("small", color_scheme="dark")
    focus_slider(page)
    page.keyboard.press("Home")
    page.emulate_media(media="print")
    assert not page.locator("#limit").is_visible() and page.locator("#chosen").is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.pdf().startswith(b"%PDF")


def test_without_scripts_it_says_so(open_page: Open) -> None:
    page = open_page("small", java_script_enabled=False)
    assert "fastconv plan" in page.locator("noscript").inner_text()
