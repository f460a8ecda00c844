"""The page of a benchmark run, in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from benchmarks.bars import make_bars
from benchmarks.cases import BRIDGE, FLOOR_CASE, NONE, USER, Case, Figure
from benchmarks.machine import Load
from benchmarks.measure import EngineInfo, Measurements, Settings
from benchmarks.plugin import load_to_wire, run_to_wire
from benchmarks.report import HTML_NAME, Run, write_page
from tests.browser.conftest import Shown
from tests.browser.test_page import WEAK_TEXT

ENGINES = {
    "reference": EngineInfo(name="reference", family="refimpl", label="reference", version="20.10"),
    "docker": EngineInfo(name="docker", family="docker", label="docker-20.10", version="20.10.24"),
}
SPEED_S = {"reference": 0.002, "docker": 0.005}


def samples_of(base_s: float) -> list[list[float]]:
    return [[base_s * (1 + number % 7 / 10)] for number in range(20)]


@pytest.fixture(scope="module")
def measurements() -> Measurements:
    """A run of two engines on every network."""
    samples = {FLOOR_CASE: samples_of(0.001)}
    for engine, speed_s in SPEED_S.items():
        for network in (BRIDGE, USER):
            samples[Case(Figure.METRIC, engine, network)] = samples_of(speed_s)
        for network in (NONE, BRIDGE, USER):
            samples[Case(Figure.START, engine, network)] = samples_of(speed_s * 20)
    return Measurements(
        settings=Settings(engines=tuple(ENGINES), rounds=20, warmup_rounds=2, seed=1),
        run_id="abc123",
        engines=tuple(ENGINES.values()),
        load=Load(cpus=2, load_average=5.0, busy_share=0.5),
        samples=samples,
    )


@pytest.fixture(scope="module")
def page_file(measurements: Measurements, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its page."""
    document = {
        "datetime": "2026-11-24T16:00:00+00:00",
        "machine_info": {"release": "6.18.1", "load": load_to_wire(measurements.load)},
        "benchmarks": [
            {"param": case.id, "stats": {"data": [sample for (sample,) in rounds]}}
            for case, rounds in measurements.samples.items()
        ],
        "netinit": run_to_wire(measurements),
    }
    folder = tmp_path_factory.mktemp("benchmarks")
    write_page(Run(document), folder)
    return folder / HTML_NAME


@pytest.fixture
def shown(browser: Browser, page_file: Path) -> Iterator[Shown]:
    """Opens the page; a message on the console or a request to elsewhere is a failure."""
    opener = Shown(browser, page_file.as_uri())
    yield opener
    opener.close()
    assert opener.complaints == []
    assert [url for url in opener.requests if not url.startswith(("file:", "data:"))] == []


def test_every_bar_is_a_row_with_its_verdict_in_words(shown, measurements):
    rows = shown.open().get_by_role("region", name="bars").locator("tbody tr")
    bars = make_bars(measurements)
    expect(rows).to_have_count(len(bars))
    for number, bar in enumerate(bars):
        expect(rows.nth(number)).to_contain_text("met" if bar.is_met else "missed")


def test_plots_are_seen_and_are_named(shown):
    page = shown.open()
    plots = page.locator("figure svg")
    expect(plots).to_have_count(5)
    for number in range(5):
        box = plots.nth(number).bounding_box()
        assert box is not None
        assert box["width"] > 500
        assert box["height"] > 100
    expect(page.get_by_role("heading", name="Allocate, default bridge")).to_be_visible()


def test_noise_is_on_top(shown):
    page = shown.open()
    expect(page.locator(".warn")).to_contain_text("load average 5.0 on 2 CPUs")
    assert page.locator(".warn").bounding_box()["y"] < 400


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_in_light_and_dark(shown, scheme):
    page = shown.open(color_scheme=scheme)
    assert page.evaluate(WEAK_TEXT) == []
    ink = page.locator("figure svg text").first.evaluate("e => getComputedStyle(e).fill")
    body = page.locator("body").evaluate("e => getComputedStyle(e).color")
    assert ink == body


def test_narrow_window_scrolls_tables_not_the_page(shown):
    page = shown.open(width=380)
    assert page.evaluate("document.documentElement.scrollWidth") <= 380
