"""Engine versions as the engines print them, read as PEP 440 versions.

Engines print `20.10.24+dfsg1`, `17.06.0-ce`, `4.3.1+ds1-8+deb12u1`, `28.0.0-rc.1`. Conditions in
the registry and in the expectation files are PEP 440 specifiers.
"""

import re

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

_RELEASE = re.compile(
    r"v?(?P<release>\d+(?:\.\d+)*)(?:[-~.]?(?P<pre>rc|beta|alpha)[.-]?(?P<n>\d+))?"
)

# The Docker release that first spoke each version of the API.
_RELEASES = {
    "1.40": "19.03",
    "1.41": "20.10.24",
    "1.42": "23.0",
    "1.43": "24.0",
    "1.44": "25.0",
    "1.45": "26.0",
    "1.46": "27.0",
    "1.47": "27.2",
    "1.48": "28.0",
    "1.49": "28.1",
    "1.50": "28.2",
    "1.51": "28.3",
    "1.52": "29.0",
}


class VersionError(ValueError):
    """A version or a version condition that cannot be read."""


def parse_version(text: str) -> Version:
    """Read an engine's version; packaging suffixes (`+dfsg1`, `-ce`) are dropped.

    Raises:
        VersionError: the text does not begin with a release number.
    """
    match = _RELEASE.match(text.strip())
    if match is None:
        raise VersionError(f"not a version: {text!r}")
    candidate = match["release"]
    if match["pre"] is not None:
        candidate += f"{match['pre']}{match['n']}"
    try:
        return Version(candidate)
    except InvalidVersion as exc:
        raise VersionError(f"not a version: {text!r}") from exc


def release_of_api(api: str) -> str:
    """Give the Docker release that first spoke an API version; of a newer one, the newest known.

    Raises:
        VersionError: it is not a version, or older than all of these.
    """
    wanted = parse_version(api)
    known = [release for one, release in _RELEASES.items() if parse_version(one) <= wanted]
    if not known:
        raise VersionError(f"no Docker that is known here speaks API {api!r}")
    return known[-1]


def docker_release(version: str, api: str) -> str:
    """Give the release that a Docker is one of: what it says itself, or what its API says.

    Whoever builds a Docker without naming a version gets `dev`, `library-import` or `0.0.0-dev`.
    """
    try:
        is_named = parse_version(version).release[0] > 0
    except VersionError:
        is_named = False
    return version if is_named else release_of_api(api)


def parse_condition(text: str) -> SpecifierSet:
    """Read a PEP 440 specifier set; the empty one matches every version.

    Raises:
        VersionError: the text is not a specifier set.
    """
    try:
        return SpecifierSet(text)
    except InvalidSpecifier as exc:
        raise VersionError(f"not a version condition: {text!r}") from exc


def matches(condition: str, version: str) -> bool:
    """Say whether an engine's version meets a condition (pre-releases count as versions)."""
    return parse_condition(condition).contains(parse_version(version), prereleases=True)


def spoken(condition: str, name: str = "") -> str:
    """Say a condition in words: `since Docker 28.0`, `before 28.0`, `from 28.0 until 29.0`.

    A condition of another form is given as it is.

    Args:
        condition: a PEP 440 specifier set.
        name: what has the version; "" = it is not named.
    """
    parts = {one.operator: one.version for one in parse_condition(condition)}
    prefix = f"{name} " if name else ""
    match parts:
        case {">=": begin, "<": end, **rest} if not rest:
            return f"from {prefix}{begin} until {end}"
        case {">=": begin, **rest} if not rest:
            return f"since {prefix}{begin}"
        case {"<": end, **rest} if not rest:
            return f"before {prefix}{end}"
    return prefix + condition


def first_release(condition: str) -> Version:
    """Give the oldest release that a condition names as its beginning; 0 = it has none."""
    begins = [one.version for one in parse_condition(condition) if one.operator in (">=", ">")]
    return max(map(Version, begins), default=Version("0"))


def major_minor(version: str) -> str:
    """Give the `20.10` of `20.10.24+dfsg1`, in the engine's own spelling of the numbers."""
    match = _RELEASE.match(version.strip())
    if match is None:
        raise VersionError(f"not a version: {version!r}")
    return ".".join(match["release"].split(".")[:2])
