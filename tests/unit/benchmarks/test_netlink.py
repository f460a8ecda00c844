"""The floor's messages, read back by a library that had no part in writing them."""

import errno
import struct
from ipaddress import IPv4Address, IPv4Interface

import pytest
from pyroute2.netlink import nlmsg
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from benchmarks import netlink

REQUEST = netlink.NLM_F_REQUEST
CREATE = netlink.NLM_F_CREATE | netlink.NLM_F_EXCL


def decode(kind, message) -> nlmsg:
    decoded = kind(netlink.encode([message], 7))
    decoded.decode()
    return decoded


def test_attribute_is_padded_to_four_bytes_but_says_its_own_length():
    packed = netlink.attribute(3, b"eth0\0")
    assert packed == struct.pack("=HH", 9, 3) + b"eth0\0" + bytes(3)


def test_veth_has_its_port_and_its_peer():
    message = netlink.new_veth(
        ("veth1", 102), ("eth0", 103), master_index=5, netns_fd=9, mac=bytes.fromhex("0242ac110002")
    )
    link = decode(ifinfmsg, message)
    assert link["header"]["type"] == netlink.RTM_NEWLINK
    assert link["header"]["flags"] == REQUEST | CREATE | netlink.NLM_F_ACK
    assert (link["index"], link["flags"]) == (102, netlink.IFF_UP)
    assert link.get_attr("IFLA_IFNAME") == "veth1"
    assert link.get_attr("IFLA_MASTER") == 5
    info = link.get_attr("IFLA_LINKINFO")
    assert info.get_attr("IFLA_INFO_KIND") == "veth"
    peer = info.get_attr("IFLA_INFO_DATA").get_attr("VETH_INFO_PEER")
    assert (peer["index"], peer["flags"]) == (103, 0)
    assert peer.get_attr("IFLA_IFNAME") == "eth0"
    assert peer.get_attr("IFLA_ADDRESS") == "02:42:ac:11:00:02"
    assert peer.get_attr("IFLA_NET_NS_FD") == 9


def test_address_has_its_prefix_and_broadcast():
    address = decode(ifaddrmsg, netlink.new_address(3, IPv4Interface("172.17.0.2/16")))
    assert address["header"]["type"] == netlink.RTM_NEWADDR
    assert (address["index"], address["prefixlen"]) == (3, 16)
    assert address.get_attr("IFA_LOCAL") == "172.17.0.2"
    assert address.get_attr("IFA_ADDRESS") == "172.17.0.2"
    assert address.get_attr("IFA_BROADCAST") == "172.17.255.255"


def test_default_route_has_no_destination():
    route = decode(rtmsg, netlink.new_default_route(IPv4Address("172.17.0.1")))
    assert route["header"]["type"] == netlink.RTM_NEWROUTE
    assert route["dst_len"] == 0
    assert route.get_attr("RTA_DST") is None
    assert route.get_attr("RTA_GATEWAY") == "172.17.0.1"


def test_delete_names_the_link_by_its_index():
    link = decode(ifinfmsg, netlink.delete_link(42))
    assert link["header"]["type"] == netlink.RTM_DELLINK
    assert link["index"] == 42


def test_only_the_last_message_of_a_batch_asks_for_an_answer():
    batch = netlink.encode([netlink.set_up(1), netlink.new_bridge("br"), netlink.set_up(2)], 10)
    headers = []
    offset = 0
    while offset < len(batch):
        length, _type, flags, sequence, _port = struct.unpack_from("=IHHII", batch, offset)
        headers.append((sequence, bool(flags & netlink.NLM_F_ACK)))
        offset += length + -length % 4
    assert headers == [(10, False), (11, False), (12, True)]


def answer(sequence: int, code: int) -> bytes:
    body = struct.pack("=i", -code) + bytes(16)
    return struct.pack("=IHHII", 16 + len(body), netlink.NLMSG_ERROR, 0, sequence, 0) + body


def test_answers_are_read_from_one_datagram():
    datagram = answer(1, errno.EEXIST) + answer(2, 0)
    assert netlink.answers(datagram) == [(1, errno.EEXIST), (2, 0)]


@pytest.mark.parametrize("length", [0, 8], ids=["zero", "shorter-than-a-header"])
def test_nonsense_length_ends_the_reading(length):
    datagram = answer(1, 0) + struct.pack("=IHHII", length, netlink.NLMSG_ERROR, 0, 2, 0) * 2
    assert netlink.answers(datagram) == [(1, 0)]
