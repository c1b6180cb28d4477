"""The report in a browser: by keyboard alone, on a phone, in the dark, and without a word to any host."""

from __future__ import annotations

import re
import shutil
import time

import pytest

from adasr_trl.report import write_report
from support import reported

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"),
    *("--disable-component-update", "--disable-sync"),
)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH; apt-get install chromium"),
]
OVERFLOW = "document.documentElement.scrollWidth - window.innerWidth"
CONTRAST = """() => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map((x) => x / 255).map(
      (x) => (x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor;
      if (colour !== "rgba(0, 0, 0, 0)") return colour;
    }
    return "rgb(255, 255, 255)";
  };
  let least = 21;
  for (const e of document.querySelectorAll("p, th, td, dt, dd, h1, h2, h3, label, time, .note, .verdict, figcaption, .tick, .label")) {
    if (!e.textContent.trim() || !e.checkVisibility()) continue;
    const pair = [light(getComputedStyle(e).color), light(behind(e))].sort((a, b) => b - a);
    least = Math.min(least, (pair[0] + 0.05) / (pair[1] + 0.05));
  }
  return least;
}"""


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield found
        found.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    root = reported.comparison(tmp_path_factory.mktemp("runs"))
    return write_report([str(root)], root / "report.html")


@pytest.fixture
def page(browser, report, request):
    """The report, opened; whatever it complains of or asks for is gathered in ``page.said``."""
    made = browser.new_page(**getattr(request, "param", {}))
    made.said = []
    made.on("console", lambda message: made.said.append(message.text))
    made.on("pageerror", lambda error: made.said.append(str(error)))
    made.on(
        "request",
        lambda asked: made.said.append(asked.url) if asked.url != report.as_uri() else None,
    )
    made.goto(report.as_uri())
    yield made
    made.close()


def focus(page, element):
    """Press Tab until the control has the focus, as someone without a mouse would."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == element:
            return
    raise AssertionError(f"Tab never reaches #{element}")


def test_a_question_is_chosen_and_two_runs_compared_by_keyboard(page):
    assert page.locator("article h3").all_inner_texts()[1].startswith("sft, seed-0")
    focus(page, "second")
    page.keyboard.press("ArrowDown")
    assert page.locator("article h3").all_inner_texts()[1].startswith("sft, seed-1")
    focus(page, "questions")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    assert page.locator(".asked").inner_text() == "How many coins has Tom in case 1?"
    assert page.locator("article").count() == 2
    events = page.locator("article").nth(1).locator("li")
    assert events.count() == 5  # three sentences, the deep part, the answer
    announcement = page.locator("#announcement").inner_text()
    assert re.fullmatch(
        r"hrpo, seed-0: .*, answer latency [0-9.]+ s\. "
        r"sft, seed-1: .*, answer latency [0-9.]+ s\.",
        announcement,
    )
    focus(page, "next")
    page.keyboard.press("Enter")
    assert page.locator(".asked").inner_text() == "How many coins has Tom in case 2?"
    assert page.said == []


def test_filters_list_the_wrong_the_slow_and_what_the_runs_disagree_on(page):
    verdicts = "[...document.querySelectorAll('#questions option')].map((o) => o.textContent)"
    page.select_option("#filter", "wrong")
    wrong = page.evaluate(verdicts)
    assert wrong
    assert all(each.startswith("✗ wrong") for each in wrong)
    page.select_option("#filter", "latency")
    waits = [float(each.split(", ")[1].split(" s")[0]) for each in page.evaluate(verdicts)]
    assert waits == sorted(waits, reverse=True)
    assert page.evaluate("document.getElementById('questions').selectedIndex") == 0
    page.select_option("#second", "0")
    page.select_option("#filter", "disagree")
    assert "disagree" in page.input_value("#filter")
    marks = [each.split()[0] for each in page.locator(".verdict").all_inner_texts()]
    assert sorted(marks) == ["✓", "✗"]
    page.fill("#search", "in case 3?")
    assert page.locator("#status").inner_text().endswith("of 40 questions listed.")
    assert page.said == []


def test_text_of_a_rollout_is_shown_as_text(page):
    page.select_option("#questions", "0")
    assert "</script><img src=x onerror=alert(1)>" in page.locator(".asked").inner_text()
    assert page.locator("img").count() == 0


@pytest.mark.parametrize("page", [{"viewport": {"width": 375, "height": 700}}], indirect=True)
def test_a_phone_need_not_scroll_sideways_and_says_where_a_table_does(page):
    assert page.locator(".phone").is_visible()
    assert page.evaluate(OVERFLOW) <= 0


@pytest.mark.parametrize(
    "page", [{"color_scheme": "light"}, {"color_scheme": "dark"}], indirect=True
)
def test_text_stands_out_from_what_is_behind_it(page):
    assert page.evaluate(CONTRAST) >= 4.5  # WCAG AA


def test_the_appearance_can_be_chosen(page):
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.select_option("#theme", "dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before


@pytest.mark.slow
def test_two_thousand_questions_of_four_runs_take_under_15_mb(browser, tmp_path):
    runs = [str(reported.run(tmp_path / f"run-{n}", 2000, n, 0.5, chunks=8)) for n in range(4)]
    report = write_report(runs, tmp_path / "report.html")
    assert report.stat().st_size < 15_000_000
    page = browser.new_page()
    started = time.monotonic()
    page.goto(report.as_uri())
    assert time.monotonic() - started < 3
    assert page.locator("#status").inner_text() == "2000 of 2000 questions listed."
    page.close()
