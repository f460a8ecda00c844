"""A report as large as a real run, its page, and a real Chromium that shows it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from conformance.report.html import render_html
from tests.browser.full_report import MARKUP, ODD, full_report

# `npm ci` in this folder puts it here; the version is in package.json.
AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
CHROMIUM = os.environ.get("NETINIT_CHROMIUM") or shutil.which("chromium") or ""
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


# Runs axe-core, and gives the faults that keep people from using the page.
FAULTS = """async () => {
    const found = await axe.run(document, { resultTypes: ["violations"], preload: false });
    return found.violations
        .filter(({ impact }) => ["serious", "critical"].includes(impact))
        .map(({ id, nodes }) => [id, nodes.length, nodes[0].html, nodes[0].failureSummary]);
}"""

# A loaded machine may need long to draw pages of a thousand rows.
_TIMEOUT_MS = 30_000
expect.set_options(timeout=_TIMEOUT_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test the time for a few such waits."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(240))


@pytest.fixture(scope="session")
def document() -> dict[str, Any]:
    """A run of every row on five engines."""
    return full_report()


@pytest.fixture(scope="session")
def page_file(document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page beside the logs of its cells."""
    folder = tmp_path_factory.mktemp("report")
    for odd in ODD.values():
        if odd.get("log"):
            place = folder / odd["log"]
            place.mkdir(parents=True)
            (place / "row.log").write_text(f"--- call\n{MARKUP}\n", encoding="utf-8")
            (place / "engine.log").write_text("daemon\n", encoding="utf-8")
    path = folder / "conformance.html"
    path.write_text(render_html(document, logs=folder), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium: Debian's, or the one that NETINIT_CHROMIUM names."""
    if not CHROMIUM:
        missing = "no chromium on PATH: apt-get install chromium, or set NETINIT_CHROMIUM"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core, which finds what keeps people from using a page."""
    if not AXE.is_file():
        missing = f"no axe-core: npm ci --prefix {AXE.parents[2]}"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return AXE.read_text(encoding="utf-8")


class Shown:
    """Opens the page in windows of any kind, and hears what the browser complains about."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self.url = url
        self.complaints: list[str] = []
        self.requests: list[str] = []

    def open(self, address: str = "", *, width: int = 1280, **options: Any) -> Page:
        context = self._browser.new_context(
            viewport={"width": width, "height": 800}, reduced_motion="reduce", **options
        )
        context.set_default_timeout(_TIMEOUT_MS)
        self._contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(self.url + address)
        return page

    def close(self) -> None:
        for context in self._contexts:
            context.close()


@pytest.fixture
def shown(browser: Browser, page_file: Path) -> Iterator[Shown]:
    """Opens the page; a message on the console or a script that runs from a value is a failure."""
    opener = Shown(browser, page_file.as_uri())
    yield opener
    opener.close()
    assert opener.complaints == []
    assert [url for url in opener.requests if not url.startswith(("file:", "data:"))] == []


@pytest.fixture
def page(shown: Shown) -> Page:
    """The page in a window of usual size."""
    return shown.open()
