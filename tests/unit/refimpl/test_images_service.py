"""The image service: loading and listing; the texts are Docker 20.10.24's."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from refimpl.errors import EngineError, InvalidParameter, NotFound
from tests.unit.refimpl.images_world import ImageWorld
from tests.unit.refimpl.tar_bytes import archive, configuration, digest, member, saved

LAYER = archive(member("f", b"hi"))
OTHER = archive(member("g", b"other"))


@pytest.fixture
def world(tmp_path: Path) -> ImageWorld:
    return ImageWorld(tmp_path / "image")


def refusal(world: ImageWorld, data: bytes) -> str:
    with pytest.raises(EngineError) as refused:
        world.loaded(data)
    assert world.left_in("tmp") == []
    return str(refused.value)


# ------------------------------------------------------------------- configurations, decoded once

CONFIGURATIONS: dict[str, tuple[dict[str, Any], str]] = {
    "created yesterday": (
        {"created": "yesterday"},
        r'parsing time "\"yesterday\"" as "\"2006-01-02T15:04:05Z07:00\"": cannot parse '
        r'"yesterday\"" as "2006"',
    ),
    "created without zone": (
        {"created": "2020-01-01T00:00:00"},
        r'parsing time "\"2020-01-01T00:00:00\"" as "\"2006-01-02T15:04:05Z07:00\"": cannot parse '
        r'"\"" as "Z07:00"',
    ),
    "created in the year 10000": (
        {"created": "10000-01-01T00:00:00Z"},
        r'parsing time "\"10000-01-01T00:00:00Z\"" as "\"2006-01-02T15:04:05Z07:00\"": cannot '
        r'parse "0-01-01T00:00:00Z\"" as "-"',
    ),
    "created 5": (
        {"created": 5},
        r'parsing time "5" as "\"2006-01-02T15:04:05Z07:00\"": cannot parse "5" as "\""',
    ),
    "labels 5": (
        {"config": {"Labels": 5}},
        "json: cannot unmarshal number into Go struct field Config.config.Labels of type "
        "map[string]string",
    ),
    "label 1": (
        {"config": {"Labels": {"a": 1}}},
        "json: cannot unmarshal number into Go struct field Config.config.Labels of type string",
    ),
    "labels in capitals": (
        {"CONFIG": {"LABELS": 5}},
        "json: cannot unmarshal number into Go struct field Config.config.Labels of type "
        "map[string]string",
    ),
    "config 5": (
        {"config": 5},
        "json: cannot unmarshal number into Go struct field Image.config of type container.Config",
    ),
    "environment": (
        {"config": {"Env": {}}},
        "json: cannot unmarshal object into Go struct field Config.config.Env of type []string",
    ),
    "container_config 5": (
        {"container_config": 5},
        "json: cannot unmarshal number into Go struct field Image.container_config of type "
        "container.Config",
    ),
    "stop timeout": (
        {"config": {"StopTimeout": 10**30}},
        f"json: cannot unmarshal number {10**30} into Go struct field Config.config.StopTimeout of "
        "type int",
    ),
    "comment 5": (
        {"comment": 5},
        "json: cannot unmarshal number into Go struct field Image.comment of type string",
    ),
    "history 5": (
        {"history": 5},
        "json: cannot unmarshal number into Go struct field Image.history of type []image.History",
    ),
    "history [5]": (
        {"history": [5]},
        "json: cannot unmarshal number into Go struct field Image.history of type image.History",
    ),
    "step's command": (
        {"history": [{"created_by": 5}]},
        "json: cannot unmarshal number into Go struct field History.history.created_by of type "
        "string",
    ),
    "os windows": ({"os": "windows"}, "cannot load windows image on linux"),
    "no rootfs": ({"rootfs": None}, "invalid image JSON, no RootFS key"),
    "rootfs 5": (
        {"rootfs": 5},
        "json: cannot unmarshal number into Go struct field Image.rootfs of type image.RootFS",
    ),
    "diff ids 5": (
        {"rootfs": {"type": "layers", "diff_ids": 5}},
        "json: cannot unmarshal number into Go struct field RootFS.rootfs.diff_ids of type "
        "[]layer.DiffID",
    ),
    "diff id 5": (
        {"rootfs": {"type": "layers", "diff_ids": [5]}},
        "json: cannot unmarshal number into Go struct field RootFS.rootfs.diff_ids of type "
        "layer.DiffID",
    ),
    "diff id that is a path": (
        {"rootfs": {"type": "layers", "diff_ids": ["sha256:../../x"]}},
        f'invalid diffID for layer 0: expected "sha256:../../x", got "{digest(LAYER)}"',
    ),
    "no diff ids": (
        {"rootfs": {}},
        "invalid manifest, layers length mismatch: expected 1, got 0",
    ),
    "too many layers": (
        {"rootfs": {"type": "layers", "diff_ids": [digest(LAYER)] * 126}},
        "max depth exceeded",
    ),
}


@pytest.mark.parametrize(("fields", "text"), CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_malformed_configuration_is_refused_at_load(fields, text, world):
    assert refusal(world, saved(configuration(LAYER, **fields), LAYER)) == text
    assert world.left_in("layers") == []
    assert list(world.store) == []


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{bad",
        b"5",
        b"[]",
        b"{} x",
        b'{"a": NaN, "rootfs": {}}',
        "{}".encode("utf-16"),
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
        b'{"a": ' + b"[" * 500_000,
        json.dumps({"comment": "x" * (1 << 20)}).encode(),
        json.dumps({"a": [[]] * 50_000, "rootfs": {}}).encode(),
    ],
    ids=range(12),
)
def test_what_is_no_configuration_is_refused_at_load(raw, world):
    refusal(world, saved(raw, LAYER))


GOOD: dict[str, dict[str, Any]] = {
    "no creation": {"created": None},
    "year 1": {"created": "0001-01-01T00:00:00Z"},
    "nanoseconds": {"created": "2020-01-01T00:00:00.123456789+02:00"},
    "a stop signal that nobody knows": {"config": {"StopSignal": "FOO"}},
    "a command in one string": {"config": {"Cmd": "a b"}},
    "null in history": {"history": [None]},
    "ports": {"config": {"ExposedPorts": {"foo": {}}}},
    "half a character": {"comment": "\ud800", "config": {"Labels": {"a": "\udfff"}}},
    "unknown field": {"a": [[[{}]]]},
}


@pytest.mark.parametrize("fields", GOOD.values(), ids=GOOD)
def test_odd_configuration_is_loaded_and_shown(fields, world):
    world.loaded(saved(configuration(LAYER, **fields), LAYER, tags=["t:1"]))
    for shown in (
        world.service.image_list(filters={}),
        world.service.image_inspect("t:1"),
        world.service.image_history("t:1"),
    ):
        json.dumps(shown, ensure_ascii=False).encode()
    again = world.restarted()
    assert again.service.image_inspect("t:1") == world.service.image_inspect("t:1")


def test_number_of_values_is_bounded(world):
    raw = json.dumps(configuration(LAYER, a=[[]] * 50_000)).encode()
    assert refusal(world, saved(raw, LAYER)) == "invalid image JSON: more than 25000 values"


def test_a_number_that_is_none_is_no_json(world):
    raw = json.dumps(configuration(LAYER, a=float("nan"))).encode()
    assert refusal(world, saved(raw, LAYER)) == "invalid image JSON: invalid value NaN"


def test_configuration_beyond_the_bound_is_refused_at_import(world):
    changes = [f"ENV A{number}={'x' * 60_000}" for number in range(20)]
    with pytest.raises(EngineError, match="more than 524288 bytes"):
        world.imported(LAYER, changes=changes)
    assert world.left_in("tmp") == world.left_in("layers") == []


# --------------------------------------------------------------------------------------- loading


@pytest.mark.parametrize("data", [b"garbage" * 100_000, LAYER + b"x" * 10**6])
def test_refused_archive_is_read_to_its_end(data, world):
    stream = io.BytesIO(data)
    with pytest.raises(EngineError):
        list(world.service.image_load(stream))
    assert stream.read() == b""


MANIFESTS: dict[str, tuple[Any, str]] = {
    "5": (5, "json: cannot unmarshal number into Go value of type []tarexport.manifestItem"),
    "{}": ({}, "json: cannot unmarshal object into Go value of type []tarexport.manifestItem"),
    "[5]": ([5], "json: cannot unmarshal number into Go value of type tarexport.manifestItem"),
    "tags 5": (
        [{"RepoTags": 5}],
        "json: cannot unmarshal number into Go struct field manifestItem.RepoTags of type []string",
    ),
    "config 5": (
        [{"Config": 5}],
        "json: cannot unmarshal number into Go struct field manifestItem.Config of type string",
    ),
    "no config": ([{}], "open : no such file or directory"),
    "config that is not there": (
        [{"Config": "nope", "Layers": []}],
        "open nope: no such file or directory",
    ),
    "config outside": (
        [{"Config": "../../../etc/hostname", "Layers": []}],
        "open ../../../etc/hostname: no such file or directory",
    ),
    "layer that is not there": (
        [{"Config": "c.json", "Layers": ["nope"]}],
        "open nope: no such file or directory",
    ),
    "two layers for one": (
        [{"Config": "c.json", "Layers": ["0/layer.tar"] * 2}],
        "invalid manifest, layers length mismatch: expected 2, got 1",
    ),
    "tag in capitals": (
        [{"Config": "c.json", "RepoTags": ["FOO"], "Layers": ["0/layer.tar"]}],
        "invalid reference format: repository name must be lowercase",
    ),
    "name without tag": (
        [{"Config": "c.json", "RepoTags": ["foo"], "Layers": ["0/layer.tar"]}],
        'invalid tag "foo"',
    ),
}


@pytest.mark.parametrize(("manifest", "text"), MANIFESTS.values(), ids=MANIFESTS)
def test_malformed_manifest_is_refused(manifest, text, world):
    data = saved(configuration(LAYER), LAYER, manifest=manifest)
    assert refusal(world, data) == text


def test_empty_manifest_is_no_image(world):
    assert world.loaded(saved(configuration(LAYER), LAYER, manifest=[])) == ""


def test_manifest_that_is_no_file_is_refused(world):
    for kind in (tarfile.SYMTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE):
        data = archive(member("manifest.json", type=kind, linkname="manifest.json"))
        assert refusal(world, data) == "open manifest.json: no such file or directory"


def test_layer_that_is_a_link_to_another_is_loaded(world):
    item = {"Config": "c.json", "RepoTags": ["t:1"], "Layers": ["a/layer.tar"]}
    data = archive(
        member("c.json", json.dumps(configuration(LAYER)).encode()),
        member("b/layer.tar", LAYER),
        member("a/layer.tar", type=tarfile.SYMTYPE, linkname="../b/layer.tar"),
        member("manifest.json", json.dumps([item]).encode()),
    )
    assert world.loaded(data) == "Loaded image: t:1\n"


def test_layer_that_is_here_is_not_read_again(world):
    world.loaded(saved(configuration(LAYER), LAYER))
    config = configuration(LAYER, comment="other")
    assert "Loaded image" in world.loaded(saved(config, b"garbage"))


def test_failed_load_leaves_neither_image_nor_layer(world):
    config = configuration(LAYER, OTHER)
    assert "invalid diffID for layer 1" in refusal(world, saved(config, LAYER, LAYER))
    assert world.left_in("layers") == []
    assert refusal(world, saved(config, LAYER, b"garbage" * 100))
    assert world.left_in("layers") == []


def test_failure_of_the_second_image_keeps_the_first(world):
    items = [
        {"Config": "c.json", "RepoTags": ["t:1"], "Layers": ["0/layer.tar"]},
        {"Config": "nope", "Layers": []},
    ]
    refusal(world, saved(configuration(LAYER), LAYER, manifest=items))
    assert world.store.get("t:1").diff_ids == (digest(LAYER),)


def test_load_that_takes_a_name_away_says_so(world):
    world.loaded(saved(configuration(LAYER), LAYER, tags=["t:1"]))
    first = world.store.get("t:1").id
    told = world.loaded(saved(configuration(OTHER), OTHER, tags=["t:1"]))
    assert told == (
        f"The image t:1 already exists, renaming the old one with ID {first} to empty string\n"
        "Loaded image: t:1\n"
    )


def test_layer_that_an_image_has_twice_is_mounted_once(world):
    config = configuration(LAYER, OTHER, LAYER)
    world.loaded(saved(config, LAYER, OTHER, LAYER, tags=["t:1"]))
    paths = world.store.layers(world.store.get("t:1").id)
    assert [Path(path).name for path in paths] == [digest(one)[7:] for one in (LAYER, OTHER)]


def test_events_tell_of_import_load_tag_and_removal(world):
    world.imported(LAYER, repo="a", changes=["LABEL k=v"])
    world.loaded(saved(configuration(OTHER), OTHER, tags=["t:1"]))
    world.removed("a")
    assert [action for action, _, _ in world.events] == [
        *("tag", "import", "tag", "load", "untag", "delete")
    ]
    assert world.events[0][2] == {"k": "v", "name": "a:latest"}


def test_name_that_looks_like_an_id_is_refused(world):
    with pytest.raises(InvalidParameter, match="cannot specify 64-byte hexadecimal strings"):
        world.imported(LAYER, repo="a" * 64)
    with pytest.raises(NotFound) as refused:
        world.store.get("a" * 64)
    assert str(refused.value) == f"No such image: sha256:{'a' * 64}"


# --------------------------------------------------------------------------------------- listing


def test_list_is_newest_first_with_sizes_and_filters(world):
    world.loaded(saved(configuration(LAYER, created="2020-01-01T00:00:00Z"), LAYER, tags=["o:1"]))
    labelled = configuration(LAYER, OTHER, config={"Labels": {"k": "v"}})
    world.loaded(saved({**labelled, "created": "2021-01-01T00:00:00Z"}, LAYER, OTHER, tags=["n:1"]))

    def listed(**filters: list[str]) -> list[tuple[str, int]]:
        rows = world.service.image_list(filters=filters)
        return [(row["RepoTags"][0], row["Size"]) for row in rows]

    new, old = ("n:1", 7), ("o:1", 2)
    assert listed() == [new, old]
    assert listed(label=["k=v"]) == [new]
    assert listed(before=["n:1"]) == [old]
    assert listed(since=["o:1"]) == [new]
    assert listed(reference=["o"]) == [old]
    assert listed(dangling=["true"]) == []
    assert listed(dangling=["false"]) == [new, old]
    with pytest.raises(InvalidParameter) as refused:
        listed(dangling=["x"])
    assert str(refused.value) == "Invalid filter 'dangling=[x]'"
