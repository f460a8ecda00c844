"""What the commands end with when they are interrupted, or given what they cannot use."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.cli import main
from benchmarks.history.cli import report
from benchmarks.options import NewFile, show_verdict

COMMANDS = (
    "boot", "burst", "counts", "dns", "gate", "growth", "modes", "ports", "render", "run", "trials",
)  # fmt: skip


def interrupt(**_options):
    raise KeyboardInterrupt


def terminate(**_options):
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("end", [interrupt, terminate])
@pytest.mark.parametrize("name", COMMANDS)
def test_interrupted_command_says_so_and_ends_with_2(monkeypatch, name, end):
    command = main.commands[name]
    monkeypatch.setattr(command, "params", [])
    monkeypatch.setattr(command, "callback", end)
    result = CliRunner().invoke(main, [name])
    assert (result.exit_code, result.output) == (2, "error: interrupted\n")


def test_failure_that_nobody_foresaw_shows_where_and_ends_with_2(monkeypatch, capfd):
    def fail(**_options):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(main.commands["boot"], "callback", fail)
    result = CliRunner().invoke(main, ["boot"])
    assert result.exit_code == 2
    assert "error: nothing was measured: oops" in result.output
    assert "ZeroDivisionError" in result.output + capfd.readouterr().err


def test_interrupted_command_of_the_history_says_so_too(monkeypatch):
    monkeypatch.setattr(report, "callback", interrupt)
    result = CliRunner().invoke(main, ["history", "report"])
    assert (result.exit_code, result.output) == (2, "error: interrupted\n")


@pytest.mark.parametrize("command", ["boot", "burst", "dns", "growth", "modes", "ports", "run"])
def test_nothing_is_measured_that_cannot_be_written_down(tmp_path, command):
    (tmp_path / "file").touch()
    result = CliRunner().invoke(main, [command, "--json", str(tmp_path / "file" / "x.json")])
    assert result.exit_code == 3
    assert "Not a directory" in result.output or "File exists" in result.output


def test_a_new_file_gets_its_folder_and_is_not_there_before_its_time(tmp_path):
    path = tmp_path / "new" / "x.json"
    assert NewFile().convert(str(path), None, None) == path
    assert path.parent.is_dir()
    assert not path.exists()


@pytest.mark.parametrize("command", ["boot", "burst", "growth", "modes", "run"])
def test_a_quick_run_is_not_checked(command):
    result = CliRunner().invoke(main, [command, "--quick", "--check"])
    assert result.exit_code == 3
    assert "--quick judges no bar" in result.output


@pytest.mark.parametrize(
    ("missed", "quick", "said"),
    [
        ([], False, "every bar is met"),
        (["p50", "p99"], False, "MISSED: p50\nMISSED: p99"),
        (["p50"], True, "quick: no bar is judged"),
        ([], True, "quick: no bar is judged"),
    ],
    ids=str,
)
def test_bars_are_judged_unless_it_was_quick(missed, quick, said):
    assert show_verdict(missed, quick=quick) == said


def test_a_tree_that_does_not_compile_ends_with_2(tmp_path):
    root = Path(__file__).parents[3]
    for package in ("benchmarks", "conformance"):
        (tmp_path / package).symlink_to(root / package)
    (tmp_path / "refimpl").mkdir()
    (tmp_path / "refimpl" / "__init__.py").write_text("def (")
    done = subprocess.run(
        [sys.executable, "-c", "from benchmarks.__main__ import load_main; load_main()"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "error: nothing was measured: invalid syntax" in done.stderr
