import json
from unittest.mock import Mock

import pytest
from click.testing import CliRunner

from benchmarks.cli import main as benchmarks
from benchmarks.history.cli import history
from conformance.cli import main
from conformance.image import ImageError
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


@pytest.mark.parametrize(
    ("engine", "told"),
    [("nodocker", "no engine is called 'nodocker'"), ("reference", "no busybox")],
)
def test_a_wrong_engine_is_told_before_a_missing_image(monkeypatch, engine, told):
    monkeypatch.setattr("conformance.cli.image_name", Mock(side_effect=ImageError("no busybox")))
    monkeypatch.setattr("conformance.cli.why_unavailable", lambda _spec, **_: "")
    result = CliRunner().invoke(main, ["run", "--engine", engine])
    assert (result.exit_code, told in result.output) == (3, True)


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
