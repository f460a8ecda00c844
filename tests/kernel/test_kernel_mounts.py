"""Goal: overlays mount, everything unmounts, and exotic paths are read back as they were given."""

import errno
from pathlib import Path

import pytest

from refimpl.kernel import libc
from refimpl.kernel.base import OverlayPlan
from tests.mount_table import mounts_below


@pytest.fixture
def disk(tmp_path, kernel):
    """A file system that can be the upper layer of an overlay, whatever /tmp is made of."""
    libc.mount("tmpfs", str(tmp_path), "tmpfs", 0)
    yield tmp_path
    for point in mounts_below(str(tmp_path)):
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
    assert mounts_below(str(disk / name)) == (overlay.target,)
    kernel.unmount(overlay.target)
    assert mounts_below(str(disk / name)) == ()


def test_failed_overlay_leaves_nothing_and_names_its_target(kernel, disk) -> None:
    overlay = plan(disk, "one")
    (disk / "one").rmdir()
    with pytest.raises(OSError, match="merged") as caught:
        kernel.mount_overlay(overlay)
    assert caught.value.errno == errno.ENOENT
    assert mounts_below(str(disk)) == (str(disk),)


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
        assert mounts_below(overlay.target) == ()
        assert file.read() == "x"


def test_unmounting_twice_or_nothing_is_no_error(kernel, disk) -> None:
    overlay = plan(disk, "one")
    kernel.mount_overlay(overlay)
    kernel.mount_overlay(overlay)
    kernel.unmount(overlay.target)
    assert mounts_below(overlay.target) == ()
    kernel.unmount(overlay.target)
    kernel.unmount(str(disk / "never"))


MS_SHARED, MS_SLAVE = 1 << 20, 1 << 19


def test_propagation_needs_a_mount_that_lets_it(kernel, disk) -> None:
    names = {"private": "a b", "shared": "a b/s", "slave": "a b/t"}
    for kind, name in names.items():
        (disk / name).mkdir()
        libc.mount("tmpfs", str(disk / name), "tmpfs", 0)
        if kind != "private":
            libc.mount("none", str(disk / name), None, MS_SHARED)
    (disk / "slave").mkdir()
    libc.mount(str(disk / names["slave"]), str(disk / "slave"), None, libc.MS_BIND)
    libc.mount("none", str(disk / "slave"), None, MS_SLAVE)
    (disk / "a b/s/deep").mkdir()
    (disk / "a b/st").mkdir()
    (disk / "link").symlink_to("a b/s/deep")
    for source in (disk / "a b/s/deep", disk / "link"):
        for kind in ("shared", "rshared", "slave", "rslave", "private", "rprivate"):
            kernel.check_propagation(str(source), kind)
    kernel.check_propagation(str(disk / "slave"), "rslave")
    kernel.check_propagation(str(disk / "a b/st"), "rprivate")
    for source, kind, text in (
        (disk / "a b/st", "rshared", f"mounted on {disk}/a b but it is not a shared mount"),
        (disk / "a b/st", "slave", f"mounted on {disk}/a b but it is not a shared or slave mount"),
        (disk / "slave", "shared", f"mounted on {disk}/slave but it is not a shared mount"),
    ):
        with pytest.raises(OSError, match=f"path {source} is {text}"):
            kernel.check_propagation(str(source), kind)
