"""Engines from images, as far as no engine is needed."""

from pathlib import Path
from typing import Any

import pytest

from conformance.engines.base import EngineUnavailable
from conformance.engines.container import ImageEngine, _entry
from conformance.engines.factory import make_engine, slot_of
from conformance.engines.rights import CAPABILITIES, missing_capabilities, ways_to_be_root
from conformance.engines.settings import SettingsError
from conformance.labels import ENGINE_PREFIX
from conformance.leaks import _is_of


def make(spec: str, tmp_path: Path, **more: Any) -> Any:
    return make_engine(spec, run_id="r", workspace=tmp_path, **more)


@pytest.mark.parametrize(
    "name", ["", " ", "-x", "a b", "a\nb", "../x?y", "a#b", "a%2e", "x" * 300, "<b>", "a;b"]
)
def test_what_is_no_name_of_an_image_is_refused(name, tmp_path):
    with pytest.raises(SettingsError, match=r"is no name of an image; want image:docker:28-dind"):
        make(f"image:{name}", tmp_path)


@pytest.mark.parametrize(
    "name", ["docker:28-dind", "reg.example.org:5000/a/b_c:1", "docker@sha256:0123", "abc123"]
)
def test_every_way_to_name_an_image_is_taken(name, tmp_path):
    engine = make(f"image:{name}", tmp_path)
    assert isinstance(engine, ImageEngine)
    assert engine.origin == slot_of(f"image:{name}")
    assert engine.origin.startswith("image-")


def test_it_cannot_be_kept(tmp_path):
    with pytest.raises(SettingsError, match="--keep is not for images"):
        make("image:docker:28-dind", tmp_path, keep="mine")


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        ("tcp://10.0.0.5:2375", "must be on this machine, not at tcp://10.0.0.5:2375"),
        ("unix:///nowhere/docker.sock", "that is to run it: .*there is no socket at"),
        ("ssh://there", "must be on this machine, not at ssh://there"),
    ],
)
def test_engine_that_could_run_it_is_needed(monkeypatch, tmp_path, address, complaint):
    monkeypatch.setenv("DOCKER_HOST", address)
    engine = make("image:docker:28-dind", tmp_path)
    with pytest.raises(EngineUnavailable, match=f"^image:docker:28-dind: .*{complaint}"):
        engine.start()
    engine.stop()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("entrypoint", "words"),
    [
        ([], ["dockerd"]),
        (["dockerd-entrypoint.sh"], ["dockerd-entrypoint.sh", "dockerd"]),
        (["/usr/bin/dockerd"], ["/usr/bin/dockerd"]),
        (["tini", "--", "dockerd"], ["tini", "--", "dockerd"]),
    ],
)
def test_entrypoint_of_the_image_is_kept(entrypoint, words):
    assert _entry(entrypoint) == words


def status(tmp_path: Path, bounding: int) -> Path:
    path = tmp_path / "status"
    path.write_text(f"Name:\tx\nCapBnd:\t{bounding:016x}\nSeccomp:\t0\n", encoding="utf-8")
    return path


def test_capabilities_that_nobody_here_has_are_left_out_by_name(tmp_path):
    every = (1 << len(CAPABILITIES)) - 1
    assert [way.name for way in ways_to_be_root(status(tmp_path, every))] == ["privileged"]
    fewer = status(tmp_path, every & ~(1 << 24) & ~1)
    assert missing_capabilities(fewer) == ["CHOWN", "SYS_RESOURCE"]
    first, second = ways_to_be_root(fewer)
    assert first.host_config == {"Privileged": True}
    assert second.host_config["CapDrop"] == ["CHOWN", "SYS_RESOURCE"]


def test_rows_on_the_owners_engine_do_not_take_its_container_for_a_leak():
    for run_id in ("", "abc"):
        assert not _is_of(run_id, f"/{ENGINE_PREFIX}abc-image-1", {"netinit.run": "abc"})
        assert _is_of(run_id, "/netinit-abc-1-container", None)


def test_nothing_is_killed_through_a_process_of_somebody_else(monkeypatch, tmp_path):
    """Its first process has ended, and its number is this test's by now."""
    engine = make("image:docker:28-dind", tmp_path)
    monkeypatch.setattr(engine, "_first", 1)
    assert engine._family_of_processes() == set()
    assert engine._pid() == 0
