"""User networks: static addresses, aliases, connect and disconnect, running and stopped."""

from tests.differential.scenario import scenario
from tests.differential.stage import Stage

NET1, NET2, NET3 = "10.201.1.0/24", "10.201.2.0/24", "10.201.3.0/24"
NET6 = "fd00:201:1::/64"


@scenario
def user_network_start_stop_restart_remove(engine: Stage) -> None:
    engine.network("net1", NET1)
    engine.run("ct1", host={"network_mode": "net1"})
    engine.stop("ct1")
    engine.start("ct1")
    engine.restart("ct1")
    engine.remove("ct1", force=True)
    engine.remove_network("net1")


@scenario
def user_network_static_addresses(engine: Stage) -> None:
    engine.network("net1", NET1)
    on = {"network_mode": "net1"}
    engine.create("ct1", host=on, endpoints={"net1": {"ipv4_address": "10.201.1.77"}})
    engine.start("ct1")
    engine.create("ct2", host=on, endpoints={"net1": {"ipv4_address": "10.201.1.77"}})
    engine.start("ct2")
    engine.stop("ct1")
    engine.start("ct2")
    engine.start("ct1")
    engine.create("ct3", host=on, endpoints={"net1": {"ipv4_address": "10.9.9.9"}})
    engine.start("ct3")
    engine.create("ct4", host=on, endpoints={"net1": {"ipv4_address": "nonsense"}})
    engine.create("ct5", host=on, endpoints={"net1": {"ipv4_address": "10.201.1.1"}})
    engine.start("ct5")


@scenario
def user_network_ipv6(engine: Stage) -> None:
    engine.network("net1", NET1, NET6, enable_ipv6=True)
    on = {"network_mode": "net1"}
    engine.run("ct1", host=on)
    engine.create("ct2", host=on, endpoints={"net1": {"ipv6_address": "fd00:201:1::77"}})
    engine.start("ct2")
    engine.create("ct3", host=on, endpoints={"net1": {"ipv6_address": "fd00:201:1::77"}})
    engine.start("ct3")
    engine.connect("ct3", "bridge")
    engine.start("ct3")
    engine.create("ct4", host=on, endpoints={"net1": {"ipv6_address": "fd00:9::1"}})
    engine.start("ct4")
    engine.stop("ct2")
    engine.disconnect("ct1", "net1")
    engine.connect("ct1", "net1", ipv4_address="10.201.1.9", ipv6_address="fd00:201:1::9")


@scenario
def user_network_aliases(engine: Stage) -> None:
    engine.network("net1", NET1)
    engine.network("net2", NET2)
    on = {"network_mode": "net1"}
    engine.create("ct1", host=on, endpoints={"net1": {"aliases": ["web", "sql"]}})
    engine.start("ct1")
    engine.connect("ct1", "net2", aliases=["web", "ct1", "web"])
    engine.run("ct2", host=on, endpoints={"net1": {"aliases": ["web"]}})
    engine.restart("ct1")
    engine.stop("ct1")
    engine.connect("ct1", "bridge", aliases=["nope"])
    engine.start("ct1")


@scenario
def user_network_mac_address(engine: Stage) -> None:
    engine.network("net1", NET1)
    engine.run("ct1", host={"network_mode": "net1"}, mac_address="02:11:22:33:44:55")
    engine.connect("ct1", "bridge")
    engine.restart("ct1")


@scenario
def connect_and_disconnect_running(engine: Stage) -> None:
    for name, subnet in (("net1", NET1), ("net2", NET2), ("net3", NET3)):
        engine.network(name, subnet)
    engine.run("ct1")
    engine.connect("ct1", "net1")
    engine.connect("ct1", "net2")
    engine.connect("ct1", "net3", ipv4_address="10.201.3.33")
    engine.disconnect("ct1", "bridge")
    engine.disconnect("ct1", "net1")
    engine.connect("ct1", "net1")
    engine.restart("ct1")
    for name in ("net1", "net2", "net3"):
        engine.disconnect("ct1", name)
    engine.restart("ct1")
    engine.connect("ct1", "bridge")


@scenario
def connect_and_disconnect_stopped(engine: Stage) -> None:
    engine.network("net1", NET1)
    engine.network("net2", NET2)
    engine.create("ct1")
    engine.connect("ct1", "net1")
    engine.connect("ct1", "net2", ipv4_address="10.201.2.22", aliases=["two"])
    engine.disconnect("ct1", "bridge")
    engine.start("ct1")
    engine.stop("ct1")
    engine.disconnect("ct1", "net1")
    engine.connect("ct1", "bridge")
    engine.start("ct1")
    engine.stop("ct1")
    engine.disconnect("ct1", "net2")
    engine.disconnect("ct1", "bridge")
    engine.start("ct1")


@scenario
def connect_stopped_user_network_container(engine: Stage) -> None:
    engine.network("net1", NET1)
    engine.network("net2", NET2)
    engine.create("ct1", host={"network_mode": "net1"})
    engine.connect("ct1", "net2")
    engine.disconnect("ct1", "net1")
    engine.start("ct1")
    engine.connect("ct1", "net1")
    engine.stop("ct1")
    engine.connect("ct1", "net1")
    engine.start("ct1")


@scenario
def connect_refusals(engine: Stage) -> None:
    engine.network("net1", NET1)
    engine.run("ct1")
    engine.run("ct2", host={"network_mode": "host"})
    engine.run("ct3", host={"network_mode": "none"})
    engine.run("ct4", host={"network_mode": "container:ct1"})
    engine.connect("ct1", "bridge")
    engine.connect("ct1", "host")
    engine.connect("ct1", "none")
    engine.connect("ct1", "nowhere")
    engine.connect("nobody", "net1")
    engine.connect("ct1", "net1", ipv4_address="10.9.9.9")
    engine.connect("ct1", "net1", ipv4_address="nonsense")
    engine.connect("ct1", "net1")
    engine.connect("ct1", "net1")
    engine.connect("ct2", "net1")
    engine.connect("ct3", "net1")
    engine.connect("ct4", "net1")
    engine.disconnect("ct2", "host")
    engine.disconnect("ct3", "none")
    engine.disconnect("ct3", "net1")
    engine.disconnect("ct4", "bridge")


@scenario
def disconnect_refusals(engine: Stage) -> None:
    engine.network("net1", NET1)
    engine.run("ct1")
    engine.create("ct2")
    engine.disconnect("ct1", "net1")
    engine.disconnect("ct2", "net1")
    engine.disconnect("nobody", "net1")
    engine.disconnect("ct1", "nowhere")
    engine.disconnect("nobody", "net1", force=True)
    engine.disconnect("ct1", "bridge", force=True)
    engine.disconnect("ct1", "bridge", force=True)
    engine.disconnect("ct2", "bridge", force=True)
    engine.request("POST", "/networks/net1/disconnect", {})
    engine.request("POST", "/networks/net1/connect", {})


@scenario
def connect_stopped_with_refused_addresses(engine: Stage) -> None:
    engine.network("net1", NET1)
    engine.create("ct1")
    engine.connect("ct1", "net1", ipv4_address="10.9.9.9")
    engine.connect("ct1", "net1", ipv4_address="10.201.1.5")
    engine.run("ct2", host={"network_mode": "net1"})
    engine.connect("ct1", "bridge", ipv4_address="172.17.0.99")
    engine.start("ct1")
    engine.connect("ct2", "bridge", ipv4_address="172.17.0.99")


@scenario
def network_is_removed_under_a_stopped_container(engine: Stage) -> None:
    engine.network("net1", NET1)
    engine.run("ct1", host={"network_mode": "net1"})
    engine.remove_network("net1")
    engine.stop("ct1")
    engine.remove_network("net1")
    engine.start("ct1")
    engine.disconnect("ct1", "net1")
    engine.disconnect("ct1", "net1", force=True)
    engine.network("net1", NET2)
    engine.start("ct1")


@scenario
def default_gateway_moves(engine: Stage) -> None:
    engine.network("an", NET1)
    engine.network("zz", NET2)
    engine.network("mm", NET3, internal=True)
    engine.run("ct1", host={"network_mode": "mm"})
    engine.connect("ct1", "zz")
    engine.connect("ct1", "an")
    engine.disconnect("ct1", "an")
    engine.connect("ct1", "bridge")
    engine.disconnect("ct1", "zz")
    engine.restart("ct1")


@scenario
def internal_network(engine: Stage) -> None:
    engine.network("in1", NET1, internal=True)
    engine.run("ct1", host={"network_mode": "in1"})
    engine.connect("ct1", "bridge")
    engine.disconnect("ct1", "in1")


@scenario
def endpoints_for_other_networks_at_create(engine: Stage) -> None:
    engine.network("net1", NET1)
    engine.network("net2", NET2)
    engine.create(
        "ct1", host={"network_mode": "net1"}, endpoints={"net2": {"ipv4_address": "10.201.2.5"}}
    )
    engine.start("ct1")
    engine.create("ct2", host={"network_mode": "net1"}, endpoints={"net1": {}, "net2": {}})
    engine.create("ct3", endpoints={"net1": {"aliases": ["three"]}})
    engine.start("ct3")
