"""What the in-process benchmark times is a whole sandbox, and its release takes all of it away."""

import json
import subprocess
from pathlib import Path

import pytest

from benchmarks.worker import Worker
from conformance.observe.poll import wait_until

pytestmark = pytest.mark.root


@pytest.fixture
def reference(tmp_path):
    folder = tmp_path / "reference"
    folder.mkdir()
    with Worker("benchmarks.inprocess", str(folder), log=tmp_path / "reference.log") as worker:
        yield worker


def in_namespaces(worker: Worker, *command: str) -> str:
    enter = ["nsenter", f"--net=/proc/{worker.pid}/ns/net", f"--mount=/proc/{worker.pid}/ns/mnt"]
    done = subprocess.run(
        [*enter, *command], check=True, capture_output=True, text=True, timeout=10
    )
    return done.stdout


def veths(worker: Worker) -> list[str]:
    links = json.loads(in_namespaces(worker, "ip", "-json", "link", "show", "type", "veth"))
    return [link["ifname"] for link in links if link]


@pytest.mark.parametrize(
    ("network", "subnet"), [("bridge", "172.17."), ("user", "172.18.")], ids=["bridge", "user"]
)
def test_sandbox_is_whole_while_allocated_and_gone_after(reference, tmp_path, network, subnet):
    keys = str(tmp_path / "reference" / "exec" / "netns")
    for _ in range(3):
        assert 0 < reference.allocate(network) < 5
        (key,) = in_namespaces(reference, "ls", keys).split()
        inside = ["nsenter", f"--net={keys}/{key}", "ip", "-json"]
        addresses = json.loads(in_namespaces(reference, *inside, "-4", "address", "show", "eth0"))
        assert addresses[0]["addr_info"][0]["local"].startswith(subnet)
        (default,) = json.loads(in_namespaces(reference, *inside, "route", "show", "default"))
        assert default["dev"] == "eth0"
        assert len(veths(reference)) == 1

        reference.release()
        assert in_namespaces(reference, "ls", keys).split() == []
        # off its bridge at once, and gone when the kernel has had its time
        wait_until("the link to be gone", lambda: veths(reference) == [], timeout_s=5)


def test_worker_that_is_closed_in_the_middle_leaves_nothing(reference, tmp_path):
    reference.allocate("bridge")
    reference.close()
    assert (tmp_path / "reference.log").read_text() == ""
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()
