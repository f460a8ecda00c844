"""What a process sees on an engine's machine, with this machine's files and with a tree's."""

import json
import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conformance.engines.base import EngineError
from conformance.engines.machine import cgroup_of, entering, environment_of, make_machine
from conformance.engines.managed import workspace_of
from conformance.engines.processes import (
    mounts_under,
    remove_cgroups,
    remove_folder,
    remove_netns,
    run_tool,
)

pytestmark = [pytest.mark.root, pytest.mark.engine]

BUSYBOX = shutil.which("busybox") or ""
FOLDERS = ("bin", "dev", "etc", "proc", "run", "sys", "tmp")


@pytest.fixture(params=["this machine's files", "a tree"])
def tree(request, tmp_path) -> Path | None:
    """The smallest tree in which a shell runs, or none."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    if request.param != "a tree":
        return None
    place = tmp_path / "a:b, c"  # which an option of mount would read as several
    for name in FOLDERS:
        (place / name).mkdir(parents=True)
    shutil.copy(BUSYBOX, place / "bin" / "busybox")
    for name in ("umount", "rmdir"):
        (place / "bin" / name).symlink_to("busybox")
    return place


class Machine:
    """A machine with nothing on it but what a test starts."""

    def __init__(self, tree: Path | None, hidden: str = "", **more: Any) -> None:
        name = secrets.token_hex(3)
        self.folder = workspace_of(f"machine-{name}")
        self.netns = f"ni-machine-{name}"
        self.tree = tree
        self.folder.mkdir()
        try:
            make_machine(self.folder, self.netns, tree, hidden, **more)
        except EngineError:
            self.end()
            raise

    def sees(self, *words: str) -> str:
        """Run busybox there and give what it printed."""
        program = "/bin/busybox" if self.tree else BUSYBOX
        done = subprocess.run(
            [*entering(self.folder, self.netns), program, *words],
            env=environment_of(self.tree),
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
        return done.stdout

    def links(self) -> set[str]:
        """Give the names of its links, as the kernel tells them outside of /sys."""
        shown = run_tool("ip", "-n", self.netns, "-j", "link")
        return {link["ifname"] for link in json.loads(shown)}

    def end(self) -> None:
        remove_cgroups([self.netns])
        remove_folder(self.folder)
        remove_netns(self.netns)


@pytest.fixture
def machine(tree):
    made = Machine(tree)
    yield made
    made.end()
    assert not made.folder.exists()
    assert mounts_under(made.folder) == []


def mounts_below_sys() -> set[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return {point for line in lines if (point := line.split()[4]).startswith("/sys/")}


def test_sys_has_the_links_of_the_engines_own_network_namespace(machine):
    run_tool("ip", "-n", machine.netns, "link", "add", "ni-seen", "type", "bridge")
    assert set(machine.sees("ls", "/sys/class/net").split()) == machine.links()
    assert "ni-seen" in machine.links()
    assert machine.sees("cat", "/sys/class/net/ni-seen/bridge/stp_state") == "0\n"


def test_what_this_machine_mounts_below_sys_is_there_too(machine):
    wanted = mounts_below_sys()
    mounts = [line.split()[1] for line in machine.sees("cat", "/proc/mounts").splitlines()]
    assert wanted
    assert wanted <= set(mounts)
    control_groups = os.listdir("/sys/fs/cgroup")  # noqa: PTH208
    assert machine.sees("ls", "/sys/fs/cgroup").split() == sorted(control_groups)


def test_settings_of_the_network_are_the_engines_own(machine):
    machine.sees("sh", "-c", "echo 77 >/proc/sys/net/ipv4/ip_default_ttl")
    assert machine.sees("cat", "/proc/sys/net/ipv4/ip_default_ttl") == "77\n"
    assert Path("/proc/sys/net/ipv4/ip_default_ttl").read_text() != "77\n"


def test_file_of_name_servers_is_the_engines_own(machine):
    # looked at, not written to: the test must do no harm where it fails
    shown = machine.sees("stat", "-c", "%d %i", "/etc/resolv.conf").split()
    status = Path("/etc/resolv.conf").stat()
    assert [int(number) for number in shown] != [status.st_dev, status.st_ino]


def test_names_are_resolved_as_on_this_machine(machine):
    assert machine.sees("cat", "/etc/resolv.conf") == Path("/etc/resolv.conf").read_text()
    assert machine.sees("hostname") == f"{os.uname().nodename}\n"


def test_mounts_and_files_in_memory_outlive_the_process_that_made_them(machine):
    machine.sees("mkdir", str(machine.folder / "point"))
    machine.sees("mount", "-t", "tmpfs", "tmpfs", str(machine.folder / "point"))
    machine.sees("touch", str(machine.folder / "point" / "kept"))
    assert machine.sees("ls", str(machine.folder / "point")) == "kept\n"
    assert list((machine.folder / "point").iterdir()) == []  # it is mounted there alone


def test_engine_in_a_tree_has_run_and_shared_memory_to_itself(machine):
    if machine.tree is None:
        pytest.skip("it runs on this machine's files")
    assert machine.sees("ls", "/run", "/dev/shm").split() == ["/dev/shm:", "/run:"]
    machine.sees("touch", "/run/ni-mine", "/dev/shm/ni-mine", "/ni-mine")
    assert machine.sees("ls", "/run", "/dev/shm").count("ni-mine") == 2
    for place in (Path("/run"), Path("/dev/shm"), machine.tree):
        assert not (place / "ni-mine").exists()


def test_engine_sees_no_mount_twice(machine):
    mounts = [line.split()[1] for line in machine.sees("cat", "/proc/mounts").splitlines()]
    assert [point for point in mounts if point.endswith("/machine/merged")] == []
    assert mounts.count("/proc") == 1


@pytest.mark.parametrize("tree", ["a tree"], indirect=True)
def test_tree_has_the_name_servers_behind_systemd_resolved(tree, tmp_path):
    """Docker reads that file where resolv.conf names only systemd's own server."""
    place = Path("/run/systemd/resolve")
    if place.exists():
        pytest.skip("this machine has its own")
    words = ["unshare", "--mount", "--propagation", "private", "sh", "-euc"]
    script = 'mount -t tmpfs tmpfs /run; mkdir -p "$1"; echo there >"$1/resolv.conf"; shift; '
    folder = tmp_path / "folder"
    (folder / "machine").mkdir(parents=True)
    source = Path(make_machine.__code__.co_filename).with_name("machine.sh")
    run = f'mount -t tmpfs tmpfs "$1/machine"; sh {source} "$1" "$2" "" ""; /bin/busybox cat "$0"'
    done = subprocess.run(
        [*words, script + run, str(place / "resolv.conf"), str(place), str(folder), str(tree)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("there\n", "")


@pytest.mark.parametrize("tree", ["this machine's files", "a tree"], indirect=True)
def test_a_mount_can_be_hidden(tree):
    hidden = max(mounts_below_sys())  # the deepest
    machine = Machine(tree, hidden)
    try:
        mounts = [line.split()[1] for line in machine.sees("cat", "/proc/mounts").splitlines()]
        own = mounts[len(mounts) - mounts[::-1].index("/sys") :]
        assert hidden not in own
        assert hidden in mounts_below_sys()
    finally:
        machine.end()


def test_folders_that_engines_share_are_its_own():
    """Podman's, say: what it makes there is seen by nobody else, whether they are there or not."""
    new = f"/run/ni-{secrets.token_hex(3)}"
    machine = Machine(None, emptied=["/run/netns", new])
    try:
        assert Path("/run/netns", machine.netns).exists()
        assert machine.sees("ls", "/run/netns") == ""
        machine.sees("touch", f"{new}/x", "/run/netns/ni-x", f"{new}-y")
        assert machine.sees("ls", new) == "x\n"
        found = [Path(new), Path(f"{new}-y"), Path("/run/netns/ni-x")]
        assert [path for path in found if path.exists()] == []
        # the rest of /run is there: the machine's name servers, for one
        assert set(os.listdir("/run")) <= set(machine.sees("ls", "-a", "/run").split())  # noqa: PTH208
    finally:
        machine.end()


@pytest.mark.parametrize("tree", ["this machine's files", "a tree"], indirect=True)
def test_control_group_of_its_own_is_the_root_of_version_2(tree):
    machine = Machine(tree, own_cgroup=True)
    try:
        group = cgroup_of(machine.netns)
        mounts = [line.split() for line in machine.sees("cat", "/proc/mounts").splitlines()]
        seen = [kind for _, point, kind, *_ in mounts if point.startswith("/sys/fs/cgroup")]
        assert seen[-1] == "cgroup2"
        assert "0::/\n" in machine.sees("cat", "/proc/self/cgroup")
        machine.sees("mkdir", "/sys/fs/cgroup/made")
        assert (group / "made").is_dir()
        assert Path("/proc/self/cgroup").read_text().count(machine.netns) == 0
    finally:
        machine.end()
    assert not group.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("cpu", sorted(os.sched_getaffinity(0)))
def test_caller_may_be_in_a_mount_namespace_that_any_cpu_made(cpu):
    cpus = ",".join(map(str, sorted(os.sched_getaffinity(0))))
    words = ["taskset", "--cpu-list", str(cpu), "unshare", "--mount", "taskset", "--cpu-list", cpus]
    script = "from tests.selftest.test_engine_machine import Machine; Machine(None).end()"
    run_tool(*words, sys.executable, "-c", script)


def test_machine_that_cannot_be_made_says_why(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    name = f"ni-machine-{secrets.token_hex(3)}"
    try:
        with pytest.raises(EngineError, match="nowhere"):
            make_machine(tmp_path, name, tmp_path / "nowhere")
    finally:
        remove_folder(tmp_path)
        remove_netns(name)


def test_environment_of_a_daemon_is_not_that_of_its_caller(monkeypatch):
    for name in ("DOCKER_TLS_VERIFY", "DOCKER_DRIVER", "HTTP_PROXY", "NOTIFY_SOCKET", "TMPDIR"):
        monkeypatch.setenv(name, "/x")
    monkeypatch.setenv("PATH", "/opt/docker:/usr/bin")
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    own = environment_of(None)
    assert {"PATH", "HOME", "LANG", "PYTHONPATH"} <= set(own)
    assert {name for name in own if not name.startswith("PYTHON")} == {"PATH", "HOME", "LANG"}
    assert (own["PATH"], own["PYTHONHASHSEED"]) == ("/opt/docker:/usr/bin", "0")
    assert environment_of(Path("/tree"))["PATH"].startswith("/usr/local/sbin:")
