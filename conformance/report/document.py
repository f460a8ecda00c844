"""The JSON document of a run, schema_version 1.

Sorted, without absolute paths and with stable order, so that two of them can be compared. Keys:
`run` (suite version, revision, started, ended, selection; `unfinished` where rows did not run:
INTERRUPTED, or that the first failures ended it), `host`, `engines` (the facts of each,
and its `scores`: passed and promised per tier), `behaviours`, `results` (behaviour, engine,
verdict, duration_s, reason, expected, actual, log, expectation, and `value`: which one of a
parametrised row it is about).
"""

import json
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from conformance.report.shape import ShapeError, check_report

SCHEMA_VERSION = 1
FILE_NAME = "conformance.json"
# Some 0.7 MB for an engine with every row; a file that has no end is never read as a whole.
_BYTES_MAX = 256 << 20
INTERRUPTED = "interrupted"
_SDK_PARTS = ("docker", "requests", "urllib3", "pytest", "pytest-xdist")

Document = dict[str, Any]


class DocumentError(Exception):
    """A file is not a report of this schema."""


def read_document(path: Path) -> Document:
    """Read a report; a folder stands for the report in it.

    Raises:
        DocumentError: the file cannot be read, is too large, is not JSON, has another schema, or
            a field is not what it must be.
    """
    try:
        path = path / FILE_NAME if path.is_dir() else path
        with path.open("rb") as file:
            content = file.read(_BYTES_MAX + 1)
    except FileNotFoundError as exc:
        raise DocumentError(f"{path} does not exist") from exc
    except (OSError, ValueError) as exc:  # ValueError: a name with a zero in it
        raise DocumentError(f"{path} cannot be read: {exc}") from exc
    if len(content) > _BYTES_MAX:
        raise DocumentError(f"{path} is no report: it has more than {_BYTES_MAX >> 20} MB")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as exc:
        raise DocumentError(f"{path} is not JSON: {exc}") from exc
    if not isinstance(document, dict) or document.get("schema_version") != SCHEMA_VERSION:
        raise DocumentError(f"{path} is not a report of schema_version {SCHEMA_VERSION}")
    try:
        check_report(document)
    except ShapeError as exc:
        raise DocumentError(f"{path} is no report: {exc}") from exc
    return document


def write_document(document: Document, path: Path) -> None:
    """Write a report: sorted keys, two spaces, a newline at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def host_facts() -> dict[str, Any]:
    """Say what kind of machine this is."""
    release = platform.freedesktop_os_release() if Path("/etc/os-release").exists() else {}
    return {
        "kernel": platform.release(),
        "distro": release.get("PRETTY_NAME", ""),
        "machine": platform.machine(),
        "cgroup": _cgroup_version(),
        "iptables": _first_line("iptables", "--version"),
    }


def suite_facts() -> dict[str, Any]:
    """Say which suite ran: its version, its revision, and the SDK that it drove."""
    folder = Path(__file__).parents[2]
    return {
        "version": _installed_version("netinit"),
        "revision": _first_line("git", "-C", str(folder), "describe", "--always", "--dirty"),
        "python": platform.python_version(),
        "sdk": {part: _installed_version(part) for part in _SDK_PARTS},
    }


def _cgroup_version() -> str:
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        return "v2"
    return "hybrid" if Path("/sys/fs/cgroup/unified/cgroup.procs").exists() else "v1"


def _installed_version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def _first_line(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    return (done.stdout.splitlines() or [""])[0] if done.returncode == 0 else ""
