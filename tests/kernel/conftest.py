"""The real kernel, and nothing of the host's: the whole session runs in namespaces of its own.

Before any test, the test process moves into a new network and mount namespace, so bridges, rules
and mounts end with it whatever happens, and a dockerd on the same machine sees none of it.
"""

from __future__ import annotations

import gc
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_interface
from pathlib import Path
from typing import Any, Protocol

import pytest

from refimpl.kernel import libc
from refimpl.kernel.base import BridgePlan, InterfacePlan
from refimpl.kernel.firewall import Firewall
from refimpl.kernel.linux import LinuxKernel
from refimpl.oci.base import ContainerSpec, ProcessSpec
from refimpl.oci.runtime import OciRuntime
from tests.kernel.oci_stage import prepared, reap_all
from tests.mount_table import mounts_below

CLONE_NEWNS = 0x20000
MS_REC_PRIVATE = 0x44000

# a veth's other end, and a namespace's tunnel devices, may outlive the call that removed them
COMMAND_TIMEOUT_S = 20
LINKS_GO_S = 5
"""How long the links of a destroyed sandbox may stay; it takes 20 to 60 ms."""
_INTERVAL_S = 0.01


@pytest.fixture(scope="session", autouse=True)
def namespaces_of_our_own() -> None:
    """Leave the host's network and mounts, or skip where the kernel does not let us."""
    try:
        libc.unshare(libc.CLONE_NEWNET | CLONE_NEWNS)
        libc.mount("none", "/", None, MS_REC_PRIVATE)
    except OSError as error:
        pytest.skip(f"needs root and a kernel that lets it make namespaces: {error}")


class Ip(Protocol):
    """`ip -j ...` in the namespace pinned at `key`, or in the daemon's own."""

    def __call__(self, *arguments: str, key: str | None = None) -> list[dict[str, Any]]: ...


@pytest.fixture
def ip() -> Ip:
    """A look at the kernel that shares no line with the code under test."""

    def run(*arguments: str, key: str | None = None) -> list[dict[str, Any]]:
        command = ["ip", "-j", *arguments]
        if key is not None:
            command = ["nsenter", f"--net={key}", *command]
        output = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=COMMAND_TIMEOUT_S
        ).stdout
        result: list[dict[str, Any]] = json.loads(output or "[]")
        return result

    return run


@pytest.fixture
def links_become(ip: Ip, kernel: LinuxKernel) -> Callable[[set[str]], None]:
    """Sweep, and wait until the daemon's namespace has exactly these links."""

    def wait(wanted: set[str]) -> None:
        kernel.sweep()
        deadline = time.monotonic() + LINKS_GO_S
        while (found := {link["ifname"] for link in ip("link")}) != wanted:
            assert time.monotonic() < deadline, f"links {found}, not {wanted}, for {LINKS_GO_S} s"
            time.sleep(_INTERVAL_S)

    return wait


@pytest.fixture
def inside() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command in the namespace pinned at a key."""

    def run(key: str, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["nsenter", f"--net={key}", *command],
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_TIMEOUT_S,
        )

    return run


@pytest.fixture
def kernel() -> Iterator[LinuxKernel]:
    """The kernel under test; its links, sandboxes and rules are removed, then leaks are sought."""
    kernel = LinuxKernel()
    kernel.prepare_host()
    yield kernel
    for link in kernel.links():
        if link.kind in {"bridge", "veth"}:
            kernel.delete_link(link.name)
    Firewall().remove()
    kernel.close()


@pytest.fixture
def netns_directory(tmp_path: Path, kernel: LinuxKernel) -> Iterator[Path]:
    """Where a test's sandboxes are pinned."""
    directory = tmp_path / "netns"
    directory.mkdir()
    yield directory
    for key in kernel.sandbox_keys(str(directory)):
        kernel.destroy_sandbox(key)
    assert mounts_below(str(directory)) == ()


@pytest.fixture
def bridge(kernel: LinuxKernel) -> str:
    """A bridge with an address of either family."""
    kernel.create_bridge(
        BridgePlan(
            name="ni-br0", addresses=(ip_interface("172.30.0.1/16"), ip_interface("fd30::1/64"))
        )
    )
    return "ni-br0"


@pytest.fixture
def interface(bridge: str) -> Callable[..., InterfacePlan]:
    """Plans of interfaces on the bridge: the n-th has address n of its subnet."""

    def plan(number: int = 2, **overrides: Any) -> InterfacePlan:
        values: dict[str, Any] = {
            "host_name": f"veth{number:07x}",
            "name": "eth0",
            "bridge": bridge,
            "mac": f"02:42:ac:1e:00:{number % 256:02x}",
            "addresses": (ip_interface(f"172.30.{number // 256}.{number % 256}/16"),),
        }
        return InterfacePlan(**(values | overrides))

    return plan


@pytest.fixture
def open_descriptors() -> Callable[[], int]:
    """Count the process's open descriptors, without those that other tests left to be collected."""

    def count() -> int:
        gc.collect()
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    return count


@pytest.fixture(scope="session")
def busybox_rootfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root file system of nothing but busybox and two tables of names."""
    root = tmp_path_factory.mktemp("rootfs")
    root.chmod(0o755)
    for directory in ("bin", "etc", "tmp", "proc", "sys", "dev"):
        (root / directory).mkdir()
    (root / "bin/busybox").write_bytes(Path("/bin/busybox").read_bytes())
    (root / "bin/busybox").chmod(0o755)
    applets = subprocess.run(
        ["/bin/busybox", "--list"], capture_output=True, text=True, check=True
    ).stdout.split()
    for applet in applets:
        if applet != "busybox":
            (root / "bin" / applet).symlink_to("busybox")
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nbob:x:1000:1000::/:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\nwheel:x:10:bob\n")
    return root


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[OciRuntime]:
    """A runtime of which nothing may be left."""
    runtime = prepared(tmp_path / "root")
    yield runtime
    for container_id in runtime.list():
        runtime.delete(container_id)
    assert list((tmp_path / "root").iterdir()) == []
    assert list(tmp_path.glob("root-scratch/*")) == []
    runtime.close()
    reap_all()


@pytest.fixture
def spec(tmp_path: Path, busybox_rootfs: Path) -> Callable[..., ContainerSpec]:
    """Build what a container is to be, from a command and what differs from the usual."""

    def build(*args: str, id: str = "ni-one", **values: Any) -> ContainerSpec:
        fields = {"env": ("PATH=/bin",), "cwd": "/", "user": "", "tty": False, "open_stdin": False}
        process = {name: values.pop(name, default) for name, default in fields.items()}
        return ContainerSpec(
            id=id,
            bundle=str(tmp_path / "bundles" / id),
            rootfs=values.pop("rootfs", str(busybox_rootfs)),
            process=ProcessSpec(args=args, **process),
            **values,
        )

    return build
