"""Goal: what the engine says of itself is true, and its id is the data-root's."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path

import pytest

from refimpl.daemon.views.system import load_engine_id
from refimpl.kernel.files import LinuxFiles
from tests.unit.refimpl.test_daemon_restore import Machine

ID = re.compile(r"([A-Z2-7]{4}:){11}[A-Z2-7]{4}")


def test_the_id_is_kept_with_the_data(tmp_path):
    machine = Machine(tmp_path)
    first = machine.boot().info()["ID"]
    assert ID.fullmatch(first)
    assert machine.boot().info()["ID"] == first
    assert Machine(tmp_path / "other").boot().info()["ID"] != first


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"A:B", b"A" * 100_000])
def test_a_file_that_is_no_id_is_replaced(tmp_path, content):
    path = tmp_path / "engine-id"
    path.write_bytes(content)
    engine_id = load_engine_id(LinuxFiles(), str(path))
    assert ID.fullmatch(engine_id)
    assert path.read_text() == f"{engine_id}\n"
    assert load_engine_id(LinuxFiles(), str(path)) == engine_id


def test_the_kernels_switches_threads_and_processors_are_read(tmp_path):
    info = Machine(tmp_path).boot().info()
    forwarding = Path("/proc/sys/net/ipv4/ip_forward").read_text().strip()
    bridging = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
    assert info["IPv4Forwarding"] == (forwarding == "1")
    assert info["BridgeNfIptables"] == (bridging.exists() and bridging.read_text().strip() == "1")
    assert 1 <= info["NGoroutines"] <= threading.active_count() + 1
    assert info["NCPU"] == len(os.sched_getaffinity(0))
    assert info["DefaultRuntime"] in info["Runtimes"]
    assert not any(info[limit] for limit in ("MemoryLimit", "CpuCfsQuota", "PidsLimit"))
