"""`--engine image:NAME`: a dockerd in a container of the user's own engine, and none of it stays.

The user's engine is a Docker 28.5 in its root; the image is made of that root.
"""

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.engines.factory import make_engine
from conformance.engines.managed import ManagedEngine, workspace_of
from conformance.engines.processes import CGROUP_ROOT
from conformance.labels import ENGINE_PREFIX
from conformance.observe.poll import wait_until
from conformance.runner import why_unavailable
from tests.selftest.failing_once import check_second_try

OWNER = "docker-28.5"
WHY_NOT = why_unavailable(OWNER)
pytestmark = [
    pytest.mark.root,
    pytest.mark.engine,
    pytest.mark.timeout(300),
    pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT),
]
# What a dockerd does not need: more than half of the root.
LEFT_OUT = "./proc/* ./sys/* ./usr/share ./var/lib/apt ./var/lib/dpkg ./var/cache ./usr/bin/perl*"
# One row that looks from outside, one of a user's network, one that kills its engine.
ROWS = "init.none.only-loopback init.user.network-by-name crash.daemon.twice".split()


@pytest.fixture(scope="module")
def owner() -> Iterator[ManagedEngine]:
    """The user's own engine, with the image `theirs`."""
    run_id = f"own{secrets.token_hex(2)}"
    engine = make_engine(OWNER, run_id=run_id, workspace=workspace_of(run_id))
    assert isinstance(engine, ManagedEngine)
    assert engine.tree is not None
    engine.start()
    try:
        skipped = [f"--exclude={pattern}" for pattern in LEFT_OUT.split()]
        packed = subprocess.Popen(
            ["tar", "-C", str(engine.tree), *skipped, "-c", "."], stdout=subprocess.PIPE
        )
        with packed:
            assert packed.stdout is not None
            engine.client().api.import_image_from_stream(packed.stdout, repository="theirs")
        yield engine
    finally:
        engine.stop()
        workspace_of(run_id).rmdir()


def start(owner: ManagedEngine, report: Path, *rows: str) -> subprocess.Popen[str]:
    words = ["run", "--engine", "image:theirs", "--report", str(report), *rows]
    return subprocess.Popen(
        [sys.executable, "-m", "conformance", *words],
        env={**os.environ, "DOCKER_HOST": owner.address, "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def left_on(owner: ManagedEngine) -> list[str]:
    api = owner.client().api
    found = [container["Names"][0] for container in api.containers(all=True)]
    found += [volume["Name"] for volume in api.volumes()["Volumes"] or []]
    found += [str(path) for path in CGROUP_ROOT.glob("*/ni-*-image-*")]
    return found + [tag for image in api.images() for tag in image["RepoTags"]]


def marked() -> list[int]:
    """List the processes that are, or were started in, a container of an engine of ours."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and ENGINE_PREFIX.encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def test_rows_pass_in_it_and_the_owner_gets_the_engine_back_clean(owner, tmp_path):
    process = start(owner, tmp_path, *ROWS)
    said = process.communicate(timeout=280)[0]
    assert process.returncode == 0, said
    assert "docker-28.5-image-" in said
    assert f"{len(ROWS)} passed" in said
    assert left_on(owner) == ["theirs:latest"]


def test_second_try_to_come_back_finds_the_containers_running(owner, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", owner.address)
    check_second_try("image:theirs", monkeypatch)
    assert left_on(owner) == ["theirs:latest"]


def test_what_a_killed_run_leaves_goes_with_clean(owner, tmp_path):
    before = set(marked())
    process = start(owner, tmp_path, ROWS[0])
    wait_until(
        "dockerd in the container",
        lambda: len(set(marked()) - before) > 2,
        timeout_s=60,
    )
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    clean: Any = subprocess.run(
        [sys.executable, "-m", "conformance", "clean"], capture_output=True, text=True, check=False
    )
    assert f"removed container /{ENGINE_PREFIX}" in clean.stdout
    wait_until("all its processes to be gone", lambda: not set(marked()) - before, timeout_s=20)
    assert left_on(owner) == ["theirs:latest"]
