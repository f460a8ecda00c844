"""Goal: port 53 of 127.0.0.11 leads to the resolver in its sandbox only, and takes nobody's place.

Method: real sandboxes; a program inside asks as a container would, iptables and ss look.
"""

import errno
import socket
import subprocess
import sys

import pytest

from refimpl.kernel.base import SandboxPlan

ADDRESS = "127.0.0.11"
TIMEOUT_S = 10

SAY_HELLO = """
import socket
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
one.connect(("127.0.0.11", 53))
one.send(b"hello")
one.settimeout(10)
print(one.recv(100).decode(), *one.getpeername())
"""
CALL = """
import socket
one = socket.create_connection(("127.0.0.11", 53), timeout=10)
one.sendall(b"hello")
print(one.recv(100).decode(), *one.getpeername())
"""
TAKE_PORT_53 = """
import socket
for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
    one = socket.socket(socket.AF_INET, kind)
    one.bind(("0.0.0.0", 53))
print("taken")
"""


@pytest.fixture
def key(netns_directory):
    return str(netns_directory / "dns")


@pytest.fixture
def opened(kernel, key):
    """The sockets of a new sandbox's resolver."""
    udp, tcp = kernel.create_sandbox(SandboxPlan(key=key, resolver_address=ADDRESS))
    with udp, tcp:
        yield udp, tcp


def start(key, program):
    return subprocess.Popen(
        ["nsenter", f"--net={key}", sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        text=True,
    )


def said(process):
    return process.communicate(timeout=TIMEOUT_S)[0].split()


def nat_rules(inside, key):
    return inside(key, "iptables", "-t", "nat", "-S").stdout.splitlines()


def answer_hello(udp):
    udp.settimeout(TIMEOUT_S)
    question, client = udp.recvfrom(100)
    assert question == b"hello"
    source = socket.inet_aton(ADDRESS)
    udp.sendmsg([b"yes"], [(socket.IPPROTO_IP, 8, bytes(4) + source + bytes(4))], 0, client)


def test_sockets_have_ports_of_the_kernels_choice(opened):
    udp, tcp = opened
    assert (udp.type, tcp.type) == (socket.SOCK_DGRAM, socket.SOCK_STREAM)
    assert not udp.getblocking()
    assert not tcp.getblocking()
    for one in opened:
        address, port = one.getsockname()
        assert address == ADDRESS
        assert port > 1023


def test_datagram_to_port_53_is_answered_from_port_53(opened, key):
    client = start(key, SAY_HELLO)
    answer_hello(opened[0])
    assert said(client) == ["yes", ADDRESS, "53"]


def test_connection_to_port_53_reaches_the_listener(opened, key):
    client = start(key, CALL)
    opened[1].settimeout(TIMEOUT_S)
    connection, _ = opened[1].accept()
    with connection:
        assert connection.recv(100) == b"hello"
        connection.sendall(b"yes")
        assert said(client) == ["yes", ADDRESS, "53"]


def test_port_53_of_every_address_is_free_inside(opened, key):
    assert said(start(key, TAKE_PORT_53)) == ["taken"]


def test_iptables_shows_the_rules_that_docker_makes(opened, key, inside):
    udp, tcp = (one.getsockname()[1] for one in opened)
    assert nat_rules(inside, key)[-8:] == [
        "-N DOCKER_OUTPUT",
        "-N DOCKER_POSTROUTING",
        "-A OUTPUT -d 127.0.0.11/32 -j DOCKER_OUTPUT",
        "-A POSTROUTING -d 127.0.0.11/32 -j DOCKER_POSTROUTING",
        "-A DOCKER_OUTPUT -d 127.0.0.11/32 -p tcp -m tcp --dport 53 "
        f"-j DNAT --to-destination 127.0.0.11:{tcp}",
        "-A DOCKER_OUTPUT -d 127.0.0.11/32 -p udp -m udp --dport 53 "
        f"-j DNAT --to-destination 127.0.0.11:{udp}",
        f"-A DOCKER_POSTROUTING -s 127.0.0.11/32 -p tcp -m tcp --sport {tcp} "
        "-j SNAT --to-source :53",
        f"-A DOCKER_POSTROUTING -s 127.0.0.11/32 -p udp -m udp --sport {udp} "
        "-j SNAT --to-source :53",
    ]


def test_a_container_can_add_its_own_rules(opened, key, inside):
    added = inside(key, "iptables", "-t", "nat", "-A", "OUTPUT", "-d", "192.0.2.1", "-j", "RETURN")
    assert (added.returncode, added.stderr) == (0, "")
    assert "-A OUTPUT -d 192.0.2.1/32 -j RETURN" in nat_rules(inside, key)


def test_sandbox_without_resolver_has_no_rules(kernel, key, inside):
    kernel.create_sandbox(SandboxPlan(key=key))
    assert inside(key, "nft", "list", "ruleset").stdout == ""


def test_resolver_is_opened_in_an_existing_sandbox_beside_its_own_rules(kernel, key, inside):
    kernel.create_sandbox(SandboxPlan(key=key))
    inside(key, "iptables", "-t", "nat", "-A", "OUTPUT", "-d", "127.0.0.0/8", "-j", "ACCEPT")
    udp, tcp = kernel.open_resolver(key, ADDRESS)
    with udp, tcp:
        client = start(key, SAY_HELLO)
        answer_hello(udp)
        assert said(client) == ["yes", ADDRESS, "53"]
    assert "-A OUTPUT -d 127.0.0.0/8 -j ACCEPT" in nat_rules(inside, key)


def test_second_resolver_takes_the_place_of_the_first(kernel, opened, key, inside):
    for one in opened:
        one.close()
    udp, tcp = kernel.open_resolver(key, ADDRESS)
    with udp, tcp:
        assert len(nat_rules(inside, key)) == 12
        client = start(key, SAY_HELLO)
        answer_hello(udp)
        assert said(client) == ["yes", ADDRESS, "53"]


def test_failed_rules_leave_no_socket(kernel, key, inside, open_descriptors):
    kernel.create_sandbox(SandboxPlan(key=key))
    # a chain of that name which our rules cannot be in: its hook is another
    made = inside(
        key,
        "nft",
        "add table ip nat; add chain ip nat OUTPUT { type filter hook input priority 0; }",
    )
    assert made.returncode == 0, made.stderr
    before = open_descriptors()
    with pytest.raises(
        OSError, match=r"lead port 53 of 127\.0\.0\.11 to the embedded DNS"
    ) as caught:
        kernel.open_resolver(key, ADDRESS)
    assert caught.value.errno in {errno.EEXIST, errno.EOPNOTSUPP, errno.ENOENT}
    assert open_descriptors() == before
