"""Network modes: host, none, another container's, and no network at all."""

from tests.differential.scenario import scenario
from tests.differential.stage import Stage

NET1 = "10.202.1.0/24"


@scenario
def host_mode(engine: Stage) -> None:
    engine.run("ct1", host={"network_mode": "host"})
    engine.restart("ct1")
    engine.stop("ct1")
    engine.remove("ct1")
    engine.run("ct2", host={"network_mode": "host"}, hostname="named", domainname="example.org")
    engine.run("ct3", host={"network_mode": "host", "extra_hosts": {"away": "10.0.0.9"}})


@scenario
def none_mode(engine: Stage) -> None:
    engine.run("ct1", host={"network_mode": "none"})
    engine.restart("ct1")
    engine.stop("ct1")
    engine.disconnect("ct1", "none")
    engine.connect("ct1", "bridge")
    engine.start("ct1")


@scenario
def container_mode(engine: Stage) -> None:
    engine.run("ct1", hostname="first")
    engine.run("ct2", host={"network_mode": "container:ct1"})
    engine.run("ct3", host={"network_mode": "container:{container ct1:12}"})
    engine.restart("ct2")
    engine.stop("ct1")
    engine.restart("ct2")
    engine.start("ct1")
    engine.start("ct2")
    engine.remove("ct1", force=True)
    engine.stop("ct2")
    engine.start("ct2")


@scenario
def container_mode_refusals(engine: Stage) -> None:
    engine.create("ct1", host={"network_mode": "container:nobody"})
    engine.start("ct1")
    engine.create("ct2")
    engine.create("ct3", host={"network_mode": "container:ct2"})
    engine.start("ct3")
    engine.create("ct4", host={"network_mode": "container:ct4"})
    engine.start("ct4")
    engine.create("ct5", host={"network_mode": "container:ct2"}, hostname="named")
    engine.create("ct6", host={"network_mode": "container:ct2", "dns": ["10.0.0.1"]})
    engine.create("ct7", host={"network_mode": "container:ct2", "extra_hosts": {"a": "10.0.0.1"}})
    engine.create("ct8", host={"network_mode": "container:ct2"}, mac_address="02:42:ac:11:00:99")
    engine.create("ct9", host={"network_mode": "container:"})


@scenario
def container_mode_of_every_mode(engine: Stage) -> None:
    engine.network("net1", NET1)
    engine.run("ct1", host={"network_mode": "host"})
    engine.run("ct2", host={"network_mode": "container:ct1"})
    engine.run("ct3", host={"network_mode": "none"})
    engine.run("ct4", host={"network_mode": "container:ct3"})
    engine.run("ct5", host={"network_mode": "net1"})
    engine.run("ct6", host={"network_mode": "container:ct5"})
    engine.run("ct7", host={"network_mode": "container:ct6"})
    engine.connect("ct5", "bridge")


@scenario
def network_disabled(engine: Stage) -> None:
    engine.run("ct1", network_disabled=True)
    engine.connect("ct1", "bridge")
    engine.stop("ct1")
    engine.connect("ct1", "bridge")
    engine.start("ct1")
    engine.create("ct2", network_disabled=True, host={"network_mode": "host"})
    engine.start("ct2")
    engine.create("ct3", network_disabled=True, host={"network_mode": "container:ct1"})
    engine.start("ct3")


@scenario
def network_by_id_and_default(engine: Stage) -> None:
    engine.network("net1", NET1)
    engine.run("ct1", host={"network_mode": "{network net1:64}"})
    engine.run("ct2", host={"network_mode": "{network net1:12}"})
    engine.run("ct3", host={"network_mode": "default"})
    engine.run("ct4", host={"network_mode": "bridge"})
    engine.connect("ct3", "{network net1:12}")
    engine.disconnect("ct3", "{network net1:64}")
    engine.restart("ct2")
