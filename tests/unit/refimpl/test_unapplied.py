"""Each option that is taken and not applied is told, once, and nothing else is."""

import re
from pathlib import Path

import pytest

from refimpl.daemon.containers.unapplied import HOST_OPTIONS, warn_of_unapplied
from refimpl.model.wire_container import Config, HostConfig

PAGE = Path(__file__).parents[3] / "docs" / "reference.md"
ASKED = {
    "Memory": 1 << 26,
    "MemoryReservation": 1 << 25,
    "MemorySwap": 1 << 27,
    "MemorySwappiness": 0,
    "KernelMemory": 1 << 25,
    "KernelMemoryTCP": 1,
    "OomKillDisable": True,
    "OomScoreAdj": -5,
    "NanoCpus": 5,
    "CpuShares": 2,
    "CpuPeriod": 1000,
    "CpuQuota": -1,
    "CpuRealtimePeriod": 1,
    "CpuRealtimeRuntime": 1,
    "CpusetCpus": "0",
    "CpusetMems": "0",
    "PidsLimit": 5,
    "BlkioWeight": 10,
    "BlkioWeightDevice": [{"Path": "/dev/x", "Weight": 10}],
    "BlkioDeviceReadBps": [{"Path": "/dev/x", "Rate": 1}],
    "BlkioDeviceWriteBps": [{"Path": "/dev/x", "Rate": 1}],
    "BlkioDeviceReadIOps": [{"Path": "/dev/x", "Rate": 1}],
    "BlkioDeviceWriteIOps": [{"Path": "/dev/x", "Rate": 1}],
    "Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": 1}],
    "Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/x", "CgroupPermissions": "r"}],
    "DeviceCgroupRules": ["c 1:3 r"],
    "DeviceRequests": [{"Driver": "", "Count": -1, "Capabilities": [["gpu"]]}],
    "GroupAdd": ["audio"],
    "Tmpfs": {"/t": ""},
    "ShmSize": 1 << 20,
    "StorageOpt": {"size": "1G"},
    "VolumeDriver": "local",
    "IpcMode": "host",
    "PidMode": "host",
    "UsernsMode": "x",
    "CgroupnsMode": "private",
    "CgroupParent": "/x",
    "Init": True,
}


def warnings(host: dict[str, object], config: dict[str, object] | None = None) -> list[str]:
    return warn_of_unapplied(Config.from_wire(config), HostConfig.from_wire(host))


def test_nothing_is_told_of_what_nobody_asked_for():
    assert warnings({}) == []
    assert warnings({name: None for name in HOST_OPTIONS if name != "MemorySwappiness"}) == []
    usual = {"ShmSize": 64 << 20, "IpcMode": "private", "MemorySwappiness": -1, "PidsLimit": -1}
    assert warnings(usual, {"Healthcheck": {"Test": ["NONE"]}, "Volumes": {}}) == []


def test_every_option_has_a_value_here():
    assert set(ASKED) == set(HOST_OPTIONS)


@pytest.mark.parametrize("name", ASKED)
def test_option_that_is_asked_for_is_named(name):
    assert warnings({name: ASKED[name]}) == [f"{name} is not applied by this engine."]


def test_options_outside_of_the_host_configuration():
    asked = {"Volumes": {"/data": {}}, "Healthcheck": {"Test": ["CMD", "true"]}}
    assert warnings({"Memory": 1 << 26}, asked) == [
        "Memory is not applied by this engine.",
        "Volumes is not applied by this engine.",
        "Healthcheck is not applied by this engine.",
    ]


def test_docs_name_every_option():
    text = PAGE.read_text(encoding="utf-8")
    listed = text.partition("<!-- unapplied: begin -->")[2].partition("<!-- unapplied: end -->")[0]
    assert set(re.findall(r"`(\w+)`", listed)) == {*HOST_OPTIONS, "Volumes", "Healthcheck"}
