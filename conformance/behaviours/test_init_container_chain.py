"""Joiners of joiners."""

from conformance.assertions import expect_equal
from conformance.registry import behaviour


@behaviour(
    "init.container.chain-in-host-mode",
    "A container that joins a joiner of a host-mode container MUST start, in the daemon's network "
    "namespace.",
    source="moby setNamespaces v17.06: the pid of the direct target",
)
def test_joiner_of_a_joiner_of_a_host_container(run, host):
    container = run(network_mode="host")
    for _ in range(2):
        container = run(network_mode=f"container:{container.id}")
        inode = host.netns_of(container.attrs["State"]["Pid"]).inode()
        expect_equal("its namespace", host.daemon_netns().inode(), inode)
