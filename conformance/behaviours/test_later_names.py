"""Files and events, as a later release of Docker changed them on purpose.

See test_later_releases.py.
"""

import ipaddress

from conformance.assertions import expect_equal, expect_in, expect_refused
from conformance.impact.setup import nobody
from conformance.observe.files import addresses_of
from conformance.registry import behaviour


def pairs_of(events):
    return [event.pair for event in events]


@behaviour(
    "files.hosts.own-line-lost-alone",
    "When a container leaves a user network live, its own line of that network MUST go, and those "
    "of the others stay.",
    source="moby#48857 v28.0",
    docker=">=28.0",
    bugs=("moby#34044",),
    replaces=("files.hosts.own-lines-lost-together",),
    concerns=nobody,
)
def test_live_disconnect_takes_one_own_line(run, network, exec_in):
    first, second = network(), network()
    container = run(network_mode=first.name)
    own = container.attrs["NetworkSettings"]["Networks"][first.name]["IPAddress"]
    second.connect(container)
    second.disconnect(container)
    text = exec_in(container, "cat", "/etc/hosts").stdout
    hostname = container.attrs["Config"]["Hostname"]
    expect_equal("the own lines after", [own], addresses_of(text, hostname))


def with_ipv6_off(setup):
    for one in setup.containers:
        if one.has_own_network and one.switches_ipv6_off:
            why = "IPv6 is switched off in it"
            yield one.effect("hosts file", why, "ip6-localhost and the like have no address")


@behaviour(
    "files.hosts.ipv6-off-drops-lines",
    "With IPv6 switched off in the container /etc/hosts MUST NOT have IPv6 names.",
    source="libnetwork etchosts v26.0",
    tier="quirk",
    docker=">=26.0",
    replaces=("files.hosts.ipv6-off-keeps-lines",),
    concerns=with_ipv6_off,
)
def test_ipv6_names_go_without_ipv6(run, exec_in):
    container = run(sysctls={"net.ipv6.conf.all.disable_ipv6": "1"})
    text = exec_in(container, "cat", "/etc/hosts").stdout
    expect_equal("the addresses of localhost", ["127.0.0.1"], addresses_of(text, "localhost"))
    expect_equal("other IPv6 names", [], addresses_of(text, "ip6-localnet"))


def is_address(text):
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def with_bad_server(setup):
    for one in setup.containers:
        bad = [server for server in one.servers if not is_address(server)]
        if bad and not one.mode.startswith("container:"):
            yield one.effect(
                "starts", f"its DNS server {bad[0]} is no address", "it does not start"
            )


@behaviour(
    "files.resolv-conf.bad-server-refused",
    "A DNS server that is no address MUST fail the start.",
    source="libnetwork resolvconf v26.0",
    docker=">=26.0",
    replaces=("files.resolv-conf.unparsable-server",),
    concerns=with_bad_server,
)
def test_unparsable_server_fails_the_start(create):
    container = create(dns=["bad"])
    expect_refused(container.start)


@behaviour(
    "files.resolv-conf.edit-kept",
    "A resolv.conf that a container of the default network has edited MUST be left alone when it "
    "joins its first user network live.",
    source="libnetwork sandbox rebuildDNS v26.0",
    docker=">=26.0",
    replaces=("files.resolv-conf.edit-overwritten",),
)
def test_first_user_network_keeps_an_edit(run, network, exec_in):
    container = run()
    exec_in(container, "sh", "-c", "echo 'nameserver 192.0.2.53' > /etc/resolv.conf")
    network().connect(container)
    text = exec_in(container, "cat", "/etc/resolv.conf").stdout
    expect_equal("the file", "nameserver 192.0.2.53\n", text)


@behaviour(
    "events.stop.die-after-disconnect",
    "A stop MUST announce `kill`, one `disconnect` per network and only then `die`.",
    source="moby daemon/monitor.go v23.0",
    docker=">=23.0",
    replaces=("events.stop.die-before-disconnect",),
)
def test_stop_announces_the_networks_then_die(run, network, events):
    container = run()
    network().connect(container)
    events.restart()
    container.stop()
    events.wait_for("container", "stop", actor=container.id)
    seen = pairs_of(events.wait_for("container", "die", actor=container.id))
    gone = [("network", "disconnect")] * 2
    wanted = [("container", "kill"), *gone, ("container", "die")]
    expect_equal("the events", wanted, [pair for pair in seen if pair != ("container", "stop")])
    expect_in("the events", ("container", "stop"), seen)


@behaviour(
    "events.exit.die-after-disconnect",
    "A container that exits by itself MUST announce `disconnect`, then `die`; with AutoRemove "
    "`destroy` comes last.",
    source="moby daemon/monitor.go v23.0",
    docker=">=23.0",
    replaces=("events.exit.die-before-disconnect",),
)
def test_exit_announces_the_network_then_die(create, events):
    container = create(["true"], auto_remove=True)
    events.restart()
    container.start()
    seen = events.wait_for("container", "destroy", actor=container.id)
    begin = [("network", "connect"), ("container", "start")]
    end = [("network", "disconnect"), ("container", "die"), ("container", "destroy")]
    expect_equal("the events", begin + end, pairs_of(seen))


@behaviour(
    "events.disconnect.live-once",
    "A live disconnect MUST be announced once.",
    source="moby#48800 v28.0",
    docker=">=28.0",
    bugs=("moby#48797",),
    replaces=("events.disconnect.live-twice",),
)
def test_live_disconnect_is_announced_once(run, network, events):
    net, container = network(), run()
    net.connect(container)
    events.restart()
    net.disconnect(container)
    seen = events.collect("network", actor=container.id)
    expect_equal("the events", [("disconnect", net.id)], [(e.action, e.actor) for e in seen])


@behaviour(
    "events.stopped.silent",
    "Neither the connect nor the disconnect of a container that does not run MUST be announced.",
    source="moby#48800 v28.0",
    tier="quirk",
    docker=">=28.0",
    replaces=("events.stopped.disconnect-alone",),
)
def test_stopped_container_is_silent(create, network, events):
    net, container = network(), create()
    net.connect(container)
    net.disconnect(container)
    seen = events.collect("network", actor=container.id)
    expect_equal("the events", [], [event.action for event in seen])
