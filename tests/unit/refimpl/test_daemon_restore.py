"""Goal: a boot brings every container back that can be, in order, and removes nobody else's.

Method: a daemon on a kernel in memory and a data-root on disk is booted, its files are changed as a
crash or a user would, and another daemon is booted on them. Starts are recorded, not done.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from refimpl.daemon.config import DaemonConfig
from refimpl.daemon.containers.container import Container, NetworkSettings
from refimpl.daemon.daemon import Daemon, Services
from refimpl.daemon.lifecycle.restore import GONE, KILLED, PATIENCE_MAX_S
from refimpl.errors import EngineError
from refimpl.kernel.files import LinuxFiles
from refimpl.libnetwork.controller import new_id, utc_now
from refimpl.libnetwork.store import SQLiteStore
from refimpl.model.wire_container import Config, HostConfig
from refimpl.oci.base import Ending
from tests.unit.refimpl.fake_kernel import FakeKernel


class NoRuntime:
    """A runtime that knows no container, or some that outlived a daemon."""

    name = "none"
    version = "0"
    has_seccomp = False

    def prepare(self) -> None:
        """There is nothing to prepare."""

    def __init__(self, codes: Mapping[str, int | None] | None = None) -> None:
        """Know the containers of these ids; they end with these codes, None must be killed."""
        self.codes = codes or {}
        self.endings: dict[str, Ending] = {}

    def list(self) -> Sequence[str]:
        return tuple(self.codes)

    def end(self, endings: Mapping[str, Ending], is_hurried: Callable[[], bool]) -> dict[str, int]:
        self.endings.update(endings)
        return {key: code for key, code in self.codes.items() if code is not None}

    def delete(self, container_id: str) -> None:
        """There is nothing to delete."""

    def resize(self, console: int, rows: int, columns: int) -> None:
        """There is no terminal."""


class Recording(Daemon):
    """A daemon whose containers run as soon as they are started."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self.started: list[str] = []
        self.restorer = dataclasses.replace(
            self.restorer, start_container=lambda container: self.started.append(container.name)
        )


class Machine:
    """A data-root, with the containers that are put there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kernel = FakeKernel()
        self.runtime = NoRuntime()
        self.config = DaemonConfig(data_root=f"{folder}/data", exec_root=f"{folder}/exec")

    def daemon(self) -> Recording:
        return Recording(
            Services(
                config=self.config,
                kernel=self.kernel,
                files=LinuxFiles(),
                runtime=self.runtime,  # type: ignore[arg-type]  # a boot asks for no more
                open_store=lambda: SQLiteStore(":memory:"),
                clock=utc_now,
                new_id=new_id,
            )
        )

    def boot(self) -> Recording:
        """Boot a daemon, end it, and return it for a look at what it knows."""
        with closing(self.daemon()) as daemon:
            daemon.boot()
        return daemon

    def add(self, name: str, host_config: dict[str, Any] | None = None, **facts: Any) -> Container:
        """Leave a container on disk that was started once; its id begins with its name."""
        container_id = name.encode().hex().ljust(64, "0")
        container = Container(
            id=container_id,
            name=f"/{name}",
            created=utc_now(),
            root=self.config.data("containers", container_id),
            image_id="sha256:0",
            path="true",
            args=[],
            config=Config(),
            host_config=HostConfig.from_wire({"NetworkMode": "none"} | (host_config or {})),
            network_settings=NetworkSettings(),
        )
        for key, value in ({"has_been_started_before": True} | facts).items():
            setattr(container if hasattr(container, key) else container.state, key, value)
        Path(container.root).mkdir(parents=True)
        self.layer(container).mkdir(parents=True)
        with closing(self.daemon()) as daemon:
            daemon.checkpoints.checkpoint_to(container)
        return container

    def layer(self, container: Container) -> Path:
        return Path(self.config.data("overlay", container.id, "upper"))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def names(daemon: Daemon) -> list[str]:
    return sorted(container.name for container in daemon.containers)


# -- whose the roots are -------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["data-root", "exec-root"])
def test_a_root_that_another_daemon_has_is_refused_until_that_one_ends(machine, tmp_path, kind):
    other = Machine(tmp_path / "other")
    shared = {kind.replace("-", "_"): getattr(machine.config, kind.replace("-", "_"))}
    other.config = dataclasses.replace(other.config, **shared)
    with closing(machine.daemon()):
        with pytest.raises(EngineError, match=f"the {kind} .* is in use by another daemon: .*"):
            other.daemon()
        if kind == "exec-root":
            assert not Path(other.config.data_root).exists()
    other.boot()
    machine.boot()


def test_one_directory_may_be_both_roots(machine):
    machine.config = dataclasses.replace(machine.config, exec_root=machine.config.data_root)
    machine.boot()


# -- what is started -----------------------------------------------------------------------

ALWAYS = {"RestartPolicy": {"Name": "always"}}


def link(container: Container, *targets: Container) -> None:
    document = {target.name.removeprefix("/"): target.id for target in targets}
    Path(container.root, "links.json").write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("policy", "exit_code", "stopped", "restarts", "starts"),
    [
        ("no", 1, False, 0, False),
        ("always", 0, False, 0, True),
        ("always", 0, True, 0, True),
        ("unless-stopped", 0, False, 0, True),
        ("unless-stopped", 137, True, 0, False),
        ("on-failure", 0, False, 0, False),
        ("on-failure", 1, False, 0, True),
        ("on-failure", 137, True, 0, True),
        ("on-failure:2", 1, False, 1, True),
        ("on-failure:2", 1, False, 2, False),
    ],
)
def test_restart_policy_decides_at_boot_as_at_the_end_of_a_run(
    machine, policy, exit_code, stopped, restarts, starts
):
    name, _, retries = policy.partition(":")
    rule = {"RestartPolicy": {"Name": name, "MaximumRetryCount": int(retries or 0)}}
    machine.add(
        "a", rule, exit_code=exit_code, has_been_manually_stopped=stopped, restart_count=restarts
    )
    assert bool(machine.boot().started) == starts


def test_what_never_ran_is_not_started_at_boot(machine):
    machine.add("a", ALWAYS, has_been_started_before=False)
    assert machine.boot().started == []


def test_whoever_is_linked_to_or_joined_is_started_first(machine):
    first, second, third = (machine.add(name, ALWAYS) for name in "abc")
    link(first, second, third)
    link(second, third)
    machine.add("B", ALWAYS | {"NetworkMode": f"container:{first.id}"})
    machine.add("A", ALWAYS | {"NetworkMode": f"container:{'f' * 64}"})
    assert machine.boot().started == ["/A", "/c", "/b", "/a", "/B"]


def test_containers_that_need_each_other_are_all_started(machine):
    first, second = (machine.add(name, ALWAYS) for name in "ab")
    link(first, second)
    link(second, first)
    assert machine.boot().started == ["/b", "/a"]


def test_what_ran_when_the_daemon_died_has_failed(machine):
    machine.add("a", {"RestartPolicy": {"Name": "on-failure"}}, running=True)
    assert machine.boot().started == ["/a"]


@pytest.mark.parametrize(
    "facts", [{"running": True}, {"exit_code": 1}, {"has_been_started_before": False}]
)
def test_what_was_to_be_removed_after_its_run_is_removed_at_boot(machine, facts):
    container = machine.add("a", {"AutoRemove": True}, **facts)
    machine.add("b", {}, **facts)
    assert names(machine.boot()) == ["/b"]
    assert not Path(container.root).exists()
    assert not machine.layer(container).parent.exists()


# -- what is loaded ------------------------------------------------------------------------


def _replace_by_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


SPOIL: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "not UTF-8": lambda path: path.write_bytes(b'{"\xff": 1}'),
    "another document": lambda path: path.write_bytes(b"[1]"),
    "unreadable": _replace_by_directory,
}


@pytest.mark.parametrize("how", SPOIL)
@pytest.mark.parametrize("document", ["config.v2.json", "hostconfig.json"])
def test_a_container_that_cannot_be_loaded_is_named_and_kept(machine, caplog, document, how):
    spoiled, other = machine.add("spoiled"), machine.add("other")
    path = Path(spoiled.root, document)
    before = path.read_bytes()
    SPOIL[how](path)
    assert names(machine.boot()) == ["/other"]
    assert f"failed to load container {spoiled.id}" in caplog.text
    assert machine.layer(spoiled).is_dir()
    assert machine.layer(other).is_dir()
    if how != "unreadable":
        path.write_bytes(before)
        assert names(machine.boot()) == ["/other", "/spoiled"]


@pytest.mark.parametrize(
    ("value", "odd"),
    [
        ('"RestartCount":0', '"RestartCount":null'),
        ('"StartedAt":"0001-01-01T00:00:00Z"', '"StartedAt":"0001-01-01T00:00:00"'),
        ('"FinishedAt":"0001-01-01T00:00:00Z"', '"FinishedAt":0'),
        ('"Name":"/odd"', '"Name":["/odd"]'),
        ('"Ports":null', '"Ports":5'),
        ('"SandboxID":""', '"SandboxID":[1]'),
        ('"Networks":null', '"Networks":[]'),
    ],
)
@pytest.mark.parametrize("running", [False, True])
def test_a_container_with_a_value_that_is_none_of_ours_holds_up_no_boot(
    machine, value, odd, running
):
    rule = {"RestartPolicy": {"Name": "on-failure"}}
    container = machine.add("odd", rule, exit_code=1, running=running)
    machine.add("other", ALWAYS)
    path = Path(container.root, "config.v2.json")
    text = path.read_text()
    assert value in text
    path.write_text(text.replace(value, odd))
    assert machine.boot().started == ["/other"]
    assert path.exists()


def test_a_create_that_recorded_nothing_is_removed(machine):
    container = machine.add("begun")
    Path(container.root, "config.v2.json").unlink()
    assert names(machine.boot()) == []
    assert not Path(container.root).exists()
    assert not machine.layer(container).exists()


def test_a_copy_of_a_containers_folder_is_no_container(machine, caplog):
    container = machine.add("a")
    shutil.copytree(container.root, f"{container.root}.bak")
    (found,) = machine.boot().containers
    assert found.root == container.root
    assert f"Container {container.id} is stored at {container.id}.bak" in caplog.text


def test_a_link_to_what_may_be_several_leads_nowhere(machine):
    first, second = machine.add("aa", ALWAYS), machine.add("ab", ALWAYS)
    Path(first.root, "links.json").write_text(json.dumps({"alias": second.id[:2]}))
    daemon = machine.boot()
    assert names(daemon) == ["/aa", "/ab"]
    assert list(daemon.links.linked_children(first)) == []


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"a": 5}'])
def test_a_container_with_links_that_cannot_be_read_comes_back_without_them(machine, caplog, text):
    container = machine.add("a")
    machine.add("b", ALWAYS)
    Path(container.root, "links.json").write_text(text)
    daemon = machine.boot()
    assert names(daemon) == ["/a", "/b"]
    assert daemon.started == ["/b"]
    assert f"load links: container {container.id}" in caplog.text


def test_a_container_without_a_host_config_is_kept_on_the_default_network(machine):
    container = machine.add("half")
    Path(container.root, "hostconfig.json").unlink()
    daemon = machine.boot()
    assert names(daemon) == ["/half"]
    mode = daemon.container_inspect("half")["HostConfig"]["NetworkMode"]
    assert mode == "default"
    assert machine.layer(container).is_dir()


@pytest.mark.parametrize("how_far", [{"running": True}, {}, {"dead": True}])
def test_a_removal_that_was_under_way_leaves_a_dead_container(machine, how_far):
    # as in Docker: whether links were to go as well is not recorded
    container = machine.add("web", removal_in_progress=True, **how_far)
    for _ in range(2):
        daemon = machine.boot()
        assert names(daemon) == ["/web"]
        state = daemon.container_inspect("web")["State"]
        assert (state["Status"], state["Running"], state["Dead"]) == ("dead", False, True)
    daemon.container_remove("web")
    assert not Path(container.root).exists()
    assert not machine.layer(container).exists()


def test_the_layer_of_nobody_is_removed(machine):
    orphan = Path(machine.config.data("overlay", "f" * 64))
    orphan.mkdir(parents=True)
    machine.boot()
    assert not orphan.exists()


@pytest.mark.parametrize(
    ("config", "state", "ending"),
    [
        ({}, {}, Ending(signal.SIGTERM, 10.0)),
        ({"stop_signal": "SIGUSR1", "stop_timeout": 3}, {}, Ending(signal.SIGUSR1, 3.0)),
        ({"stop_timeout": -1}, {}, Ending(signal.SIGTERM, PATIENCE_MAX_S)),
        ({"stop_timeout": 9999}, {}, Ending(signal.SIGTERM, PATIENCE_MAX_S)),
        ({"stop_signal": "SIGNONE"}, {}, Ending(signal.SIGKILL, 0.0)),
        ({"stop_signal": "999"}, {}, Ending(signal.SIGKILL, 0.0)),
        ({}, {"paused": True}, Ending(signal.SIGKILL, 0.0)),
    ],
)
def test_what_outlived_the_daemon_gets_its_signal_and_its_time(
    machine: Machine, config: dict[str, Any], state: dict[str, Any], ending: Ending
) -> None:
    one = machine.add("one", running=True, config=Config(**config), **state)
    machine.runtime = NoRuntime({one.id: None})
    machine.boot()
    assert machine.runtime.endings == {one.id: ending}


def test_the_exit_code_is_its_own_where_it_is_known(machine: Machine) -> None:
    ids = {name: machine.add(name, running=True).id for name in ("one", "two", "gone")}
    machine.runtime = NoRuntime({ids["one"]: 7, ids["two"]: None})
    daemon = machine.boot()
    codes = {name: daemon.containers.get_container(ids[name]).state.exit_code for name in ids}
    assert codes == {"one": 7, "two": KILLED, "gone": GONE}


def test_what_belongs_to_no_container_is_killed_at_once(machine: Machine) -> None:
    machine.runtime = NoRuntime({"f" * 64: 0})
    machine.boot()
    assert machine.runtime.endings == {"f" * 64: Ending(signal.SIGKILL, 0.0)}
