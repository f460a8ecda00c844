"""What a job of the gate keeps, also where the log of the controls is spoilt."""

import json
import os
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from benchmarks.cli import main
from benchmarks.gate import cli, job
from benchmarks.gate.cases import CASES
from benchmarks.gate.job import Report
from benchmarks.gate.report import ControlLogError, log_controls
from benchmarks.gate.rule import Samples, judge

ENTRY = json.dumps({"red": True}).encode() + b"\n"


@pytest.fixture
def found():
    steady = Samples(cpu=[0.001] * 60, wall=[0.002] * 60)
    judgement = judge(steady, steady, cases=3, seed=0)
    return Report(
        base="a",
        head="b",
        unchanged=True,
        outcomes=(),
        controls=((CASES[0], judgement),),
        seconds=1.0,
    )


def test_rate_counts_what_was_in_the_log_before(tmp_path, found):
    path = tmp_path / "new" / "log.jsonl"
    assert log_controls(found, path, machine={}).trials == 1
    path.write_bytes(ENTRY + path.read_bytes())
    rate = log_controls(found, path, machine={})
    assert (rate.hits, rate.trials) == (1, 3)


@pytest.mark.parametrize(
    "spoilt",
    [b"garbage\n", b"\xff\xfe\n", b'{"red": tr', b"[]\n", b"{}\n", b'{"red": "no"}\n', b"\n"],
)
def test_line_that_cannot_be_read_is_not_counted_but_named(tmp_path, found, spoilt):
    path = tmp_path / "log.jsonl"
    path.write_bytes(ENTRY + spoilt)
    with pytest.raises(ControlLogError, match="line 2"):
        log_controls(found, path, machine={})
    # ours is there all the same, and whole
    assert json.loads(path.read_bytes().splitlines()[2])["case"] == CASES[0].id


@pytest.mark.parametrize("log", ["spoilt.jsonl", "spoilt.jsonl/log"], ids=["torn", "no-folder"])
def test_gate_writes_its_report_and_json_before_it_gives_up_on_the_log(
    monkeypatch, tmp_path, found, log
):
    (tmp_path / "spoilt.jsonl").write_bytes(ENTRY + b'{"red"')
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(cli, "WORKSPACE_ROOT", tmp_path)
    monkeypatch.setattr(cli, "check_out", lambda name, _folder: SimpleNamespace(name=name))
    monkeypatch.setattr(job, "run_job", lambda *_revisions, **_options: found)
    runs = tmp_path / "new" / "gate.json"
    result = CliRunner().invoke(
        main, ["gate", "HEAD", "--json", str(runs), "--control-log", str(tmp_path / log)]
    )
    assert result.exit_code == 2, result.output
    assert "verdict: pass" in result.output
    assert "error: no rate of false alarms: " in result.output
    assert json.loads(runs.read_text())["verdict"] == "pass"
