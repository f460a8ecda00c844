"""The program around a measurement: what it keeps, prints and ends with."""

import json
import os

import pytest
from click.testing import CliRunner

from benchmarks import cli, plugin
from benchmarks.cases import BRIDGE, FLOOR_CASE, USER, Case, Figure
from benchmarks.cli import main
from benchmarks.machine import Load
from benchmarks.measure import EngineInfo, Measurements, Settings
from conformance.engines.base import EngineError

RAW_S = [0.0031, 0.0029, 0.0123456789]


def measurements(settings: Settings, reference_s: float) -> Measurements:
    engines = (
        EngineInfo(name="reference", family="refimpl", label="reference", version="20.10.24"),
        EngineInfo(name="docker", family="docker", label="docker-20.10", version="20.10.24"),
    )
    samples = {FLOOR_CASE: [[0.001, 0.0011]] * 3}
    for network in (BRIDGE, USER):
        samples[Case(Figure.METRIC, "docker", network)] = [[sample] for sample in RAW_S]
        samples[Case(Figure.METRIC, "reference", network)] = [[reference_s]] * 3
        samples[Case(Figure.OUTSIDE_IN, "docker", network)] = [[0.02], [-0.001], [0.03]]
    return Measurements(
        settings=settings,
        run_id="abc123",
        engines=engines,
        load=Load(cpus=2, load_average=0.1, busy_share=0.01),
        samples=samples,
    )


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(cli, "why_unavailable", lambda _spec: "")

    def call(*arguments, reference_s=0.002, failure=None):
        def measure(settings, _progress):
            if failure is not None:
                raise failure
            return measurements(settings, reference_s)

        monkeypatch.setattr(plugin, "measure", measure)
        storage = str(tmp_path / "storage")
        return CliRunner().invoke(main, ["run", "--storage", storage, *arguments])

    return call


def test_every_raw_sample_is_kept_exactly_in_the_json_and_in_the_storage(run, tmp_path):
    path = tmp_path / "new" / "run.json"
    result = run("--json", str(path))
    assert result.exit_code == 0, result.output
    (stored,) = (tmp_path / "storage").rglob("*_allocate.json")
    for document in (json.loads(path.read_text()), json.loads(stored.read_text())):
        data = {each["param"]: each["stats"]["data"] for each in document["benchmarks"]}
        assert data["metric-bridge-docker"] == RAW_S
        assert data["outside-in-user-docker"] == [0.02, -0.001, 0.03]
        assert data["floor-bridge-floor"] == [0.001, 0.0011] * 3
        # no samples, no benchmark: nothing is made up
        assert "start-none-docker" not in data
        assert document["netinit"]["engines"][1]["label"] == "docker-20.10"
        assert document["machine_info"]["load"]["cpus"] == 2


@pytest.mark.parametrize(
    ("reference_s", "arguments", "code"),
    [
        (0.0007, ["--check"], 0),
        (0.009, ["--check"], 1),
        (0.009, [], 0),
    ],
    ids=["met", "missed", "missed-unchecked"],
)
def test_missed_bar_is_an_exit_code_only_when_asked(run, reference_s, arguments, code):
    result = run(*arguments, reference_s=reference_s)
    assert result.exit_code == code, result.output
    assert ("bar MISSED" in result.output) == (reference_s > 0.001)


def test_engine_that_cannot_be_had_is_a_sentence_and_code_2(run):
    result = run(failure=EngineError("docker: dockerd is not installed"))
    assert result.exit_code == 2
    assert "error: nothing was measured: docker: dockerd is not installed" in result.output
    assert "Traceback" not in result.output


def test_defect_of_ours_shows_where_it_is(run, capfd):
    result = run(failure=ZeroDivisionError("oops"))
    assert result.exit_code == 2
    assert "error: nothing was measured: oops" in result.output
    assert "ZeroDivisionError" in result.output + capfd.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [["--rounds", "1"], ["--engine", "docker", "--engine", "docker"], ["--nonsense"]],
    ids=["too-few-rounds", "engine-twice", "unknown-option"],
)
def test_wrong_command_line_is_code_3(run, arguments):
    assert run(*arguments).exit_code == 3


def test_without_root_it_says_so(run, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    result = run()
    assert result.exit_code == 2
    assert "run it as root" in result.output


def test_report_and_json_have_the_same_run(run, tmp_path):
    report, path = tmp_path / "report", tmp_path / "elsewhere" / "run.json"
    result = run("--report", str(report), "--json", str(path))
    assert result.exit_code == 0, result.output
    kept = report / "benchmarks.json"
    assert json.loads(path.read_text()) == json.loads(kept.read_text())
    assert (report / "benchmarks.html").exists()
    # the same file asked for in both ways is one file
    assert run("--report", str(report), "--json", str(kept)).exit_code == 0
    assert json.loads(kept.read_text())["netinit"]


def test_check_that_has_no_bar_says_that_nothing_was_checked(run, monkeypatch):
    monkeypatch.setattr(cli, "make_bars", lambda _measured: ())
    result = run("--check")
    assert result.exit_code == 2
    assert "error: nothing was checked" in result.output
