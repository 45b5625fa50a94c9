#!/usr/bin/env python3
"""Look at every page of the built documentation: links without a browser, all else in one.

``tox run -e docs`` builds the pages, ``tox run -e site`` looks at them. A server on this machine hands them
out. Chromium opens each page at 400 and at 1,400 pixels, in light and in dark colours. A page fails if it

- logs an error, or asks for anything from elsewhere;
- is wider than the window;
- has an image without a text;
- breaks a rule of accessibility, as axe-core finds it where AXE_PATH names its axe.min.js.

The search must find the right page for everyday words.
"""

from __future__ import annotations

import argparse
import os
import queue
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.report.browser import CHROMIUM, Browser  # noqa: E402

WIDTHS = (400, 1400)
# what people type, and the page that answers; it must be among the first three
SEARCHES = {
    "epsilon": "guide/budget.html",
    "noise": "guide/transfer_matrix.html",
    "missing values": "guide/tables.html",
    "GPU": "guide/parallel.html",
    "resume": "guide/long_runs.html",
    "overfitting": "guide/generalisation.html",
    "quantization": "guide/compression.html",
    "continual learning": "guide/forgetting.html",
    "foolbox": "coming_from.html",
    "regression": "limits.html",
    "denominator": "guide/condition.html",
    "adversarial training": "guide/adversarial_training.html",
    "gradient masking": "guide/masked.html",
}
BLAMED = ("error", "warning")
# tables and code that are wider than the window are scrolled by themselves; pages are not
OVERFLOW = """(() => {
    const wide = document.documentElement.scrollWidth - window.innerWidth;
    if (wide <= 0) return null;
    const over = e => e.getBoundingClientRect().right > innerWidth + 1;
    const guilty = [...document.querySelectorAll('main *')].filter(over);
    return wide + ' px: ' + (guilty.length ? guilty[0].outerHTML.slice(0, 150) : 'no element of main');
})()"""
NO_TEXT = "[...document.images].filter(i => !i.alt).map(i => i.src)"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


class Page(HTMLParser):
    """The names that a page has, and the files and pages that it points to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value for name, value in attrs if value is not None}
        self.names.update(found[name] for name in ("id", "name") if name in found)
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        elif tag == "link" and "stylesheet" in found.get("rel", ""):
            self.loads.append(found["href"])
        elif tag in ("img", "script", "iframe", "source") and "src" in found:
            self.loads.append(found["src"])


def pages_of(folder: Path, pattern: str = "*.html") -> list[Path]:
    """Pages of the folder; what lies in _static are templates and the like."""
    return sorted(path for path in folder.rglob(pattern) if "_static" not in path.parts)


def broken_links(folder: Path) -> Iterator[tuple[str, str]]:
    """Pages of the folder and what is wrong with their links: within the site all must lead somewhere."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in pages_of(folder)}
    targets: dict[tuple[Path, str], Path | None] = {}  # pages of a folder share most of their links

    def target_of(path: Path, address: str) -> Path | None:
        if not address:
            return path
        if (path.parent, address) not in targets:
            target = (path.parent / unquote(address)).resolve()
            target = target / "index.html" if target.is_dir() else target
            targets[path.parent, address] = target if target.exists() else None
        return targets[path.parent, address]

    for path, page in pages.items():
        name = str(path.relative_to(folder))
        for address in page.loads:
            if urlsplit(address).scheme not in ("", "data") or address.startswith("//"):
                yield name, f"loads {address}"
        for address in [*page.links, *page.loads]:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = target_of(path, parts.path)
            if target is None:
                yield name, f"leads to {address}, which is not there"
            elif parts.fragment and target in pages:
                wanted = unquote(parts.fragment)
                if wanted not in pages[target].names and not wanted.startswith(":~:"):
                    yield name, f"leads to {address}, which has no such name"


class Quiet(SimpleHTTPRequestHandler):
    """A server that says nothing of what it hands out."""

    def log_message(self, format: str, *args: object) -> None:
        pass


def settle(browser: Browser, condition: str, seconds: float = 10.0) -> bool:
    """Wait until a condition holds in the page."""
    until = time.monotonic() + seconds
    while not browser.run(condition):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def faults_of(browser: Browser, address: str, base: str, axe: str | None) -> Iterator[str]:
    """What is wrong with a page."""
    for width, first in zip(WIDTHS, (True, False), strict=True):
        browser.show(address, width=width, dark=first)
        for dark in (first, not first):
            browser.dress(width=width, dark=dark)
            shade = "dark" if dark else "light"
            if not settle(browser, f"document.documentElement.dataset.theme == '{shade}'"):
                yield f"is not {shade}"
            wide = browser.run(OVERFLOW)
            if wide:
                yield f"is wider than {width} px, {shade}, by {wide}"
            # contrast does not depend on the width, and the rest not on the colours
            if axe and width == WIDTHS[1]:
                browser.run(axe)
                only = TAGS if not dark else ["color-contrast"]
                kind = "tag" if not dark else "rule"
                options = f"{{runOnly: {{type: '{kind}', values: {only}}}}}"
                for one in browser.run(f"axe.run(document, {options}).then(r => r.violations)"):
                    node = one["nodes"][0]
                    yield f"{shade}: {one['id']}, {len(one['nodes'])} times: {node['html'][:150]}"
        for params in browser.of("Runtime.exceptionThrown"):
            yield f"throws {params['exceptionDetails']['text']}"
        for params in browser.of("Log.entryAdded"):
            if params["entry"]["level"] in BLAMED:
                yield f"logs {params['entry']['text']}: {params['entry'].get('url')}"
        for params in browser.of("Runtime.consoleAPICalled"):
            if params["type"] in BLAMED:
                yield f"logs {[argument.get('value') for argument in params['args']]}"
        for params in browser.of("Network.requestWillBeSent"):
            url = params["request"]["url"]
            if not url.startswith((base, "data:", "blob:")):
                yield f"asks for {url}"
    for source in browser.run(NO_TEXT):
        yield f"has an image without a text, {source}"


def search_faults(browser: Browser, base: str) -> Iterator[tuple[str, str]]:
    for words, wanted in SEARCHES.items():
        browser.show(f"{base}search.html?q={quote(words)}", width=WIDTHS[1])
        links = "[...document.querySelectorAll('#search-results ul.search li > a')]"
        settle(browser, f"{links}.length > 2")
        first = browser.run(f"{links}.slice(0, 3).map(a => a.href)")
        found = [urlsplit(url.removeprefix(base)).path for url in first]
        if wanted not in found:
            yield f"search for {words!r}", f"gives {found}, not {wanted}"


def look(folder: Path, pages: list[Path], jobs: int, axe: str | None) -> tuple[int, list[tuple[str, str]]]:
    """Number of things looked at, and (page, fault) of all faults."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_address[1]}/"
    waiting: queue.SimpleQueue[Path] = queue.SimpleQueue()
    for path in pages:
        waiting.put(path)
    faults: list[tuple[str, str]] = []
    errors: list[BaseException] = []

    def work(place: str, searching: bool) -> None:
        browser = Browser(place)
        try:
            if searching:
                for name, fault in search_faults(browser, base):
                    print(f"{name}: {fault}", flush=True)
                    faults.append((name, fault))
            while True:
                path = waiting.get_nowait()
                name = str(path.relative_to(folder))
                for fault in faults_of(browser, base + quote(name), base, axe):
                    print(f"{name}: {fault}", flush=True)
                    faults.append((name, fault))
        except queue.Empty:
            pass
        except BaseException as error:
            errors.append(error)
        finally:
            browser.close()

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as places:
        threads = [threading.Thread(target=work, args=(f"{places}/{i}", i == 0)) for i in range(jobs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    server.shutdown()
    if errors:
        raise errors[0]
    return len(pages) + len(SEARCHES), faults


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "doc" / "_build" / "html")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="browsers at a time")
    parser.add_argument("--every", type=int, default=1, help="each n-th page made of docstrings or code")
    parser.add_argument("--only", default="*.html", help="pattern of the pages to open")
    given = parser.parse_args(arguments)
    folder = given.folder.resolve()
    pages = pages_of(folder, given.only)
    if not pages:
        parser.error(f"there are no pages in {folder}; tox run -e docs builds them")
    made = [path for path in pages if {"generated", "_modules"} & set(path.parts)]
    pages = sorted({*pages} - {*made}) + made[:: given.every]

    faults = list(broken_links(folder))
    for name, fault in faults:
        print(f"{name}: {fault}", flush=True)
    looked = len(pages)
    if CHROMIUM is None:
        print("skipped: there is no Chromium here, so links alone were checked", file=sys.stderr)
    else:
        place = os.environ.get("AXE_PATH")
        if place is None:
            print("skipped: AXE_PATH names no axe.min.js, so contrasts were not checked", file=sys.stderr)
        axe = Path(place).read_text(encoding="utf-8") + "; 0" if place else None
        looked, more = look(folder, pages, given.jobs, axe)
        faults += more
    failed = len({name for name, _ in faults})
    print(f"{max(looked - failed, 0)} passed, {failed} failed")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
