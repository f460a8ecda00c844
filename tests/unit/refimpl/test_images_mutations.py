"""Whatever bytes come as an archive: an answer for the client, and nothing left behind."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from refimpl.errors import EngineError
from tests.unit.refimpl.images_world import ImageWorld
from tests.unit.refimpl.tar_bytes import (
    END,
    archive,
    binary,
    configuration,
    header,
    member,
    padded,
    pax,
    pax_raw,
    saved,
)

LAYER = archive(
    member("d", type=tarfile.DIRTYPE, mode=0o755),
    member("d/f", b"content"),
    member("n" * 120, b"long"),
    member("s", type=tarfile.SYMTYPE, linkname="d"),
    member("h", type=tarfile.LNKTYPE, linkname="d/f"),
)
SAVED = saved(
    configuration(LAYER, config={"Env": ["A=b"], "Labels": {"k": "v"}}, history=[{"comment": "c"}]),
    LAYER,
    tags=["t:1"],
)
PACKS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
}
ARCHIVES = {"layer": LAYER, "saved": SAVED}

texts = st.sampled_from(
    [
        b"",
        b"/",
        b"//",
        b".",
        b"..",
        b"../x",
        b"a/../../x",
        b"s/x",
        b".wh.",
        b".wh..wh..x",
        b"\xff",
    ]
) | st.binary(max_size=30).map(lambda text: text.replace(b"\0", b"/"))
fields = st.sampled_from([-1, -(2**62), 2**31, 2**32 - 1, 2**40, 2**62]).map(
    lambda number: binary(number, 12)
)
headers = st.builds(
    header,
    texts,
    kind=st.sampled_from([b"0", b"1", b"2", b"3", b"5", b"6", b"7", b"x", b"g", b"L", b"S", b"\0"]),
    size=st.integers(0, 2000) | fields,
    mtime=fields,
    link=texts,
    magic=st.sampled_from([b"ustar\x0000", b"ustar  \0", b""]),
)
extensions = st.dictionaries(
    st.sampled_from([b"path", b"linkpath", b"size", b"uid", b"gid", b"mtime", b"GNU.sparse.map"]),
    texts | st.integers(-(2**70), 2**70).map(lambda number: b"%d" % number),
    max_size=3,
).map(pax) | st.binary(max_size=40).map(pax_raw)
built = st.lists(headers | extensions | st.binary(max_size=600).map(padded), max_size=6).map(
    lambda parts: b"".join(parts) + END
)


@st.composite
def flipped(draw: st.DrawFn) -> bytes:
    """A good archive with some bytes changed, and perhaps cut off."""
    data = bytearray(draw(st.sampled_from(sorted(ARCHIVES.values()))))
    # most bytes of an archive are padding: half of the changes go into headers and documents
    told = [at for at, byte in enumerate(data) if byte]
    places = st.integers(0, len(data) - 1) | st.sampled_from(told)
    for at, byte in draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=5)):
        data[at] = byte
    return bytes(data[: draw(st.just(len(data)) | st.integers(0, len(data)))])


@st.composite
def compressed(draw: st.DrawFn) -> bytes:
    """An archive that is compressed, and then perhaps damaged."""
    data = bytearray(PACKS[draw(st.sampled_from(sorted(PACKS)))](draw(flipped())))
    for at, byte in draw(
        st.lists(st.tuples(st.integers(0, len(data) - 1), st.integers(0, 255)), max_size=2)
    ):
        data[at] = byte
    return bytes(data[: draw(st.just(len(data)) | st.integers(0, len(data)))])


def lay_siege(data: bytes) -> None:
    """Give the bytes to load and to import; only an answer may come out, and nothing may stay."""
    with tempfile.TemporaryDirectory() as directory:
        world = ImageWorld(Path(directory, "image"))
        for give in (world.loaded, world.imported):
            with contextlib.suppress(EngineError):
                give(data)
            assert world.left_in("tmp") == []
        wanted = {diff_id[7:] for image in world.store for diff_id in image.diff_ids}
        assert {name.removesuffix(".size") for name in world.left_in("layers")} == wanted
        # what was taken can be shown, and the next boot takes it too
        world.service.image_list(filters={})
        assert len(world.restarted().store) == len(world.store)
        assert list(Path(directory).iterdir()) == [world.root]


@settings(max_examples=200, deadline=None)
@given(st.one_of(flipped(), compressed(), built))
@example(SAVED)
@example(LAYER)
def test_no_archive_breaks_load_or_import(data: bytes) -> None:
    lay_siege(data)


@settings(max_examples=50, deadline=None)
@given(built)
def test_no_layer_in_an_image_breaks_load(layer: bytes) -> None:
    lay_siege(saved(configuration(layer), layer, tags=["t:1"]))
