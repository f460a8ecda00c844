import io
import json

import pytest
from rich.console import Console

from benchmarks.cases import BRIDGE, FLOOR_CASE, NONE, USER, Case, Figure
from benchmarks.machine import Load
from benchmarks.measure import EngineInfo, Measurements, Settings
from benchmarks.plugin import run_to_wire
from benchmarks.ratios import show_number
from benchmarks.table import make_rows, noise, render

REFERENCE = EngineInfo(name="reference", family="refimpl", label="reference", version="20.10.24")
DOCKER = EngineInfo(name="docker", family="docker", label="docker-20.10", version="20.10.24+dfsg1")
CNI = EngineInfo(name="cni-bridge", family="peer", label="cni-bridge", version="1.1.1")
QUIET = Load(cpus=2, load_average=0.1, busy_share=0.02)


def metric(engine: str, network: str) -> Case:
    return Case(Figure.METRIC, engine, network)


def measured(samples, engines=(REFERENCE, DOCKER), peers=(), load=QUIET) -> Measurements:
    names = tuple(info.name for info in engines)
    return Measurements(
        settings=Settings(
            engines=names,
            peers=tuple(info.name for info in peers),
            rounds=3,
            warmup_rounds=0,
            seed=1,
        ),
        run_id="abc123",
        engines=engines,
        peers=peers,
        load=load,
        samples=samples,
    )


def full(reference_s: float = 0.003) -> Measurements:
    return measured(
        {
            FLOOR_CASE: [[0.001, 0.001], [0.001, 0.0012], [0.001, 0.001]] + [[0.001, 0.001]] * 2,
            Case(Figure.IN_PROCESS, "reference", BRIDGE): [[0.002]] * 5,
            metric("reference", BRIDGE): [[reference_s]] * 5,
            metric("docker", BRIDGE): [[0.008], [0.009], [0.010], [0.008], [0.010]],
            metric("reference", USER): [[reference_s]] * 5,
            metric("docker", USER): [[0.012]] * 5,
            Case(Figure.START, "docker", NONE): [[0.140]] * 5,
        }
    )


def rendered(measurements: Measurements) -> str:
    text = io.StringIO()
    render(measurements, Console(file=text, width=114))
    return text.getvalue()


def row_of(text: str, heading: str, engine: str) -> list[str]:
    block = text.split(heading)[1]
    return next(line for line in block.splitlines() if line.startswith(engine)).split()


def test_row_has_its_percentiles_and_both_ratios():
    row = row_of(rendered(full()), "own metric", "reference")
    assert " ".join(row) == "reference default bridge 5 3.00 3.00 3.00* 3 [3 3] 0.333 [0.3 0.375]"


def test_in_process_is_compared_with_dockers_metric():
    (row,) = [each for each in make_rows(full()) if each.case.figure is Figure.IN_PROCESS]
    assert row.to_docker is not None
    assert row.to_docker.value == pytest.approx(2 / 9)


def test_unlike_things_are_not_compared():
    rows = {row.case: row for row in make_rows(full())}
    assert rows[FLOOR_CASE].to_floor is None
    assert rows[FLOOR_CASE].to_docker is None
    assert rows[metric("docker", BRIDGE)].to_docker is None
    assert rows[Case(Figure.START, "docker", NONE)].to_floor is None


def test_whole_end_is_compared_with_dockers_and_not_with_the_floor():
    ours, theirs = (Case(Figure.END, name, BRIDGE) for name in ("reference", "docker"))
    samples = {**full().samples, ours: [[0.030]] * 5, theirs: [[0.120]] * 5}
    rows = {row.case: row for row in make_rows(measured(samples))}
    assert rows[ours].to_floor is None
    to_docker = rows[ours].to_docker
    assert to_docker is not None
    assert to_docker.value == pytest.approx(0.25)


@pytest.mark.parametrize("figure", [each for each in Figure if each.covers], ids=lambda f: f.name)
def test_what_a_ratio_covers_stands_under_its_heading_in_one_line(figure):
    lines = rendered(measured({Case(figure, "docker", BRIDGE): [[0.1]] * 5})).splitlines()
    assert lines[lines.index(figure.value) + 1] == figure.covers
    assert len(figure.covers) <= 114


def test_release_and_whole_start_say_what_they_cover():
    assert {Figure.RELEASE, Figure.START, Figure.END} <= {each for each in Figure if each.covers}


def test_case_without_samples_has_no_row():
    assert metric("docker", USER) not in {
        row.case for row in make_rows(measured({FLOOR_CASE: [[0.001]]}))
    }


def test_verdict_is_the_last_thing_printed():
    lines = rendered(full()).splitlines()
    assert lines[-1].startswith("bar met: user network: allocate to docker-20.10's:")


def test_run_without_the_reference_has_no_bar_and_says_so():
    alone = measured({metric("docker", BRIDGE): [[0.003]]}, engines=(DOCKER,))
    assert rendered(alone).splitlines()[-1].startswith("bar not measured")


def test_peer_is_compared_with_dockers_metric():
    samples = {**full().samples, Case(Figure.PEER, "cni-bridge", BRIDGE): [[0.018]] * 5}
    (row,) = [
        each
        for each in make_rows(measured(samples, peers=(CNI,)))
        if each.case.figure is Figure.PEER
    ]
    assert row.to_docker is not None
    assert row.to_docker.value == pytest.approx(2)


def test_run_under_load_is_marked():
    busy = measured(
        full().samples, load=Load(cpus=2, load_average=6.0, busy_share=0.9, steal_share=0.0)
    )
    assert "UNDER LOAD, the numbers are rough: load average 6.0 on 2 CPUs" in rendered(busy)
    assert "UNDER LOAD" not in rendered(full())


def test_floor_with_a_long_tail_marks_the_run():
    samples = {FLOOR_CASE: [[0.001] * 9 + [0.010]] * 10}
    (reason,) = noise(measured(samples))
    assert reason == "the floor's p95 is 10.0 x its p50"


def test_json_says_what_the_table_says_and_twice_the_same():
    wire = json.loads(json.dumps(run_to_wire(full())))
    assert wire["schema_version"] == 2
    assert [engine["version"] for engine in wire["engines"]] == ["20.10.24", "20.10.24+dfsg1"]
    assert {bar["what"]: bar["met"] for bar in wire["bars"] if bar["network"] == BRIDGE} == {
        "allocate to the floor": False,
        "allocate to docker-20.10's": False,
    }
    by_case = {row["case"]: row for row in wire["table"]}
    assert by_case["metric-bridge-docker"]["p50_ms"] == pytest.approx(9.0)
    assert wire == json.loads(json.dumps(run_to_wire(full())))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.000"),
        (0.00754, "0.008"),
        (0.2345, "0.234"),
        (3.14159, "3.14"),
        (43.06, "43.1"),
        (1234.5, "1234"),
    ],
    ids=["zero", "tiny", "below-one", "units", "tens", "thousands"],
)
def test_number_is_short_and_has_no_exponent(value, text):
    assert show_number(value) == text
