"""The floor does the work that it claims to do, as the kernel shows it, and leaves nothing."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from benchmarks.worker import Worker, WorkerError

pytestmark = pytest.mark.root


def ip(worker: Worker, *arguments: str):
    """Run `ip -json` in the namespace where the worker's main thread is at this moment."""
    command = ["nsenter", f"--net=/proc/{worker.pid}/ns/net", "ip", "-json", *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=10)
    return json.loads(done.stdout)


@pytest.fixture
def floor(tmp_path):
    folder = tmp_path / "floor"
    folder.mkdir()
    with Worker("benchmarks.floor", str(folder), log=tmp_path / "floor.log") as worker:
        yield worker


def netns(pid: int) -> str:
    return str(Path(f"/proc/{pid}/ns/net").readlink())


def test_sandbox_has_its_address_route_and_loopback(floor):
    seconds = floor.allocate("bridge")
    assert 0 < seconds < 5
    links = {link["ifname"]: link for link in ip(floor, "address", "show")}
    assert "UP" in links["lo"]["flags"]
    eth0 = links["eth0"]
    assert "UP" in eth0["flags"]
    assert eth0["address"] == "02:42:ac:11:00:02"
    (ipv4,) = [each for each in eth0["addr_info"] if each["family"] == "inet"]
    assert (ipv4["local"], ipv4["prefixlen"]) == ("172.17.0.2", 16)
    assert ipv4["broadcast"] == "172.17.255.255"
    (default,) = ip(floor, "route", "show", "default")
    assert (default["gateway"], default["dev"]) == ("172.17.0.1", "eth0")


def test_sandbox_is_pinned_and_its_pair_is_a_port_of_the_bridge(floor, tmp_path):
    home = netns(floor.pid)
    floor.allocate("bridge")
    sandbox = netns(floor.pid)
    assert sandbox != home
    # The file is a mount in the worker's own mount namespace; from there it leads inside.
    into_key = ["nsenter", f"--mount=/proc/{floor.pid}/ns/mnt", "nsenter"]
    key = tmp_path / "floor" / "exec" / "netns"
    pinned = subprocess.run(
        [*into_key, f"--net={key}", "readlink", "/proc/self/ns/net"],
        check=True,
        capture_output=True,
        text=True,
        timeout=10,
    ).stdout.strip()
    assert pinned == sandbox
    # eth0's other end is in the worker's home namespace, seen by its index there
    peer_index = ip(floor, "link", "show", "eth0")[0]["link_index"]
    floor.release()
    assert netns(floor.pid) == home
    floor.allocate("bridge")
    next_peer_index = ip(floor, "link", "show", "eth0")[0]["link_index"]
    assert next_peer_index == peer_index + 2


def test_gateway_answers_from_inside(floor):
    floor.allocate("bridge")
    inside = ["nsenter", f"--net=/proc/{floor.pid}/ns/net"]
    done = subprocess.run(
        [*inside, "busybox", "ping", "-c", "1", "-W", "5", "172.17.0.1"],
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_release_leaves_the_bridge_and_nothing_else(floor, tmp_path):
    for _ in range(3):
        floor.allocate("bridge")
        floor.release()
    assert {link["ifname"] for link in ip(floor, "link", "show")} >= {"lo", "ni-floor"}
    assert not [link for link in ip(floor, "link", "show") if link["ifname"].startswith("veth")]
    # in the worker's own mount namespace, since the folder is in memory there
    listing = subprocess.run(
        ["nsenter", f"--mount=/proc/{floor.pid}/ns/mnt", "ls", "-A", tmp_path / "floor" / "exec"],
        capture_output=True,
        check=True,
        timeout=10,
    )
    assert listing.stdout == b""


def test_killed_worker_leaves_no_mount_and_is_reported(tmp_path):
    worker = Worker("benchmarks.floor", str(tmp_path), log=tmp_path / "floor.log")
    try:
        worker.allocate("bridge")
        os.kill(worker.pid, 9)
        with pytest.raises(WorkerError, match="it has died"):
            worker.release()
    finally:
        worker.close()
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()


def test_error_of_the_kernel_is_told_and_the_worker_lives_on(floor):
    with pytest.raises(WorkerError, match=r"release: OSError: \[Errno 19\]"):
        floor.release()  # there is no such link yet
    assert floor.allocate("bridge") > 0
