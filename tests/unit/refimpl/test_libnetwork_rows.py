"""A damaged row is named, and the rest of the engine comes back without it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from refimpl.libnetwork.rows import (
    RowError,
    read_endpoint,
    read_network,
    read_sandbox,
)
from refimpl.libnetwork.store import Put
from refimpl.model.network import IPAMPool, NetworkOptions
from tests.unit.refimpl.libnetwork_world import World, network_options, start

OPTIONS = NetworkOptions(
    ipam=(
        IPAMPool(
            subnet="10.1.0.0/24",
            ip_range="10.1.0.128/25",
            gateway="10.1.0.9",
            aux_addresses={"a": "10.1.0.128"},
        ),
    ),
    options={"com.docker.network.driver.mtu": "1400"},
    ipam_options={"x": "y"},
    labels={"l": "1"},
)


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


def changed(row: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a row with another value at `a.0.b`, or without it when the value is `...`."""
    result = json.loads(json.dumps(row))
    *parents, last = path.split(".")
    inner = result
    for parent in parents:
        inner = inner[int(parent) if parent.isdigit() else parent]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return result


DAMAGE = [
    ("created", "yesterday", "field 'created': Invalid isoformat string: 'yesterday'"),
    ("created", ..., "field 'created': it is missing"),
    ("created", 5, "field 'created': "),
    ("created", "2026-11-27T10:00:00", "field 'created': a time without a zone"),
    ("name", None, "field 'name': no text"),
    ("in_delete", "no", "field 'in_delete': neither true nor false"),
    ("options", [], "field 'options': no object"),
    ("options.driver", 5, "field 'options.driver': no text"),
    ("options.driver", "overlay", "field 'options.driver': there is no driver 'overlay'"),
    ("options.labels", {"l": 5}, "field 'options.labels': no text"),
    ("options.more", 1, "field 'options.more': it is not known"),
    (
        "options.options",
        {"com.docker.network.driver.mtu": "x"},
        "field 'state': EngineError: failed to parse",
    ),
    ("options.ipam.0.Subnet", 5, "field 'options.ipam[0]': no text"),
    ("pools", {}, "field 'pools': no list"),
    ("pools.0.subnet", "10.1.0.0/99", "field 'pools[0].subnet': no subnet"),
    ("pools.0.gateway", "", "field 'pools[0].gateway': no address"),
    ("pools.0.config.AuxiliaryAddresses", {"a": "b"}, "field 'pools[0].config': no address"),
    ("state", {"bridge": {}}, "field 'state': a value that is neither"),
    ("state.bridge", ..., "field 'state': KeyError: 'bridge'"),
    ("state.given", "10.1.0.1/99", "field 'state': "),
]


@pytest.mark.parametrize(("path", "value", "words"), DAMAGE, ids=lambda value: repr(value)[:40])
def test_a_damaged_network_is_named_and_the_others_come_back(world, caplog, path, value, words):
    first = world.boot()
    bad = first.new_network("bad", OPTIONS)
    good = first.new_network("good", network_options("10.2.0.0/24"))
    row = changed(world.store.load().networks[bad.id], path, value)
    world.store.commit([Put("network", bad.id, row)])
    controller = world.boot()
    assert f"row {bad.id} of table network: {words}" in caplog.text
    assert "it is left alone" in caplog.text
    assert controller.network_by_id(bad.id) is None
    assert controller.network_by_id(good.id) is not None
    assert world.store.load().networks[bad.id] == row
    assert str(bad.state["bridge"]) in world.kernel.bridges
    start(controller, "web", "good")


@pytest.mark.parametrize("value", [None, [], "no JSON at all", 5])
@pytest.mark.parametrize("table", ["network", "endpoint", "sandbox"])
def test_a_row_that_is_no_object_stops_no_boot(world, caplog, table, value):
    world.store.commit([Put(table, "k" * 64, value)])
    world.boot()
    assert f"row {'k' * 64} of table {table}: no object: it is left alone" in caplog.text


def test_a_row_that_is_no_json_stops_no_boot(world, caplog):
    execute = world.store._connection.execute
    execute("INSERT INTO network VALUES ('n', '{')")
    execute("INSERT INTO endpoint VALUES ('e', ?)", ("[" * 100_000,))
    execute("INSERT INTO sandbox VALUES ('s', x'ff00fe')")
    world.boot()
    for name in ("row n of table network", "row e of table endpoint", "row s of table sandbox"):
        assert name in caplog.text


def test_what_a_network_writes_is_what_is_read(world):
    network = world.boot().new_network("n", OPTIONS)
    row = json.loads(json.dumps(network.to_row(in_delete=True)))
    read = read_network(network.id, row)
    assert read.encode() == row
    assert read.in_delete
    assert (read.options, read.created, read.state) == (
        network.options,
        network.created,
        network.state,
    )


def test_the_small_rows_name_their_fields():
    with pytest.raises(RowError, match="row s of table sandbox: field 'key': it is missing"):
        read_sandbox("s", {"container_id": "c"})
    with pytest.raises(RowError, match="row e of table endpoint: field 'host_name': no text"):
        read_endpoint("e", {"host_name": 5})
