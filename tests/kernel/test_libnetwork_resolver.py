"""Goal: one daemon answers the names of 500 sandboxes, and nothing of it is left when they go.

Method: real sandboxes on a real network; questions are asked from inside each of them.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import dns.message
import pytest

from refimpl.kernel.firewall import Firewall
from refimpl.libnetwork.controller import Controller
from refimpl.libnetwork.network import Network
from refimpl.libnetwork.sandbox import Sandbox
from refimpl.model.network import NetworkOptions
from tests.kernel.test_libnetwork_sandbox import Machine

pytestmark = [pytest.mark.root, pytest.mark.slow]

TIMEOUT_S = 20
SANDBOXES = 500
RESOLVER = ("127.0.0.11", 53)


@pytest.fixture
def machine(tmp_path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    yield machine
    for controller in machine.controllers:
        for key in controller.kernel.sandbox_keys(f"{tmp_path}/netns"):
            controller.kernel.destroy_sandbox(key)
        for network in controller.networks():
            if network.type == "bridge":
                controller.kernel.delete_link(str(network.state["bridge"]))
        Firewall().remove()
        controller.resolver.close()
        controller.kernel.close()


def make_network(controller: Controller) -> Network:
    return controller.new_network("crowd", NetworkOptions(driver="bridge"))


def ask(controller: Controller, sandbox: Sandbox, name: str, kind: socket.SocketKind) -> set[str]:
    """Ask as a process in the sandbox would."""
    wire = dns.message.make_query(name, "A").to_wire()
    with controller.kernel.open_socket(sandbox.key, kind) as one:
        one.settimeout(TIMEOUT_S)
        one.connect(RESOLVER)
        if kind == socket.SOCK_DGRAM:
            one.send(wire)
            answer = one.recv(4096)
        else:
            one.sendall(len(wire).to_bytes(2) + wire)
            answer = one.recv(4096)[2:]
    response = dns.message.from_wire(answer)
    return {str(item) for rrset in response.answer for item in rrset}


def addresses(sandbox: Sandbox) -> set[str]:
    return {str(one.info.ipv4.ip) for one in sandbox.endpoints() if one.info.ipv4 is not None}


def test_five_hundred_sandboxes_are_served_by_one_thread_and_two_sockets_each(
    machine, open_descriptors
):
    controller = machine.boot()
    network = make_network(controller)
    first = machine.start(controller, "c-0-", network)
    assert ask(controller, first, "c-0-", socket.SOCK_DGRAM) == addresses(first)
    descriptors, threads = open_descriptors(), threading.active_count()
    sandboxes = [
        first,
        *(machine.start(controller, f"c-{number}-", network) for number in range(1, SANDBOXES)),
    ]
    assert threading.active_count() <= threads
    assert open_descriptors() <= descriptors + 2 * (SANDBOXES - 1)
    for number, sandbox in enumerate(sandboxes):
        peer = (number + 1) % SANDBOXES
        kind = socket.SOCK_STREAM if number % 10 == 0 else socket.SOCK_DGRAM
        assert ask(controller, sandbox, f"c-{peer}-", kind) == addresses(sandboxes[peer])
    for sandbox in sandboxes[1:]:
        sandbox.delete()
    assert ask(controller, first, "c-0-", socket.SOCK_DGRAM) == addresses(first)
    assert open_descriptors() <= descriptors
    assert threading.active_count() <= threads


def test_a_crashed_daemons_successor_answers_and_holds_nothing_of_the_old_ones(
    machine, open_descriptors, inside
):
    old = machine.boot()
    network = make_network(old)
    sandbox = machine.start(old, "web", network)
    key = sandbox.key
    machine.crash(old)
    before = open_descriptors()
    new = machine.boot()
    # the reference ends what outlived the last daemon, so the next start has a namespace anew
    assert key not in new.kernel.sandbox_keys(f"{machine.root}/netns")
    again = next(one for one in new.networks() if one.name == "crowd")
    web = machine.start(new, "web", again)
    assert ask(new, web, "web", socket.SOCK_DGRAM) == addresses(web)
    rules = inside(web.key, "iptables", "-t", "nat", "-S", "DOCKER_OUTPUT").stdout
    assert rules.count("DNAT") == 2
    web.delete()
    new.resolver.close()
    # the new daemon's own: its thread's namespace, its store and the like, whatever came and went
    assert open_descriptors() <= before + 20
