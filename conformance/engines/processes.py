"""Processes, mounts and network namespaces of the daemons that the suite starts.

Everything is found by the daemon's own folder or pid, never by a program's name: other daemons
run on the same machine.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from conformance.engines.base import EngineError
from conformance.engines.transport import peer_pid, socket_path
from conformance.observe.poll import INTERVAL_S, wait_until

NETNS_DIR = Path("/run/netns")
CGROUP_TIMEOUT_S = 3
CLEAR_TIMEOUT_S = 30
# More than any run has workers that could end meanwhile.
MAKE_ATTEMPTS = 100
T = TypeVar("T")
SHIM_SOCKETS = Path("/run/containerd/s")
CGROUP_ROOT = Path("/sys/fs/cgroup")


def run_tool(*command: str | Path, check: bool = True) -> str:
    """Run one of the machine's tools and give what it printed.

    Raises:
        EngineError: the tool is missing, or `check` is set and it failed.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except FileNotFoundError as exc:
        raise EngineError(f"{command[0]} is not installed on this machine") from exc
    if check and done.returncode != 0:
        line = " ".join(str(word) for word in command)
        raise EngineError(f"`{line}` failed with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def make_netns(name: str) -> Path:
    """Make a network namespace with `lo` up, that forwards nothing; give its path.

    It would forward where the machine does, and Docker closes FORWARD only when it was itself that
    switched forwarding on: a machine that forwards would make it look open.
    """
    run_tool("ip", "netns", "add", name)
    switch = "/proc/sys/net/ipv4/ip_forward"
    run_tool("ip", "netns", "exec", name, "sh", "-c", f"echo 0 > {switch}")
    run_tool("ip", "-n", name, "link", "set", "lo", "up")
    return NETNS_DIR / name


def remove_netns(name: str) -> None:
    """Take a network namespace's name away; the namespace goes with its last process."""
    if (NETNS_DIR / name).exists():
        run_tool("ip", "netns", "delete", name)


def is_alive(pid: int) -> bool:
    """Say whether a process runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def start_time(pid: int) -> str:
    """Give a process's start time in clock ticks, which tells it from a later one of its number."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]


def parents() -> dict[int, int]:
    """Map every process of this machine to its parent."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        found[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    return found


def descendants(roots: Iterable[int]) -> set[int]:
    """Give the processes and everything that they started, as far as it still hangs on them."""
    children: dict[int, list[int]] = {}
    for pid, parent in parents().items():
        children.setdefault(parent, []).append(pid)
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting += children.get(pid, [])
    return found


def processes_naming(folder: Path) -> set[int]:
    """Give the processes whose command line names a daemon's state: shims, containerd, monitors.

    Only the state counts, not the log or the socket: a `tail -f` of a developer is not ours.
    """
    needles = tuple(os.fsencode(folder / part) for part in ("data", "exec", "daemon.json"))
    found = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if any(word.startswith(needles) for word in words):
            found.add(int(entry.name))
    return found


def processes_in_mounts(pid: int) -> set[int]:
    """Give the processes in the mount namespace of another one: what runs in its container."""
    return _processes_in("mnt", Path(f"/proc/{pid}/ns/mnt"))


def processes_in_netns(name: str) -> set[int]:
    """Give the processes in a network namespace of ours: helpers of a daemon that name no folder.

    Podman's name server is one. Containers are not among them unless they are in host mode.
    """
    return _processes_in("net", NETNS_DIR / name)


def _processes_in(kind: str, namespace: Path) -> set[int]:
    try:
        wanted = namespace.stat()
    except OSError:
        return set()
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # ended meanwhile
                facts = (entry / "ns" / kind).stat()
                if (facts.st_dev, facts.st_ino) == (wanted.st_dev, wanted.st_ino):
                    found.add(int(entry.name))
    return found


def kill_all(pids: Iterable[int], *, timeout_s: float = 10) -> None:
    """SIGKILL processes and wait until they are gone."""
    targets = set(pids)
    for pid in targets:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    wait_until(
        f"processes {sorted(targets)} to be gone after SIGKILL",
        lambda: not any(is_alive(pid) for pid in targets),
        timeout_s=timeout_s,
    )


def serving_pid(address: str) -> int | None:
    """Find the daemon behind a unix address; None = it cannot be told.

    It is the process that made the socket. systemd makes sockets for others: then it is the other
    process that holds it, whose children may hold it, too.
    """
    made_by = peer_pid(address)
    if made_by is None or _command(made_by) != "systemd":
        return made_by
    place = Path(socket_path(address)).resolve()
    names = {name for name, path in _bound_sockets(made_by).items() if path.resolve() == place}
    families = parents()
    holders = {
        pid for pid in families if names.intersection(_links_in(Path(f"/proc/{pid}/fd")))
    } - {made_by}
    found = {pid for pid in holders if families[pid] not in holders}
    return found.pop() if len(found) == 1 else None


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def shim_sockets(pids: Iterable[int]) -> set[Path]:
    """Give the files of the sockets that containerd's shims listen on: a killed one leaves its own.

    Only those: the path of any other socket may be one inside a container.
    """
    found = set()
    for pid in pids:
        paths = _bound_sockets(pid)
        links = _links_in(Path(f"/proc/{pid}/fd"))
        found |= {paths[link] for link in links if link in paths}
    return {path for path in found if path.is_relative_to(SHIM_SOCKETS)}


def _bound_sockets(pid: int) -> dict[str, Path]:
    """Map the unix sockets of a process's network namespace, by the names of their descriptors."""
    try:
        lines = Path(f"/proc/{pid}/net/unix").read_text(encoding="utf-8").splitlines()[1:]
    except OSError:
        return {}
    rows = (line.split() for line in lines)
    return {f"socket:[{row[6]}]": Path(row[7]) for row in rows if len(row) > 7 and row[7][0] == "/"}


def _links_in(folder: Path) -> list[str]:
    """Read the links in a /proc folder, which may vanish meanwhile."""
    links = []
    try:
        for entry in folder.iterdir():
            with contextlib.suppress(OSError):
                links.append(str(entry.readlink()))
    except OSError:
        return links
    return links


def clear_cgroup(name: str) -> None:
    """SIGKILL what runs in a control group of an engine of ours, and take the group away.

    Containers of an engine that is dead, and whose helpers are: nothing else leads to them.
    """
    found: set[int] = set()
    for place in _cgroups_called([name]):
        for file in place.rglob("cgroup.procs"):
            with contextlib.suppress(OSError):  # gone meanwhile
                found.update(map(int, file.read_text(encoding="ascii").split()))
    kill_all(found)
    remove_cgroups([name])


def _cgroups_called(names: Iterable[str]) -> list[Path]:
    patterns = [pattern for name in names for pattern in (name, f"*/{name}", f"*/*/{name}")]
    return [place for pattern in patterns for place in CGROUP_ROOT.glob(pattern)]


def remove_cgroups(names: Iterable[str], *, timeout_s: float = CGROUP_TIMEOUT_S) -> None:
    """Take away the control groups of these names that killed containers left, in any hierarchy.

    A group is busy until the last of its processes is reaped, a moment after it is dead.
    """
    names = list(names)
    deadline = time.monotonic() + timeout_s
    while True:
        places = _cgroups_called(names)
        for place in places:
            for folder, _, _ in os.walk(place, topdown=False):
                with contextlib.suppress(OSError):  # busy, or gone meanwhile
                    Path(folder).rmdir()
        places = [place for place in places if place.exists()]
        if not places or time.monotonic() > deadline:
            return
        time.sleep(INTERVAL_S)


def remove_empty_cgroups(names: Iterable[str]) -> None:
    """Take away control groups that an engine makes for all its containers, where none is left."""
    for name in names:
        for place in [*CGROUP_ROOT.glob(name), *CGROUP_ROOT.glob(f"*/{name}")]:
            with contextlib.suppress(OSError):  # busy, or not empty: somebody's
                place.rmdir()


def mounts_under(folder: Path) -> list[Path]:
    """List the mount points at or below a folder, deepest first."""
    prefix = f"{folder}/"
    points = []
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        point = line.split()[4].encode().decode("unicode_escape")
        if point == str(folder) or point.startswith(prefix):
            points.append(Path(point))
    return sorted(points, key=lambda path: len(path.parts), reverse=True)


def make_in(run_folder: Path, make: Callable[[], T]) -> T:
    """Make something in a run's folder; the folder is made where it is not there.

    A worker that ends takes the folder away if it is empty, so it may go between its making and
    that of the first thing in it.

    Raises:
        OSError: it cannot be made.
    """
    for _ in range(MAKE_ATTEMPTS):
        with contextlib.suppress(FileExistsError):
            run_folder.mkdir(parents=True)
        with contextlib.suppress(FileNotFoundError):
            return make()
    raise FileNotFoundError(f"{run_folder} is taken away again and again")


def remove_folder(folder: Path) -> None:
    """Take away a daemon's folder with all that is mounted in it.

    Raises:
        EngineError: something in it does not go away.
    """
    for attempt in range(3):
        for point in mounts_under(folder):
            run_tool("umount", "--lazy", point, check=False)
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.2 * (attempt + 1))  # a dying shim may still write into its folder
    raise EngineError(f"{folder} cannot be removed; mounted in it: {mounts_under(folder)}")


def container_cgroups(folder: Path) -> list[str]:
    """Name the control groups of a daemon's containers, as dockerd calls them or as podman does."""
    kinds = {"containers": "", "overlay-containers": "libpod-"}
    return [
        f"{prefix}{entry.name}"
        for kind, prefix in kinds.items()
        if (folder / "data" / kind).is_dir()
        for entry in (folder / "data" / kind).iterdir()
        if entry.is_dir()
    ]


def clear_away(folder: Path, netns_name: str) -> None:
    """Take away a daemon's processes, mounts, folder and namespace, whatever state they are in."""
    roots = processes_naming(folder) | processes_in_netns(netns_name)
    pids = descendants(roots) - {os.getpid()}
    sockets = shim_sockets(pids)
    kill_all(pids)
    for path in sockets:
        path.unlink(missing_ok=True)
    remove_cgroups([netns_name, *container_cgroups(folder)])
    deadline = time.monotonic() + CLEAR_TIMEOUT_S
    while True:
        try:
            remove_folder(folder)
            break
        except EngineError:
            if time.monotonic() > deadline:
                raise
    remove_netns(netns_name)
