import io
import tarfile
from pathlib import Path

import pytest

from conformance.image import BUSYBOX, ImageError, build_archive, needs_interpreter

has_busybox = BUSYBOX.exists() and not needs_interpreter(BUSYBOX.read_bytes())


def test_missing_busybox_says_what_to_install(tmp_path):
    with pytest.raises(ImageError, match="apt-get install busybox-static"):
        build_archive(tmp_path / "busybox")


def test_dynamic_busybox_is_refused():
    with pytest.raises(ImageError, match="not statically linked"):
        build_archive(Path("/bin/sh").resolve())


@pytest.mark.skipif(not has_busybox, reason="busybox-static is not installed")
def test_archive_is_the_same_every_time_and_complete():
    archive = build_archive()
    assert archive == build_archive()
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        names = set(tar.getnames())
        assert {"bin/busybox", "bin/sh", "bin/ping", "etc/passwd", "tmp"} <= names
        assert len(names) == len(tar.getnames())
        assert all(entry.mtime == 0 and entry.uid == 0 for entry in tar)
