"""The page in a browser: typed text, thoughts and answers side by side, on a phone, in the dark, and safely escaped."""

from __future__ import annotations

import os
import shutil

import pytest

from support.live_use import TEXT
from support.serving import serving

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH; apt-get install chromium"),
]
OVERFLOW = "document.documentElement.scrollWidth - window.innerWidth"
SHOTS = os.environ.get("ADASR_TEST_SHOTS", "")  # a folder for pictures to look at


@pytest.fixture(scope="module")
def served(reasoner):
    with serving(reasoner.pool(8)) as served:
        yield served


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield found
        found.close()


@pytest.fixture
def page(request, browser, served):
    width, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page, asked, wrong = context.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(served.http)
    yield page
    if SHOTS:
        name = f"{request.node.originalname}-{width}-{scheme}.png"
        page.screenshot(path=f"{SHOTS}/{name}", full_page=True)
    context.close()
    assert wrong == []
    assert all(url.startswith((served.http, "data:")) for url in asked)


@pytest.mark.parametrize("page", [(1200, "light"), (1200, "dark"), (360, "light")], indirect=True)
def test_two_streams_are_typed_side_by_side_and_answered(page):
    first, second = page.locator("section").all()
    first.locator("textarea").press_sequentially(TEXT[:24])
    first.locator("li.think").first.wait_for()  # while it is typed
    second.locator("textarea").fill("Ada has 12 books. Ben gives her 3 more books.")
    first.locator("textarea").press_sequentially(TEXT[24:])
    for each in (first, second):
        each.locator("button.ask").click()
        each.locator(".state", has_text="tokens written").wait_for()
    assert first.locator("li.read").count() == 3
    assert second.locator("li.read").count() == 2
    assert first.locator("li.answer .words").text_content() == "8"
    assert first.locator("li").last.get_attribute("class") == "answer"
    times = [float(text) for text in first.locator("li .at").all_text_contents()]
    assert times == sorted(times)
    assert page.evaluate(OVERFLOW) <= 0


@pytest.mark.parametrize("page", [(1200, "light")], indirect=True)
def test_text_is_never_markup_and_a_change_starts_anew(page):
    stream = page.locator("section").first
    area = stream.locator("textarea")
    area.fill("<img src=x onerror=alert(1)> is & stays text. Tom")
    stream.locator("li.read").wait_for()
    assert "<img" in stream.locator("li.read .words").text_content()
    assert page.locator("li img").count() == 0
    area.fill("Tom has 5 coins. He")
    stream.locator("li.read", has_text="Tom has 5 coins.").wait_for()
    assert stream.locator("li.read").count() == 1
    stream.locator("button.clear").click()
    assert stream.locator("li").count() == 0
    assert area.input_value() == ""


@pytest.mark.parametrize("page", [(360, "dark")], indirect=True)
def test_streams_are_added_removed_and_played(page):
    page.locator("#add").click()
    assert page.locator("section").count() == 3
    stream = page.locator("section").last
    stream.locator("textarea").fill("Tom has 2 coins. He sings.")
    stream.locator("button.play").click()
    stream.locator(".state", has_text="tokens written").wait_for(timeout=60_000)
    stream.locator("button.close").click()
    assert page.locator("section").count() == 2
    assert not page.locator(".key").first.is_visible()  # this server asks for none
