"""`run --bisect`: what git is told, as far as no engine is needed."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from conformance import cli
from conformance.bisect import Answer, answering_bisect, judge
from conformance.report.document import FILE_NAME
from conformance.runner import PytestRefused
from conformance.usage import Usage
from tests.unit.conformance.made_reports import cell
from tests.unit.conformance.made_reports import report as made_report

ROW = "init.none.only-loopback"


def report(*verdicts: str) -> Any:
    cells = [
        {"behaviour": f"row.{number}", "engine": "x", "verdict": verdict, "reason": "why"}
        for number, verdict in enumerate(verdicts)
    ]
    return {"run": {}, "results": cells}


@pytest.mark.parametrize(
    ("verdicts", "answer", "why"),
    [
        (["pass", "pass"], Answer.GOOD, "2 of 2 rows pass"),
        (["pass", "FIXED"], Answer.GOOD, "2 of 2 rows pass"),
        (["pass", "FAIL"], Answer.BAD, "1 of 2 rows failed: row.1: why"),
        # deviations are known of releases, and a commit is none
        (["known"], Answer.BAD, "1 of 1 rows failed: row.0: why"),
        (["non-strict"], Answer.BAD, "1 of 1 rows failed: row.0: why"),
        (["FAIL", "unsupported"], Answer.BAD, "1 of 2 rows failed: row.0: why"),
        (["pass", "unsupported"], Answer.CANNOT_TELL, "1 of 2 rows did not run: row.1: why"),
        (["n/a"], Answer.CANNOT_TELL, "1 of 1 rows did not run: row.0: why"),
        (["FAIL", "error"], Answer.CANNOT_TELL, "1 of 2 rows ended in an error: row.1: why"),
        ([], Answer.CANNOT_TELL, "no row ran"),
        # a prefix has rows of other releases in it
        (["n/a", "pass"], Answer.GOOD, "1 of 1 rows pass; 1 is not promised by this release"),
        (["n/a", "n/a", "FAIL"], Answer.BAD, "1 of 1 rows failed: row.2: why"),
        (["n/a", "unsupported"], Answer.CANNOT_TELL, "1 of 1 rows did not run: row.1: why"),
    ],
)
def test_report_is_judged(verdicts, answer, why):
    assert judge(report(*verdicts)) == (answer, why)


def asked(command: Any, *words: str) -> tuple[int, str]:
    program = click.command()(click.argument("select", nargs=-1)(command))
    options = [
        click.Option(["--engine", "engines"], multiple=True),
        click.Option(["--report"], default="reports"),
    ]
    program.params += options
    done = CliRunner().invoke(program, words)
    return done.exit_code, done.output


@pytest.mark.parametrize(
    "error", [Usage("no such engine"), ValueError("a defect"), SystemExit(0), SystemExit(1)]
)
def test_run_that_leaves_no_report_says_nothing(tmp_path, error):
    @answering_bisect
    def run(**_: Any) -> None:
        raise error

    words = ["--bisect", "--engine", "x", "--report", str(tmp_path), ROW]
    code, output = asked(run, *words)
    assert (code, "bisect: cannot tell: " in output) == (125, True)


@pytest.mark.parametrize(
    ("verdicts", "unfinished", "answer"),
    [
        (["pass"], "interrupted", Answer.INTERRUPTED),
        (["FAIL"], "interrupted", Answer.INTERRUPTED),
        ([], "interrupted", Answer.INTERRUPTED),
        (["pass"], "stopping after 1 failures", Answer.CANNOT_TELL),
        ([], "stopping after 1 failures", Answer.CANNOT_TELL),
        # what `-- -x` ends at: the rows that did not run cannot make it good
        (["pass", "FAIL"], "stopping after 1 failures", Answer.BAD),
        (["error"], "stopping after 1 failures", Answer.CANNOT_TELL),
    ],
)
def test_unfinished_run_is_never_good(verdicts, unfinished, answer):
    document = report(*verdicts) | {"run": {"unfinished": unfinished}}
    told, why = judge(document)
    assert told is answer
    assert why != "no row ran"


def test_interrupt_stops_the_bisection(tmp_path):
    @answering_bisect
    def run(**_: Any) -> None:
        document = made_report(cell("row", "x", "pass"))
        (tmp_path / FILE_NAME).write_text(json.dumps(document), encoding="utf-8")
        raise SystemExit(130)

    words = ["--bisect", "--engine", "x", "--report", str(tmp_path), ROW]
    code, output = asked(run, *words)
    assert (code, "bisect: interrupted: " in output) == (130, True)


def test_option_that_pytest_does_not_know_stops_the_bisection(tmp_path, monkeypatch):
    def refuse(_request: Any) -> None:
        raise PytestRefused("pytest does not take --bogus; its own words are above")

    monkeypatch.setattr(cli, "_preflight", lambda specs, *_, **__: list(specs))
    monkeypatch.setattr(cli, "run_rows", refuse)
    words = ["run", "--bisect", "--engine", "x", "--report", str(tmp_path), ROW, "--", "--bogus"]
    for bisecting, code in ((words, 128), ([words[0], *words[2:]], 3)):
        monkeypatch.setattr(sys, "argv", ["conformance", *bisecting])
        done = CliRunner().invoke(cli.main, bisecting)
        assert (done.exit_code, "pytest does not take --bogus" in done.output) == (code, True)


@pytest.mark.parametrize("code", [0, 1, 2])
def test_the_report_decides_and_not_the_runs_own_exit_code(tmp_path, code):
    @answering_bisect
    def run(**_: Any) -> None:
        document = made_report(cell("row", "x", "known"))
        (tmp_path / FILE_NAME).write_text(json.dumps(document), encoding="utf-8")
        raise SystemExit(code)

    words = ["--bisect", "--engine", "x", "--report", str(tmp_path), ROW]
    assert asked(run, *words)[0] == 1


def run_program(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "conformance", "run", *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--bisect", "--engine", "dockerd:/nope", ROW], 125),
        (["--bisect", "--engine", "reference", "init.no-such-row"], 125),
        (["--bisect", "--engine", "nobody", ROW], 125),
        # no commit makes these better: git is to stop
        (["--bisect", "--engine", "reference"], 128),
        (["--bisect", ROW], 128),
        (["--bisect", "--engine", "reference", "--engine", "docker", ROW], 128),
        (["--bisect", "--engine", "reference", "--no-such-option", ROW], 128),
        (["--bisect", "--engine", "reference", ROW, "--", "--help"], 128),
        (["--bisect", "--engine", "reference", ROW, "--", "--engine", "docker"], 128),
        (["--no-such-option"], 3),
    ],
)
def test_exit_codes_of_the_program(tmp_path, words, code):
    done = run_program(tmp_path, *words)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
