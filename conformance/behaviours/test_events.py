"""What an engine announces while it starts and stops containers."""

from conformance.assertions import expect_equal
from conformance.registry import behaviour


@behaviour(
    "events.start.connect-before-start",
    "A start MUST announce a `connect` for each network, all before the container's `start`.",
    source="seed initializeNetworking: connectToNetwork comes before the process is started",
)
def test_connects_come_before_the_start(create, network, client, events):
    nets = [client.networks.get("bridge"), network(), network()]
    container = create()
    for net in nets[1:]:
        net.connect(container)
    events.restart()
    container.start()
    seen = events.wait_for("container", "start", actor=container.id)
    pairs = [event.pair for event in seen]
    expect_equal("the events", [("network", "connect")] * 3 + [("container", "start")], pairs)
    announced = sorted(event.actor for event in seen[:3])
    expect_equal("the networks that were announced", sorted(net.id for net in nets), announced)
