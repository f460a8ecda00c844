"""Goal: a file is the old one or the new one, never half of either, and mounted ones keep going."""

import fcntl
import os
import resource
import signal
import stat

import pytest

from refimpl.kernel.files import LinuxFiles


@pytest.fixture
def files():
    return LinuxFiles()


def test_write_replaces_content_and_mode_by_a_new_file(files, tmp_path) -> None:
    path = tmp_path / "hosts"
    files.write(str(path), b"old", mode=0o600)
    inode = path.stat().st_ino
    with path.open("rb") as reader:
        files.write(str(path), b"new")
        assert reader.read() == b"old"
    assert files.read(str(path)) == b"new"
    assert path.stat().st_ino != inode
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [one.name for one in tmp_path.iterdir()] == ["hosts"]


def test_write_of_what_is_there_keeps_the_file_and_tells_of_the_write(files, tmp_path) -> None:
    path = tmp_path / "hosts"
    files.write(str(path), b"same")
    inode = path.stat().st_ino
    os.utime(path, (1, 1))
    files.write(str(path), b"same")
    assert (path.stat().st_ino, path.read_bytes()) == (inode, b"same")
    assert path.stat().st_mtime > 1
    assert [one.name for one in tmp_path.iterdir()] == ["hosts"]


@pytest.mark.parametrize("content", [b"also", b"sam", b"same and more"])
def test_write_of_almost_what_is_there_makes_a_new_file(files, tmp_path, content) -> None:
    path = tmp_path / "hosts"
    files.write(str(path), b"same")
    inode = path.stat().st_ino
    with path.open("rb") as reader:
        files.write(str(path), content)
        assert reader.read() == b"same"
    assert (path.stat().st_ino == inode, path.read_bytes()) == (False, content)


def test_write_of_what_is_there_gives_it_the_mode_and_follows_no_link(files, tmp_path) -> None:
    path = tmp_path / "hosts"
    files.write(str(path), b"same", mode=0o600)
    files.write(str(path), b"same")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    link = tmp_path / "link"
    link.symlink_to("hosts")
    files.write(str(link), b"same")
    assert not link.is_symlink()


def test_write_takes_the_place_of_a_pipe_without_waiting_for_a_writer(files, tmp_path) -> None:
    os.mkfifo(tmp_path / "hosts", 0o644)
    files.write(str(tmp_path / "hosts"), b"")
    assert (tmp_path / "hosts").is_file()


def test_failed_write_keeps_the_old_file_and_leaves_no_draft(files, tmp_path) -> None:
    target = tmp_path / "directory"
    (target / "in").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        files.write(str(target), b"new")
    assert [one.name for one in tmp_path.iterdir()] == ["directory"]
    with pytest.raises(FileNotFoundError):
        files.write(str(tmp_path / "missing/file"), b"new")


def test_draft_that_a_crash_left_is_taken_over(files, tmp_path) -> None:
    (tmp_path / ".hosts.new").write_bytes(b"half of a much longer draft")
    files.write(str(tmp_path / "hosts"), b"new")
    assert files.read(str(tmp_path / "hosts")) == b"new"
    assert [one.name for one in tmp_path.iterdir()] == ["hosts"]


def test_a_link_in_the_place_of_the_draft_is_not_followed(files, tmp_path) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / ".hosts.new").symlink_to("victim")
    with pytest.raises(OSError, match="symbolic links"):
        files.write(str(tmp_path / "hosts"), b"new")
    assert (tmp_path / "victim").read_bytes() == b"precious"


@pytest.mark.parametrize("content", [b"", b"short", b"longer than what was there"])
def test_overwrite_keeps_the_inode(files, tmp_path, content) -> None:
    path = tmp_path / "hosts"
    path.write_bytes(b"what was there")
    inode = path.stat().st_ino
    files.overwrite(str(path), content)
    assert (path.stat().st_ino, path.read_bytes()) == (inode, content)


def test_directories_are_made_with_parents_and_again(files, tmp_path) -> None:
    path = tmp_path / "a/b/c"
    files.make_directory(str(path), mode=0o700)
    files.make_directory(str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_mount_source_is_made_unless_something_is_there(files, tmp_path) -> None:
    files.make_mount_source(str(tmp_path / "a/b"))
    assert stat.S_IMODE((tmp_path / "a/b").stat().st_mode) == 0o755
    (tmp_path / "file").write_bytes(b"x")
    for path in ("a/b", "file", "file/below"):
        files.make_mount_source(str(tmp_path / path))
    assert (tmp_path / "file").read_bytes() == b"x"
    text = (
        "error while creating mount source path '/proc/nothere/x': mkdir /proc/nothere: "
        "no such file or directory"
    )
    with pytest.raises(OSError, match=text):
        files.make_mount_source("/proc/nothere/x")


def test_remove_takes_files_trees_and_what_is_not_there(files, tmp_path) -> None:
    (tmp_path / "tree/deep").mkdir(parents=True)
    (tmp_path / "tree/deep/file").touch()
    (tmp_path / "file").touch()
    for name in ("tree", "file", "never"):
        files.remove(str(tmp_path / name))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("levels", [1_000, 5_000])
def test_remove_takes_a_tree_of_any_depth_with_few_descriptors(files, tmp_path, levels) -> None:
    """As a container can make it with a loop of `mkdir d; cd d`."""
    (tmp_path / "tree").mkdir()
    place = os.open(tmp_path / "tree", os.O_DIRECTORY)
    for _ in range(levels):
        for name in ("d", "e"):
            os.mkdir(name, dir_fd=place)
        os.close(os.open("f", os.O_CREAT | os.O_WRONLY, 0, dir_fd=place))
        inner = os.open("d", os.O_DIRECTORY, dir_fd=place)
        os.close(place)
        place = inner
    os.close(place)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))
    try:
        files.remove(str(tmp_path / "tree"))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert list(tmp_path.iterdir()) == []


def test_remove_takes_odd_names_modes_and_more_names_than_it_holds(
    files, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr("refimpl.kernel.files._REMOVED_AT_ONCE", 10)
    tree = tmp_path / "tree"
    for name in (b"\xff\xfe", b"new\nline", b"-rf", b" ", b"x" * 255):
        inner = tree / os.fsdecode(name)
        (inner / "inner").mkdir(parents=True)
        os.mkfifo(inner / "fifo")
        (inner / "link").symlink_to("/etc")
        inner.chmod(0)
    for number in range(95):
        (tree / str(number)).touch(0)
    files.remove(str(tmp_path / "tree"))
    assert list(tmp_path.iterdir()) == []


def test_remove_takes_a_link_and_not_its_target(files, tmp_path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/file").touch()
    (tmp_path / "link").symlink_to("tree")
    files.remove(str(tmp_path / "link"))
    assert (tmp_path / "tree/file").exists()
    assert not (tmp_path / "link").is_symlink()


# -- files that a container can write --------------------------------------------------------------


def test_read_of_what_is_as_large_as_it_may_be(files, tmp_path) -> None:
    (tmp_path / "hosts").write_bytes(b"12345")
    assert files.read(str(tmp_path / "hosts"), bytes_max=5) == b"12345"
    assert files.read_inside(str(tmp_path), "/hosts", 5) == b"12345"


def test_read_stops_at_its_limit(files, tmp_path) -> None:
    path = tmp_path / "hosts"
    path.touch()
    os.truncate(path, 100 << 30)
    with pytest.raises(OSError, match=f"{path} is larger than 1000 bytes"):
        files.read(str(path), bytes_max=1000)
    with pytest.raises(OSError, match=f"{path} is larger than 134217728 bytes"):
        files.read(str(path))


def test_read_stops_at_its_limit_when_the_file_grows_meanwhile(
    files, tmp_path, monkeypatch
) -> None:
    path = tmp_path / "hosts"
    path.write_bytes(b"1")
    monkeypatch.setattr(os, "read", lambda _descriptor, count: b"x" * count)
    with pytest.raises(OSError, match="is larger than 1000000 bytes"):
        files.read(str(path), bytes_max=1_000_000)


@pytest.mark.parametrize("name", ["pipe", "directory", "device", "link"])
def test_only_a_regular_file_is_read_and_nothing_is_waited_for(files, tmp_path, name) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "directory").mkdir()
    os.mknod(tmp_path / "device", 0o600 | stat.S_IFCHR, os.makedev(1, 5))
    (tmp_path / "link").symlink_to("pipe")
    with pytest.raises(OSError, match=f"{name} is not a regular file"):
        files.read(str(tmp_path / name))
    with pytest.raises(OSError, match=f"^.Errno 22. /{name} is not a regular file"):
        files.read_inside(str(tmp_path), f"/{name}", 1000)


def test_a_device_is_not_even_opened(files, tmp_path) -> None:
    """To open one can have an effect; one that no driver has cannot be opened at all."""
    os.mknod(tmp_path / "device", 0o600 | stat.S_IFCHR, os.makedev(4000, 1))
    with pytest.raises(OSError, match="is not a regular file"):
        files.read(str(tmp_path / "device"))


def test_read_inside_does_not_leave_the_root(files, tmp_path) -> None:
    (tmp_path / "secret").write_bytes(b"the host's")
    (tmp_path / "root/etc").mkdir(parents=True)
    (tmp_path / "root/secret").write_bytes(b"the container's")
    (tmp_path / "root/etc/up").symlink_to("../../../../secret")
    (tmp_path / "root/etc/top").symlink_to("/secret")
    (tmp_path / "root/etc/out").symlink_to(tmp_path / "secret")
    (tmp_path / "root/etc/round").symlink_to("round")
    root = str(tmp_path / "root")
    for path in ("/etc/up", "/etc/top", "/../../secret"):
        assert files.read_inside(root, path, 100) == b"the container's"
    with pytest.raises(FileNotFoundError, match="/etc/out: No such file"):
        files.read_inside(root, "/etc/out", 100)
    with pytest.raises(OSError, match="/etc/round: Too many levels of symbolic links"):
        files.read_inside(root, "/etc/round", 100)


@pytest.fixture
def leased(tmp_path):
    """A file on which somebody holds a lease: to open it takes until it is given up, or 45 s."""
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)
    path = tmp_path / "hosts"
    path.write_bytes(b"before")
    descriptor = os.open(path, os.O_RDWR)
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    yield path
    os.close(descriptor)
    signal.signal(signal.SIGIO, before)


def test_a_lease_holds_up_neither_reader_nor_writer(files, leased) -> None:
    with pytest.raises(BlockingIOError, match=f"{leased}"):
        files.read(str(leased))
    with pytest.raises(BlockingIOError):
        files.overwrite(str(leased), b"after")


def test_overwrite_of_a_pipe_does_not_wait_for_a_reader(files, tmp_path) -> None:
    os.mkfifo(tmp_path / "hosts")
    with pytest.raises(OSError, match="No such device or address"):
        files.overwrite(str(tmp_path / "hosts"), b"")


def test_descriptors_are_closed_whatever_happens(files, tmp_path, open_descriptors) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "hosts").write_bytes(b"12345")
    before = open_descriptors()
    for name in ("pipe", "hosts", "missing"):
        for read in (
            lambda name=name: files.read(str(tmp_path / name), bytes_max=3),
            lambda name=name: files.read_inside(str(tmp_path), name, 3),
        ):
            with pytest.raises(OSError, match=name):
                read()
    assert open_descriptors() == before
