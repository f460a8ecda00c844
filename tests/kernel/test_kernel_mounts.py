"""Goal: overlays mount, everything unmounts, and exotic paths are read back as they were given."""

import errno
from pathlib import Path

import pytest

from refimpl.kernel import libc
from refimpl.kernel.base import OverlayPlan


@pytest.fixture
def disk(tmp_path, kernel):
    """A file system that can be the upper layer of an overlay, whatever /tmp is made of."""
    libc.mount("tmpfs", str(tmp_path), "tmpfs", 0)
    yield tmp_path
    for point in kernel.mounts_below(str(tmp_path)):
        kernel.unmount(point)


def plan(base: Path, *layers: str) -> OverlayPlan:
    for name in (*layers, "upper", "work", "merged"):
        (base / name).mkdir(parents=True, exist_ok=True)
    return OverlayPlan(
        lower=tuple(str(base / layer) for layer in layers),
        upper=str(base / "upper"),
        work=str(base / "work"),
        target=str(base / "merged"),
    )


def test_top_layer_hides_the_lower_and_changes_go_to_upper(kernel, disk) -> None:
    overlay = plan(disk, "top", "bottom")
    (disk / "top/file").write_text("top")
    (disk / "bottom/file").write_text("bottom")
    (disk / "bottom/other").write_text("other")
    kernel.mount_overlay(overlay)
    assert (disk / "merged/file").read_text() == "top"
    assert (disk / "merged/other").read_text() == "other"
    (disk / "merged/new").write_text("new")
    assert (disk / "upper/new").read_text() == "new"


@pytest.mark.parametrize("name", ["a:b", "a,b", "a\\b", "a b", "a\tb\nc", "ä€", "a=b"])
def test_overlay_in_a_directory_of_any_name(kernel, disk, name) -> None:
    overlay = plan(disk / name, "one", "two")
    (disk / name / "two/file").write_text("x")
    kernel.mount_overlay(overlay)
    assert (disk / name / "merged/file").read_text() == "x"
    assert kernel.mounts_below(str(disk / name)) == (overlay.target,)
    kernel.unmount(overlay.target)
    assert kernel.mounts_below(str(disk / name)) == ()


def test_failed_overlay_leaves_nothing_and_names_its_target(kernel, disk) -> None:
    overlay = plan(disk, "one")
    (disk / "one").rmdir()
    with pytest.raises(OSError, match="merged") as caught:
        kernel.mount_overlay(overlay)
    assert caught.value.errno == errno.ENOENT
    assert kernel.mounts_below(str(disk)) == (str(disk),)


def test_too_many_layers_are_refused_before_the_kernel_cuts_them(kernel, disk) -> None:
    with pytest.raises(OSError, match="too many layers") as caught:
        kernel.mount_overlay(plan(disk, *(f"layer-{number:0100}" for number in range(60))))
    assert caught.value.errno == errno.ENAMETOOLONG


def test_busy_mount_is_gone_at_once_and_its_files_stay_readable(kernel, disk) -> None:
    overlay = plan(disk, "one")
    (disk / "one/file").write_text("x")
    kernel.mount_overlay(overlay)
    with (disk / "merged/file").open() as file:
        kernel.unmount(overlay.target)
        assert kernel.mounts_below(overlay.target) == ()
        assert file.read() == "x"


def test_unmounting_twice_or_nothing_is_no_error(kernel, disk) -> None:
    overlay = plan(disk, "one")
    kernel.mount_overlay(overlay)
    kernel.mount_overlay(overlay)
    kernel.unmount(overlay.target)
    assert kernel.mounts_below(overlay.target) == ()
    kernel.unmount(overlay.target)
    kernel.unmount(str(disk / "never"))


def test_mounts_are_listed_deepest_first_and_only_below(kernel, disk) -> None:
    for name in ("a", "a/b", "ab"):
        (disk / name).mkdir()
        libc.mount("tmpfs", str(disk / name), "tmpfs", 0)
    assert kernel.mounts_below(str(disk / "a")) == (str(disk / "a/b"), str(disk / "a"))
    assert kernel.mounts_below(str(disk / "a") + "/") == (str(disk / "a/b"), str(disk / "a"))
    assert kernel.mounts_below(str(disk / "missing")) == ()
