"""What the fuzzer has found, each as the shots that showed it, on the reference alone."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.fuzz.archives import image_archive, images, layers
from tests.fuzz.field import Field, open_field
from tests.fuzz.shots import Shot
from tests.fuzz.strategies import create, post

pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it starts a daemon"),
    pytest.mark.timeout(120),
]
IMPORT = "/v1.41/images/create?fromSrc=-&repo=fuzzed&tag=latest"
LOAD = "/v1.41/images/load?quiet=0"
IMAGES = Shot("GET", "/v1.41/images/json?all=1")

FOUND = {
    "expect: 100-continue at load": [Shot("POST", LOAD, images()["good"], framing="expect")],
    "load of an archive that breaks off": [
        Shot("POST", LOAD, images()["good"], framing="length too long"),
    ],
    "member //etc/x": [Shot("POST", IMPORT, layers()["member //etc/x"])],
    "member .wh..": [Shot("POST", IMPORT, layers()["member .wh.."])],
    "mtime that is no number": [Shot("POST", IMPORT, layers()["mtime NaN"])],
    "name with a NUL": [Shot("POST", IMPORT, layers()["path with a NUL"])],
    "VOLUME of objects": [
        Shot("POST", IMPORT + "&changes=VOLUME%20%5B%7B%7D%5D", layers()["good"])
    ],
    "image whose volumes are a list": [
        Shot("POST", LOAD, image_archive({"os": "linux", "config": {"Volumes": []}})),
        IMAGES,
    ],
    "image whose labels are a number": [
        Shot("POST", LOAD, image_archive({"os": "linux", "config": {"Labels": 5}})),
        IMAGES,
    ],
    "events that nobody reads, asked for with a long body": [
        Shot("GET", "/events", b"x" * 900_000),
    ],
    "attach to a created container, then hang up": [
        create("otter", OpenStdin=True),
        *[post("/v1.41/containers/otter/attach?stream=1&stdin=1", ending="hang up")] * 10,
    ],
    "attach for the logs alone": [
        *[post("/v1.41/containers/mole/attach?logs=1&stdout=1", ending="type")] * 5,
    ],
    "an evil pattern": [
        Shot("GET", "/networks?filters=%7B%22id%22%3A%5B%22(%5B0-9a-f%5D%2B)%2Bz%22%5D%7D"),
    ],
    "resize to 70000": [post("/v1.41/containers/mole/resize?h=70000&w=70000")],
}


@pytest.fixture(scope="module")
def field() -> Iterator[Field]:
    with open_field("f", collects=False) as field:
        yield field


@pytest.mark.parametrize("name", FOUND)
def test_what_was_found_once_stays_mended(field, name):
    field.begin()
    try:
        for shot in FOUND[name]:
            field.shoot(shot)
    finally:
        field.end()
