"""The archive that `docker save` writes, laid out on disk to be read in any order.

Mirrors: moby image/tarexport/load.go (v20.10).
"""

from __future__ import annotations

import posixpath
from pathlib import Path
from typing import BinaryIO

from refimpl.daemon.images.archive import HARD_LINK, REGULAR, SYMLINK, PlainStream, TarReader
from refimpl.daemon.images.document import ManifestItem, decode_manifest
from refimpl.daemon.images.layers import shown
from refimpl.errors import EngineError
from refimpl.limits import IMAGE_DOCUMENT_BYTES_MAX


class SavedImages:
    """The files of one archive; its names are never used as paths, so they may be anything."""

    def __init__(self, stream: BinaryIO, directory: Path) -> None:
        """Write each file of the archive under a number.

        Raises:
            BadArchive: the archive is damaged or too large.
        """
        plain = PlainStream(stream)
        reader = TarReader(plain)
        links: dict[str, str] = {}
        self._paths: dict[str, Path] = {}
        for number, member in enumerate(reader):
            name = _inside(member.name)
            if member.kind == SYMLINK:
                links[name] = _inside(posixpath.join(posixpath.dirname(name), member.link_name))
            elif member.kind == HARD_LINK:
                links[name] = _inside(member.link_name)
            elif member.kind == REGULAR:
                self._paths[name] = path = directory / str(number)
                with path.open("wb") as file:
                    file.writelines(reader.content())
        plain.digest()  # an archive that is damaged after its end is refused as well
        # docker save writes a layer that two images share as a link to the first
        for name, target in links.items():
            if target in self._paths:
                self._paths[name] = self._paths[target]

    def manifest(self) -> list[ManifestItem]:
        """Return what `manifest.json` says.

        Raises:
            EngineError: it is missing or malformed.
        """
        return decode_manifest(self.document("manifest.json"))

    def path(self, name: str) -> Path:
        """Return where a file of the archive lies.

        Raises:
            EngineError: the archive has no such file.
        """
        path = self._paths.get(_inside(name))
        if path is None:
            raise EngineError(f"open {shown(name)}: no such file or directory")
        return path

    def document(self, name: str) -> bytes:
        """Return a JSON file's content, of one that is too large only more than is allowed."""
        with self.path(name).open("rb") as file:
            return file.read(IMAGE_DOCUMENT_BYTES_MAX + 1)


def _inside(name: str) -> str:
    """Return a name as a clean one below the archive's root, as in a chroot."""
    return posixpath.normpath("/" + name.lstrip("/"))
