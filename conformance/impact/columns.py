"""Finds the recorded column that is nearest to what an engine says it is."""

from collections.abc import Mapping

from conformance.impact.parts import SetupError
from conformance.versions import VersionError, parse_version


def nearest_column(family: str, version: str, columns: Mapping[str, tuple[str, str]]) -> str:
    """Give the newest column of a family that is not newer than a version in major and minor.

    Args:
        family: "docker" or "podman".
        version: what the engine says.
        columns: family and version of each column, by its name.

    Raises:
        SetupError: the version is older than all columns, or newer than all by a major release.
    """
    try:
        release = parse_version(version)
    except VersionError as exc:
        raise SetupError(f"the engine says it is {family} {version!r}: {exc}") from exc
    known = {
        name: parse_version(text) for name, (of, text) in columns.items() if of == family and text
    }
    place = (release.major, release.minor)
    older = {name: one for name, one in known.items() if (one.major, one.minor) <= place}
    if not older or release.major > max(one.major for one in known.values()):
        there = ", ".join(sorted(known)) or "none"
        raise SetupError(
            f"the engine says it is {family} {version}, which is near to no recorded column of "
            f"{family} ({there}); name the nearest one with --from"
        )
    return max(older, key=lambda name: older[name])
