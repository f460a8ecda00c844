"""The API's bodies, read and refused as Go's decoder does; the texts are Docker 20.10.24's own."""

from __future__ import annotations

from typing import Any

import pytest

from refimpl.model.wire import Place, WireError, decode
from refimpl.model.wire_container import Config, CreateRequest, HostConfig
from refimpl.model.wire_network import NetworkConnectRequest, NetworkCreateRequest

WRAPPER = "runconfig.ContainerConfigWrapper"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ([], "json: cannot unmarshal array into Go value of type runconfig.ContainerConfigWrapper"),
        (
            {"Hostname": 5},
            "json: cannot unmarshal number into Go struct field ContainerConfigWrapper.Hostname "
            "of type string",
        ),
        (
            {"Tty": "x"},
            "json: cannot unmarshal string into Go struct field ContainerConfigWrapper.Tty of "
            "type bool",
        ),
        (
            {"Cmd": 5},
            "json: cannot unmarshal number into Go struct field ContainerConfigWrapper.Cmd of "
            "type string",
        ),
        (
            {"Env": {"a": 1}},
            "json: cannot unmarshal object into Go struct field ContainerConfigWrapper.Env of "
            "type []string",
        ),
        (
            {"Labels": ["x"]},
            "json: cannot unmarshal array into Go struct field ContainerConfigWrapper.Labels of "
            "type map[string]string",
        ),
        (
            {"ExposedPorts": {"80/tcp": 5}},
            "json: cannot unmarshal number into Go struct field "
            "ContainerConfigWrapper.ExposedPorts of type struct {}",
        ),
        (
            {"HostConfig": {"Dns": "x"}},
            "json: cannot unmarshal string into Go struct field HostConfig.HostConfig.Dns of type "
            "[]string",
        ),
        (
            {"HostConfig": {"RestartPolicy": {"Name": 3}}},
            "json: cannot unmarshal number into Go struct field "
            "RestartPolicy.HostConfig.RestartPolicy.Name of type string",
        ),
        (
            {"HostConfig": {"Memory": 1.5}},
            "json: cannot unmarshal number 1.5 into Go struct field HostConfig.HostConfig.Memory "
            "of type int64",
        ),
        (
            {"NetworkingConfig": {"EndpointsConfig": {"a": 5}}},
            "json: cannot unmarshal number into Go struct field "
            "NetworkingConfig.NetworkingConfig.EndpointsConfig of type network.EndpointSettings",
        ),
        (
            {"NetworkingConfig": {"EndpointsConfig": {"a": {"Aliases": "x"}}}},
            "json: cannot unmarshal string into Go struct field "
            "EndpointSettings.NetworkingConfig.EndpointsConfig.Aliases of type []string",
        ),
    ],
)
def test_wrong_type_is_refused_in_gos_words(body, text):
    with pytest.raises(WireError) as refusal:
        decode(CreateRequest, body, go_type=WRAPPER)
    assert str(refusal.value) == text


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            {"IPAM": {"Config": [{"Subnet": 5}]}},
            "json: cannot unmarshal number into Go struct field IPAMConfig.IPAM.Config.Subnet of "
            "type string",
        ),
        (
            {"IPAM": {"Config": {}}},
            "json: cannot unmarshal object into Go struct field IPAM.IPAM.Config of type "
            "[]network.IPAMConfig",
        ),
    ],
)
def test_wrong_type_in_a_network_is_refused_in_gos_words(body, text):
    with pytest.raises(WireError) as refusal:
        decode(NetworkCreateRequest, body, go_type="types.NetworkCreateRequest")
    assert str(refusal.value) == text


def test_names_are_read_in_any_case_and_unknown_ones_ignored():
    request = decode(CreateRequest, {"hostNAME": "h", "Bogus": 1}, go_type=WRAPPER)
    assert request.hostname == "h"


def test_the_last_of_several_spellings_counts_and_null_does_not():
    request = decode(CreateRequest, {"Hostname": "one", "hostname": "two"}, go_type=WRAPPER)
    assert request.hostname == "two"
    request = decode(CreateRequest, {"hostname": "one", "Hostname": None}, go_type=WRAPPER)
    assert request.hostname == "one"


def test_null_is_the_zero_value():
    request = decode(
        CreateRequest, {"Hostname": None, "Env": None, "HostConfig": None}, go_type=WRAPPER
    )
    assert (request.hostname, request.env, request.host_config) == ("", None, None)


def test_command_may_be_one_string():
    assert decode(CreateRequest, {"Cmd": "sh"}, go_type=WRAPPER).cmd == ["sh"]


def test_null_endpoint_stays_null_so_that_it_can_be_refused():
    body = {"NetworkingConfig": {"EndpointsConfig": {"a": None}}}
    request = decode(CreateRequest, body, go_type=WRAPPER)
    assert request.networking_config is not None
    assert request.networking_config.endpoints_config == {"a": None}


def test_empty_configuration_is_written_with_gos_zero_values():
    document = Config().to_wire()
    assert document["Env"] is None
    assert document["Hostname"] == ""
    # omitempty
    for name in ("ExposedPorts", "MacAddress", "NetworkDisabled", "StopSignal", "StopTimeout"):
        assert name not in document


def test_host_configuration_survives_a_round_trip():
    given = {
        "NetworkMode": "host",
        "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3},
        "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}], "81/tcp": None},
        "MemorySwappiness": 0,
        "Sysctls": {"net.core.somaxconn": "1"},
    }
    document = HostConfig.from_wire(given).to_wire()
    assert {name: document[name] for name in given} == given
    assert HostConfig.from_wire(document).to_wire() == document


def test_connect_without_endpoint_configuration_has_none():
    request = decode(NetworkConnectRequest, {"Container": "c"}, go_type="types.NetworkConnect")
    assert (request.container, request.endpoint_config) == ("c", None)


# ---------------------------------------------------------------- host options beside the others


def host_config_of(body: dict[str, Any]) -> Any:
    return CreateRequest.from_wire({"Image": "i", **body}).host_config


def test_an_old_clients_host_options_stand_beside_the_others():
    host_config = host_config_of(
        {"networkmode": "none", "RestartPolicy": {"Name": "always"}, "Binds": ["/a:/b"]}
    )
    assert host_config.network_mode.is_none()
    assert host_config.restart_policy.name == "always"
    assert host_config.binds == ["/a:/b"]


@pytest.mark.parametrize("body", [{"NetworkMode": None}, {"Privileged": False}])
def test_any_host_option_makes_a_host_configuration(body):
    assert host_config_of(body) == HostConfig()


@pytest.mark.parametrize("body", [{}, {"Cpuset": "0"}, {"HostConfig": None}])
def test_without_a_host_option_there_is_no_host_configuration(body):
    assert host_config_of(body) is None


def test_beside_a_host_configuration_only_five_options_count():
    beside = {
        "Memory": 1 << 26,
        "MemorySwap": -1,
        "CpuShares": 100,
        "CpusetCpus": "0",
        "VolumeDriver": "local",
    }
    inner = host_config_of({**beside, "NetworkMode": "none", "HostConfig": {}})
    assert inner == HostConfig(
        memory=1 << 26,
        memory_swap=-1,
        cpu_shares=100,
        cpuset_cpus="0",
        volume_driver="local",
    )
    own = {"Memory": 5, "MemorySwap": 6, "CpuShares": 7, "CpusetCpus": "1", "VolumeDriver": "x"}
    assert host_config_of({**beside, "HostConfig": own}) == HostConfig.from_wire(own)


def test_the_oldest_clients_cpuset_counts_where_no_other_is_given():
    assert host_config_of({"Cpuset": "0", "HostConfig": {}}).cpuset_cpus == "0"
    assert host_config_of({"Cpuset": "0", "CpusetCpus": "1"}).cpuset_cpus == "1"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            {"NetworkMode": 5},
            "json: cannot unmarshal number into Go struct field "
            "ContainerConfigWrapper.NetworkMode of type container.NetworkMode",
        ),
        (
            {"Memory": "x"},
            "json: cannot unmarshal string into Go struct field ContainerConfigWrapper.Memory of "
            "type int64",
        ),
        (
            {"RestartPolicy": {"Name": 5}},
            "json: cannot unmarshal number into Go struct field "
            "RestartPolicy.RestartPolicy.Name of type string",
        ),
    ],
)
def test_wrong_type_of_a_host_option_is_refused_in_gos_words(body, text):
    with pytest.raises(WireError) as refusal:
        CreateRequest.from_wire(body)
    assert str(refusal.value) == text


def test_reading_many_objects_asks_each_only_for_what_it_has(monkeypatch):
    """A list of empty objects costs what is in it, not what could be."""
    asked: list[tuple[str, str]] = []
    field = Place.field

    def counting(place: Place, struct: str, name: str) -> Place:
        asked.append((struct, name))
        return field(place, struct, name)

    monkeypatch.setattr(Place, "field", counting)
    host_config = host_config_of({"HostConfig": {"PortBindings": {"80/tcp": [{}] * 10_000}}})
    assert len(host_config.port_bindings["80/tcp"]) == 10_000
    assert asked == [
        ("ContainerConfigWrapper", "Image"),
        ("ContainerConfigWrapper", "HostConfig"),
        ("HostConfig", "PortBindings"),
    ]
