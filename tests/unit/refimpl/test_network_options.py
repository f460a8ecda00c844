"""What an endpoint is asked to be: a container's MAC address in every form that Go reads."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from refimpl.daemon.containers.container import Container
from refimpl.daemon.network.options import build_create_endpoint_options
from refimpl.errors import EngineError
from refimpl.libnetwork.network import Network, parse_mac
from refimpl.model.network_mode import NetworkMode
from refimpl.model.wire_container import Config, EndpointSettings, HostConfig


def mac_of(network: str, **config: Any) -> str:
    container = Container(
        id="1" * 64,
        name="/c",
        created=datetime(2026, 11, 27, tzinfo=UTC),
        root="/nowhere",
        image_id="",
        path="sh",
        args=[],
        config=Config(**config),
        host_config=HostConfig(network_mode=NetworkMode("default")),
    )
    stub = cast("Network", SimpleNamespace(name=network))
    options = build_create_endpoint_options(container, stub, EndpointSettings())
    return parse_mac(options.mac) if options.mac else ""


@pytest.mark.parametrize(
    ("text", "mac"),
    [
        ("02:42:ac:11:00:09", "02:42:ac:11:00:09"),
        ("02-42-AC-11-00-09", "02:42:ac:11:00:09"),
        ("0242.ac11.0009", "02:42:ac:11:00:09"),
        ("0242.ac11.0009.0001", "02:42:ac:11:00:09:00:01"),
    ],
)
def test_a_mac_address_has_the_forms_of_parse_mac(text: str, mac: str) -> None:
    assert mac_of("bridge", mac_address=text) == mac


@pytest.mark.parametrize(
    "text", ["0242AC110009", "02.42.ac.11.00.09", "2:42:ac:11:0:9", "0242-ac11-0009", "x"]
)
def test_what_is_no_mac_address_is_refused_in_gos_words(text: str) -> None:
    with pytest.raises(EngineError) as refused:
        mac_of("bridge", mac_address=text)
    assert str(refused.value) == f"address {text}: invalid MAC address"


def test_a_mac_address_belongs_to_the_network_of_the_creation() -> None:
    assert mac_of("other", mac_address="02:42:ac:11:00:09") == ""
