"""Links on a user network: private aliases."""

from conformance.assertions import expect_equal, expect_not_in
from conformance.registry import behaviour

# What nobody here knows is asked of an upstream server that is not there: it takes a second.
NO_UPSTREAM = {"dns": ["127.0.0.1"], "dns_opt": ["timeout:1", "attempts:1"]}


def linked(create, net, target, **options):
    """Create a container that knows its target as `peer` on one network, and on that alone."""
    container = create(network_mode=net.name, **NO_UPSTREAM, **options)
    net.disconnect(container)
    net.connect(container, links=[(target, "peer")])
    return container


def resolves(exec_in, container, name):
    return "bad address" not in exec_in(container, "ping", "-c", "1", "-W", "2", name).stderr


@behaviour(
    "links.user.private-alias",
    "On a user network the alias of a link MUST be resolved for the linker alone.",
    source="libnetwork CreateOptionMyAlias, sandbox.ResolveName v17.06",
)
def test_alias_is_known_to_the_linker_alone(run, create, network, exec_in):
    net = network()
    target = run(network_mode=net.name, **NO_UPSTREAM)
    linker = linked(create, net, target.name)
    linker.start()
    expect_equal("for the linker", True, resolves(exec_in, linker, "peer"))
    expect_equal("for the target", False, resolves(exec_in, target, "peer"))


@behaviour(
    "links.user.no-files-no-environment",
    "A link on a user network MUST NOT add a line to /etc/hosts or a variable to the environment.",
    source="moby daemon buildSandboxOptions, setupLinkedContainers v17.06: bridge only",
)
def test_link_leaves_hosts_and_environment_alone(run, create, network, exec_in):
    net = network()
    target = run(network_mode=net.name, environment={"COLOUR": "red"})
    linker = linked(create, net, target.name)
    linker.start()
    expect_equal("the alias", True, resolves(exec_in, linker, "peer"))
    hosts = exec_in(linker, "cat", "/etc/hosts").stdout
    expect_not_in("/etc/hosts", "peer", hosts)
    expect_not_in("the environment", "PEER_", exec_in(linker, "env").stdout)


@behaviour(
    "links.user.target-later",
    "The target of a link on a user network MAY come later: the alias MUST then be resolved, and "
    "no longer when the target is gone.",
    source="libnetwork sandbox.ResolveName v17.06: aliases are resolved when asked for",
)
def test_target_may_come_later(run, create, network, exec_in, new_name):
    net, later = network(), new_name("later")
    linker = linked(create, net, later)
    linker.start()
    expect_equal("before", False, resolves(exec_in, linker, "peer"))
    target = run(network_mode=net.name, name=later)
    expect_equal("once the target is there", True, resolves(exec_in, linker, "peer"))
    target.remove(force=True)
    expect_equal("when it is gone", False, resolves(exec_in, linker, "peer"))


@behaviour(
    "links.user.host-config-ignored",
    "The links of HostConfig MUST have no effect on a user network: those of the endpoint count.",
    source="moby daemon registerLinks v17.06: it returns for a user-defined network mode",
)
def test_host_config_links_do_nothing(run, network, exec_in):
    net = network()
    target = run(network_mode=net.name)
    linker = run(network_mode=net.name, links={target.name: "peer"}, **NO_UPSTREAM)
    expect_equal("the alias", False, resolves(exec_in, linker, "peer"))
    expect_equal("the target's name", True, resolves(exec_in, linker, target.name))
