"""What the commands end with when they are interrupted, or given what they cannot use."""

import os
import signal

import pytest
from click.testing import CliRunner

from benchmarks.cli import main
from benchmarks.history.cli import report

COMMANDS = ("boot", "burst", "counts", "dns", "gate", "growth", "modes", "render", "run", "trials")


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
