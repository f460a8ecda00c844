"""Two revisions of the reference, laid out so that the same benchmark can run on either.

A revision becomes a folder with its own `refimpl` beside a copy of *these* `benchmarks`: what is
compared is the reference, measured by one and the same code, also where the revision is older than
the benchmark. `git archive` rather than a worktree: a run that is killed leaves nothing in `.git`.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.worker import OWN_PACKAGES

MEASURED_PACKAGE = "refimpl"
WORKING_TREE = "working tree"


class RevisionError(Exception):
    """There is no such revision, or it has no reference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A revision that lies ready to be measured.

    Attributes:
        name: what it was asked for as.
        commit: its commit, or `working tree`.
        digest: of the measured package's files: equal digests are equal code.
        packages: the folder to put before every other on the search path.
    """

    name: str
    commit: str
    digest: str
    packages: Path

    @property
    def label(self) -> str:
        """Return how reports call it."""
        short = self.commit if self.commit == WORKING_TREE else self.commit[:12]
        return short if self.name in {self.commit, short} else f"{self.name} ({short})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """What git knows of a commit.

    Attributes:
        id: in full.
        time: when it was committed, ISO 8601 in UTC.
        subject: the first line of its message.
    """

    id: str
    time: str
    subject: str


def describe_commit(name: str, *, repository: Path = OWN_PACKAGES) -> Commit:
    """Return what git knows of a commit.

    Raises:
        RevisionError: git knows no such commit, or could not look for it.
    """
    return _log(repository, "--max-count=1", resolve(name, repository=repository))[0]


def latest_commits(count: int, *, repository: Path = OWN_PACKAGES) -> list[Commit]:
    """Return the last commits of the main line that touched the reference, oldest first.

    Raises:
        RevisionError: git could not say.
    """
    limit = f"--max-count={count}"
    return _log(repository, "--first-parent", limit, "HEAD", "--", MEASURED_PACKAGE)[::-1]


def _log(repository: Path, *which: str) -> list[Commit]:
    """Return what `git log` lists, newest first."""
    said = _git(repository, "log", "--format=%H %ct %s", *which).decode(errors="replace")
    commits = []
    for line in said.splitlines():
        commit, seconds, subject = line.split(" ", 2)
        time = datetime.fromtimestamp(int(seconds), UTC).isoformat()
        commits.append(Commit(id=commit, time=time, subject=subject))
    return commits


def resolve(name: str, *, repository: Path = OWN_PACKAGES) -> str:
    """Return the full id of a commit.

    Raises:
        RevisionError: git knows no such commit, or could not look for it.
    """
    try:
        found = _git(repository, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    except RevisionError as error:
        # that there is none is all that git does not say in words, when it is to be quiet
        cause = error.__cause__
        if isinstance(cause, subprocess.CalledProcessError) and not cause.stderr:
            raise RevisionError(f"{name}: git knows no such commit") from error
        raise RevisionError(f"{name}: {error}") from error
    return found.decode().strip()


def check_out(name: str | None, folder: Path, *, repository: Path = OWN_PACKAGES) -> Revision:
    """Lay a revision out in a folder of its own, which must not exist.

    Args:
        name: anything that git takes for a commit; None is the working tree as it is now.
        folder: where to.
        repository: the clone that has it.

    Raises:
        RevisionError: there is no such commit, or it has no reference.
    """
    folder.mkdir()
    if name is None:
        commit = WORKING_TREE
        _copy(repository / MEASURED_PACKAGE, folder)
    else:
        commit = resolve(name, repository=repository)
        archive = _git(repository, "archive", "--format=tar", commit, MEASURED_PACKAGE)
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(folder, filter="data")
    _copy(OWN_PACKAGES / "benchmarks", folder)
    return Revision(
        name=name or WORKING_TREE,
        commit=commit,
        digest=digest_of(folder / MEASURED_PACKAGE),
        packages=folder,
    )


def digest_of(package: Path) -> str:
    """Return a digest of a package's files, their names and contents."""
    total = hashlib.sha256()
    for path in sorted(package.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            total.update(f"{path.relative_to(package)} {content}\n".encode())
    return total.hexdigest()


def _copy(package: Path, folder: Path) -> None:
    """Copy a package as it is now: somebody may go on working while we measure."""
    shutil.copytree(package, folder / package.name, ignore=shutil.ignore_patterns("__pycache__"))


def _git(repository: Path, *arguments: str) -> bytes:
    try:
        return subprocess.run(
            ["git", "-C", str(repository), *arguments], check=True, capture_output=True, timeout=60
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or b""
        why = said.decode(errors="replace").strip() or str(error)
        raise RevisionError(f"git {arguments[0]}: {why}") from error
