import json

import pytest
from click.testing import CliRunner

from benchmarks.cli import main as benchmarks
from benchmarks.history.cli import history
from conformance.cli import main
from conformance.registry import load_catalogue


def test_list_needs_no_engine():
    result = CliRunner().invoke(main, ["list", "init.none"])
    assert result.exit_code == 0
    assert "init.none.only-loopback\n    A none-mode container MUST" in result.output


def test_list_as_json_is_the_catalogue():
    result = CliRunner().invoke(main, ["list", "--json"])
    assert len(json.loads(result.stdout)) == len(load_catalogue())


def test_empty_selection_is_a_usage_error():
    result = CliRunner().invoke(main, ["run", "no.such-row"])
    assert (result.exit_code, "no behaviour is selected" in result.output) == (3, True)


def test_unknown_option_and_engine_are_usage_errors():
    assert CliRunner().invoke(main, ["run", "--bogus"]).exit_code == 3
    result = CliRunner().invoke(main, ["run", "--engine", "nodocker"])
    assert (result.exit_code, "no engine is called 'nodocker'" in result.output) == (3, True)


def test_every_command_explains_itself():
    for command in ("", "list", "run", "render", "diff", "evidence", "clean", "expectations"):
        words = [command, "--help"] if command else ["--help"]
        assert CliRunner().invoke(main, words).exit_code == 0


@pytest.mark.parametrize("program", [main, benchmarks, history], ids=["suite", "bench", "history"])
def test_the_list_of_commands_cuts_no_sentence(program):
    result = CliRunner().invoke(program, ["--help"])
    commands = result.output.partition("Commands:")[2].splitlines()
    assert commands
    assert [line for line in commands if line.endswith("...")] == []
