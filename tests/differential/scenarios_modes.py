"""Network modes: host, none, another container's, and no network at all."""

from tests.differential.scenario import scenario
from tests.differential.stage import Stage

NET1 = "10.202.1.0/24"


@scenario
def host_mode(engine: Stage) -> None:
    engine.run("c1", host={"network_mode": "host"})
    engine.restart("c1")
    engine.stop("c1")
    engine.remove("c1")
    engine.run("c2", host={"network_mode": "host"}, hostname="named", domainname="example.org")
    engine.run("c3", host={"network_mode": "host", "extra_hosts": {"away": "10.0.0.9"}})


@scenario
def none_mode(engine: Stage) -> None:
    engine.run("c1", host={"network_mode": "none"})
    engine.restart("c1")
    engine.stop("c1")
    engine.disconnect("c1", "none")
    engine.connect("c1", "bridge")
    engine.start("c1")


@scenario
def container_mode(engine: Stage) -> None:
    engine.run("c1", hostname="first")
    engine.run("c2", host={"network_mode": "container:c1"})
    engine.run("c3", host={"network_mode": "container:{container c1:12}"})
    engine.restart("c2")
    engine.stop("c1")
    engine.restart("c2")
    engine.start("c1")
    engine.start("c2")
    engine.remove("c1", force=True)
    engine.stop("c2")
    engine.start("c2")


@scenario
def container_mode_refusals(engine: Stage) -> None:
    engine.create("c1", host={"network_mode": "container:nobody"})
    engine.start("c1")
    engine.create("c2")
    engine.create("c3", host={"network_mode": "container:c2"})
    engine.start("c3")
    engine.create("c4", host={"network_mode": "container:c4"})
    engine.start("c4")
    engine.create("c5", host={"network_mode": "container:c2"}, hostname="named")
    engine.create("c6", host={"network_mode": "container:c2", "dns": ["10.0.0.1"]})
    engine.create("c7", host={"network_mode": "container:c2", "extra_hosts": {"a": "10.0.0.1"}})
    engine.create("c8", host={"network_mode": "container:c2"}, mac_address="02:42:ac:11:00:99")
    engine.create("c9", host={"network_mode": "container:"})


@scenario
def container_mode_of_every_mode(engine: Stage) -> None:
    engine.network("net1", NET1)
    engine.run("c1", host={"network_mode": "host"})
    engine.run("c2", host={"network_mode": "container:c1"})
    engine.run("c3", host={"network_mode": "none"})
    engine.run("c4", host={"network_mode": "container:c3"})
    engine.run("c5", host={"network_mode": "net1"})
    engine.run("c6", host={"network_mode": "container:c5"})
    engine.run("c7", host={"network_mode": "container:c6"})
    engine.connect("c5", "bridge")


@scenario
def network_disabled(engine: Stage) -> None:
    engine.run("c1", network_disabled=True)
    engine.connect("c1", "bridge")
    engine.stop("c1")
    engine.connect("c1", "bridge")
    engine.start("c1")
    engine.create("c2", network_disabled=True, host={"network_mode": "host"})
    engine.start("c2")
    engine.create("c3", network_disabled=True, host={"network_mode": "container:c1"})
    engine.start("c3")


@scenario
def network_by_id_and_default(engine: Stage) -> None:
    engine.network("net1", NET1)
    engine.run("c1", host={"network_mode": "{network net1:64}"})
    engine.run("c2", host={"network_mode": "{network net1:12}"})
    engine.run("c3", host={"network_mode": "default"})
    engine.run("c4", host={"network_mode": "bridge"})
    engine.connect("c3", "{network net1:12}")
    engine.disconnect("c3", "{network net1:64}")
    engine.restart("c2")
