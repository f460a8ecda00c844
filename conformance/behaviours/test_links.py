"""Legacy links: names for other containers on the default network."""

from conformance.assertions import expect_equal
from conformance.registry import behaviour


@behaviour(
    "links.legacy.beside-user-networks",
    "A legacy link MUST work, at each start, in a container that is on user networks, too.",
    source="seed allocateNetwork: the default network comes first because only it supports links",
    tier="core",
)
def test_link_works_beside_a_user_network(create, run, network, client):
    peer, bridge = run(), client.networks.get("bridge")
    linker = create(["ping", "-c", "1", "-W", "2", "peer"], links={peer.name: "peer"})
    network().connect(linker)
    # Made the last one of the list, so that an order by age does not help.
    bridge.disconnect(linker)
    bridge.connect(linker)
    for start in range(1, 7):
        linker.start()
        expect_equal(f"ping's exit code at start {start}", 0, linker.wait()["StatusCode"])
