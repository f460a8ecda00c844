"""What all commands have in common, as a user meets it."""

import subprocess
import sys
from typing import cast

import pytest
from click.testing import CliRunner

from conformance import cli, preflight
from conformance.cli import main
from conformance.engines.base import Engine, Inside
from conformance.leaks import take_snapshot
from conformance.observe.host import HostView, Netns
from conformance.preflight import RequestError, check_checkout
from conformance.program import counted


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
        return [{"Id": "1", "Name": "bridge", "Labels": {}}]

    def inspect_network(self, _key):
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
