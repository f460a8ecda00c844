"""The images on disk: a death at any moment, damaged files, and what the next boot does then."""

from __future__ import annotations

import contextlib
import io
import logging
from pathlib import Path

import pytest

from refimpl.errors import EngineError, NotFound
from refimpl.kernel.files import LinuxFiles
from tests.unit.refimpl.images_world import NOW, ImageWorld
from tests.unit.refimpl.tar_bytes import archive, configuration, digest, member, saved

LAYER = archive(*(member(f"d/{number}", b"x") for number in range(5)))
OTHER = archive(member("g", b"other"))


class Killed(BaseException):
    """The daemon is dead: nothing that it still tries has an effect."""


class MortalFiles(LinuxFiles):
    """Files of a daemon that dies at its n-th change; the removal it dies in is half done."""

    def __init__(self, lives: int) -> None:
        self.lives = lives

    def _live(self) -> None:
        self.lives -= 1
        if self.lives < 0:
            raise Killed

    def write(self, path: str, content: bytes, *, mode: int = 0o644) -> None:
        self._live()
        super().write(path, content, mode=mode)

    def remove(self, path: str) -> None:
        if self.lives == 0:
            for file in sorted(Path(path).rglob("*"))[::-1][:3]:
                if not file.is_dir():
                    file.unlink()
        self._live()
        super().remove(path)


@pytest.fixture
def world(tmp_path: Path) -> ImageWorld:
    return ImageWorld(tmp_path / "image")


def assert_whole(world: ImageWorld) -> None:
    """Check that each layer is complete and wanted, and that nothing else is left."""
    wanted = {diff_id[7:] for image in world.store for diff_id in image.diff_ids}
    there = {name for name in world.left_in("layers") if not name.endswith(".size")}
    assert there == wanted
    assert world.left_in("tmp") == []
    for image in world.store:
        for path in world.store.layers(image.id):
            if path.endswith(digest(LAYER)[7:]):
                assert len(list(Path(path, "d").iterdir())) == 5


@pytest.mark.parametrize("lives", range(5))
def test_death_in_a_removal_leaves_no_half_layer(lives, tmp_path):
    first = ImageWorld(tmp_path / "image")
    first.imported(LAYER, repo="a")
    dying = ImageWorld(first.root, files=MortalFiles(10**6))
    dying.files.lives = lives  # type: ignore[attr-defined]
    with pytest.raises(Killed):
        dying.removed("a")
    for layer in (first.root / "layers").glob("*/d"):
        assert len(list(layer.iterdir())) == 5
    again = first.restarted()
    assert_whole(again)
    again.imported(LAYER, repo="b")
    assert_whole(again)


@pytest.mark.parametrize("lives", range(6))
def test_death_in_a_load_leaves_no_half_layer(lives, tmp_path):
    first = ImageWorld(tmp_path / "image")
    dying = ImageWorld(first.root, files=MortalFiles(10**6))
    dying.files.lives = lives  # type: ignore[attr-defined]
    data = saved(configuration(LAYER, OTHER), LAYER, OTHER, tags=["t:1"])
    with pytest.raises(Killed):
        dying.loaded(data)
    again = first.restarted()
    assert_whole(again)
    again.loaded(data)
    assert_whole(again)


@pytest.mark.parametrize("lives", range(7))
def test_death_in_a_forced_removal_keeps_the_layers_of_a_container(lives, tmp_path):
    first = ImageWorld(tmp_path / "image")
    image = first.imported(LAYER, repo="a")
    first.container(image)
    dying = ImageWorld(first.root, files=MortalFiles(10**6), containers=first.containers)
    dying.files.lives = lives  # type: ignore[attr-defined]
    with contextlib.suppress(Killed):
        dying.removed("a", force=True)
    again = first.restarted()
    again.service.release_unused()
    (layer,) = again.store.layers(image)
    assert len(list(Path(layer, "d").iterdir())) == 5


def test_an_unpacking_that_fails_leaves_nothing(world):
    with pytest.raises(EngineError):
        world.imported(LAYER[:2000])
    with pytest.raises(EngineError):
        world.loaded(saved(configuration(LAYER), LAYER)[:3000])
    assert world.left_in("tmp") == world.left_in("layers") == world.left_in("images") == []


def test_a_reader_that_leaves_early_leaves_nothing(world):
    data = saved(configuration(LAYER), LAYER, tags=["t:1", "t:2"])
    progress = world.service.image_load(io.BytesIO(data))
    next(progress)
    progress.close()
    assert world.left_in("tmp") == []


@pytest.mark.parametrize(
    "content", [b"", b"{bad", b"[]", b"5", b"\xff", b'{"rootfs": 5}', b"[" * 100_000]
)
def test_damaged_document_is_named_and_left_alone(content, world, caplog):
    world.imported(LAYER, repo="a")
    world.imported(OTHER, repo="b")
    path = next(
        world.root / "images" / name
        for name in world.left_in("images")
        if name.removesuffix(".json") == world.store.get("a").id[7:]
    )
    good = path.read_bytes()
    path.write_bytes(content)
    with caplog.at_level(logging.ERROR):
        again = world.restarted()
    assert str(path) in caplog.text
    assert path.read_bytes() == content
    assert [row["RepoTags"] for row in again.service.image_list(filters={})] == [["b:latest"]]
    with pytest.raises(NotFound):
        again.store.get("a")
    path.write_bytes(good)
    assert_whole(again.restarted())
    assert len(again.restarted().store) == 2


def test_document_that_is_another_images_is_damaged(world, caplog):
    world.imported(LAYER, repo="a")
    (path,) = (world.root / "images").iterdir()
    path.rename(path.with_name(f"{'0' * 64}.json"))
    assert len(world.restarted().store) == 0
    assert "its content is not what its name says" in caplog.text


def test_image_whose_layer_is_gone_is_damaged_and_healed_by_the_next_import(world, caplog):
    image = world.imported(LAYER, repo="a")
    world.files.remove(world.store.layers(image)[0])
    again = world.restarted()
    assert "is missing" in caplog.text
    assert len(again.store) == 0
    assert again.imported(LAYER, repo="a") == image
    assert_whole(again)


@pytest.mark.parametrize("content", [b"", b"{bad", b"[]", b'{"names": {"a:1": 5}, "tagged": {}}'])
def test_damaged_names_are_kept_aside_and_named(content, world, caplog):
    image = world.imported(LAYER, repo="a")
    path = world.root / "repositories.json"
    path.write_bytes(content)
    again = world.restarted()
    assert str(path) in caplog.text
    assert again.store.names(again.store.get(image)) == []
    again.service.image_tag(image, "b", "")
    assert path.with_suffix(".damaged").read_bytes() == content
    assert again.restarted().store.get("b").id == image


@pytest.mark.parametrize("content", [b"", b"x", b"9" * 5000])
def test_damaged_size_is_named_and_the_image_serves(content, world, caplog):
    image = world.imported(LAYER, repo="a")
    (path,) = (world.root / "layers").glob("*.size")
    path.write_bytes(content)
    again = world.restarted()
    assert again.store.layers(image)
    assert content.startswith(b"9") or str(path) in caplog.text


def test_layers_that_nobody_wants_go_at_boot_but_not_where_a_document_is_damaged(world):
    world.imported(LAYER, repo="a")
    stray = world.root / "layers" / ("1" * 64)
    stray.mkdir()
    (document,) = (world.root / "images").iterdir()
    good = document.read_bytes()
    document.write_bytes(b"")
    assert "1" * 64 in world.restarted().left_in("layers")
    document.write_bytes(good)
    assert_whole(world.restarted())


def test_sizes_are_read_and_not_counted_again(world):
    world.imported(LAYER, repo="a")
    (path,) = (world.root / "layers").glob("*.size")
    path.write_bytes(b"777")
    assert world.restarted().service.image_list(filters={})[0]["Size"] == 777


def test_the_time_of_the_last_tag_comes_back(world):
    image = world.imported(LAYER, repo="a")
    store = world.restarted().store
    assert store.tagged_at(store.get(image)) == f"{NOW:%Y-%m-%dT%H:%M:%SZ}"
