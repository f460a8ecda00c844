"""What is shown of images: a row of a list, an inspect document, the history; and a list's filters.

Mirrors: moby daemon/images/{images,image_inspect,image_history}.go (v20.10).
"""

from __future__ import annotations

from refimpl.daemon.backend import Filters, Wire
from refimpl.daemon.images.document import History, Image
from refimpl.daemon.images.references import split_tag
from refimpl.daemon.images.remove import is_dangling_wanted
from refimpl.daemon.images.store import ImageStore
from refimpl.errors import InvalidParameter
from refimpl.model.wire_container import Config

_FILTERS = frozenset({"before", "dangling", "label", "reference", "since"})


def listed(store: ImageStore, filters: Filters) -> list[Wire]:
    """Return the rows of a list, newest first.

    Raises:
        InvalidParameter: an unknown filter, or a value that is no boolean.
        NotFound: `before` or `since` names no image.
    """
    for name in filters:
        if name not in _FILTERS:
            raise InvalidParameter(f"Invalid filter '{name}'")
    images = [image for image in store if _passes(store, image, filters)]
    images.sort(key=lambda image: image.created, reverse=True)
    return [_row(store, image) for image in images]


def _passes(store: ImageStore, image: Image, filters: Filters) -> bool:
    names = store.names(image)
    if is_dangling_wanted(filters, default=False) and names:
        return False
    references = filters.get("reference", ())
    if references and not any(_is_called(name, one) for name in names for one in references):
        return False
    for label in filters.get("label", ()):
        key, separator, value = label.partition("=")
        if key not in image.labels or (separator and image.labels[key] != value):
            return False
    return all(image.created < store.get(one).created for one in filters.get("before", ())) and all(
        image.created > store.get(one).created for one in filters.get("since", ())
    )


def _is_called(name: str, wanted: str) -> bool:
    return name == wanted or split_tag(name)[0] == wanted


def _row(store: ImageStore, image: Image) -> Wire:
    names = store.names(image)
    config = image.document.config
    return {
        "Containers": -1,
        "Created": _seconds(image),
        "Id": image.id,
        "Labels": config.labels if config is not None else None,
        "ParentId": "",
        "RepoDigests": None if names else ["<none>@<none>"],
        "RepoTags": names or ["<none>:<none>"],
        "SharedSize": -1,
        "Size": image.size_bytes,
        "VirtualSize": image.size_bytes,
    }


def _seconds(image: Image) -> int:
    return int(image.created.timestamp()) if image.document.created is not None else 0


def inspected(store: ImageStore, image: Image) -> Wire:
    """Return an image's inspect document."""
    document = image.document
    layers = store.layers(image.id)
    return {
        "Id": image.id,
        "RepoTags": store.names(image),
        "RepoDigests": [],
        "Parent": "",
        "Comment": document.comment,
        "Created": image.created_text or "0001-01-01T00:00:00Z",
        "Container": document.container,
        "ContainerConfig": (document.container_config or Config()).to_wire(),
        "DockerVersion": document.docker_version,
        "Author": document.author,
        "Config": image.config.to_wire(),
        "Architecture": document.architecture,
        "Os": document.os or "linux",
        "Size": image.size_bytes,
        "VirtualSize": image.size_bytes,
        "GraphDriver": {"Data": {"UpperDir": layers[0] if layers else ""}, "Name": "overlay2"},
        "RootFS": {"Type": "layers", "Layers": list(image.diff_ids)},
        "Metadata": {"LastTagTime": store.tagged_at(image)},
    }


def steps(store: ImageStore, image: Image) -> list[Wire]:
    """Return the steps that an image was made in, newest first."""
    rows = []
    for step in reversed(image.document.history or [History()]):
        created = step.created or image.document.created
        rows.append(
            {
                "Comment": step.comment,
                "Created": int(created.timestamp()) if created is not None else 0,
                "CreatedBy": step.created_by,
                "Id": "<missing>",
                "Size": 0 if step.empty_layer else image.size_bytes,
                "Tags": None,
            }
        )
    rows[0] |= {"Id": image.id, "Tags": store.names(image) or None}
    return rows
