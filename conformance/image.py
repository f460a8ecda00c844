"""The one image that every row runs: busybox and its applets, made here, never pulled.

The archive is the same byte for byte on every machine with the same busybox, so that its tag can
name its content.
"""

import hashlib
import io
import subprocess
import sys
import tarfile
from functools import lru_cache
from pathlib import Path

import docker
import docker.errors

from conformance.labels import IMAGE_LABEL, RUN_LABEL

BUSYBOX = Path("/bin/busybox")
REPOSITORY = "netinit/busybox"
_PT_INTERP = 3
_DIRECTORIES = (
    "bin",
    "dev",
    "etc",
    "proc",
    "root",
    "sbin",
    "sys",
    "tmp",
    "usr",
    "usr/bin",
    "usr/sbin",
)
_FILES = {
    "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\n",
    "etc/group": b"root:x:0:\n",
    "etc/nsswitch.conf": b"hosts: files dns\n",
}


class ImageError(Exception):
    """The image cannot be made."""


def build_archive(busybox: Path = BUSYBOX) -> bytes:
    """Make the image's root filesystem as a tar archive (about 2 MB).

    Raises:
        ImageError: there is no static busybox on this machine.
    """
    if not busybox.exists():
        raise ImageError(
            f"{busybox} is missing: install the package busybox-static (apt-get install "
            "busybox-static); the rows run in an image that is made from it"
        )
    program = busybox.read_bytes()
    if needs_interpreter(program):
        raise ImageError(
            f"{busybox} is not statically linked: install busybox-static in place of busybox"
        )
    listing = subprocess.run(
        [busybox, "--list-full"], check=True, capture_output=True, text=True, timeout=10
    ).stdout.split()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name in _DIRECTORIES:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            archive.addfile(entry)
        for name, content in {"bin/busybox": program, **_FILES}.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755 if name.startswith("bin/") else 0o644
            archive.addfile(entry, io.BytesIO(content))
        for name in sorted({applet for applet in listing if applet != "bin/busybox"}):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, "/bin/busybox"
            archive.addfile(entry)
    return buffer.getvalue()


def needs_interpreter(program: bytes) -> bool:
    """Say whether a 64-bit ELF program is dynamically linked: it has a PT_INTERP header."""
    table = int.from_bytes(program[32:40], sys.byteorder)
    size = int.from_bytes(program[54:56], sys.byteorder)
    count = int.from_bytes(program[56:58], sys.byteorder)
    starts = (table + index * size for index in range(count))
    return any(int.from_bytes(program[at : at + 4], sys.byteorder) == _PT_INTERP for at in starts)


@lru_cache(maxsize=1)
def _archive_and_tag() -> tuple[bytes, str]:
    archive = build_archive()
    return archive, hashlib.sha256(archive).hexdigest()[:12]


def image_name() -> str:
    """Give the image's full name, `netinit/busybox:<digest of the content>`."""
    return f"{REPOSITORY}:{_archive_and_tag()[1]}"


def ensure_image(client: docker.DockerClient, *, run_id: str = "") -> str:
    """Import the image into an engine that does not have it; give its name.

    Args:
        client: the engine.
        run_id: on an engine of somebody else: the run that removes the image again. It gets an
            image of its own, `netinit/busybox:run-<id>`, so that none that was there before is
            ever removed; and since containers inherit an image's labels, whatever is made from it
            can be found by the run's. "" = the engine goes with the run.

    Raises:
        ImageError: there is no static busybox on this machine.
    """
    archive, tag = _archive_and_tag()
    labels = [f"LABEL {IMAGE_LABEL}=1"]
    if run_id:
        tag = f"run-{run_id}"
        labels.append(f"LABEL {RUN_LABEL}={run_id}")
    name = f"{REPOSITORY}:{tag}"
    try:
        client.images.get(name)
    except docker.errors.ImageNotFound:
        client.api.import_image_from_data(archive, repository=REPOSITORY, tag=tag, changes=labels)
    return name
