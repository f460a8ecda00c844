"""The page and the Markdown of a run: complete, self-contained, and escaped."""

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import asdict
from typing import Any

import pytest
from click.testing import CliRunner

from benchmarks.cases import BRIDGE, USER
from benchmarks.cli import main
from benchmarks.growth import Growth, Size, read_growth
from benchmarks.plots import ecdf, growth
from benchmarks.report import PageError, Run, write_page

ENGINES = ("reference", "docker-20.10")
TIMES_S = {"reference": [0.002, 0.003], "docker-20.10": [0.0050, 0.0071]}


def row(figure: str, engine: str, network: str, case: str) -> dict[str, object]:
    return {
        "case": case,
        "figure": figure,
        "engine": engine,
        "network": network,
        "n": 2,
        "p50_ms": 2.5,
        "p95_ms": 2.9,
        "p99_ms": 3.0,
        "to_floor": {"value": 1.8765, "low": 1.5, "high": 2.25},
        "to_docker": None,
    }


@pytest.fixture
def document() -> dict[str, Any]:
    table, kept = [], []
    for figure in ("metric", "start", "end"):
        for engine in ENGINES:
            case = f"{figure}-bridge-{engine}"
            table.append(row(figure, engine, "bridge", case))
            kept.append({"param": case, "stats": {"data": TIMES_S[engine]}})
    return {
        "datetime": "2026-11-24T16:00:00.123456+00:00",
        "machine_info": {
            "release": "6.18.1",
            "load": {"cpus": 2, "load_average_before": 0.25},
        },
        "benchmarks": kept,
        "netinit": {
            "schema_version": 2,
            "run_id": "abc123",
            "rounds": 2,
            "seed": 7,
            "engines": [
                {"name": name, "family": family, "label": name, "version": "<20.10.24>"}
                for name, family in zip(ENGINES, ("refimpl", "docker"), strict=True)
            ],
            "peers": [],
            "under_load": ["the floor's p95 is 3.0 x its p50"],
            "table": table,
            "bars": [
                {
                    "network": "bridge",
                    "what": "allocate to docker-20.10's",
                    "met": False,
                    "ours_ms": 2.5,
                    "theirs_ms": 6.0,
                    "limit": 0.25,
                    "ratio": None,
                }
            ],
        },
    }


def test_page_has_every_row_bar_and_plot_and_needs_no_other_file(document, tmp_path):
    html, markdown = write_page(Run(document), tmp_path / "new")
    page, text = html.read_text(), markdown.read_text()
    for said in (
        "allocate to docker-20.10&#39;s",
        "1.88 [1.5 2.25]",
        "0.417",
        "\N{BALLOT X} missed",
    ):
        assert said in page
    assert "| allocate to docker-20.10's | default bridge | 2.50 | 6.00 | 0.417 | 0.25 |" in text
    assert page.count("<svg") == 3
    assert "\N{MULTIPLICATION SIGN} docker-20.10</th>" in page
    assert "x docker-20.10 |" in text
    assert "floor&#39;s p95" in page
    assert "under load" in text.lower()
    assert not re.search(r"""(src|href)=["'](?!#)|@import|url\((?!#)""", page)
    assert "&lt;20.10.24&gt;" in page
    assert "<20.10.24>" not in page


def test_page_says_what_a_whole_start_covers(document, tmp_path):
    for path in write_page(Run(document), tmp_path):
        text = path.read_text()
        heading = text.index("request of the SDK until its answer")
        assert text.index("Mostly the runtime and the container", heading) > heading


def test_peers_come_last_so_that_an_engine_has_the_same_colour_on_every_plot(document):
    peer = row("peer", "netavark", "bridge", "peer-bridge-netavark")
    document["netinit"]["table"].insert(0, peer)
    document["benchmarks"].append({"param": peer["case"], "stats": {"data": [0.04, 0.05]}})
    allocate = ET.fromstring(Run(document).plots[0].svg)
    texts = ["".join(each.itertext()) for each in allocate.iter() if each.tag.endswith("text")]
    assert [text for text in texts if text in {*ENGINES, "netavark"}] == [*ENGINES, "netavark"]


def test_plot_says_whose_line_is_whose_and_is_wellformed():
    svg = ecdf(TIMES_S, title="allocate, default bridge")
    root = ET.fromstring(svg)
    texts = {"".join(each.itertext()) for each in root.iter() if each.tag.endswith("text")}
    assert set(ENGINES) <= texts
    assert "currentColor" in svg
    assert ecdf(TIMES_S, title="allocate, default bridge") == svg


def test_two_plots_on_a_page_share_no_id():
    first, second = (set(re.findall(r'id="([^"]+)"', ecdf(TIMES_S, title=each))) for each in "ab")
    assert first
    assert not first & second


def test_growth_is_drawn_at_the_sizes_that_were_measured():
    svg = growth(
        {"user network": {10: [0.001, 0.002, 0.003], 1000: [0.002] * 3}},
        title="growth",
        axis="sandboxes",
    )
    texts = {"".join(each.itertext()) for each in ET.fromstring(svg).iter()}
    assert {"user network", "1,000"} <= texts


@pytest.fixture
def grown(tmp_path):
    """The JSON of a growth run in which 1,000 sandboxes cost nothing and 100 networks much."""

    def size(sandboxes: int, networks: int, allocate_s: float) -> Size:
        one = Size(sandboxes, networks)
        for network in (BRIDGE, USER):
            one.allocate[network] = [[allocate_s] * 3] * 5
            one.release[network] = [[0.0015] * 3] * 5
        one.kib = [1000, 1000]
        return one

    machine = {"kernel": "6.18.1", "load": {"load_average": 0.5}}
    sandboxes = [size(10, 8, 0.001), size(1000, 8, 0.0011)]
    run = Growth(sandboxes, [size(10, 10, 0.001), size(10, 100, 0.002)], 0, machine)
    path = tmp_path / "growth.json"
    path.write_text(json.dumps(asdict(run)))
    return path


def test_growth_has_a_part_of_its_own(document, tmp_path, grown):
    html, markdown = write_page(Run(document), tmp_path, growth=read_growth(grown))
    page, text = html.read_text(), markdown.read_text()
    assert page.count("<svg") == 5
    assert "sandboxes that are there already" in page
    assert (
        "| 1000 sandboxes, 8 networks | user network | 15 | 1.10 | 1.10 | 1.1 [1.1 1.1] | 1.50 |"
        in text
    )
    for said in (page, text):
        assert "MISSED: bridge: 10 sandboxes, 100 networks" in said


def test_page_without_growth_does_not_speak_of_it(document, tmp_path):
    for path in write_page(Run(document), tmp_path):
        assert "growth" not in path.read_text().lower()


def test_growth_of_something_else_is_refused_in_a_sentence(document, tmp_path, grown):
    run = tmp_path / "run.json"
    run.write_text(json.dumps(document))
    arguments = ["render", str(run), "-o", str(tmp_path / "out"), "--growth"]
    result = CliRunner().invoke(main, [*arguments, str(run)])
    assert result.exit_code == 2
    assert result.output.startswith(f"error: {run}: not the JSON of a growth run")
    assert CliRunner().invoke(main, [*arguments, str(grown)]).exit_code == 0


@pytest.mark.parametrize("content", ["{}", "[]", "no json", '{"netinit": {"schema_version": 1}}'])
def test_other_json_is_refused_in_a_sentence(tmp_path, content):
    path = tmp_path / "run.json"
    path.write_text(content)
    with pytest.raises(PageError):
        Run.read(path)
    result = CliRunner().invoke(main, ["render", str(path), "-o", str(tmp_path)])
    assert result.exit_code == 2
    assert result.output.startswith("error: ")


def test_page_can_be_made_again_from_what_was_kept(document, tmp_path):
    path = tmp_path / "run.json"
    path.write_text(json.dumps(document))
    result = CliRunner().invoke(main, ["render", str(path), "-o", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out" / "benchmarks.html").exists()


def without(keys):
    """Return what spoils a document: the value at the end of the keys goes."""

    def spoil(document):
        part = document
        for key in keys[:-1]:
            part = part[key]
        del part[keys[-1]]

    return spoil


def _table_is_text(document):
    document["netinit"]["table"] = "text"


SPOILT = {
    "netinit-only": lambda document: [document.pop(key) for key in set(document) - {"netinit"}],
    "no-p50": without(["netinit", "table", 0, "p50_ms"]),
    "no-sample": without(["benchmarks", 0]),
    "no-load": without(["machine_info", "load"]),
    "no-bars": without(["netinit", "bars"]),
    "table-is-text": _table_is_text,
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_run_that_lacks_something_is_refused_in_a_sentence(document, tmp_path, spoil):
    spoil(document)
    path = tmp_path / "run.json"
    path.write_text(json.dumps(document))
    result = CliRunner().invoke(main, ["render", str(path), "-o", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert re.fullmatch("error: .*\n", result.output)


@pytest.mark.parametrize(
    "spoil",
    [{"sandboxes": []}, {"networks": []}, {"machine": {}}, {"sandboxes": [{}]}, {"networks": "x"}],
)
def test_growth_that_lacks_something_is_refused_in_a_sentence(document, tmp_path, grown, spoil):
    run = tmp_path / "run.json"
    run.write_text(json.dumps(document))
    grown.write_text(json.dumps({**json.loads(grown.read_text()), **spoil}))
    arguments = ["render", str(run), "-o", str(tmp_path / "out"), "--growth", str(grown)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert re.fullmatch("error: .*\n", result.output)


def test_folder_that_cannot_be_made_is_a_sentence(document, tmp_path):
    path = tmp_path / "run.json"
    path.write_text(json.dumps(document))
    result = CliRunner().invoke(main, ["render", str(path), "-o", str(path / "out")])
    assert result.exit_code == 2
    assert re.fullmatch("error: .*\n", result.output)
