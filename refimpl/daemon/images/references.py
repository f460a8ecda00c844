"""The names of images, as Docker reads and shows them.

Mirrors: distribution reference/{reference,regexp,normalize}.go (v20.10).
"""

from __future__ import annotations

import re

from refimpl.errors import InvalidParameter

_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"(?:(?:[a-zA-Z0-9.-]+)(?::[0-9]+)?/)?{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_ID = re.compile(r"[0-9a-f]{64}")
REPOSITORY_CHARACTERS_MAX = 255
"""The longest name of an image, its tag not counted (moby: reference.NameTotalLengthMax)."""


def familiar_name(reference: str, tag: str = "") -> str:
    """Return `repository:tag` as Docker shows it, with `latest` for no tag.

    Raises:
        InvalidParameter: it is no reference.
    """
    repository, own_tag = split_tag(reference)
    repository = repository.removeprefix("docker.io/").removeprefix("library/")
    if len(repository) > REPOSITORY_CHARACTERS_MAX:
        raise InvalidParameter(
            f"repository name must not be more than {REPOSITORY_CHARACTERS_MAX} characters"
        )
    if not _REPOSITORY.fullmatch(repository):
        if _REPOSITORY.fullmatch(repository.lower()):
            raise InvalidParameter("invalid reference format: repository name must be lowercase")
        raise InvalidParameter("invalid reference format")
    if _ID.fullmatch(repository):
        raise InvalidParameter(
            f"invalid repository name ({repository}), cannot specify 64-byte hexadecimal strings"
        )
    chosen = tag or own_tag or "latest"
    if not _TAG.fullmatch(chosen):
        raise InvalidParameter("invalid reference format")
    return f"{repository}:{chosen}"


def split_tag(reference: str) -> tuple[str, str]:
    """Return a reference's name and its tag, "" for none; neither is checked."""
    repository, separator, tag = reference.rpartition(":")
    return (repository, tag) if separator and "/" not in tag else (reference, "")
