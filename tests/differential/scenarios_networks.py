"""Networks of their own: create with every option, refusals, prune, remove."""

from tests.differential.scenario import scenario
from tests.differential.stage import Stage

NET1, NET2 = "10.204.1.0/24", "10.204.2.0/24"


def ipam(*configs: dict[str, object], **more: object) -> dict[str, object]:
    """Give the document that the API takes for addresses."""
    return {"Driver": "default", "Config": list(configs), **more}


@scenario
def network_create_with_options(engine: Stage) -> None:
    engine.network("plain", NET1)
    engine.network(
        "full",
        ipam=ipam(
            {
                "Subnet": "10.204.8.0/22",
                "IPRange": "10.204.9.0/24",
                "Gateway": "10.204.11.254",
                "AuxiliaryAddresses": {"router": "10.204.9.1", "printer": "10.204.9.2"},
            }
        ),
        labels={"colour": "blue", "empty": ""},
        options={
            "com.docker.network.bridge.name": "brfull",
            "com.docker.network.driver.mtu": "1400",
            "com.docker.network.bridge.enable_icc": "false",
            "com.docker.network.bridge.enable_ip_masquerade": "false",
        },
        attachable=True,
        internal=False,
        check_duplicate=True,
    )
    for number in range(3):
        engine.run(f"ct{number}", host={"network_mode": "full"})
    engine.create(
        "ct9", host={"network_mode": "full"}, endpoints={"full": {"ipv4_address": "10.204.9.1"}}
    )
    engine.start("ct9")
    engine.remove_network("plain")


@scenario
def network_create_internal_and_ipv6(engine: Stage) -> None:
    engine.network("in1", NET1, internal=True, labels={"a": "b"})
    engine.network("six", NET2, "fd00:204:1::/64", enable_ipv6=True)
    engine.network(
        "six2",
        ipam=ipam(
            {"Subnet": "10.204.3.0/24"},
            {"Subnet": "fd00:204:2::/64", "Gateway": "fd00:204:2::99"},
        ),
        enable_ipv6=True,
    )
    engine.network("six3", "10.204.4.0/24", "fd00:204:3::/64")
    engine.network("six4", "10.204.5.0/24", enable_ipv6=True)
    engine.run("ct1", host={"network_mode": "six2"})
    engine.connect("ct1", "in1")
    engine.connect("ct1", "six3")


@scenario
def network_ipv6_subnets(engine: Stage) -> None:
    free: dict[str, object] = {"Subnet": "fd00:204:9::/64"}
    engine.network("shown", ipam=ipam({"Subnet": NET1}, free))
    engine.network("again", ipam=ipam({"Subnet": NET2}, free | {"Gateway": "fd00::1"}))
    engine.network("used", ipam=ipam({"Subnet": "10.204.3.0/24"}, free), enable_ipv6=True)
    engine.network("local", "10.204.4.0/24", "fe80::/64", enable_ipv6=True)
    routers = {"DefaultGatewayIPv4": "10.204.5.9"}, {"DefaultGatewayIPv6": "fd00:204:5::9"}
    engine.network(
        "elsewhere",
        ipam=ipam(
            {"Subnet": "10.204.5.0/24", "AuxiliaryAddresses": routers[0]},
            {"Subnet": "fd00:204:5::/64", "AuxiliaryAddresses": routers[1]},
        ),
        enable_ipv6=True,
    )
    for name in ("shown", "used", "elsewhere"):
        engine.run(f"ct-{name}", host={"network_mode": name})
    engine.connect("ct-shown", "elsewhere")
    engine.disconnect("ct-shown", "elsewhere")


@scenario
def network_create_refusals(engine: Stage) -> None:
    engine.network("net1", NET1)
    engine.network("overlap", "10.204.1.128/25")
    engine.network("wrong", "nonsense")
    engine.network("wrong", "10.204.7.0")
    engine.network("odd", "10.204.6.5/24")
    engine.network("net1", "10.204.7.0/24", check_duplicate=True)
    engine.network("wrong", "10.204.10.0/24", driver="nonsense")
    engine.network("wrong", "10.204.11.0/24", driver="host")
    engine.network("wrong", "10.204.12.0/24", driver="null")
    engine.network("", "10.204.13.0/24")
    engine.network("bridge", "10.204.14.0/24")
    engine.network("host", "10.204.15.0/24")
    engine.network("none", "10.204.16.0/24")
    engine.network("default", "10.204.17.0/24")


@scenario
def network_create_address_refusals(engine: Stage) -> None:
    configs: list[tuple[str, dict[str, object]]] = [
        ("10.204.30.0/24", {"Gateway": "10.9.9.9"}),
        ("10.204.31.0/24", {"Gateway": "nonsense"}),
        ("10.204.32.0/24", {"IPRange": "10.9.9.0/24"}),
        ("10.204.33.0/24", {"IPRange": "nonsense"}),
        ("10.204.34.0/24", {"AuxiliaryAddresses": {"one": "10.9.9.9"}}),
        ("10.204.35.0/24", {"AuxiliaryAddresses": {"one": "nonsense"}}),
        ("", {"Gateway": "10.204.7.1"}),
        ("10.204.36.0/32", {}),
        ("10.204.37.0/31", {}),
        ("127.0.0.0/8", {}),
        ("0.0.0.0/0", {}),
        ("224.0.0.0/24", {}),
        ("fd00:204:7::/64", {}),
        ("10.204.38.0/24", {"Gateway": "10.204.38.0"}),
        ("10.204.39.0/24", {"Gateway": "10.204.39.255"}),
    ]
    for subnet, config in configs:
        engine.network("wrong", ipam=ipam({"Subnet": subnet, **config}))
        engine.remove_network("wrong")
    engine.network("two", ipam=ipam({"Subnet": NET1}, {"Subnet": NET2}))
    engine.network("drv", ipam={"Driver": "nonsense", "Config": [{"Subnet": NET1}]})
    engine.network("nul", ipam={"Driver": "null", "Config": []})
    engine.network("opt", ipam=ipam({"Subnet": NET1}, Options={"some": "option"}))


@scenario
def network_create_option_refusals(engine: Stage) -> None:
    for number, (key, value) in enumerate(
        [
            ("com.docker.network.driver.mtu", "nonsense"),
            ("com.docker.network.driver.mtu", "-1"),
            ("com.docker.network.bridge.enable_icc", "nonsense"),
            ("com.docker.network.bridge.enable_ip_masquerade", "nonsense"),
            ("com.docker.network.bridge.host_binding_ipv4", "nonsense"),
            ("com.docker.network.bridge.name", "a-name-that-is-too-long"),
            ("com.docker.network.bridge.name", "lo"),
            ("com.docker.network.bridge.default_bridge", "true"),
            ("com.docker.network.container_iface_prefix", "net"),
            ("unknown.option", "value"),
        ]
    ):
        engine.network(f"net{number}", f"10.204.{20 + number}.0/24", options={key: value})
    engine.run("ct1", host={"network_mode": "net9"})
    engine.connect("ct1", "net8")


@scenario
def network_remove(engine: Stage) -> None:
    engine.network("net1", NET1)
    engine.run("ct1", host={"network_mode": "net1"})
    engine.run("ct2", host={"network_mode": "net1"})
    engine.remove_network("net1")
    engine.stop("ct1")
    engine.remove_network("net1")
    engine.disconnect("ct2", "net1")
    engine.remove_network("net1")
    engine.remove_network("net1")
    engine.remove_network("bridge")
    engine.remove_network("host")
    engine.remove_network("none")
    engine.remove_network("nowhere")


@scenario
def network_prune(engine: Stage) -> None:
    engine.network("used", NET1)
    engine.network("kept", NET2, labels={"keep": "yes"})
    engine.network("free", "10.204.3.0/24", labels={"free": "yes"})
    engine.run("ct1", host={"network_mode": "used"})
    engine.prune_networks(label="free=yes")
    engine.network("free", "10.204.3.0/24")
    engine.request("POST", "/networks/prune?filters=%7B%22label%21%22%3A%5B%22keep%22%5D%7D")
    engine.request("POST", "/networks/prune?filters=%7B%22until%22%3A%5B%221h%22%5D%7D")
    engine.request("POST", "/networks/prune?filters=%7B%22name%22%3A%5B%22kept%22%5D%7D")
    engine.stop("ct1")
    engine.prune_networks()
    engine.prune_networks()


@scenario
def network_with_few_addresses(engine: Stage) -> None:
    engine.network("tiny", "10.204.1.0/29")
    for number in range(7):
        engine.run(f"ct{number}", host={"network_mode": "tiny"})
    engine.stop("ct2")
    engine.start("ct6")
    engine.start("ct2")


@scenario
def network_addresses_come_back(engine: Stage) -> None:
    engine.network("net1", NET1)
    on = {"network_mode": "net1"}
    for name in ("ct1", "ct2", "ct3"):
        engine.run(name, host=on)
    engine.stop("ct1")
    engine.stop("ct2")
    engine.start("ct2")
    engine.start("ct1")
    engine.remove("ct3", force=True)
    engine.run("ct4", host=on, endpoints={"net1": {"ipv4_address": "10.204.1.4"}})
    engine.run("ct5", host=on)


@scenario
def failed_network_create_gives_its_pool_back(engine: Stage) -> None:
    # a subnet of its own, since Docker has lost it afterwards
    engine.network(
        "wrong",
        ipam=ipam({"Subnet": "10.204.99.0/24", "AuxiliaryAddresses": {"one": "10.9.9.9"}}),
    )
    engine.network("good", "10.204.99.0/24")
