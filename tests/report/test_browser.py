"""The pages in a browser, where there is one: nothing fetched, nothing cut, sorted by keys, read by all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.report.browser import CHROMIUM, Browser
from tests.report.test_page import PAGES

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
AXE = os.environ.get("AXE_PATH")
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SHOWN = ("whole", "images", "hostile", "comparison")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    for name in SHOWN:
        PAGES[name].to_html(folder / f"{name}.html")
    return folder


@pytest.mark.parametrize("width", [400, 1600])
@pytest.mark.parametrize("name", SHOWN)
def test_nothing_goes_wrong_or_out_of_the_page(browser, pages, name, width):
    path = pages / f"{name}.html"
    browser.show(path, width=width)
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run("document.querySelectorAll('th button').length") > 0
    wide = "[...document.querySelectorAll('p, li')].filter(e => e.getBoundingClientRect().right > innerWidth)"
    assert browser.run(f"{wide}.length") == 0
    assert browser.run("Math.max(...[...document.querySelectorAll('p')].map(e => e.clientWidth))") <= 1100
    logged = browser.of("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled")
    assert not logged
    asked = [event["request"]["url"] for event in browser.of("Network.requestWillBeSent")]
    assert {url for url in asked if not url.startswith("data:image/png")} == {path.as_uri()}


def test_tables_are_sorted_by_keys(browser, pages):
    browser.show(pages / "whole.html", width=1600)
    # the column of shares fooled, of the table of threats
    browser.run(
        "window.table = document.querySelector('#threats table'); table.rows[0].cells[1].firstChild.focus()"
    )
    browser.press("Tab", 9)
    assert browser.run("document.activeElement.textContent") == "fooled"
    said = "table.rows[0].cells[2].getAttribute('aria-sort')"
    orders = "[...table.tBodies[0].rows].map(row => Number(row.cells[2].dataset.order))"
    for key, code, order in (("Enter", 13, "ascending"), ("Enter", 13, "descending")):
        browser.press(key, code)
        assert browser.run(said) == order
        values = browser.run(orders)
        assert values == sorted(values, reverse=order == "descending") and len(set(values)) > 1
    assert browser.run("document.querySelectorAll('[aria-sort]').length") == 1
    browser.press("Tab", 9)
    assert browser.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_skip_link_comes_first(browser, pages):
    browser.show(pages / "whole.html", width=1600)
    browser.press("Tab", 9)
    assert browser.run("document.activeElement.getAttribute('href')") == "#main"
    assert browser.run("document.activeElement.getBoundingClientRect().left") >= 0


def test_it_prints(browser, pages):
    """Everything, folded parts too."""
    browser.show(pages / "whole.html", width=1600)
    assert browser.pdf().startswith(b"%PDF")
    assert browser.run("[...document.querySelectorAll('details')].every(part => part.open)")


@pytest.mark.skipif(AXE is None, reason="AXE_PATH does not say where axe.min.js is")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", SHOWN)
def test_everybody_can_read_it(browser, pages, name, dark):
    browser.show(pages / f"{name}.html", width=1000, dark=dark)
    browser.run("for (const part of document.querySelectorAll('details')) part.open = true")
    browser.run(Path(AXE).read_text(encoding="utf-8") + "; 0")
    found = browser.run(f"axe.run(document, {{runOnly: {TAGS}}}).then(r => r.violations)")
    assert not [
        (one["id"], one["nodes"][0]["html"][:120], one["nodes"][0]["failureSummary"]) for one in found
    ]
