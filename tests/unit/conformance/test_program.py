"""What all commands have in common, as a user meets it."""

import importlib
import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest
import requests
from click.testing import CliRunner

from conformance import cli, preflight
from conformance.cli import main
from conformance.engines.base import Engine, Inside
from conformance.leaks import take_snapshot
from conformance.observe.host import HostView, Netns
from conformance.preflight import RequestError, check_checkout
from conformance.program import counted

# the name `clean` of the package is the command
clean_module = importlib.import_module("conformance.clean")


@pytest.mark.parametrize("program", ["conformance", "refimpl", "benchmarks"])
def test_program_says_its_version(program):
    done = subprocess.run(
        [sys.executable, "-m", program, "--version"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.startswith(f"netinit {program}")) == (0, True), done


def test_reader_that_goes_is_no_error():
    words = (sys.executable, "-m", "conformance", "list")
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.parametrize("words", [["list", "--write"], ["evidence"]])
def test_tree_is_not_written_where_there_is_none(words, tmp_path, monkeypatch):
    monkeypatch.setattr(cli, "check_checkout", lambda: check_checkout(tmp_path))
    result = CliRunner().invoke(main, words)
    assert (result.exit_code, "run it in a checkout" in result.output) == (3, True)


def test_checkout_is_one():
    check_checkout()
    with pytest.raises(RequestError):
        check_checkout(preflight.PROJECT / "docs")


def test_no_workers_are_wrong_usage():
    result = CliRunner().invoke(main, ["run", "-n", "0"])
    assert (result.exit_code, "0 is not in the range" in result.output) == (3, True)


def test_one_is_no_plural():
    assert CliRunner().invoke(main, ["list", "init.none.only-loopback"]).stderr == "1 behaviour\n"
    assert counted(2, "cell differs", "cells differ") == "2 cells differ"


class Api:
    """An engine of somebody else with things of its owner and of two runs."""

    is_managed = False

    def client(self):
        return self

    @property
    def api(self):
        return self

    def containers(self, **_options):
        marked = {"netinit.run": "bbbbbb"}
        names = ("/owners", "/netinit-aaaaaa-1-container", "/netinit-bbbbbb-1-container")
        unnamed = {"Names": ["/happy_tesla"], "Labels": marked}
        return [{"Names": [name], "Labels": None} for name in names] + [unnamed]

    def networks(self):
        return [{"Id": key, "Name": key, "Labels": {}} for key in ("bridge", "theirs")]

    def inspect_network(self, key):
        assert key == "bridge"  # the networks of others are their own
        names = ("owners", "netinit-aaaaaa-1-container", "netinit-bbbbbb-1-container")
        return {"Containers": {str(n): {"Name": name} for n, name in enumerate(names)}}

    def inside(self):
        return None


def test_only_what_the_run_itself_left_is_a_leak():
    assert take_snapshot(cast("Engine", Api()), "bbbbbb").things == (
        "container /happy_tesla",
        "container /netinit-bbbbbb-1-container",
        "endpoint netinit-bbbbbb-1-container on network bridge",
    )


@pytest.mark.parametrize(("refusals", "is_managed"), [(1, False), (2, False), (1, True)])
def test_look_at_somebodys_engine_is_taken_once_more(refusals, is_managed, monkeypatch):
    api, asked = Api(), itertools.count(1)

    def networks():
        if next(asked) <= refusals:
            raise requests.ConnectionError("closed")
        return []

    monkeypatch.setattr(api, "is_managed", is_managed)
    monkeypatch.setattr(api, "networks", networks)
    if (refusals, is_managed) == (1, False):
        assert len(take_snapshot(cast("Engine", api), "bbbbbb").things) == 2
    else:
        with pytest.raises(requests.ConnectionError):
            take_snapshot(cast("Engine", api), "bbbbbb")


@pytest.mark.parametrize("is_shared", [False, True], ids=["ours", "somebody's"])
def test_row_is_charged_with_its_own_links_alone_where_others_make_some(
    is_shared, tmp_path, monkeypatch
):
    links = [
        {"ifname": "veth1", "addr_info": []},
        {"ifname": "br-1", "addr_info": [{"local": "10.213.4.1"}]},
    ]
    monkeypatch.setattr(Netns, "ip", lambda *_words: links)
    monkeypatch.setattr(Netns, "rules", lambda _self: ["nat: -s 10.213.4.0/24", "nat: owners"])
    inside = Inside(
        pid=1,
        netns=tmp_path,
        root=tmp_path,
        data_root=tmp_path,
        exec_root=tmp_path,
        is_shared=is_shared,
    )
    ours = ["link br-1", "rule nat: -s 10.213.4.0/24"]
    theirs = ["link veth1", "rule nat: owners"]
    seen = HostView(inside).made_by("10.213.4.")
    assert seen == (ours if is_shared else sorted(ours + theirs))


def test_suite_that_cannot_be_loaded_is_no_red_row_and_no_bad_commit(tmp_path):
    (tmp_path / "conformance").mkdir()
    (tmp_path / "conformance" / "__init__.py").touch()
    main_file = "__main__.py"
    here = Path(cli.__file__).parent
    (tmp_path / "conformance" / main_file).symlink_to(here / main_file)
    (tmp_path / "conformance" / "cli.py").write_text("def (")
    codes = []
    for words in (["run"], ["run", "--bisect"]):
        done = subprocess.run(
            [sys.executable, "-m", "conformance", *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Error: the suite cannot be loaded: invalid syntax" in done.stderr
        codes.append(done.returncode)
    assert codes == [2, 125]


@pytest.mark.parametrize("name", ["a/b", "../up", "*", ".", "-x", "a b", "x" * 41])
@pytest.mark.parametrize("words", [["run", "--engine", "reference", "--keep"], ["clean", "--"]])
def test_name_that_is_kept_is_a_plain_one(words, name, monkeypatch):
    monkeypatch.setattr(clean_module, "sweep", lambda *_, **__: pytest.fail("it was swept"))
    result = CliRunner().invoke(main, [*words, name])
    assert (result.exit_code, "cannot be the name" in result.output) == (3, True), result.output


def test_clean_of_an_empty_name_takes_nothing(monkeypatch):
    monkeypatch.setattr(clean_module, "sweep", lambda *_, **__: pytest.fail("it was swept"))
    assert CliRunner().invoke(main, ["clean", ""]).exit_code == 3


def test_matrix_that_nobody_reads_is_no_red_row(monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as gone:
        monkeypatch.setattr(sys, "stdout", gone)
        with pytest.raises(BrokenPipeError):
            cli._console(gone).print("a matrix")


def test_pytest_goes_without_xdist():
    words = ["conformance/behaviours/test_files.py", "--co", "-q", "-p", "no:xdist"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=Path(cli.__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
