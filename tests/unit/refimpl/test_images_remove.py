"""Removing and pruning images, case by case as Docker 20.10.24 answered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from refimpl.errors import Conflict, EngineError, NotFound
from tests.unit.refimpl.images_world import ImageWorld
from tests.unit.refimpl.tar_bytes import archive, digest, member

LAYER = archive(member("f", b"hi"))
OTHER = archive(member("g", b"other"))


@pytest.fixture
def world(tmp_path: Path) -> ImageWorld:
    return ImageWorld(tmp_path / "image")


# -------------------------------------------------------------------------------------- removing


def deleted(world: ImageWorld, image_id: str, *layers: bytes) -> list[dict[str, str]]:
    return [{"Deleted": image_id}, *({"Deleted": digest(layer)} for layer in layers)]


def test_removal_names_the_layers_that_went(world):
    image = world.imported(LAYER, repo="a")
    assert world.removed("a") == [{"Untagged": "a:latest"}, *deleted(world, image, LAYER)]
    assert world.left_in("layers") == world.left_in("images") == world.left_in("tmp") == []


def test_layer_of_another_image_stays(world):
    image = world.imported(LAYER, repo="a", message="1")
    other = world.imported(LAYER, repo="b", message="2")
    assert world.removed("a") == [{"Untagged": "a:latest"}, *deleted(world, image)]
    assert world.removed(other[7:]) == [{"Untagged": "b:latest"}, *deleted(world, other, LAYER)]


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize("force", [True, False])
def test_one_of_two_names_goes_whoever_uses_the_image(force, running, world):
    image = world.imported(LAYER, repo="a")
    world.service.image_tag("a", "b", "")
    world.container(image, running=running)
    assert world.removed("a", force=force) == [{"Untagged": "a:latest"}]
    assert world.store.names(world.store.get(image)) == ["b:latest"]


@pytest.mark.parametrize("running", [True, False])
def test_last_name_of_a_used_image_is_kept(running, world):
    image = world.imported(LAYER, repo="a")
    container = world.container(image, running=running)
    with pytest.raises(Conflict) as refused:
        world.removed("a")
    assert str(refused.value) == (
        'conflict: unable to remove repository reference "a" (must force) - container '
        f"{container[:12]} is using its referenced image {image[7:19]}"
    )
    assert world.store.names(world.store.get(image)) == ["a:latest"]


def test_forced_removal_by_name_takes_only_the_name_of_what_runs(world):
    image = world.imported(LAYER, repo="a")
    world.container(image, running=True)
    assert world.removed("a", force=True) == [{"Untagged": "a:latest"}]
    assert world.store.names(world.store.get(image)) == []


@pytest.mark.parametrize("force", [True, False])
def test_image_of_what_runs_is_not_removed_by_id(force, world):
    image = world.imported(LAYER, repo="a")
    container = world.container(image, running=True)
    with pytest.raises(Conflict) as refused:
        world.removed(image[7:], force=force)
    assert str(refused.value) == (
        f"conflict: unable to delete {image[7:19]} (cannot be forced) - image is being used by "
        f"running container {container[:12]}"
    )


def test_removal_by_id_must_be_forced_where_it_takes_several_names(world):
    image = world.imported(LAYER, repo="a")
    world.service.image_tag("a", "b", "")
    with pytest.raises(Conflict) as refused:
        world.removed(image[7:])
    assert str(refused.value) == (
        f"conflict: unable to delete {image[7:19]} (must be forced) - image is referenced in "
        "multiple repositories"
    )
    names = [{"Untagged": "a:latest"}, {"Untagged": "b:latest"}]
    assert world.removed(image[7:], force=True) == [*names, *deleted(world, image, LAYER)]


def test_removal_by_id_must_be_forced_where_a_stopped_container_uses_it(world):
    image = world.imported(LAYER, repo="a")
    container = world.container(image)
    with pytest.raises(Conflict) as refused:
        world.removed(image[7:])
    assert str(refused.value) == (
        f"conflict: unable to delete {image[7:19]} (must be forced) - image is being used by "
        f"stopped container {container[:12]}"
    )


@pytest.mark.parametrize("by", ["name", "id"])
def test_stopped_container_keeps_its_layers_when_the_image_is_forced_away(by, world):
    image = world.imported(LAYER, repo="a")
    world.container(image)
    gone = world.removed("a" if by == "name" else image[7:], force=True)
    assert gone == [{"Untagged": "a:latest"}, *deleted(world, image)]
    assert world.service.image_list(filters={}) == []
    with pytest.raises(NotFound):
        world.store.get(image)

    (layer,) = world.store.layers(image)
    assert Path(layer, "f").read_bytes() == b"hi"
    again = world.restarted()
    again.service.release_unused()
    assert again.store.layers(image) == (layer,)
    assert Path(layer, "f").exists()

    again.containers.clear()
    again.service.release_unused()
    assert again.left_in("layers") == again.left_in("removed") == []
    with pytest.raises(NotFound):
        again.store.layers(image)


def test_image_that_comes_back_is_the_containers_again(world):
    image = world.imported(LAYER, repo="a")
    world.container(image)
    world.removed("a", force=True)
    assert world.imported(LAYER, repo="b") == image
    assert world.left_in("removed") == []
    assert world.removed("b", force=True) == [{"Untagged": "b:latest"}, *deleted(world, image)]


def test_image_that_a_container_is_being_made_of_keeps_its_layers(world):
    image = world.imported(LAYER, repo="a")
    with world.store.using("a") as used:
        assert used.id == image
        world.removed("a")
        world.service.release_unused()
        assert Path(*world.store.layers(image), "f").exists()
    world.service.release_unused()
    assert world.left_in("layers") == []


# --------------------------------------------------------------------------------------- pruning


def test_prune_takes_what_has_no_name_and_tells_the_bytes(world):
    world.imported(LAYER, repo="a")
    nameless = world.imported(OTHER)
    world.events.clear()
    assert world.service.images_prune({}) == {
        "ImagesDeleted": deleted(world, nameless, OTHER),
        "SpaceReclaimed": len(b"other"),
    }
    assert [action for action, _, _ in world.events] == ["delete", "prune"]
    assert world.events[-1][1:] == ("", {"reclaimed": "5"})
    assert world.service.images_prune({}) == {"ImagesDeleted": None, "SpaceReclaimed": 0}


def test_prune_of_all_leaves_what_a_container_uses(world):
    used = world.imported(LAYER, repo="a")
    world.container(used)
    gone = world.imported(OTHER, repo="b")
    assert world.service.images_prune({"dangling": ["false"]}) == {
        "ImagesDeleted": [{"Untagged": "b:latest"}, *deleted(world, gone, OTHER)],
        "SpaceReclaimed": 5,
    }
    assert [image.id for image in world.store] == [used]


def test_prune_counts_a_layer_once_and_not_one_that_stays(world):
    world.imported(LAYER, repo="a", message="1")
    world.imported(LAYER, message="2")
    world.imported(OTHER, message="3")
    world.imported(OTHER, message="4")
    assert world.service.images_prune({})["SpaceReclaimed"] == len(b"other")


@pytest.mark.parametrize(
    ("filters", "goes"),
    [
        ({"until": ["1h"]}, False),
        ({"until": ["2026-11-27T13:00:00Z"]}, True),
        ({"label": ["k"]}, True),
        ({"label": ["k=w"]}, False),
        ({"label!": ["k"]}, False),
        ({"dangling": ["true"]}, True),
        ({"dangling": []}, True),
    ],
)
def test_prune_takes_what_the_filters_let_it(filters, goes, world):
    world.imported(LAYER, changes=["LABEL k=v"])
    world.service.images_prune(filters)
    assert len(world.store) == (0 if goes else 1)


@pytest.mark.parametrize(
    ("filters", "status", "text"),
    [
        ({"foo": ["x"]}, 400, "Invalid filter 'foo'"),
        ({"dangling": ["x"]}, 400, "Invalid filter 'dangling=[x]'"),
        ({"until": ["zz"]}, 500, 'failed to parse value as time or duration: "zz"'),
        ({"until": ["1h", "2h"]}, 500, "more than one until filter specified"),
    ],
)
def test_malformed_filter_of_a_prune_is_refused(filters, status, text, world):
    with pytest.raises(EngineError) as refused:
        world.service.images_prune(filters)
    assert (refused.value.status, str(refused.value)) == (status, text)


def test_one_prune_at_a_time(world):
    world.imported(LAYER)
    answers = []

    def prune_again(*_: object) -> list[Any]:
        with pytest.raises(Conflict, match="a prune operation is already running") as refused:
            world.service.images_prune({})
        answers.append(refused)
        return []

    world.service._remover._containers_of = prune_again
    world.service.images_prune({})
    assert answers
