"""The trial of `impact`: what is drawn, how two looks are compared, and what is counted."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from conformance.impact_trial.__main__ import main
from conformance.impact_trial.count import count_anew, count_step
from conformance.impact_trial.draw import SetUp, draw
from conformance.impact_trial.probe import addresses, question
from conformance.impact_trial.trial import changes

SAMPLES = sorted((Path(__file__).parents[3] / "docs" / "impact").glob("seed-*.json"))


def test_same_seed_draws_the_same():
    assert draw(7, 5) == draw(7, 5)
    assert draw(7, 5) != draw(8, 5)


def test_set_ups_share_nothing_but_the_default_network():
    set_ups = draw(3, 40)
    names = [one.name for each in set_ups for one in each.containers]
    subnets = [
        pool["Subnet"].rpartition(".")[0]
        for each in set_ups
        for body in each.networks.values()
        for pool in body["IPAM"]["Config"][:1]
    ]
    assert len(names) == len(set(names)) > 80
    assert len(subnets) == len(set(subnets)) > 60


def test_set_ups_have_what_an_upgrade_meets():
    bodies = [one.body for each in draw(3, 40) for one in each.containers]
    hosts = [body["HostConfig"] for body in bodies]
    for key in ("Dns", "Links", "PortBindings", "RestartPolicy", "Sysctls"):
        assert any(key in host for host in hosts), key
    assert any("MacAddress" in body for body in bodies)


# ---------------------------------------------------------------------- two looks

RUNS: dict[str, Any] = {"starts": "running"}


def test_only_what_both_looks_have_is_compared():
    old = {"container a": {**RUNS, "links": {"eth0": "n"}, "names": {}}}
    new = {"container a": {**RUNS, "links": {"eth0": "m"}, "way out": "x"}}
    assert changes(old, new) == {
        "container a": {"starts": None, "links": [{"eth0": "n"}, {"eth0": "m"}]}
    }


def test_peer_that_does_not_run_any_more_is_counted_once():
    old = {
        "container a": {**RUNS, "reach": {"b@n": "reached", "c@n": "reached"}},
        "container b": RUNS,
        "container c": RUNS,
    }
    new = {
        "container a": {**RUNS, "reach": {}},
        "container b": {"starts": "not running"},
        "container c": RUNS,
    }
    found = changes(old, new)
    assert found["container b"]["starts"] == ["running", "not running"]
    assert found["container a"]["reach"] == [{"c@n": "reached"}, {"c@n": None}]


def test_answer_of_the_embedded_server_is_read():
    asked = question(5, "web.n")
    record = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x02\x58\x00\x04\x0a\x01\x00\x02"
    answer = asked[:6] + b"\x00\x01" + asked[8:] + record
    assert addresses(answer) == ["10.1.0.2"]


# ---------------------------------------------------------------------- counting


def sample(seen: dict[str, Any]) -> dict[str, Any]:
    """Give a container with a MAC address that 26.1 makes of its address, going to 28.5."""
    end = {"IPAddress": "10.1.0.2", "MacAddress": "02:42:0a:01:00:02"}
    container = {
        "Id": "a" * 64,
        "Name": "/web",
        "State": {"Status": "running"},
        "Config": {"Hostname": "a" * 12},
        "HostConfig": {"NetworkMode": "n"},
        "NetworkSettings": {"Networks": {"n": end}},
    }
    return {
        "seed": 1,
        "releases": ["docker-26.1", "docker-28.5"],
        "versions": ["26.1.5", "28.5.2"],
        "set_ups": [],
        "documents": [[container]],
        "steps": [{"from": 0, "to": 1, "seen": {"container web": seen}}],
    }


@pytest.mark.parametrize(
    ("seen", "figure", "what"),
    [
        ({"mac on n": ["x", "y"]}, "hits", "web: mac on n"),
        ({"mac on n": None}, "wrong", "web: mac on n"),
        ({"default route": ["n", "none"]}, "missed", "web: default route"),
    ],
)
def test_what_was_foretold_is_counted_against_what_was_seen(seen, figure, what):
    of = sample(seen)
    count = count_step(of, of["steps"][0])
    assert what in getattr(count, figure)[0]
    others = {"hits", "wrong", "missed", "happened", "quiet"} - {figure}
    assert [name for name in others if getattr(count, name)] == []


def test_files_of_the_machine_are_nobodys_change():
    of = sample({"hosts file": ["a", "b"]})
    of["documents"][0][0]["HostConfig"]["NetworkMode"] = "host"
    assert count_step(of, of["steps"][0]).missed == []


def test_figures():
    of = sample({"mac on n": ["x", "y"], "default route": ["n", "none"], "links": None})
    figures = count_step(of, of["steps"][0]).figures()
    assert (figures["precision"], figures["recall"]) == (1.0, 0.5)


def test_what_is_refused_when_it_is_made_anew_is_counted():
    of = sample({})
    bits = {"Id": "n", "Name": "n", "IPAM": {"Config": [{"Subnet": "10.1.0.1/24"}]}}
    fine = {"Id": "m", "Name": "m", "IPAM": {"Config": [{"Subnet": "10.2.0.0/24"}]}}
    of |= {"releases": ["docker-20.10", "docker-28.5"], "versions": ["20.10.24", "28.5.2"]}
    of |= {"documents": [[bits, fine]], "refused": [{}], "anew": {"n": "host bits", "m": "full"}}
    count = count_anew(of)
    assert (count.hits, count.wrong, count.missed) == (["n"], [], ["m: full"])


def test_drawn_set_ups_are_read_again():
    (set_up,) = draw(5, 1)
    assert SetUp.from_json(json.loads(json.dumps(set_up.to_json()))) == set_up


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_recorded_samples_are_foretold(path):
    of = json.loads(path.read_text(encoding="utf-8"))
    assert len(of["set_ups"]) >= 40
    for step in of["steps"]:
        figures = count_step(of, step).figures()
        assert figures["precision"] >= 0.9, step["to"]
        assert figures["recall"] >= 0.9, step["to"]


def test_command_prints_the_figures(tmp_path):
    path = tmp_path / "sample.json"
    path.write_text(json.dumps(sample({"mac on n": None})))
    done = CliRunner().invoke(main, ["count", str(path), "--list"])
    assert done.exit_code == 0, done.output
    assert "docker-26.1 -> docker-28.5: 0 foretold and seen, 1 foretold and not seen" in done.output
    assert "wrong (1)" in done.output


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read: "),
        ("{", "cannot be read: "),
        ("[]", "is no sample"),
        ('{"steps": [], "run": {}}', "is no sample"),
    ],
)
@pytest.mark.parametrize("command", ["count", "anew"])
def test_file_that_is_no_sample_is_one_clear_error(tmp_path, command, text, said):
    path = tmp_path / "sample.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    done = CliRunner().invoke(main, [command, str(path)])
    assert (done.exit_code, done.output.count("\n")) == (1, 1), done.output
    assert done.output.startswith(f"Error: {path} {said}")
