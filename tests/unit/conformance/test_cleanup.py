"""What is taken away after a run: only what a record of ours names."""

import json
import os
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance.engines import cleanup, managed, processes
from conformance.engines.cleanup import part_beside_others, record_external, sweep
from conformance.engines.external import ExternalEngine
from conformance.engines.factory import make_engine
from conformance.engines.processes import (
    container_cgroups,
    remove_cgroups,
    remove_empty_cgroups,
    start_time,
)
from conformance.runner import (
    SPLIT_ROWS_MIN,
    RunRequest,
    default_workers,
    is_debugging,
    pytest_command,
)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(managed, "WORKSPACE_ROOT", tmp_path)
    monkeypatch.setattr(cleanup, "WORKSPACE_ROOT", tmp_path)
    return tmp_path


def leave(root: Path, name: str = "abc123", **facts: Any) -> Path:
    """Leave a daemon's folder as a run would; its owner is dead unless `facts` say otherwise."""
    folder = root / f"netinit-{name}" / "docker"
    (folder / "data").mkdir(parents=True)
    record = {"netns": "ni-test-none", "pid": 0, "owner": 2**22 + 1, "owner_start": "1", **facts}
    (folder / "engine.json").write_text(json.dumps(record), encoding="utf-8")
    return folder


def me() -> dict[str, Any]:
    return {"owner": os.getpid(), "owner_start": start_time(os.getpid())}


@pytest.fixture
def hasty_worker(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run's folder that another worker takes away each of the first three times it is made."""
    workspace, make = root / "netinit-abc123", os.mkdir
    taken: list[Any] = []

    def make_and_take_away(path: Any, *options: Any) -> None:
        make(path, *options)
        if Path(path) == workspace and len(taken) < 3:
            taken.append(path)
            workspace.rmdir()

    monkeypatch.setattr(os, "mkdir", make_and_take_away)
    return workspace


def test_engine_is_started_although_a_worker_that_ends_takes_the_runs_folder_away(
    hasty_worker, monkeypatch
):
    engine = make_engine("reference", run_id="abc123", workspace=hasty_worker)
    monkeypatch.setattr(engine, "why_unavailable", lambda: "")
    monkeypatch.setattr(engine, "_launch", lambda: None)
    monkeypatch.setattr(managed, "make_machine", lambda *_, **__: None)
    engine.start()
    assert (hasty_worker / "reference" / "engine.json").exists()


def test_external_engine_is_recorded_although_a_worker_takes_the_runs_folder_away(hasty_worker):
    record = record_external(hasty_worker, ExternalEngine("unix:///nowhere"), "abc123")
    assert json.loads(record.read_text())["run_id"] == "abc123"


def test_left_over_of_a_dead_run_is_taken_away(root):
    folder = leave(root)
    assert sweep() == [f"took away {folder} and the namespace ni-test-none"]
    assert list(root.iterdir()) == []
    assert sweep() == []


def test_left_over_whose_owners_number_was_given_to_another_is_taken_away(root):
    folder = leave(root, owner=os.getpid(), owner_start="0")
    sweep()
    assert not folder.exists()


@pytest.mark.parametrize("facts", [me(), {"keep": True}])
def test_running_and_kept_engines_stay_unless_named(root, facts):
    folder = leave(root, **facts)
    assert sweep() == []
    assert sweep("other", is_forced=True) == []
    assert folder.exists()
    assert len(sweep("abc123", is_forced=True)) == 1
    assert list(root.iterdir()) == []


def test_processes_on_the_folders_state_are_ended_and_others_are_not(root):
    folder = leave(root)
    ours = subprocess.Popen(["sleep", "60"], executable="/bin/sleep")
    daemon = subprocess.Popen(["sh", "-c", "read x", f"{folder}/data"], stdin=subprocess.PIPE)
    # it says "x" when it has the file open, or it would find it gone
    read = ["sh", "-c", 'exec 3<"$0" && echo x && read y', str(folder / "engine.json")]
    reader = subprocess.Popen(read, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert reader.stdout is not None
        assert reader.stdout.read(1) == b"x"
        sweep()
        assert daemon.wait(timeout=5) == -9
        assert ours.poll() is reader.poll() is None
    finally:
        for process in (ours, reader, daemon):
            process.kill()
            process.communicate()


@pytest.mark.parametrize("text", [None, "", "[]", "not json"])
def test_folder_without_a_record_of_ours_is_not_touched(root, text):
    folder = root / "netinit-theirs" / "docker"
    folder.mkdir(parents=True)
    if text is not None:
        (folder / "engine.json").write_text(text, encoding="utf-8")
    (root / "netinit-empty").mkdir()
    assert sweep() == []
    assert folder.exists()
    assert (root / "netinit-empty").exists()


def test_control_groups_are_found_in_any_hierarchy(tmp_path, monkeypatch):
    monkeypatch.setattr("conformance.engines.processes.CGROUP_ROOT", tmp_path)
    for place in ("ni-x/a/b", "memory/ni-x/c", "cpu/docker/ni-x", "memory/ni-xy"):
        (tmp_path / place).mkdir(parents=True)
    remove_cgroups(["ni-x"], timeout_s=1)
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))
    assert left == ["cpu", "cpu/docker", "memory", "memory/ni-xy"]


def test_containers_control_groups_are_named_as_their_engine_names_them(tmp_path):
    for place in ("containers/aa", "overlay-containers/bb"):
        (tmp_path / "data" / place).mkdir(parents=True)
    (tmp_path / "data" / "overlay-containers" / "containers.json").touch()
    assert sorted(container_cgroups(tmp_path)) == ["aa", "libpod-bb"]
    assert container_cgroups(tmp_path / "nothing") == []


def test_shared_control_group_goes_only_when_it_is_empty(tmp_path, monkeypatch):
    monkeypatch.setattr("conformance.engines.processes.CGROUP_ROOT", tmp_path)
    for place in ("cpu/libpod_parent/conmon", "memory/libpod_parent/libpod-x"):
        (tmp_path / place).mkdir(parents=True)
    remove_empty_cgroups(cleanup.SHARED_CGROUPS)
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))
    assert left == ["cpu", "memory", "memory/libpod_parent", "memory/libpod_parent/libpod-x"]


def test_busy_control_group_is_waited_for_only_so_long(tmp_path, monkeypatch):
    monkeypatch.setattr("conformance.engines.processes.CGROUP_ROOT", tmp_path)
    (tmp_path / "ni-x").mkdir()
    (tmp_path / "ni-x" / "busy").touch()
    remove_cgroups(["ni-x"], timeout_s=0.1)
    assert (tmp_path / "ni-x").exists()


def test_engines_run_side_by_side_as_far_as_there_are_cores(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    few, many = ["a.b"], ["a.b"] * SPLIT_ROWS_MIN
    assert [default_workers(["a"] * n, few) for n in (1, 2, 5)] == [1, 2, 2]
    assert [default_workers(["a"] * n, many) for n in (1, 2, 5)] == [2, 4, 4]
    assert [default_workers(["unix:///x.sock"], rows) for rows in (few, many)] == [1, 4]
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert default_workers(["unix:///x.sock"], many) == 4


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({}, 32),
        ({"workers": 2}, 16),
        ({"workers": 1}, 1),
        ({"keep": "mine"}, 1),
        ({"rows": ["a.b"]}, 1),
        ({"engines": ["docker", "unix:///x.sock"]}, 32),
    ],
)
def test_many_rows_of_an_engine_are_cut_into_parts(tmp_path, change, parts):
    asked = {"rows": ["a.b"] * SPLIT_ROWS_MIN, "engines": ["docker"], "workers": 4} | change
    assert RunRequest(report=tmp_path, **asked).parts == parts


def test_one_engine_needs_no_workers(tmp_path):
    one = RunRequest(rows=["a.b"], engines=["docker"], report=tmp_path, workers=1)
    two = RunRequest(rows=["a.b"], engines=["docker", "reference"], report=tmp_path, workers=2)
    assert "-n" not in pytest_command(one, "abc")
    command = pytest_command(two, "abc")
    assert command[-4:] == ["-n", "2", "--dist", "loadscope"]
    assert "--engine=reference" in command
    # somebody's own words come last and so win
    assert pytest_command(replace(two, pytest_args=["--tb=long"]), "abc")[-1] == "--tb=long"


def test_debugger_needs_the_terminal():
    assert is_debugging(["-x", "--pdb"])
    assert not is_debugging(["-x"])


def test_runs_on_one_engine_get_parts_of_their_own(root):
    """Each has written its record before it looks at the others'."""

    def begin(name: str, address: str = "unix:///a.sock") -> Path:
        return record_external(root / f"netinit-{name}", ExternalEngine(address), name)

    first, second = begin("aaaaaa"), begin("bbbbbb")
    assert part_beside_others(second) == 0
    assert part_beside_others(first) == 1
    second.unlink()  # a run that is over
    third, elsewhere = begin("cccccc"), begin("dddddd", "unix:///b.sock")
    (root / "netinit-cccccc" / "external-9-1.json").write_text("{", encoding="utf-8")
    assert (part_beside_others(third), part_beside_others(elsewhere)) == (0, 0)


def test_runs_that_begin_at_the_same_moment_get_parts_of_their_own(root):
    begin_now = threading.Barrier(6)

    def part_of(name: str) -> int:
        engine = ExternalEngine("unix:///a.sock")
        begin_now.wait()
        return part_beside_others(record_external(root / f"netinit-{name}", engine, name))

    for attempt in range(20):
        with ThreadPoolExecutor(6) as pool:
            parts = list(pool.map(part_of, [f"run{attempt}-{number}" for number in range(6)]))
        assert len(set(parts)) == 6
        assert max(parts) < 16
        for record in root.glob("*/external-*.json"):
            record.unlink()


def test_only_the_files_of_the_rows_are_collected(tmp_path):
    files = [tmp_path / "test_one.py", tmp_path / "test_two.py"]
    here = RunRequest(
        rows=["a.b"], engines=["docker"], report=tmp_path, behaviours=tmp_path, files=files
    )
    elsewhere = replace(here, places=["popen"])  # the whole folder is copied there
    whole = replace(here, files=())
    paths = [
        [word for word in pytest_command(request, "abc") if word.startswith(f"{tmp_path}")]
        for request in (here, elsewhere, whole)
    ]
    assert paths == [[str(file) for file in files], [str(tmp_path)], [str(tmp_path)]]


def test_what_runs_in_a_control_group_of_ours_is_ended_with_it(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "CGROUP_ROOT", tmp_path)
    child = subprocess.Popen(["sleep", "60"])
    group = tmp_path / "memory" / "ni-abc-image-1" / "container"
    group.mkdir(parents=True)
    (group / "cgroup.procs").write_text(f"{child.pid}\n", encoding="ascii")
    gone: list[str] = []
    monkeypatch.setattr(processes, "remove_cgroups", gone.extend)
    processes.clear_cgroup("ni-abc-image-1")
    assert child.wait(timeout=10) == -signal.SIGKILL
    assert gone == ["ni-abc-image-1"]
