"""Later runs: the third start fails in the middle, a name and its port are used anew, no memory."""

import ipaddress

import pytest
from docker.types import IPAMConfig, IPAMPool

from conformance.assertions import expect_equal, expect_fields, expect_in, expect_refused
from conformance.observe.own_process import kill_process
from conformance.observe.poll import eventually
from conformance.observe.sockets import address_in
from conformance.registry import behaviour

LOOPBACK = "127.0.0.1"
HOG = ["tail", "/dev/zero"]
LIMIT_BYTES = 32 << 20


@pytest.fixture
def expect_whole_after_a_failure(create, start, run, network, subnets, ports, inspect_network):
    """Run a container twice, let the third start fail at its last network, and mend that."""

    def check(last, asked, break_it, mend_it):
        subnet, (port,) = subnets.ipv4(), ports.free()
        first, address = network(subnet=subnet), str(ipaddress.ip_network(subnet)[9])
        container = create(ports={"80/tcp": port})
        first.connect(container, ipv4_address=address)
        last.connect(container, **asked)
        for _ in range(2):
            start(container).stop(timeout=0)
        break_it()
        for _ in range(2):
            expect_refused(container.start)
            expect_equal("the members", {}, inspect_network(first)["Containers"] or {})
        heir = run(ports={"80/tcp": port})
        first.connect(heir, ipv4_address=address)
        heir.remove(force=True)
        mend_it()
        start(container)
        for net in (first, last):
            expect_in("the members", container.id, inspect_network(net)["Containers"])
        ports.answer(container, 80, "here")
        expect_equal("who answers", "here", ports.ask(None, LOOPBACK, port))

    return check


@behaviour(
    "allocate.failure.third-start",
    "A container that has run twice and whose third start fails at its last network, where another "
    "one has got its address, MUST hold nothing: its address on another network and its port serve "
    "the next one. It MUST start on all of them once its address is free.",
    source="moby daemon containerStart: Cleanup, releaseNetwork v17.03",
)
@pytest.mark.parametrize("kind", ["ipv4_address", "ipv6_address"])
def test_third_start_fails_for_an_address(
    run, network, subnets, expect_whole_after_a_failure, kind
):
    both = {"ipv4_address": subnets.ipv4(), "ipv6_address": subnets.ipv6()}
    pools = [IPAMPool(subnet=subnet) for subnet in both.values()]
    last = network(enable_ipv6=True, ipam=IPAMConfig(pool_configs=pools))
    asked = {kind: str(ipaddress.ip_network(both[kind])[9])}
    thief = run()
    expect_whole_after_a_failure(
        last, asked, lambda: last.connect(thief, **asked), lambda: last.disconnect(thief)
    )


@behaviour(
    "drivers.parent.third-start",
    "A container that has run twice and whose third start fails because the parent of its macvlan "
    "network is gone MUST hold nothing: its address on another network and its port serve the next "
    "one. It MUST start on all of them once the parent is back.",
    source="moby daemon containerStart: Cleanup, releaseNetwork v17.03",
    needs=("macvlan",),
)
def test_third_start_fails_for_a_parent(network, wire, expect_whole_after_a_failure):
    link = wire()
    last = network(driver="macvlan", options={"parent": link.parent})
    expect_whole_after_a_failure(last, {}, link.cut, link.lay)


@behaviour(
    "life.end.out-of-memory",
    "A container that the kernel ends for its memory limit MUST be `exited`, with OOMKilled, and "
    "off its network, and its port MUST serve the next one.",
    source="moby daemon monitor.go StateOOM, StateExit v17.06",
    needs=("memory-limit",),
    bugs=("moby#33192",),
)
def test_end_for_want_of_memory_releases_the_network(run, inspect, inspect_network, network, ports):
    net, (port,) = network(), ports.free()
    asked = {"network": net.name, "ports": {"80/tcp": port}}
    limits = {"mem_limit": LIMIT_BYTES, "memswap_limit": LIMIT_BYTES}
    ended = run(HOG, **limits, **asked)
    eventually("it is exited", lambda: inspect(ended)["State"]["Status"] == "exited")
    wanted = {"OOMKilled": True, "ExitCode": 137, "Running": False}
    expect_fields("the state", wanted, inspect(ended)["State"])
    eventually("the network has no member", lambda: not inspect_network(net)["Containers"])
    ports.answer(run(**asked), 80, "heir")
    expect_equal("who answers", "heir", ports.ask(None, LOOPBACK, port))


def stop_and_remove(container):
    container.stop(timeout=0)
    container.remove()


def kill_and_remove(container):
    kill_process(container.attrs["State"]["Pid"])
    container.wait()
    container.remove()


@behaviour(
    "ports.changes.made-anew",
    "A container that is made anew under its name and with its port, however the former one ended, "
    "MUST be reached at the port, also where another container has the former one's address.",
    source="containers/podman#27516; libnetwork drivers/bridge releasePorts v17.06",
    bugs=("podman#27516",),
)
def test_port_of_a_container_that_is_made_anew(run, network, new_name, ports):
    net, (port,) = network(), ports.free()
    asked = {"name": new_name("anew"), "network": net.name, "ports": {"80/tcp": port}}
    container = run(**asked)
    for end in (stop_and_remove, kill_and_remove, lambda one: one.remove(force=True)):
        address = address_in(container, net)
        end(container)
        other = run()
        net.connect(other, ipv4_address=address)
        ports.answer(other, 80, "another one")
        container = run(**asked)
        ports.answer(container, 80, "the new one")
        expect_equal("who answers", "the new one", ports.ask(None, LOOPBACK, port))


@behaviour(
    "sandbox.hostname.host-uts-domainname",
    "A container in the machine's UTS namespace with a domain name of its own MUST be refused at "
    "its start, and be left as it was made.",
    source="runc validate sysctl v1.0: kernel.domainname takes a UTS namespace of its own",
    tier="quirk",
)
def test_domain_name_of_the_machine_is_not_set(create, inspect):
    container = create(uts_mode="host", domainname="netinit.example")
    expect_refused(container.start)
    expect_fields("the state", {"Status": "created", "Pid": 0}, inspect(container)["State"])
