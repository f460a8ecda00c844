"""What `run ROW -- WORDS` does with words that are not pytest's, or that let no row run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from conformance import cli

ROW = "init.none.only-loopback"


@pytest.mark.parametrize(
    "words",
    [
        ["--engine", "reference"],
        ["-x", "--engine=dockerd:/nope"],
        ["--netinit-report=/tmp/other"],
        ["--netinit-quiet"],
    ],
)
def test_options_of_the_suite_do_not_go_behind_the_dashes(tmp_path, monkeypatch, words):
    monkeypatch.setattr(sys, "argv", ["conformance"])
    monkeypatch.setattr(cli, "_preflight", lambda specs, *_, **__: list(specs))
    monkeypatch.setattr(cli, "run_rows", lambda _request: [])
    command = ["run", ROW, "--engine", "reference", "--report", str(tmp_path), "--", *words]
    done = CliRunner().invoke(cli.main, command)
    assert (done.exit_code, "does not go behind `--`" in done.output) == (3, True), done.output


@pytest.mark.parametrize(
    ("words", "code", "shown"),
    [
        (["--help"], 0, "--maxfail"),
        (["--version"], 0, "pytest"),
        (["--co"], 0, f"{ROW.rpartition('.')[2]}"),
        (["--co", "--bogus"], 4, "--bogus"),
    ],
)
def test_what_pytest_shows_is_shown(tmp_path, words, code, shown):
    (tmp_path / "reports").mkdir()
    earlier = tmp_path / "reports" / "conformance.json"
    earlier.write_text("of an earlier run", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "conformance", "run", ROW, "--engine", "reference", "--", *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, shown in done.stdout + done.stderr) == (code, True), done
    assert "left no report" not in done.stderr
    assert earlier.read_text(encoding="utf-8") == "of an earlier run"
