"""Images and the containers that stand on them, through the docker CLI."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.image import build_archive
from tests.kernel.docker_cli import Docker, installed_clis, reference

pytestmark = [pytest.mark.root, pytest.mark.slow]


@pytest.fixture
def docker(tmp_path: Path) -> Iterator[Docker]:
    with reference(tmp_path) as host:
        yield Docker(installed_clis()[0], host)


def layers(folder: Path) -> list[str]:
    found = (folder / "data/image/layers").iterdir()
    return sorted(path.name for path in found if not path.suffix)


def test_container_starts_after_its_image_was_forced_away(docker, tmp_path):
    docker("import", "-", "forced:1", stdin=build_archive())
    docker("create", "--name", "kept", "--network", "none", "forced:1", "echo", "here")
    assert docker.run("rmi", "forced:1").status != 0
    docker("rmi", "-f", "forced:1")
    assert docker("images", "-q") == ""
    assert docker("start", "-a", "kept") == "here"
    assert len(layers(tmp_path)) == 1
    docker("rm", "kept")
    assert layers(tmp_path) == []


def test_image_prune_tells_what_it_freed(docker, tmp_path):
    docker("import", "-", stdin=build_archive())
    told = docker("image", "prune", "-f")
    assert "deleted: sha256:" in told
    assert "Total reclaimed space: 0B" not in told
    assert "Total reclaimed space: 0B" in docker("image", "prune", "-f")
    assert layers(tmp_path) == []
