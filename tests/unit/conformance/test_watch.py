"""A folder is watched: what was written in which order, by a real inotify."""

from conformance.observe.watch import FolderWatch


def test_files_are_named_in_the_order_of_their_writes(tmp_path):
    with FolderWatch(tmp_path) as watch:
        with (tmp_path / "first").open("wb", buffering=0) as held:
            held.write(b"1")
            held.write(b"2")
            (tmp_path / "new").write_text("x")
            for _ in range(2):
                (tmp_path / "other").write_text("x")
                (tmp_path / "other").replace(tmp_path / "second")
        assert watch.settled() == ["first", "new", "other", "second", "other", "second"]
        assert watch.settled() == []
