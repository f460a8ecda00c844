"""Goal: a file is the old one or the new one, never half of either, and mounted ones keep going."""

import os
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


def test_remove_takes_files_trees_and_what_is_not_there(files, tmp_path) -> None:
    (tmp_path / "tree/deep").mkdir(parents=True)
    (tmp_path / "tree/deep/file").touch()
    (tmp_path / "file").touch()
    for name in ("tree", "file", "never"):
        files.remove(str(tmp_path / name))
    assert list(tmp_path.iterdir()) == []


def test_remove_takes_a_link_and_not_its_target(files, tmp_path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/file").touch()
    (tmp_path / "link").symlink_to("tree")
    files.remove(str(tmp_path / "link"))
    assert (tmp_path / "tree/file").exists()
    assert not (tmp_path / "link").is_symlink()
