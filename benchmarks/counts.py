"""What one allocate takes, exactly: syscalls, netlink messages, bytecodes. No noise, no interval.

A golden file holds them, so that a change of them is made openly. Of several passes the smallest
counts: what a pass has more, it has from the moment (a port that was not settled yet, a page that
the allocator asked for), not from the code.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.worker import OWN_PACKAGES
from conformance.engines.managed import FOLDER_PREFIX, WORKSPACE_ROOT

GOLDEN = Path(__file__).with_name("counts.json")
MODULE = "benchmarks.counted"
TIMEOUT_S = 120
ATTEMPTS = 3
NOT_COUNTED = frozenset({"futex", "mmap", "munmap", "brk", "madvise", "mremap", "mprotect"})
"""Waits for another thread and memory: how often depends on the moment."""
NAMESPACES = ("unshare", "--net", "--mount", "--propagation", "private", "--")
STRACE = ("strace", "-f", "-yy", "-v", "-s", "1", "-e", "trace=!futex", "-e", "signal=none")
PYTHON_MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"

_LINE = re.compile(r"(?P<thread>\d+)\s+(?P<call>\w+)\((?:\d+<(?P<kind>\w+))?")
_BORDER = re.compile(r"netinit-count/(?P<border>[a-z]+)-(?P<network>[a-z]+)")

Counts = Mapping[str, Any]


class CountError(Exception):
    """Nothing could be counted; the text says why."""


def count_allocates(packages: Path = OWN_PACKAGES) -> dict[str, Any]:
    """Count what one allocate takes on each network, ten allocates in a row being divided by ten.

    Args:
        packages: the folder whose `refimpl` and `benchmarks` are counted.

    Raises:
        CountError: strace is missing, or the allocates failed.
    """
    with tempfile.TemporaryDirectory(prefix=f"{FOLDER_PREFIX}count-", dir=WORKSPACE_ROOT) as folder:
        log = Path(folder, "strace")
        _run([*NAMESPACES, *STRACE, "-o", str(log)], "syscalls", Path(folder), packages)
        with log.open(encoding="utf-8", errors="replace") as lines:
            counted = read_strace(lines)
        said = _run([*NAMESPACES], "bytecodes", Path(folder), packages)
    bytecodes = {network: min(passes) / 10 for network, passes in json.loads(said).items()}
    return {**counted, "bytecodes": {PYTHON_MINOR: bytecodes}}


def smallest(one: Counts, other: Counts) -> dict[str, Any]:
    """Return the smaller of each figure of two counts."""
    return {
        key: smallest(value, other[key]) if isinstance(value, Mapping) else min(value, other[key])
        for key, value in one.items()
    }


def compare_allocates(golden: Counts, packages: Path = OWN_PACKAGES) -> list[str]:
    """Count until it agrees with the golden file, at most three times; return what still differs.

    On a busy machine even the smallest of all passes can have more than the code asks for.

    Raises:
        CountError: nothing could be counted.
    """
    counted = count_allocates(packages)
    for _ in range(ATTEMPTS - 1):
        if not differences(golden, counted):
            break
        counted = smallest(counted, count_allocates(packages))
    return differences(golden, counted)


def read_strace(lines: Iterable[str]) -> dict[str, dict[str, float]]:
    """Return syscalls, netlink sends and netlink messages per allocate from strace's lines."""
    passes: dict[str, list[Counter[str]]] = {}
    now: Counter[str] | None = None
    main, main_counts, others_count = "", False, False
    for line in lines:
        call = _LINE.match(line)
        if call is None:  # the end of a call that has been counted at its beginning
            continue
        border = _BORDER.search(line)
        if border is not None:
            main, name = call["thread"], border["border"]
            main_counts, others_count = name == "begin", name != "rest"
            if name == "first":
                now = Counter()
                passes.setdefault(border["network"], []).append(now)
        elif now is not None and (main_counts if call["thread"] == main else others_count):
            now["syscalls"] += call["call"] not in NOT_COUNTED
            if call["kind"] == "NETLINK" and call["call"] in {"sendto", "sendmsg"}:
                now["netlink_sends"] += 1
                now["netlink_messages"] += line.count("nlmsg_type=")
    return {
        figure: {network: min(one[figure] for one in all_) / 10 for network, all_ in passes.items()}
        for figure in ("syscalls", "netlink_sends", "netlink_messages")
    }


def read_golden(path: Path = GOLDEN) -> dict[str, Any]:
    """Return the golden file."""
    golden: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return golden


def write_golden(counted: Counts, path: Path = GOLDEN) -> None:
    """Write the golden file; it is of the Python that runs alone."""
    path.write_text(json.dumps(counted, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def is_of_this_python(golden: Counts) -> bool:
    """Return whether the golden file was written by the Python that runs."""
    return PYTHON_MINOR in golden["bytecodes"]


def differences(golden: Counts, counted: Counts) -> list[str]:
    """Return what differs, one line per figure.

    What is sent over netlink is our code's alone. Bytecodes and the other syscalls are Python's,
    too (three fewer with Debian 13's 3.13), so they are compared on the file's own Python only.
    """
    found = {**counted, "bytecodes": counted["bytecodes"][PYTHON_MINOR]}
    known = {**golden, "bytecodes": golden["bytecodes"].get(PYTHON_MINOR, {})}
    if not is_of_this_python(golden):
        del found["bytecodes"], found["syscalls"]
    return [
        f"{figure} on {network}: {known[figure].get(network, 'not known')} -> {value}"
        for figure, networks in found.items()
        for network, value in networks.items()
        if known[figure].get(network) != value
    ]


def _run(prefix: list[str], mode: str, folder: Path, packages: Path) -> str:
    work = folder / mode
    work.mkdir()
    try:
        # a group of its own: what strace watches lives on when strace is killed
        with subprocess.Popen(
            [*prefix, sys.executable, "-m", MODULE, mode, str(work)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=packages,
            start_new_session=True,
            env={
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "PYTHONPATH": str(packages),
                "PYTHONHASHSEED": "0",
            },
        ) as process:
            try:
                output, errors = process.communicate(timeout=TIMEOUT_S)
            except BaseException:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                raise
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, MODULE, output, errors)
        return output
    except (OSError, subprocess.SubprocessError) as error:
        said = str(getattr(error, "stderr", "") or "").strip().splitlines()
        raise CountError(f"{mode}: {said[-1] if said else error}") from error
