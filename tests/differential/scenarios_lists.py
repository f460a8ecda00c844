"""What the lists and the events let through with which filters."""

from tests.differential.scenario import scenario
from tests.differential.stage import Stage

NET1, NET2 = "10.205.1.0/24", "10.205.2.0/24"


@scenario
def list_networks_with_filters(engine: Stage) -> None:
    engine.network("net1", NET1, labels={"colour": "blue", "size": "1"})
    engine.network("net2", NET2, internal=True, labels={"colour": "red"})
    engine.run("ct1", host={"network_mode": "net1"})
    for filters in (
        {},
        {"name": "net"},
        {"name": "net1"},
        {"name": ["net1", "host"]},
        {"name": "^net1$"},
        {"driver": "bridge"},
        {"driver": "host"},
        {"driver": "nonsense"},
        {"type": "custom"},
        {"type": "builtin"},
        {"type": "nonsense"},
        {"scope": "local"},
        {"scope": "swarm"},
        {"label": "colour"},
        {"label": "colour=blue"},
        {"label": ["colour", "size"]},
        {"dangling": "nonsense"},
        {"dangling": ["true", "false"]},
        {"nonsense": "1"},
        {"driver": "bridge", "label": "colour=red"},
    ):
        engine.list_networks(**filters)
    engine.list_networks(id="{network net1:64}")
    engine.list_networks(id="{network net1:12}")


@scenario
def list_networks_by_their_use(engine: Stage) -> None:
    engine.network("net1", NET1)
    engine.network("net2", NET2)
    engine.run("ct1", host={"network_mode": "net1"})
    for value in ("true", "false", "1"):
        engine.list_networks(dangling=value)


@scenario
def list_containers_with_filters(engine: Stage) -> None:
    engine.network("net1", NET1)
    engine.run("ct1", host={"network_mode": "net1"}, labels={"colour": "blue"})
    engine.run("ct2", labels={"colour": "red"})
    engine.create("ct3", ("sh", "-c", "exit 3"))
    engine.start("ct3", look=False)
    engine.wait("ct3")
    engine.create("ct4", host={"network_mode": "host"})
    engine.run("ct5")
    engine.pause("ct5")
    for filters in (
        {"network": "net1"},
        {"network": "bridge"},
        {"network": "host"},
        {"network": "nowhere"},
        {"network": ["net1", "bridge"]},
        {"name": "ct1"},
        {"name": "/ct1"},
        {"name": "^c"},
        {"name": "^/c[12]$"},
        {"name": "("},
        {"status": "running"},
        {"status": "created"},
        {"status": "exited"},
        {"status": "paused"},
        {"status": ["running", "exited"]},
        {"status": "nonsense"},
        {"label": "colour"},
        {"label": "colour=red"},
        {"label": ["colour=red", "colour=blue"]},
        {"exited": "3"},
        {"exited": "0"},
        {"exited": "nonsense"},
        {"ancestor": "netinit/busybox"},
        {"ancestor": "nonsense"},
        {"before": "ct3"},
        {"since": "ct3"},
        {"before": "nobody"},
        {"health": "none"},
        {"health": "nonsense"},
        {"is-task": "true"},
        {"is-task": "false"},
        {"volume": "none"},
        {"publish": "80"},
        {"nonsense": "1"},
        {"network": "bridge", "label": "colour=red"},
    ):
        engine.ps(**filters)
    engine.ps(every=False)
    engine.ps(every=False, status="exited")
    engine.request("GET", "/containers/json?limit=2")
    engine.request("GET", "/containers/json?limit=nonsense")
    engine.ps(id="{container ct1:12}")
    engine.ps(id="{container ct1:64}")


@scenario
def ps_shows_ports_networks_and_status(engine: Stage) -> None:
    engine.network("net1", NET1)
    engine.create("ct1", ports=[80])
    engine.ps()
    engine.connect("ct1", "net1")
    engine.start("ct1")
    engine.ps()
    engine.pause("ct1")
    engine.ps()
    engine.unpause("ct1")
    engine.kill("ct1")
    engine.ps()
    engine.run("ct2", host={"network_mode": "container:ct1"})
    engine.start("ct1")
    engine.run("ct2", host={"network_mode": "container:ct1"})
    engine.ps()


@scenario
def events_with_filters(engine: Stage) -> None:
    # no name is the beginning of an id: the filters take either
    engine.network("net1", NET1, labels={"colour": "blue"})
    engine.run("web", host={"network_mode": "net1"}, labels={"colour": "blue", "b": ""})
    engine.connect("web", "bridge")
    engine.execute("web", "true")
    engine.rename("web", "shop")
    engine.kill("shop")
    engine.remove("shop")
    engine.remove_network("net1")
    for filters in (
        {"type": "network"},
        {"type": "container"},
        {"type": "image"},
        {"type": "nonsense"},
        {"event": "connect"},
        {"event": "die"},
        {"event": "exec_create"},
        {"event": "exec_create: true"},
        {"container": "web"},
        {"container": "shop"},
        {"network": "net1"},
        {"network": "bridge"},
        {"label": "colour=blue"},
        {"label": "colour"},
        {"label": "b="},
        {"scope": "local"},
        {"scope": "swarm"},
        {"daemon": "nonsense"},
        {"nonsense": "1"},
        {"type": "network", "event": "create"},
    ):
        engine.events(**filters)
