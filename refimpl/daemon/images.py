"""Importing, loading, listing and removing images.

Mirrors: moby daemon/images/, image/tarexport/load.go (v20.10).
"""

from __future__ import annotations

import json
import os
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from refimpl.daemon.backend import Filters, Wire
from refimpl.daemon.changes import apply_changes
from refimpl.daemon.containers.registry import ContainerRegistry
from refimpl.daemon.events.events import Events
from refimpl.daemon.image_store import Image, ImageStore, familiar_name
from refimpl.daemon.layers import BadArchive, decompressed
from refimpl.errors import Conflict, EngineError, InvalidParameter, NotFound
from refimpl.model.moments import format_time, parse_time
from refimpl.model.wire_container import Config

_FILTERS = frozenset({"before", "dangling", "label", "reference", "since"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Images:
    """Imports, loads, lists and removes images."""

    images: ImageStore
    scratch: str
    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    containers: ContainerRegistry
    events: Events

    def image_import(
        self, stream: BinaryIO, *, repo: str, tag: str, changes: Sequence[str], message: str
    ) -> Iterator[Wire]:
        """Make an image of a root file system (moby: ImportImage).

        Raises:
            InvalidParameter: the name or a change is malformed.
            BadArchive: the stream is.
        """
        name = familiar_name(repo, tag) if repo else ""
        config = Config()
        apply_changes(config, changes)
        diff_id = self.images.add_layer(stream, self.new_id())
        message = message or "Imported from -"
        now = format_time(self.clock())
        image = self.images.add(
            {
                "architecture": _architecture(),
                "comment": message or "Imported from -",
                "config": config.to_wire(),
                "container_config": Config().to_wire(),
                "created": now,
                "docker_version": "20.10.24",
                "history": [{"created": now, "comment": message or "Imported from -"}],
                "os": "linux",
                "rootfs": {"type": "layers", "diff_ids": [diff_id]},
            }
        )
        if name:
            self._tag(image, name)
        self._log_image_event(image, "import", image.id)
        yield {"status": image.id}

    def image_load(self, stream: BinaryIO, *, quiet: bool = False) -> Iterator[Wire]:
        """Load what `docker save` wrote (moby: LoadImage); `quiet` changes nothing here.

        Raises:
            EngineError: the archive is damaged or no image.
        """
        del quiet
        with tempfile.TemporaryDirectory(dir=self.scratch) as scratch:
            members = _unpack_save(stream, Path(scratch))
            try:
                manifest = json.loads(Path(scratch, members["manifest.json"]).read_bytes())
                entries = [(one["Config"], one["Layers"], one["RepoTags"]) for one in manifest]
            except KeyError as error:
                raise EngineError(f"open {error.args[0]}: no such file or directory") from error
            except (ValueError, TypeError) as error:
                raise InvalidParameter(f"invalid manifest.json: {error}") from error
            for config, layers, names in entries:
                image = self._load_image(Path(scratch), members, config, layers)
                for name in names or []:
                    self._tag(image, familiar_name(name))
                    yield {"stream": f"Loaded image: {familiar_name(name)}\n"}
                if not names:
                    yield {"stream": f"Loaded image ID: {image.id}\n"}
                self._log_image_event(image, "load", image.id)

    def _load_image(
        self, scratch: Path, members: dict[str, str], config: str, layers: Sequence[str]
    ) -> Image:
        try:
            raw = Path(scratch, members[config]).read_bytes()
            document = json.loads(raw)
            wanted = list(document["rootfs"]["diff_ids"])
            paths = [Path(scratch, members[layer]) for layer in layers]
        except KeyError as error:
            raise EngineError(f"open {error.args[0]}: no such file or directory") from error
        except (ValueError, TypeError) as error:
            raise InvalidParameter(f"invalid image configuration: {error}") from error
        if len(wanted) != len(paths):
            raise EngineError(
                f"invalid manifest, layers length mismatch: expected {len(wanted)}, got "
                f"{len(paths)}"
            )
        for diff_id, path in zip(wanted, paths, strict=True):
            with path.open("rb") as stream:
                found = self.images.add_layer(stream, self.new_id())
            if found != diff_id:
                raise EngineError(f"invalid diffID for layer: expected {diff_id!r}, got {found!r}")
        return self.images.add(document, raw)

    def image_list(self, *, all_: bool = False, filters: Filters) -> list[Wire]:
        """List images, newest first (moby: Images)."""
        del all_  # there are no intermediate images
        for name in filters:
            if name not in _FILTERS:
                raise InvalidParameter(f"Invalid filter '{name}'")
        listed = [image for image in self.images if self._passes(image, filters)]
        listed.sort(key=_created, reverse=True)
        return [self._summary(image) for image in listed]

    def _passes(self, image: Image, filters: Filters) -> bool:
        names = self.images.names(image)
        labels = image.config.labels or {}
        if any(value in {"true", "1"} for value in filters.get("dangling", ())) and names:
            return False
        if filters.get("reference"):
            wanted = filters["reference"]
            if not any(
                name == one or name.partition(":")[0] == one for name in names for one in wanted
            ):
                return False
        for label in filters.get("label", ()):
            key, separator, value = label.partition("=")
            if key not in labels or (separator and labels[key] != value):
                return False
        for before in filters.get("before", ()):
            if _created(image) >= _created(self.images.get(before)):
                return False
        return all(
            _created(image) > _created(self.images.get(since)) for since in filters.get("since", ())
        )

    def _summary(self, image: Image) -> Wire:
        return {
            "Containers": -1,
            "Created": int(_created(image).timestamp()),
            "Id": image.id,
            "Labels": image.config.labels,
            "ParentId": "",
            "RepoDigests": None if self.images.names(image) else ["<none>@<none>"],
            "RepoTags": self.images.names(image) or ["<none>:<none>"],
            "SharedSize": -1,
            "Size": image.size_bytes,
            "VirtualSize": image.size_bytes,
        }

    def image_inspect(self, ref: str) -> Wire:
        """Describe an image (moby: LookupImage)."""
        try:
            image = self.images.get(ref)
        except NotFound as error:
            raise NotFound(f"no such image: {ref}: {error}") from error
        document = image.document
        layer = self.images.layers(image)[0] if image.diff_ids else ""
        return {
            "Id": image.id,
            "RepoTags": self.images.names(image),
            "RepoDigests": [],
            "Parent": "",
            "Comment": document.get("comment", ""),
            "Created": document.get("created", "0001-01-01T00:00:00Z"),
            "Container": document.get("container", ""),
            "ContainerConfig": Config.from_wire(document.get("container_config")).to_wire(),
            "DockerVersion": document.get("docker_version", ""),
            "Author": document.get("author", ""),
            "Config": image.config.to_wire(),
            "Architecture": document.get("architecture", ""),
            "Os": document.get("os", "linux"),
            "Size": image.size_bytes,
            "VirtualSize": image.size_bytes,
            "GraphDriver": {"Data": {"UpperDir": layer}, "Name": "overlay2"},
            "RootFS": {"Type": "layers", "Layers": image.diff_ids},
            "Metadata": {"LastTagTime": self.images.tagged_at(image)},
        }

    def image_history(self, ref: str) -> list[Wire]:
        """List the steps that an image was made in, newest first (moby: ImageHistory)."""
        image = self.images.get(ref)
        steps = []
        for entry in reversed(image.document.get("history") or [{}]):
            created = entry.get("created") or image.document.get("created")
            steps.append(
                {
                    "Comment": entry.get("comment", ""),
                    "Created": int(parse_time(created).timestamp()) if created else 0,
                    "CreatedBy": entry.get("created_by", ""),
                    "Id": "<missing>",
                    "Size": 0 if entry.get("empty_layer") else image.size_bytes,
                    "Tags": None,
                }
            )
        steps[0] |= {"Id": image.id, "Tags": self.images.names(image) or None}
        return steps

    def image_tag(self, ref: str, repo: str, tag: str) -> None:
        """Give an image one more name (moby: TagImage)."""
        image = self.images.get(ref)
        try:
            name = familiar_name(repo, tag)
        except InvalidParameter as error:
            raise EngineError(str(error)) from error  # 500, as in v20.10
        self._tag(image, name)

    def _tag(self, image: Image, name: str) -> None:
        self.images.tag(image, name)
        self._log_image_event(image, "tag", name)

    def image_remove(self, ref: str, *, force: bool = False, prune: bool = True) -> list[Wire]:
        """Remove a name of an image, and the image with its last one (moby: ImageDelete).

        Raises:
            NotFound: there is no such image.
            Conflict: a container uses it.
        """
        del prune  # there are no parents to prune
        image = self.images.get(ref)
        names = self.images.names(image)
        is_by_id = _is_id(ref, image)
        if not is_by_id and len(names) > 1:
            return [self._untag(image, familiar_name(ref))]
        if is_by_id and len(names) > 1 and not force:
            raise Conflict(
                f"conflict: unable to delete {image.short_id} (must be forced) - image is "
                "referenced in multiple repositories"
            )
        self._refuse_in_use(image, ref, force=force, is_by_id=is_by_id)
        untagged = [self._untag(image, name) for name in names]
        self.images.delete(image)
        self._log_image_event(image, "delete", image.id)
        return [*untagged, {"Deleted": image.id}]

    def _refuse_in_use(self, image: Image, ref: str, *, force: bool, is_by_id: bool) -> None:
        for container in self.containers:
            if container.image_id != image.id:
                continue
            if container.state.running:
                raise Conflict(
                    f"conflict: unable to delete {image.short_id} (cannot be forced) - image is "
                    f"being used by running container {container.id[:12]}"
                )
            if force:
                continue
            if is_by_id:
                raise Conflict(
                    f"conflict: unable to delete {image.short_id} (must be forced) - image is "
                    f"being used by stopped container {container.id[:12]}"
                )
            raise Conflict(
                f'conflict: unable to remove repository reference "{ref}" (must force) - '
                f"container {container.id[:12]} is using its referenced image {image.short_id}"
            )

    def _untag(self, image: Image, name: str) -> Wire:
        self.images.untag(name)
        self._log_image_event(image, "untag", image.id)
        return {"Untagged": name}

    def _log_image_event(self, image: Image, action: str, name: str) -> None:
        labels = image.config.labels or {}
        self.events.log("image", action, image.id, {**labels, "name": name})


def _created(image: Image) -> datetime:
    return parse_time(image.document.get("created") or "1970-01-01T00:00:00Z")


def _is_id(ref: str, image: Image) -> bool:
    digest = ref.removeprefix("sha256:")
    return len(digest) >= 4 and image.id.removeprefix("sha256:").startswith(digest)


def _architecture() -> str:
    machine = os.uname().machine
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def _unpack_save(stream: BinaryIO, directory: Path) -> dict[str, str]:
    """Write an archive's files under numbers and return name to number.

    The names of the archive are never used as paths, so they may be anything.
    """
    members: dict[str, str] = {}
    links: dict[str, str] = {}
    try:
        with tarfile.open(fileobj=decompressed(stream), mode="r|") as archive:
            for number, member in enumerate(archive):
                name = os.path.normpath(member.name)
                if member.issym():
                    links[name] = os.path.normpath(PurePosixPath(name).parent / member.linkname)
                elif member.islnk():
                    links[name] = os.path.normpath(member.linkname)
                content = archive.extractfile(member) if member.isreg() else None
                if content is None:
                    continue
                members[name] = str(number)
                with content, Path(directory, str(number)).open("wb") as file:
                    while data := content.read(1024 * 1024):
                        file.write(data)
    except (tarfile.TarError, EOFError) as error:
        raise BadArchive.of(error) from error
    # docker save writes a layer that two images share as a link to the first
    for name, target in links.items():
        if target in members:
            members[name] = members[target]
    return members
