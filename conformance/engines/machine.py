"""What an engine takes for its machine: a network namespace and a mount namespace of its own.

An engine that knows control groups of version 2 only gets a control group namespace as well.
The namespaces are pinned to files and outlive the daemon in them, as a machine does: one that is
killed and started again finds its links, its mounts and its /run as it left them. They go with
`remove_netns` and with `remove_folder`. `renew_machine` puts another file system into a machine
that is there, as an upgrade of its packages does: the links and the firewall stay.
"""

import errno
import os
from collections.abc import Sequence
from pathlib import Path

from conformance.engines.base import EngineError
from conformance.engines.processes import (
    CGROUP_ROOT,
    NETNS_DIR,
    make_netns,
    mounts_under,
    run_tool,
)

SUITE_PATH = Path(__file__).parents[2]
TREE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SCRIPT = Path(__file__).with_name("machine.sh")
# In the engine's folder; holds the pin, and what machine.sh needs.
_PLACE = "machine"
# What a tool says of EINVAL.
_EINVAL_TEXT = os.strerror(errno.EINVAL)
_IN_GROUP = 'echo $$ >"$0" && exec "$@"'


def make_machine(
    folder: Path,
    netns_name: str,
    tree: Path | None,
    hidden: str = "",
    *,
    own_cgroup: bool = False,
    emptied: Sequence[str] = (),
) -> None:
    """Make the namespaces; nothing runs in them yet.

    Args:
        folder: the engine's own folder, which it sees at the same path.
        netns_name: what the network namespace is called.
        tree: the engine's file system; None = that of this machine.
        hidden: a mount of this machine that the engine must not see; "" = none.
        own_cgroup: whether the engine gets a control group of its own as the root of version 2,
            and sees no version 1.
        emptied: folders in /run and elsewhere in memory that an engine without a tree of its own
            finds empty, and whose changes nobody else sees; one with a tree has its own anyway.

    Raises:
        EngineError: one of them cannot be made.
    """
    make_netns(netns_name)
    _make_mounts(folder, netns_name, tree, hidden, own_cgroup=own_cgroup, emptied=emptied)


def renew_machine(
    folder: Path,
    netns_name: str,
    tree: Path | None,
    hidden: str = "",
    *,
    own_cgroup: bool = False,
    emptied: Sequence[str] = (),
) -> None:
    """Give a machine another file system; its network namespace and the engine's folder stay.

    What was written outside of the folder is gone, and so is what was mounted in there: no engine
    may run in it. The arguments are those of `make_machine`.

    Raises:
        EngineError: the mount namespace cannot be made.
    """
    place = folder / _PLACE
    for point in mounts_under(place):
        run_tool("umount", "--lazy", point)
    place.rmdir()
    _make_mounts(folder, netns_name, tree, hidden, own_cgroup=own_cgroup, emptied=emptied)


def _make_mounts(
    folder: Path,
    netns_name: str,
    tree: Path | None,
    hidden: str,
    *,
    own_cgroup: bool,
    emptied: Sequence[str],
) -> None:
    netns = NETNS_DIR / netns_name
    place = folder / _PLACE
    place.mkdir()
    # The kernel pins a mount namespace only at a mount that no other namespace shares.
    run_tool("mount", "-t", "tmpfs", "-o", "mode=700", "tmpfs", place)
    run_tool("mount", "--make-private", place)
    pin = place / "mounts"
    pin.touch()
    # Nothing that is mounted in there comes out. What this machine unmounts goes there as well, so
    # that an engine holds nothing of somebody else.
    unshare = ["unshare", f"--mount={pin}", "--propagation", "slave"]
    joining = []
    if own_cgroup:
        group = cgroup_of(netns_name)
        group.mkdir(exist_ok=True)
        (place / "cgroup").touch()
        unshare += [f"--cgroup={place / 'cgroup'}"]
        joining = _joining(group)
    _pin(*joining, "nsenter", f"--net={netns}", *unshare, "true")
    mode = "own" if own_cgroup else ""
    words = [str(tree or ""), hidden, mode, *emptied]
    run_tool(*entering(folder, netns_name), "sh", _SCRIPT, folder, *words)


def _pin(*command: str) -> None:
    """Run a command that pins a new mount namespace, on the first CPU on which it works.

    Linux 6.18 refuses with EINVAL to pin a namespace whose id is below that of the caller's
    (mnt_ns_loop), and gives ids out in batches per CPU (gen_cookie_next). On one CPU they rise: it
    works at the latest on the CPU that made the caller's own. Whatever else fails is final.

    Raises:
        EngineError: it failed otherwise, or on every CPU.
    """
    *cpus, last = sorted(os.sched_getaffinity(0))
    for cpu in cpus:
        try:
            _run_on(cpu, *command)
        except EngineError as exc:
            if _EINVAL_TEXT not in str(exc):
                raise
        else:
            return
    _run_on(last, *command)


def _run_on(cpu: int, *command: str) -> None:
    # the words of an error are looked at, so they must not be translated
    run_tool("env", "LC_ALL=C", "taskset", "--cpu-list", str(cpu), *command)


def cgroup_of(netns_name: str) -> Path:
    """Give the place of an engine's own control group, in version 2.

    Raises:
        EngineError: this machine has no version 2 mounted.
    """
    for root in (CGROUP_ROOT, CGROUP_ROOT / "unified"):
        if (root / "cgroup.procs").exists() and (root / "cgroup.controllers").exists():
            return root / netns_name
    raise EngineError(f"no control groups of version 2 are mounted at or below {CGROUP_ROOT}")


def _joining(group: Path) -> list[str]:
    """Give the words before a command that let it run in a control group."""
    return ["sh", "-c", _IN_GROUP, str(group / "cgroup.procs")]


def entering(folder: Path, netns_name: str) -> list[str]:
    """Give the words before a command that let it run on an engine's machine."""
    place = folder / _PLACE
    words = ["nsenter", f"--net={NETNS_DIR / netns_name}", f"--mount={place / 'mounts'}"]
    if (place / "cgroup").exists():
        return [*_joining(cgroup_of(netns_name)), *words, f"--cgroup={place / 'cgroup'}"]
    return words


def environment_of(tree: Path | None) -> dict[str, str]:
    """Give the environment of a daemon: the same whoever starts it, and from wherever.

    The caller's own is not handed on: DOCKER_TLS_VERIFY, DOCKER_DRIVER, HTTP_PROXY, NOTIFY_SOCKET,
    STORAGE_DRIVER or TMPDIR would change what an engine does. What begins with PYTHON is for the
    reference's interpreter.
    """
    python = {key: value for key, value in os.environ.items() if key.startswith("PYTHON")}
    return {
        **python,
        "PATH": TREE_PATH if tree else os.environ.get("PATH", TREE_PATH),
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(SUITE_PATH),
    }
