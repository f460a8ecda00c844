"""What a create takes and refuses: bind mounts, links' aliases, addresses, signals, times."""

from typing import Any

from tests.differential.scenario import scenario
from tests.differential.stage import Stage

NET1 = "10.206.1.0/24"
REFUSED_BINDS = (
    ["/srv:/h:ro,rw"],
    ["/srv:/h:z,Z"],
    ["/srv:/h:bogus"],
    ["/srv:/h:ro,"],
    ["/srv:/h:nocopy"],
    ["/srv:/"],
    ["/srv:/.."],
    ["/srv:\\"],
    ["/srv:h"],
    ["/srv::ro"],
    ["/srv:ro"],
    ["/srv:"],
    [":/h"],
    ["/a:/b:/c:/d"],
    ["h"],
    ["v:/h"],
    ["./h:/h"],
    ["name:/h:rshared"],
    ["/srv:/h", "/etc:/g/../h/"],
    ["/:/h:private"],
    ["/srv:/h", "/a:b"],
)
TAKEN_BINDS = (
    "/srv:/h:ro,z",
    "/srv:/h:Z,rprivate,cached",
    "/srv/:/h//i/",
    "//srv:/h:",
    "/etc/hostname:/etc/hosts:ro,z",
    "/:/h",
)

WRONG_TYPES: tuple[dict[str, Any], ...] = (
    {"Ulimits": "x"},
    {"Ulimits": [{"Name": "nofile", "Hard": 2**63}]},
    {"Ulimits": [{"Name": "nofile", "Soft": 1.5}]},
    {"Devices": [{"PathOnHost": 5}]},
    {"Devices": {}},
    {"DeviceRequests": [{"Count": "all"}]},
    {"DeviceRequests": [{"Capabilities": [["gpu"], "gpu"]}]},
    {"BlkioWeightDevice": [{"Path": "/dev/a", "Weight": 70000}]},
    {"BlkioDeviceReadBps": [{"Path": "/dev/a", "Rate": -1}]},
    {"BlkioDeviceWriteIOps": "x"},
    {"ConsoleSize": [1, -1]},
    {"PidsLimit": "x"},
)


@scenario
def binds_that_are_refused(engine: Stage) -> None:
    for binds in REFUSED_BINDS:
        engine.create("ct1", host={"binds": binds}, look=False)
    engine.create("ct1", host={"binds": ["/srv:/h"], "tmpfs": {"/h": ""}})
    # the name is free again, and of each that was refused behind its name something is told
    engine.create("ct1", host={"binds": ["/srv:/h"]})
    engine.create("ct2", host={"binds": ["/a:b"], "links": {"nobody": "x"}})


@scenario
def binds_that_are_taken(engine: Stage) -> None:
    for number, bind in enumerate(TAKEN_BINDS, start=1):
        engine.run(f"ct{number}", host={"binds": [bind], "network_mode": "none"})
    for propagation in ("private", "shared", "rshared", "slave", "rslave"):
        name = f"ct-{propagation}"
        engine.create(name, host={"binds": [f"/srv:/h:{propagation}"], "network_mode": "none"})


@scenario
def aliases_of_links_with_slashes(engine: Stage) -> None:
    engine.run("ct1", environment={"COLOUR": "blue"}, ports=["3306"])
    links = (
        ("ct1", "/mysql"),
        ("ct1", "a/b"),
        ("/ct1", "/ct9/full"),
        ("ct1", "/"),
        ("ct1", "../ct2"),
        ("/ct1", ""),
    )
    for number, link in enumerate(links, start=2):
        name = f"ct{number}"
        engine.run(name, host={"links": [link]})
        engine.environment(name)
        for alias in ("mysql", "a/b", "b", "full", "ct1"):
            engine.request("GET", f"/containers/{name}/{alias}/json")
    engine.restart("ct1")
    engine.restart("ct2")


@scenario
def links_to_nobody(engine: Stage) -> None:
    engine.create("ct1", host={"links": [("", "x")]})
    engine.create("ct2", host={"network_mode": "container:ghost"})
    engine.create("ct3", host={"links": [("ct2", "x")]})


@scenario
def link_local_addresses_everywhere(engine: Stage) -> None:
    engine.network("net1", NET1)
    engine.run("ct1", endpoints={"bridge": {"link_local_ips": ["169.254.7.7"]}})
    engine.run(
        "ct2",
        host={"network_mode": "net1"},
        endpoints={"net1": {"link_local_ips": ["169.254.7.8"]}},
    )
    engine.run("ct3", endpoints={"bridge": {"link_local_ips": ["10.0.0.1"]}})
    engine.run("ct4", endpoints={"bridge": {"link_local_ips": ["nonsense"]}})
    engine.run("ct5", endpoints={"bridge": {"ipv4_address": "172.17.0.77"}})


@scenario
def stop_signals_and_times(engine: Stage) -> None:
    engine.create("ct1", stop_signal="FOO")
    engine.run("ct2", stop_signal="70")
    engine.stop("ct2")
    engine.kill("ct2", "70")
    engine.run("ct3", stop_signal="-5")
    engine.kill("ct3", "TERM")
    engine.stop("ct3")
    engine.create("ct4", stop_timeout=2**63)
    for number, seconds in enumerate((10_000_000_000, 2**63 - 1, -1, 0), start=5):
        engine.create(f"ct{number}", stop_timeout=seconds)


@scenario
def host_options_out_of_range(engine: Stage) -> None:
    engine.create("ct1", host={"shm_size": -1})
    engine.create("ct2", host={"runtime": "kata"})
    engine.create("ct3", host={"oom_score_adj": 2**70})
    engine.create("ct4", host={"shm_size": 2**64})
    for options in WRONG_TYPES:
        engine.request("POST", "/containers/create", {"Image": "nothere", "HostConfig": options})
    for check in ("x", {"Interval": "1s"}, {"Retries": 2**63}, {"Test": "x"}, {"Timeout": 1.5}):
        engine.request("POST", "/containers/create", {"Image": "nothere", "Healthcheck": check})
    engine.create(
        "ct5",
        host={
            "runtime": "runc",
            "ulimits": [{"Name": "nofile", "Soft": 5, "Hard": 6}],
            "device_write_bps": [{"Path": "/dev/null", "Rate": 5}],
        },
        healthcheck={"test": ["NONE"], "retries": 3},
    )
