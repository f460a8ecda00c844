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

from conformance.verdicts import Verdict

SCHEMA_VERSION = 1
FILE_NAME = "conformance.json"
# Some 0.7 MB for an engine with every row; a file that has no end is never read as a whole.
_BYTES_MAX = 256 << 20
# What each entry of a list must have, as text.
_PARTS = {
    "engines": ("name",),
    "behaviours": ("id",),
    "results": ("behaviour", "engine", "verdict"),
}
# What an entry may have: as text, and as a list of texts.
_TEXTS = ("family", "version", "promises", "reason", "expected", "actual")
_LISTS = ("capabilities", "needs")
# What `run` must have, and may have: as text.
_RUN = ("started", "ended")
_RUN_TEXTS = ("version", "revision", "unfinished")
INTERRUPTED = "interrupted"
_SDK_PARTS = ("docker", "requests", "urllib3", "pytest", "pytest-xdist")

Document = dict[str, Any]


class DocumentError(Exception):
    """A file is not a report of this schema."""


def read_document(path: Path) -> Document:
    """Read a report; a folder stands for the report in it.

    Raises:
        DocumentError: the file cannot be read, is too large, is not JSON, has another schema, or
            lacks what every report has.
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
    _check_shape(document, path)
    return document


def _check_shape(document: Document, path: Path) -> None:
    """Refuse a report without the parts that everybody reads.

    Raises:
        DocumentError: naming the part.
    """
    for part, keys in _PARTS.items():
        entries = document.get(part)
        if not isinstance(entries, list):
            raise DocumentError(f"{path} is no report: it has no list `{part}`")
        for entry in entries:
            wrong = _wrong_in(entry, keys)
            if wrong:
                raise DocumentError(f"{path} is no report: {part}: {wrong}")
    wrong = _wrong_in_run(document) or _wrong_between(document)
    if wrong:
        raise DocumentError(f"{path} is no report: {wrong}")


def _wrong_in_run(document: Document) -> str:
    """Say what is wrong with the facts of the run and of its host; "" = nothing."""
    for part in ("run", "host"):
        if not isinstance(document.get(part), dict):
            return f"it has no object `{part}`"
    run = document["run"]
    for key in (*_RUN, *_RUN_TEXTS):
        if key in run and not _is_text(run[key]):
            return f"run: {key} is no text"
        if key in _RUN and key not in run:
            return f"run: it has no {key}"
    return ""


def _wrong_between(document: Document) -> str:
    """Name a result of a row or an engine that the report does not have; "" = none."""
    rows = {row["id"] for row in document["behaviours"]}
    engines = {engine["name"] for engine in document["engines"]}
    for result in document["results"]:
        row, engine = result["behaviour"], result["engine"]
        if row not in rows:
            return f"a result of the row {row!r}, which is not in `behaviours`"
        if engine not in engines:
            return f"a result of the engine {engine!r}, which is not in `engines`"
    return ""


def _wrong_in(entry: Any, keys: tuple[str, ...]) -> str:
    """Say what is wrong with an entry of a list; "" = nothing."""
    if not isinstance(entry, dict):
        return "an entry is no object"
    for key in (*keys, *_TEXTS):
        if not _is_text(entry.get(key, "" if key in _TEXTS else None)):
            return f"{key} is no text" if key in entry else f"an entry has no {key}"
    for key in _LISTS:
        texts = entry.get(key, [])
        if not (isinstance(texts, list) and all(map(_is_text, texts))):
            return f"{key} is no list of texts"
    if "verdict" in keys and entry["verdict"] not in set(Verdict):
        return f"{entry['verdict']!r} is no verdict"
    return "" if isinstance(entry.get("expectation"), dict | None) else "no object: expectation"


def _is_text(value: object) -> bool:
    return isinstance(value, str)


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
