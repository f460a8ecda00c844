"""Goal: a bind mount is taken and refused as Docker 20.10.24 does it, and never more than asked.

The texts and statuses were read off a real 20.10.24.
"""

from __future__ import annotations

import pytest

from refimpl.errors import EngineError, InvalidParameter, NotServed
from refimpl.model.binds import Bind, parse_binds

ROOT = "/var/lib/netinit"


def parse(*texts: str, tmpfs: tuple[str, ...] = ()) -> tuple[Bind, ...]:
    return parse_binds(texts, tmpfs=tmpfs, daemon_root=ROOT)


@pytest.mark.parametrize(
    ("text", "source", "destination", "is_read_only", "propagation"),
    [
        ("/a:/b", "/a", "/b", False, "rprivate"),
        ("/a:/b:", "/a", "/b", False, "rprivate"),
        ("/a:/b:ro", "/a", "/b", True, "rprivate"),
        ("/a:/b:ro,z", "/a", "/b", True, "rprivate"),
        ("/a:/b:Z,ro,rshared", "/a", "/b", True, "rshared"),
        ("/a:/b:consistent,cached,slave", "/a", "/b", False, "slave"),
        ("//a/../c//:/b//d/", "/c", "/b/d", False, "rprivate"),
        ("/a:/b\\d", "/a", "/b\\d", False, "rprivate"),
        ("/:/b", "/", "/b", False, "rslave"),
        ("/var/lib:/b", "/var/lib", "/b", False, "rslave"),
        (f"{ROOT}2/x:/b", f"{ROOT}2/x", "/b", False, "rslave"),
        ("/:/b:rshared", "/", "/b", False, "rshared"),
    ],
)
def test_bind_is_read(text, source, destination, is_read_only, propagation):
    (bind,) = parse(text)
    assert (bind.source, bind.destination) == (source, destination)
    assert (bind.read_only, bind.shown_propagation) == (is_read_only, propagation)
    assert bind.mode == ":".join(text.split(":")[2:])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", ""),
        (":/b", ""),
        ("/a:", ""),
        ("::", ""),
        ("/a:ro", ""),
        ("/a:rw,z", ""),
        ("/a:/b:/c:/d", ""),
        ("/a::", 'invalid mount config for type "bind": field Target must not be empty'),
        ("a::ro", 'invalid mount config for type "volume": field Target must not be empty'),
        (
            "/a:/..",
            'invalid mount config for type "bind": invalid specification: destination can\'t be '
            "'/'",
        ),
        (
            "/a:\\",
            'invalid mount config for type "bind": invalid specification: destination can\'t be '
            "'/'",
        ),
        (
            "b",
            "invalid mount config for type \"volume\": invalid mount path: 'b' mount path must be "
            "absolute",
        ),
        (
            "/a:b:ro",
            "invalid mount config for type \"bind\": invalid mount path: 'b' mount path must be "
            "absolute",
        ),
        (
            "/a:/b:ro,nocopy",
            'invalid mount config for type "bind": field VolumeOptions must not be specified',
        ),
        (
            "name:/b:slave",
            'invalid mount config for type "volume": field BindOptions must not be specified',
        ),
    ],
)
def test_malformed_bind_is_refused(text, complaint):
    with pytest.raises(EngineError) as refusal:
        parse(text)
    assert refusal.value.status == 500
    assert str(refusal.value) == f"invalid volume specification: '{text}'" + (
        f": {complaint}" if complaint else ""
    )


@pytest.mark.parametrize(
    "mode", ["bogus", "ro,rw", "ro,ro", "z,Z", "slave,shared", "nocopy,nocopy", "ro,", ",", " ro"]
)
def test_mode_that_is_none_is_refused(mode):
    with pytest.raises(EngineError) as refusal:
        parse(f"/a:/b:{mode}")
    assert (refusal.value.status, str(refusal.value)) == (500, f"invalid mode: {mode}")


@pytest.mark.parametrize(
    ("texts", "tmpfs"),
    [(("/a:/b", "/c:/d/../b/"), ()), (("/a:/b",), ("/b",))],
)
def test_destination_that_is_taken_is_refused(texts, tmpfs):
    with pytest.raises(InvalidParameter) as refusal:
        parse(*texts, tmpfs=tmpfs)
    assert str(refusal.value) == "Duplicate mount point: /b"


@pytest.mark.parametrize("propagation", ["private", "rprivate", "shared", "slave"])
def test_the_daemons_data_is_not_bound_as_private(propagation):
    with pytest.raises(InvalidParameter) as refusal:
        parse(f"/var:/b:{propagation}")
    assert str(refusal.value) == (
        'invalid mount config: must use either propagation mode "rslave" or "rshared" when mount '
        f'source is within the daemon root, daemon root: "{ROOT}", bind mount source: "/var", '
        f'propagation: "{propagation}"'
    )


@pytest.mark.parametrize("text", ["name:/b", "name:/b:ro", "/b", "na.me:/b:nocopy"])
def test_volume_is_not_served(text):
    with pytest.raises(NotServed, match="only bind mounts of absolute paths are served"):
        parse(text)


@pytest.mark.parametrize("name", ["./a", "../a", "~/a", "a b", "-a"])
def test_relative_source_is_explained(name):
    with pytest.raises(InvalidParameter, match="If you intended to pass a host directory, use"):
        parse(f"{name}:/b")


def test_a_volume_name_has_two_characters():
    with pytest.raises(InvalidParameter, match="create v: volume name is too short"):
        parse("v:/b")
