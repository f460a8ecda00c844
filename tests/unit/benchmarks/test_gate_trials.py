"""Trials: one file is of one revision, and what it says is said of that."""

import json
import os
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from benchmarks.cli import main
from benchmarks.gate import cli, interleave
from benchmarks.gate.rule import Samples

STEADY = Samples(cpu=[0.001] * 60, wall=[0.002] * 60, idle=[0.0001] * 60)


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run the trials of a revision on samples that never change."""

    def measure(sides, cases, **_options):
        return {(case, side.name): STEADY for case in cases for side in sides}

    def check_out(name, _folder):
        return SimpleNamespace(commit=name, packages=tmp_path)

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(cli, "WORKSPACE_ROOT", tmp_path)
    monkeypatch.setattr(cli, "check_out", check_out)
    monkeypatch.setattr(interleave, "measure", measure)

    def call(*arguments):
        return CliRunner().invoke(
            main, ["trials", "--out", str(tmp_path / "trials.jsonl"), *arguments]
        )

    return call


def test_trial_that_is_not_red_says_none_and_the_summary_names_the_revision(run):
    result = run("first", "--trials", "1")
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[0].endswith(": red: none")
    assert "of first\n1 trials of " in result.output


def test_file_with_trials_of_another_revision_is_refused(run, tmp_path):
    assert run("first", "--trials", "1").exit_code == 0
    kept = (tmp_path / "trials.jsonl").read_bytes()
    for count in ("1", "2"):
        result = run("second", "--trials", count)
        assert result.exit_code == 2
        assert "has trials of first, these are of second" in result.output
    assert (tmp_path / "trials.jsonl").read_bytes() == kept


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"garbage\n",
        b"\xff\n",
        b"[]\n",
        b"{}\n",
        b'{"revision": "a"}\n',
        b'{"revision": "',
    ],
)
def test_summary_of_something_else_is_a_sentence(run, tmp_path, content):
    path = tmp_path / "trials.jsonl"
    if content is not None:
        path.write_bytes(content)
    result = run("--summary")
    assert result.exit_code == 2
    assert result.output.startswith(f"error: {path}")


def test_torn_file_is_not_gone_on_with(run, tmp_path):
    assert run("first", "--trials", "1").exit_code == 0
    path = tmp_path / "trials.jsonl"
    path.write_bytes(path.read_bytes() + json.dumps({"revision": "first"}).encode()[:-3])
    result = run("first", "--trials", "2")
    assert result.exit_code == 2
    assert "line 2: " in result.output
