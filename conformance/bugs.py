"""The bugs of engines that users reported: conformance/bugs/*.toml, one table per bug.

    ["moby#46697"]
    area = "restart"
    what = "A client that hangs up during a restart leaves the container stopped."
    broke = "23.0"
    mended = "24.0.7"

A row names the bugs that it shows (`@behaviour(..., bugs=("moby#46697",))`); the mutant that plants
a bug is named after it (`moby-46697` in ci/mutants/*.toml). Where one of the two cannot be had,
`no_row` or `no_mutant` says why.

The id is the report of a user, or the change that mends it where there is no such report. `also`
has the other reports of the bug, and changes. One report may tell of several bugs, so it may stand
in `also` of each; but an id stands nowhere else.
"""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from conformance.registry import Behaviour

BUGS_DIR = Path(__file__).parent / "bugs"

# What stands before the number: the repository in which the bug was reported.
REPOSITORIES = {
    "aardvark-dns": "containers/aardvark-dns",
    "cli": "docker/cli",
    "common": "containers/common",
    "compose": "docker/compose",
    "containerd": "containerd/containerd",
    "desktop-feedback": "docker/desktop-feedback",
    "docker-py": "docker/docker-py",
    "for-linux": "docker/for-linux",
    "for-mac": "docker/for-mac",
    "libnetwork": "moby/libnetwork",
    "moby": "moby/moby",
    "netavark": "containers/netavark",
    "podman": "containers/podman",
}


class BugError(Exception):
    """A bug is described wrongly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bug:
    """One reported bug.

    Attributes:
        id: `moby#46697`, or `podman@4.4.0` for a line of that release's notes.
        area: the kind of behaviour that it broke, such as `ports`.
        what: what the engine did, in one sentence.
        broke: the first release that has it; "" = not known.
        mended: the first release without it; "" = open, or not known.
        also: other reports of the same bug.
        no_row: why no row shows it; "" = one does.
        no_mutant: why it is not planted in the reference; "" = it is.
    """

    id: str
    area: str
    what: str
    broke: str = ""
    mended: str = ""
    also: tuple[str, ...] = ()
    no_row: str = ""
    no_mutant: str = ""

    @property
    def mutant(self) -> str:
        """What the mutant that plants it is called."""
        return re.sub("[#@]", "-", self.id)


def url_of(bug: str) -> str:
    """Give the address of a report.

    Raises:
        BugError: the repository is not known.
    """
    name, mark, number = bug.partition("#") if "#" in bug else bug.partition("@")
    try:
        place = f"https://github.com/{REPOSITORIES[name]}"
    except KeyError:
        raise BugError(f"{bug}: want one of {', '.join(REPOSITORIES)} before the number") from None
    return f"{place}/issues/{number}" if mark == "#" else f"{place}/releases/tag/v{number}"


def load_bugs(folder: Path = BUGS_DIR) -> dict[str, Bug]:
    """Read all bugs, by id, in the order of the files.

    Raises:
        BugError: an entry has an unknown key, lacks one, or an id stands twice.
    """
    bugs: dict[str, Bug] = {}
    for path in sorted(folder.glob("*.toml")):
        for id, entry in tomllib.loads(path.read_text(encoding="utf-8")).items():
            if id in bugs:
                raise BugError(f"{path.name}: {id} stands twice")
            try:
                bugs[id] = Bug(id=id, **{**entry, "also": tuple(entry.get("also", ()))})
            except TypeError as exc:
                raise BugError(f"{path.name}: {id}: {exc}") from exc
            for report in (id, *bugs[id].also):
                url_of(report)
    for bug in bugs.values():
        for report in bug.also:
            if report in bugs or bug.also.count(report) > 1:
                raise BugError(f"{bug.id}: {report} stands twice")
    return bugs


def find_bugs(report: str) -> list[Bug]:
    """Give the bugs that were reported as such; one report may tell of several."""
    wanted = report.strip().lower()
    return [bug for bug in load_bugs().values() if wanted in (bug.id, *bug.also)]


def showing(report: str, rows: Iterable[Behaviour]) -> list[Behaviour]:
    """Give the rows that show a bug, by any of its reports.

    Raises:
        BugError: nobody described it, or no row can show it.
    """
    bugs = find_bugs(report)
    if not bugs:
        raise BugError(f"no bug {report} is described in conformance/bugs, such as moby#46697")
    ids = {bug.id for bug in bugs}
    found = [row for row in rows if ids & set(row.bugs)]
    if not found:
        raise BugError("; ".join(f"no row shows {bug.id}: {bug.no_row}" for bug in bugs))
    return found
