"""What is volatile gets a name or a mask; what is not stays as it is."""

from __future__ import annotations

from typing import Any

import pytest

from tests.differential.normalise import Symbols
from tests.differential.snapshot import in_any_order as hosts_in_any_order
from tests.differential.stage import in_any_order as events_in_any_order

WEB, NET, ENDPOINT = "a1" * 32, "b2" * 32, "c3" * 32


@pytest.fixture
def symbols() -> Symbols:
    symbols = Symbols({"/tmp/engine/data": "<data-root>"})
    symbols.learn(WEB, "container web")
    symbols.learn(f"sha256:{NET}", "network net")
    return symbols


@pytest.mark.parametrize(
    ("field", "value", "comparable"),
    [
        ("Id", WEB, "<container web>"),
        ("Image", f"sha256:{NET}", "sha256:<network net>"),
        ("Hostname", WEB[:12], "<short container web>"),
        ("Bridge", f"br-{NET[:12]}", "br-<short network net>"),
        ("Hostname", "0123456789ab", "0123456789ab"),
        ("Path", f"/tmp/engine/data/containers/{WEB}/hosts",
         "<data-root>/containers/<container web>/hosts"),
        ("StartedAt", "2026-11-24T16:05:08.123456789Z", "<time>"),
        ("StartedAt", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("Pid", 17, "<pid>"),
        ("Pid", 0, 0),
        ("Created", 1790000000, "<time>"),
        ("Status", "Up 3 seconds (Paused)", "Up <age> (Paused)"),
        ("Status", "Exited (137) Less than a second ago", "Exited (137) <age>"),
        ("Running", True, True),
        ("MacAddress", "02:42:ac:11:00:02", "02:42:ac:11:00:02"),
        ("Ports", [{"PrivatePort": 80}, {"PrivatePort": 53}],
         [{"PrivatePort": 53}, {"PrivatePort": 80}]),
        ("Cmd", ["b", "a"], ["b", "a"]),
        ("body", "Container cannot be connected to network endpoints: net2, net1",
         "Container cannot be connected to network endpoints: net1, net2"),
        ("body", "no such networks: net2, net1", "no such networks: net2, net1"),
    ],
)  # fmt: skip
def test_a_value(symbols, field, value, comparable):
    assert symbols.comparable(value, field) == comparable


def test_the_same_id_has_the_same_name_wherever_it_is(symbols):
    document = {"EndpointID": ENDPOINT, "Other": ENDPOINT, "Text": f"no {ENDPOINT[:12]}"}
    assert symbols.comparable(document) == {
        "EndpointID": "<EndpointID>",
        "Other": "<EndpointID>",
        "Text": "no <short EndpointID>",
    }
    assert symbols.comparable({"EndpointID": "d4" * 32}) == {"EndpointID": "<EndpointID#2>"}


def test_an_id_that_is_a_key_has_its_name_too(symbols):
    assert symbols.comparable({"Containers": {WEB: {}}}) == {"Containers": {"<container web>": {}}}


def test_the_way_back(symbols):
    assert symbols.filled("/c/{container web:12}/{network net:64}") == f"/c/{WEB[:12]}/{NET}"
    symbols.learn("a2" * 32, "container two")
    assert symbols.shared_beginning("container") == "a"


def test_only_lines_of_the_same_names_may_change_places():
    one = "127.0.0.1\tlocalhost\n10.2.0.2\tweb\n10.1.0.2\tweb\n10.0.0.9\tother\n"
    two = "127.0.0.1\tlocalhost\n10.1.0.2\tweb\n10.2.0.2\tweb\n10.0.0.9\tother\n"
    three = "127.0.0.1\tlocalhost\n10.1.0.2\tweb\n10.0.0.9\tother\n10.2.0.2\tweb\n"
    assert hosts_in_any_order(one) == hosts_in_any_order(two) != hosts_in_any_order(three)


def test_lines_of_links_may_change_places_too():
    one = "127.0.0.1\tlocalhost\n10.0.0.2\tbase 0123 db\n10.0.0.2\tother 0123 db\n10.0.0.3\tweb\n"
    two = "127.0.0.1\tlocalhost\n10.0.0.2\tother 0123 db\n10.0.0.2\tbase 0123 db\n10.0.0.3\tweb\n"
    three = "127.0.0.1\tlocalhost\n10.0.0.3\tweb\n10.0.0.2\tbase 0123 db\n10.0.0.2\tother 0123 db\n"
    assert hosts_in_any_order(one) == hosts_in_any_order(two) != hosts_in_any_order(three)


def test_only_networks_of_one_request_may_change_places():
    def connect(network: str, container: str = WEB) -> list[Any]:
        return ["network", "connect", network, {"container": container, "name": network}]

    def event(action: str, network: str) -> list[Any]:
        return ["network", action, network, {"name": network}]

    gone = [event("destroy", "a"), event("destroy", "b")]
    assert events_in_any_order(gone[::-1]) == gone
    made = [event("create", "b"), event("create", "a")]
    assert events_in_any_order(made) == made
    start: list[Any] = ["container", "start", WEB, {"name": "web"}]
    ordered = [connect("a"), connect("b"), start]
    assert events_in_any_order([connect("b"), connect("a"), start]) == ordered
    for other in (
        [connect("a"), start, connect("b")],
        [start, connect("a"), connect("b")],
        [connect("b", "x"), connect("a"), start],
    ):
        assert events_in_any_order(other) == other
