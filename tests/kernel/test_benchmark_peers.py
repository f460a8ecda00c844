"""The peers do the work that they are measured for, as the kernel shows it, and leave nothing."""

import json
import subprocess
from pathlib import Path

import pytest

from benchmarks.peers import PEERS, find_peers, version_of
from benchmarks.worker import Worker, WorkerError

pytestmark = pytest.mark.root
INSTALLED = find_peers()


def installed(name: str):
    reason = f"{name} is not installed"
    return pytest.param(name, marks=pytest.mark.skipif(name not in INSTALLED, reason=reason))


@pytest.fixture(params=[installed(name) for name in PEERS])
def peer(request, tmp_path):
    folder = tmp_path / "peer"
    folder.mkdir()
    arguments = (request.param, str(folder))
    with Worker("benchmarks.peers", *arguments, log=tmp_path / "peer.log") as worker:
        yield worker, folder


def ip(worker: Worker, *arguments: str, inside: Path | None = None):
    """Run `ip -json` at the worker's home, or in the namespace that has this name there."""
    enter = ["nsenter", f"--target={worker.pid}", "--net", "--mount"]
    if inside is not None:
        enter += ["nsenter", f"--net={inside}"]
    command = [*enter, "ip", "-json", *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=10)
    return json.loads(done.stdout)


def test_sandbox_has_its_address_and_default_route(peer):
    worker, folder = peer
    assert 0 < worker.allocate("bridge") < 20
    (eth0,) = ip(worker, "-4", "address", "show", "dev", "eth0", inside=folder / "exec" / "netns")
    (address,) = eth0["addr_info"]
    assert (address["local"], address["prefixlen"]) == ("172.30.0.2", 16)
    (route,) = ip(worker, "route", "show", "default", inside=folder / "exec" / "netns")
    assert route["gateway"] == "172.30.0.1"
    assert len(ports(worker)) == 1


def ports(worker: Worker) -> list[str]:
    links = ip(worker, "-details", "link", "show")
    return [link["ifname"] for link in links if "master" in link]


def test_same_sandbox_can_be_made_again_and_nothing_is_left_between(peer):
    worker, folder = peer
    for _ in range(3):
        worker.allocate("bridge")
        worker.release()
        assert ports(worker) == []
        # in the worker's own mount namespace, since the folder is in memory there
        look = ["nsenter", f"--target={worker.pid}", "--mount", "ls", "-A", folder / "exec"]
        assert subprocess.run(look, capture_output=True, check=True, timeout=10).stdout == b""


def test_failure_is_a_sentence(peer):
    worker, _folder = peer
    with pytest.raises(WorkerError, match=r"release: (PeerError|OSError|FileNotFoundError): "):
        worker.release()


@pytest.mark.parametrize("name", [installed(name) for name in PEERS])
def test_version_is_said(name):
    assert any(character.isdigit() for character in version_of(name, INSTALLED[name]))
