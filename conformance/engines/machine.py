"""What an engine takes for its machine: a network namespace and a mount namespace of its own.

Both are pinned to files and outlive the daemon in them, as a machine does: one that is killed and
started again finds its links, its mounts and its /run as it left them. They go with `remove_netns`
and with `remove_folder`.
"""

import os
from pathlib import Path

from conformance.engines.processes import NETNS_DIR, make_netns, run_tool

SUITE_PATH = Path(__file__).parents[2]
TREE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SCRIPT = Path(__file__).with_name("machine.sh")
# In the engine's folder; holds the pin, and what machine.sh needs.
_PLACE = "machine"


def make_machine(folder: Path, netns_name: str, tree: Path | None, hidden: str = "") -> None:
    """Make both namespaces; nothing runs in them yet.

    Args:
        folder: the engine's own folder, which it sees at the same path.
        netns_name: what the network namespace is called.
        tree: the engine's file system; None = that of this machine.
        hidden: a mount of this machine that the engine must not see; "" = none.

    Raises:
        EngineError: one of them cannot be made.
    """
    netns = make_netns(netns_name)
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
    words = ["sh", str(_SCRIPT), str(folder), str(tree or ""), hidden]
    run_tool("nsenter", f"--net={netns}", *unshare, *words)


def entering(folder: Path, netns_name: str) -> list[str]:
    """Give the words before a command that let it run on an engine's machine."""
    return ["nsenter", f"--net={NETNS_DIR / netns_name}", f"--mount={folder / _PLACE / 'mounts'}"]


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
