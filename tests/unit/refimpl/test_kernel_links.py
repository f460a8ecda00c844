"""Goal: what is put together by hand says on the wire what it should, as pyroute2 reads it."""

import errno
import struct
from ipaddress import ip_interface

import pytest
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

from refimpl.kernel import links
from refimpl.kernel.base import InterfacePlan

ACKNOWLEDGE = 4


def plan(**changes):
    values = {
        "host_name": "veth1234567",
        "name": "eth0",
        "bridge": "docker0",
        "mac": "02:42:ac:11:00:02",
        "addresses": (),
        **changes,
    }
    return InterfacePlan(**values)


def read(message_class, request):
    data = request.encode(7, ACKNOWLEDGE)
    assert struct.unpack_from("=IHHI", data) == (
        len(data),
        request.kind,
        request.flags | ACKNOWLEDGE | 1,
        7,
    )
    message = message_class(data)
    message.decode()
    return message


def attributes(message):
    return {name: value for name, value in message["attrs"] if not hasattr(value, "get_attr")}


QUEUES = {"IFLA_TXQLEN": 0, "IFLA_NUM_TX_QUEUES": 1, "IFLA_NUM_RX_QUEUES": 1}


@pytest.mark.parametrize("mac", ["02:42:ac:11:00:02", "02:42:ac:11:00:02:00:01", ""])
@pytest.mark.parametrize("host_name", ["veth1234567", "v", "veth12345678901"])
def test_pair_names_both_ends_and_where_they_go(mac, host_name) -> None:
    message = read(ifinfmsg, links.new_pair(plan(mac=mac, host_name=host_name), 3, 5))
    assert (message["flags"], message["change"], message["index"]) == (1, 1, 0)
    assert attributes(message) == {
        "IFLA_IFNAME": host_name,
        "IFLA_MTU": 1500,
        "IFLA_MASTER": 3,
        **QUEUES,
    }
    information = message.get_attr("IFLA_LINKINFO")
    assert information.get_attr("IFLA_INFO_KIND") == "veth"
    peer = information.get_attr("IFLA_INFO_DATA").get_attr("VETH_INFO_PEER")
    assert (peer["flags"], peer["index"]) == (0, 0)
    assert attributes(peer) == {
        "IFLA_IFNAME": "eth0",
        "IFLA_MTU": 1500,
        "IFLA_NET_NS_FD": 5,
        **QUEUES,
        **({"IFLA_ADDRESS": mac[:17]} if mac else {}),  # an interface has six octets
    }


@pytest.mark.parametrize("changes", [{"mac": "02:42:zz:11:00:02"}, {"mtu_bytes": -1}])
def test_pair_that_cannot_be_said_is_an_error_with_the_interfaces_name(changes) -> None:
    with pytest.raises(OSError, match="create interface eth0 with its pair") as caught:
        links.new_pair(plan(**changes), 3, 5)
    assert caught.value.errno == errno.EINVAL


def test_link_is_asked_for_by_name() -> None:
    message = read(ifinfmsg, links.get_link("veth12"))
    assert attributes(message) == {"IFLA_IFNAME": "veth12", "IFLA_EXT_MASK": 8}


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("172.17.0.2/16", {"IFA_BROADCAST": "172.17.255.255"}),
        ("10.0.0.0/31", {}),
        ("fd00::2/64", {"IFA_FLAGS": 2}),
    ],
)
def test_address_has_its_prefix_and_what_its_family_needs(address, expected) -> None:
    interface = ip_interface(address)
    message = read(ifaddrmsg, links.new_address(9, "eth0", interface))
    assert (message["index"], message["prefixlen"]) == (9, interface.network.prefixlen)
    assert (message["family"], message["scope"]) == (2 if interface.version == 4 else 10, 0)
    own = str(interface.ip)
    assert attributes(message) == {"IFA_LOCAL": own, "IFA_ADDRESS": own, **expected}
