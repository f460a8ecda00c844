"""What the observers read, from texts as real engines wrote them."""

import ipaddress
import socket
import threading
from contextlib import closing
from typing import Any

import pytest

from conformance.engines.base import EngineError
from conformance.observe.adverts import advertisement
from conformance.observe.events import wire_time
from conformance.observe.exec import run_in_container, split_frames
from conformance.observe.files import HostsLine, addresses_of, parse_hosts, parse_resolv_conf
from conformance.observe.host import parse_rules
from conformance.observe.metrics import parse_metrics
from conformance.observe.poll import WaitedTooLong, eventually, wait_until
from conformance.violation import BehaviourViolated

METRICS = """\
# HELP engine_daemon_network_actions_seconds The number of seconds it takes
# TYPE engine_daemon_network_actions_seconds histogram
engine_daemon_network_actions_seconds_bucket{action="allocate",le="0.005"} 0
engine_daemon_network_actions_seconds_bucket{action="allocate",le="+Inf"} 2
engine_daemon_network_actions_seconds_sum{action="allocate"} 0.031681828
engine_daemon_network_actions_seconds_count{action="allocate"} 2
engine_daemon_network_actions_seconds_sum{action="connect"} 3e-05
engine_daemon_network_actions_seconds_count{action="connect"} 1
engine_daemon_container_actions_seconds_count{action="create"} 7
"""


def frame(stream: int, data: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


def test_frames_are_taken_apart():
    assert split_frames(frame(1, b"a") + frame(2, b"err") + frame(1, b"b")) == (b"ab", b"err")
    assert split_frames(b"") == (b"", b"")


@pytest.mark.parametrize(
    "data", [b"\x01\x00", frame(1, b"abc")[:-1], frame(9, b"x"), b"plain text"]
)
def test_broken_frames_are_an_error_of_the_engine(data):
    with pytest.raises(EngineError, match="not framed"):
        split_frames(data)


class OneExec:
    """An engine with one exec whose answer comes in one piece with its head."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer

    def client(self) -> Any:
        return self

    api_version = "1.41"

    @property
    def api(self) -> Any:
        return self

    def exec_create(self, *_: Any) -> dict[str, str]:
        return {"Id": "e" * 64}

    def exec_inspect(self, _: str) -> dict[str, int]:
        return {"ExitCode": 3}

    def connect(self) -> socket.socket:
        ours, theirs = socket.socketpair()

        def serve() -> None:
            with closing(theirs):
                theirs.recv(65536)
                theirs.sendall(self.answer)

        threading.Thread(target=serve, daemon=True).start()
        return ours


def test_output_in_one_read_with_the_head_is_not_lost():
    head = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
    engine: Any = OneExec(head + frame(1, b"hello\n"))
    result = run_in_container(engine, "c", "echo", "hello")
    assert (result.exit_code, result.stdout, result.text, result.lines) == (
        3,
        "hello\n",
        "hello",
        ["hello"],
    )


def test_refused_exec_is_an_error():
    engine: Any = OneExec(b"HTTP/1.1 409 Conflict\r\n\r\nnot running")
    with pytest.raises(EngineError, match="409: not running"):
        run_in_container(engine, "c", "true")


def test_metrics_of_the_network_actions_only():
    read = parse_metrics(METRICS)
    assert sorted(read) == ["allocate", "connect"]
    assert read["allocate"].count == 2
    assert read["allocate"].sum_s == pytest.approx(0.031681828)
    assert read["allocate"].buckets == {"0.005": 0, "+Inf": 2}
    assert read["connect"].sum_s == pytest.approx(3e-05)


def test_hosts_file():
    text = (
        "127.0.0.1\tlocalhost\n# comment\n\n172.17.0.2\tweb alias # own\n::1 ip6-localhost\nbad\n"
    )
    assert parse_hosts(text)[1] == HostsLine("172.17.0.2", ("web", "alias"))
    assert addresses_of(text, "alias") == ["172.17.0.2"]
    assert addresses_of(text, "nobody") == []


def test_resolv_conf():
    read = parse_resolv_conf(
        "; c\n# c\nsearch a b\nnameserver 127.0.0.11\nsearch c\nnameserver ::1\noptions ndots:0 x\n"
    )
    assert read.nameservers == ("127.0.0.11", "::1")
    assert read.search == ("c",)
    assert read.options == ("ndots:0", "x")


@pytest.mark.parametrize(
    ("text", "wire"),
    [
        ("1970-01-01T00:00:01Z", "1.000000000"),
        ("2026-11-24T13:02:26.236711634Z", "1795525346.236711634"),
        ("2026-11-24T13:02:26.5+00:00", "1795525346.500000000"),
    ],
)
def test_engine_time_keeps_its_nanoseconds(text, wire):
    assert wire_time(text) == wire


def test_time_that_is_not_in_utc_is_refused():
    with pytest.raises(ValueError, match="not a time in UTC"):
        wire_time("2026-11-24T13:02:26+02:00")


def test_eventually_gives_the_first_true_value():
    values = iter(["", "", "there"])
    assert eventually("it is there", lambda: next(values), timeout_s=5) == "there"


def test_eventually_fails_the_row_and_shows_the_last_value():
    with pytest.raises(BehaviourViolated, match=r"it is there\n.*within 0.01 s\n.*last seen: \[\]"):
        eventually("it is there", lambda: [], timeout_s=0.01)


def test_wait_until_is_an_error_of_the_harness():
    with pytest.raises(WaitedTooLong, match=r"waited 0\.01 s for a daemon"):
        wait_until("a daemon", lambda: False, timeout_s=0.01)


RULESET = """
# Warning: table ip raw is managed by iptables-nft, do not touch!
table ip raw {
	chain PREROUTING {
		type filter hook prerouting priority raw; policy accept;
	}
}
table ip nat {
	set ports {
		type inet_service
		elements = { 80 }
	}

	chain DOCKER {
		iifname "docker0" return
	}
}
"""


def test_rules_are_told_with_their_place_and_without_empty_hooks():
    assert parse_rules(RULESET) == [
        "ip nat: set ports",
        "ip nat: set ports: type inet_service",
        "ip nat: set ports: elements = { 80 }",
        "ip nat: chain DOCKER",
        'ip nat: chain DOCKER: iifname "docker0" return',
    ]


def test_router_advertisement_is_one():
    prefix = ipaddress.IPv6Network("2001:db8::/64")
    frame = advertisement("02:42:0a:00:00:02", prefix)
    assert frame[:14].hex(":") == "33:33:00:00:00:01:02:42:0a:00:00:02:86:dd"
    packet = frame[14:]
    payload = packet[40:]
    assert (packet[0] >> 4, packet[6], packet[7]) == (6, 58, 255)
    assert int.from_bytes(packet[4:6]) == len(payload) == 48
    assert (payload[0], payload[16], payload[17] * 8, payload[18]) == (134, 3, 32, 64)
    assert payload[32:] == prefix.network_address.packed
    # a checksum that fits makes the sum of everything all ones
    words = packet[8:40] + len(payload).to_bytes(4) + (58).to_bytes(4) + payload
    total = sum(int.from_bytes(words[at : at + 2]) for at in range(0, len(words), 2))
    assert (total & 0xFFFF) + (total >> 16) == 0xFFFF
