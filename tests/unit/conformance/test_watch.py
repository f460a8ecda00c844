"""A folder is watched: what was written in which order, by a real inotify."""

import os

from conformance.observe.watch import FolderWatch


def test_files_are_named_in_the_order_of_their_writes(tmp_path):
    with FolderWatch(tmp_path) as watch:
        (tmp_path / "first").write_text("x")
        (tmp_path / "second").write_text("x")
        for _ in range(2):
            (tmp_path / "new").write_text("x")
            (tmp_path / "new").replace(tmp_path / "third")
        assert watch.settled() == ["first", "second", "new", "third", "new", "third"]
        assert watch.settled() == []


def test_file_that_a_child_holds_open_is_written_once(tmp_path):
    with FolderWatch(tmp_path) as watch:
        with (tmp_path / "new").open("wb", buffering=0) as file:
            of_the_child = os.dup(file.fileno())
            file.write(b"1")
            file.write(b"2")
        (tmp_path / "new").replace(tmp_path / "first")
        (tmp_path / "second").write_text("x")
        os.close(of_the_child)
        assert watch.settled() == ["new", "first", "second"]
