"""Goal: threads ask for locks in the one order that docs/architecture.md lists.

Method: the engine runs with locks that record their order. Clients do everything at once to the
same few containers and networks. Each pair (held, asked for) must be in the page's table, the
table must have no circle, and each lock that was seen must have a row.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from graphlib import TopologicalSorter
from pathlib import Path

import docker
import pytest

from conformance.image import build_archive
from tests.kernel.docker_cli import ROOT, WAIT_S, answers, tool, until
from tests.kernel.recorded_engine import SIGNALS

pytestmark = [pytest.mark.root, pytest.mark.slow]
NETNS = f"ni-locks-{os.getpid()}"
ROUNDS = 4
IMAGE = "locks-busybox:latest"
MADE = re.compile(r"\b(threading\.(R?Lock\b|Condition\((?!self))|Lock\b)")
"""How the source makes a lock; a condition on a lock of its owner is no other one."""
Pair = tuple[str, str]
"""A lock that is held, and what is asked for meanwhile."""


def table() -> dict[str, set[str]]:
    """Return the page's table: each lock, and what may be asked for while it is held."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    _, _, section = page.partition("<!-- locks: begin -->")
    section, _, _ = section.partition("<!-- locks: end -->")
    rows = re.findall(r"^\| `([^`]+)` \|[^|]*\|([^|]*)\|$", section, re.MULTILINE)
    return {lock: set(re.findall(r"`([^`]+)`", below)) for lock, below in rows}


def below(order: dict[str, set[str]], lock: str) -> set[str]:
    """Return everything that may be asked for while a lock is held, over any number of others."""
    found: set[str] = set()
    waiting = [lock]
    while waiting:
        new = order.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found


def test_the_table_of_locks_has_no_circle():
    order = table()
    assert order, "docs/architecture.md has no table of locks"
    TopologicalSorter(order).prepare()


def made_in_the_source() -> set[str]:
    """Return `Class.attribute` of each lock that the reference makes."""
    found = set()
    for path in (ROOT / "refimpl").rglob("*.py"):
        for owner in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(owner, ast.ClassDef):
                continue
            for node in ast.walk(owner):
                if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                    name = target.attr if isinstance(target, ast.Attribute) else None
                    name = target.id if isinstance(target, ast.Name) else name
                    if name and MADE.search(ast.unparse(node.value)):
                        found.add(f"{owner.name}.{name}")
    return found - SIGNALS


def test_each_lock_of_the_source_has_a_row():
    assert made_in_the_source() - set(table()) == set()
    assert set(table()) - made_in_the_source() == set()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[tuple[docker.DockerClient, Callable[[], set[Pair]]]]:
    tool("ip", "netns", "add", NETNS)
    tool("ip", "-n", NETNS, "link", "set", "lo", "up")
    sock, pairs = tmp_path / "engine.sock", tmp_path / "pairs.json"
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                "nsenter", f"--net=/run/netns/{NETNS}", sys.executable, "-m",
                "tests.kernel.recorded_engine", str(pairs), "--host", f"unix://{sock}",
                "--data-root", f"{tmp_path}/data", "--exec-root", f"{tmp_path}/exec",
            ],
            cwd=ROOT, stdout=log, stderr=log,
        )  # fmt: skip

    def end() -> set[Pair]:
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_S) == 0
        return {(held, wanted) for held, wanted in json.loads(pairs.read_text())}

    try:
        until("the engine answers", lambda: answers(sock) or process.poll() is not None)
        with contextlib.closing(docker.DockerClient(base_url=f"unix://{sock}")) as client:
            yield client, end
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(WAIT_S)
        tool("ip", "netns", "delete", NETNS)


def live(client: docker.DockerClient, number: int) -> None:
    """Let one container go through all that can happen to it, beside others that do the same."""
    name = f"lock-{number}"
    for turn in range(ROUNDS):
        with contextlib.suppress(docker.errors.APIError):
            container = client.containers.create(
                IMAGE, ["sh", "-c", "echo on; sleep 600"], name=name, network="locks",
                restart_policy={"Name": "on-failure"}, stop_signal="KILL", ports={"80/tcp": None},
            )  # fmt: skip
            container.start()
            container.exec_run(["nslookup", name])
            client.networks.get("bridge").connect(container)
            container.rename(f"{name}-{turn}")
            container.logs(tail=1)
            container.pause()
            container.unpause()
            client.networks.get("locks").disconnect(container)
            container.kill()
            container.wait(timeout=WAIT_S)
            container.start()
            container.restart(timeout=0)
        for ref in (name, f"{name}-{turn}"):
            with contextlib.suppress(docker.errors.APIError):
                client.containers.get(ref).remove(force=True)


def look(client: docker.DockerClient, _number: int) -> None:
    """Ask for what is shown of everything, and make and remove networks and images meanwhile."""
    for turn in range(ROUNDS * 3):
        with contextlib.suppress(docker.errors.APIError):
            client.containers.list(all=True)
            client.networks.list(greedy=True)
            client.info()
            client.images.list()
            client.networks.create(f"locks-{turn}", check_duplicate=True).remove()
            client.containers.prune()
            client.networks.prune()


@pytest.mark.timeout(300)
def test_threads_ask_for_locks_in_the_order_of_the_table(engine):
    client, end = engine
    client.api.import_image_from_data(
        build_archive(), repository=IMAGE.partition(":")[0], tag="latest"
    )
    client.networks.create("locks", check_duplicate=True)
    with ThreadPoolExecutor(6) as pool:
        jobs = [pool.submit(live, client, number) for number in range(4)]
        jobs += [pool.submit(look, client, number) for number in range(2)]
        for job in jobs:
            job.result()
    pairs = end()

    assert ("Container.lock", "Sandbox._lock") in pairs, "nothing was recorded"
    order = table()
    assert {held for held, _ in pairs} - set(order) == set(), "locks without a row"
    assert sorted(pair for pair in pairs if pair[1] not in below(order, pair[0])) == []
