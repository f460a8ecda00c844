"""A sample of an engine ends when its container has ended and the links are gone."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import starts
from benchmarks.cases import BRIDGE, NONE, PORTS, USER, Case, Figure
from benchmarks.starts import Starts
from conformance.engines.base import EngineError, Inside
from conformance.observe.metrics import MetricsReader


class Api:
    """The SDK's calls, noted in the order in which they come."""

    def __init__(self, log):
        self.log = log
        self.created = {}

    def create_network(self, _name, **_options):
        return {"Id": "network"}

    def create_host_config(self, **options):
        return options

    def create_container(self, _image, _command, *, name, host_config, ports, labels):
        assert labels
        self.created[name] = (host_config, ports)
        return {"Id": name.rpartition("-")[2]}

    def start(self, container):
        self.log.append(f"start {container}")

    def kill(self, container):
        self.log.append(f"kill {container}")

    def wait(self, container, timeout):
        assert timeout > 0
        self.log.append(f"wait {container}")

    def remove_container(self, container, force):
        assert force
        self.log.append(f"remove {container}")

    def remove_network(self, network):
        self.log.append(f"remove {network}")


@pytest.fixture
def log():
    return []


@pytest.fixture
def make(monkeypatch, log):
    links = SimpleNamespace(
        wait_until_gone=lambda: log.append("links gone"), close=lambda: log.append("links closed")
    )
    monkeypatch.setattr(starts, "ContainerLinks", lambda _netns: links)
    monkeypatch.setattr(starts, "ensure_image", lambda _client: "image")

    def call(**inside):
        here = Path()
        looked = (
            Inside(pid=1, netns=here, root=here, data_root=here, exec_root=here, **inside)
            if inside
            else None
        )
        engine = SimpleNamespace(
            name="docker", client=lambda: SimpleNamespace(api=Api(log)), inside=lambda: looked
        )
        return Starts(engine, run_id="1")

    return call


def test_end_waits_until_the_links_are_gone_and_is_a_case_of_its_own(make, log):
    found = make(metrics_url="").samples_by_case(BRIDGE)
    assert log == ["start bridge", "kill bridge", "wait bridge", "links gone"]
    assert set(found) == {Case(Figure.START, "docker", BRIDGE), Case(Figure.END, "docker", BRIDGE)}
    assert all(seconds >= 0 for seconds in found.values())


@pytest.mark.parametrize("inside", [{}, {"is_shared": True}], ids=["external", "shared"])
def test_where_links_cannot_be_told_apart_nothing_is_waited_for(make, log, inside):
    engine = make(**inside)
    assert not engine.sees_links
    assert set(engine.samples_by_case(USER)) == {Case(Figure.START, "docker", USER)}
    assert "links gone" not in log


def test_container_that_runs_on_is_stopped_and_one_that_does_not_is_left_alone(make, log):
    engine = make(metrics_url="")
    engine.start(NONE)
    engine.end(NONE)
    engine.start(USER)
    log.clear()
    engine.stop_all()
    engine.stop_all()
    assert log == ["kill user", "wait user", "links gone"]


def test_two_ports_are_published_where_the_engine_likes_and_made_once(make, log):
    engine = make(metrics_url="")
    engine.add_published()
    engine.add_published()
    options, ports = engine._api.created["netinit-bench-1-ports"]
    assert (options["port_bindings"], ports) == ({80: None, 443: None}, [80, 443])
    engine.start(PORTS)
    assert log == ["start ports"]


def test_all_is_removed_and_the_namespace_let_go(make, log):
    make(metrics_url="").close()
    assert sorted(log) == [
        "links closed", "remove bridge", "remove network", "remove none", "remove user",
    ]  # fmt: skip


def test_engine_that_serves_no_metric_where_it_could_is_measured_without(monkeypatch, make):
    asked = []

    def refuse(self):
        asked.append(self)
        raise EngineError("wget: can't connect to remote host")

    monkeypatch.setattr(MetricsReader, "page", refuse)
    found = make(metrics_url="http://127.0.0.1:9323/metrics").samples_by_case(BRIDGE)
    assert {case.figure for case in found} == {Figure.START, Figure.END}
    assert len(asked) == 1
