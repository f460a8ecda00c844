"""What a create may not say, in the words of Docker 20.10.24; line breaks are our own refusal."""

from __future__ import annotations

import pytest

from refimpl.daemon.containers import verify
from refimpl.daemon.lifecycle.create import decode_create
from refimpl.errors import EngineError, InvalidParameter
from refimpl.model.wire_container import (
    Config,
    EndpointIPAMConfig,
    EndpointSettings,
    HostConfig,
    NetworkingConfig,
)


@pytest.mark.parametrize("name", ["x", "", "-a", "a b", "a\nb", "ab\n", "a/b", "_a", "ä1"])
def test_name_with_other_characters_is_refused(name):
    with pytest.raises(InvalidParameter) as refusal:
        verify.verify_name(name)
    assert str(refusal.value) == (
        f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
    )


@pytest.mark.parametrize("name", ["ab", "/ab", "A1_.-"])
def test_name_is_accepted(name):
    verify.verify_name(name)


@pytest.mark.parametrize(
    ("config", "host_config", "text"),
    [
        ({}, {"NetworkMode": "container"}, None),
        ({}, {"NetworkMode": "container:"}, None),
        ({"Hostname": "h"}, {}, "hostname and the network mode"),
        (
            {},
            {"Links": ["a:b"]},
            "container type network can't be used with links. This would result in undefined "
            "behavior",
        ),
        ({}, {"Dns": ["1.1.1.1"]}, "dns and the network mode"),
        ({}, {"ExtraHosts": ["a:1.1.1.1"]}, "custom host-to-IP mapping and the network mode"),
        ({"MacAddress": "02:42:00:00:00:01"}, {}, "mac-address and the network mode"),
        (
            {},
            {"PublishAllPorts": True},
            "port publishing and the container type network mode",
        ),
        (
            {"ExposedPorts": {"80/tcp": {}}},
            {},
            "port exposing and the container type network mode",
        ),
    ],
)
def test_container_mode_excludes_what_the_target_decides(config, host_config, text):
    body = {
        "Image": "i", **config, "HostConfig": {"NetworkMode": "container:t", **host_config}
    }  # fmt: skip
    expected = (
        "Invalid network mode: invalid container format container:<name|id>"
        if text is None
        else f"conflicting options: {text}"
    )
    with pytest.raises(InvalidParameter) as refusal:
        decode_create(body)
    assert str(refusal.value) == expected


def test_container_mode_accepts_a_domain_name_and_a_second_colon():
    body = {
        "Image": "i",
        "Domainname": "d",
        "HostConfig": {"NetworkMode": "container:a:b", "DnsSearch": ["s"], "UTSMode": "host"},
    }
    config, host_config, _ = decode_create(body)
    assert (config.domainname, host_config.network_mode.connected_container()) == ("d", "a:b")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            {"HostConfig": {"NetworkMode": "host", "Links": ["a:b"]}},
            "conflicting options: host type networking can't be used with links. This would "
            "result in undefined behavior",
        ),
        (
            {"MacAddress": "02:42:00:00:00:01", "HostConfig": {"NetworkMode": "host"}},
            "conflicting options: mac-address and the network mode",
        ),
        (
            {"Hostname": "h", "HostConfig": {"UTSMode": "host"}},
            "conflicting options: hostname and the UTS mode",
        ),
    ],
)
def test_host_mode_excludes_what_the_host_decides(body, text):
    with pytest.raises(InvalidParameter) as refusal:
        decode_create({"Image": "i", **body})
    assert str(refusal.value) == text


@pytest.mark.parametrize("body", [{}, None, {"HostConfig": {}}, {"Bogus": 1}])
def test_body_without_configuration_is_refused(body):
    with pytest.raises(InvalidParameter) as refusal:
        decode_create(body)
    assert str(refusal.value) == "Config cannot be empty in order to create a container"


def test_absent_mode_becomes_default():
    assert decode_create({"Image": "i"})[1].network_mode == "default"


def test_options_beside_the_others_are_checked_and_kept():
    assert decode_create({"Image": "i", "NetworkMode": "none"})[1].network_mode.is_none()
    with pytest.raises(InvalidParameter, match="invalid container format"):
        decode_create({"Image": "i", "NetworkMode": "container:"})
    with pytest.raises(InvalidParameter, match="Config cannot be empty"):
        decode_create({"NetworkMode": "none"})


def test_wrong_type_is_a_server_error_as_in_20_10():
    with pytest.raises(EngineError) as refusal:
        decode_create({"Hostname": 5})
    assert refusal.value.status == 500


@pytest.mark.parametrize("field", ["Hostname", "Domainname"])
@pytest.mark.parametrize(
    "name",
    ["a\nb", "a\tb", "a\x00", "\x7f", "a evil.example", " a", "a\u00a0b", "a\u2028b", "a\x85b"],
)
def test_name_that_would_be_two_in_the_hosts_file_is_refused(field, name):
    with pytest.raises(InvalidParameter, match=f"invalid {field.lower()} format"):
        verify.verify_container_config(Config.from_wire({field: name}))


@pytest.mark.parametrize("name", ["", "a", "a.b", "a_b", "-a", "é", "a/b", "x" * 300])
def test_name_of_one_word_is_taken_as_docker_takes_it(name):
    verify.verify_container_config(Config(hostname=name, domainname=name))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("bad", 'bad format for add-host: "bad"'),
        (":1.2.3.4", 'bad format for add-host: ":1.2.3.4"'),
        ("a:1.2.3", 'invalid IP address in add-host: "1.2.3"'),
        ("a:", 'invalid IP address in add-host: ""'),
        ("a\nb:1.2.3.4", 'bad format for add-host: "a\\nb:1.2.3.4"'),
        ("a b:1.2.3.4", 'bad format for add-host: "a b:1.2.3.4"'),
        ("a:1.2.3.4 evil", 'invalid IP address in add-host: "1.2.3.4 evil"'),
    ],
)
def test_malformed_extra_host_is_refused(text, reason):
    with pytest.raises(InvalidParameter) as refusal:
        verify.verify_host_config(HostConfig(extra_hosts=[text]))
    assert str(refusal.value) == reason


def test_extra_host_may_be_ipv6_or_the_gateway():
    assert verify.split_extra_host("a:::1") == ("a", "::1")
    assert verify.split_extra_host("a: 1.2.3.4") == ("a", "1.2.3.4")
    assert verify.split_extra_host("a:host-gateway") == ("a", "host-gateway")


@pytest.mark.parametrize("field", ["Dns", "DnsSearch", "DnsOptions"])
@pytest.mark.parametrize("entry", ["8.8.8.8\nnameserver 6.6.6.6", "a b", "a\x00"])
def test_second_word_never_reaches_resolv_conf(field, entry):
    with pytest.raises(InvalidParameter, match="invalid DNS entry format"):
        verify.verify_host_config(HostConfig.from_wire({field: ["8.8.8.8", entry]}))


@pytest.mark.parametrize(
    ("host_config", "text"),
    [
        ({"ShmSize": -1}, "SHM size can not be less than 0"),
        ({"Runtime": "kata"}, "Unknown runtime specified kata"),
    ],
)
def test_what_the_host_has_not_is_refused(host_config, text):
    with pytest.raises(InvalidParameter) as refusal:
        verify.verify_host_config(HostConfig.from_wire(host_config))
    assert str(refusal.value) == text
    verify.verify_host_config(HostConfig.from_wire({"Runtime": "runc", "ShmSize": 1}))


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        ({"Name": "bogus"}, "invalid restart policy 'bogus'"),
        (
            {"Name": "always", "MaximumRetryCount": 3},
            "maximum retry count cannot be used with restart policy 'always'",
        ),
        ({"Name": "on-failure", "MaximumRetryCount": -3}, "maximum retry count cannot be negative"),
    ],
)
def test_impossible_restart_policy_is_refused(policy, text):
    with pytest.raises(InvalidParameter) as refusal:
        verify.verify_host_config(HostConfig.from_wire({"RestartPolicy": policy}))
    assert str(refusal.value) == text


def test_two_endpoints_are_refused():
    networking = NetworkingConfig(
        endpoints_config={"b": EndpointSettings(), "a": EndpointSettings()}
    )
    with pytest.raises(InvalidParameter) as refusal:
        verify.verify_networking_config(networking)
    assert str(refusal.value) == "Container cannot be connected to network endpoints: a, b"


def test_null_endpoint_is_refused():
    with pytest.raises(InvalidParameter) as refusal:
        verify.verify_networking_config(NetworkingConfig(endpoints_config={"n": None}))
    assert str(refusal.value) == "no EndpointSettings for n"


@pytest.mark.parametrize(
    ("ipam", "text"),
    [
        (EndpointIPAMConfig(ipv4_address="bad"), "invalid IPv4 address: bad"),
        (EndpointIPAMConfig(ipv4_address="::1"), "invalid IPv4 address: ::1"),
        (EndpointIPAMConfig(ipv6_address="1.2.3.4"), "invalid IPv6 address: 1.2.3.4"),
    ],
)
def test_address_that_is_none_is_refused(ipam, text):
    with pytest.raises(InvalidParameter) as refusal:
        verify.verify_endpoint(EndpointSettings(ipam_config=ipam))
    assert str(refusal.value) == text


@pytest.mark.parametrize(
    ("text", "number"),
    [("KILL", 9), ("SIGKILL", 9), ("sigterm", 15), ("9", 9), ("RTMIN+3", 37), ("SIGRTMAX-1", 63)],
)
def test_signal_is_read_by_name_and_number(text, number):
    assert verify.parse_signal(text) == number


@pytest.mark.parametrize("text", ["BOGUS", "0", "", "²", "9x", "SIG", "RTMIN+99", "RTMAX+1"])
def test_unknown_signal_is_refused(text):
    with pytest.raises(InvalidParameter) as refusal:
        verify.parse_signal(text)
    assert str(refusal.value) == f"Invalid signal: {text}"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"Memory": 5}, "Minimum memory limit allowed is 6MB"),
        ({"Memory": -5}, "Minimum memory limit allowed is 6MB"),
        ({"Memory": 6291455, "ShmSize": -1}, "Minimum memory limit allowed is 6MB"),
        (
            {"Memory": 6291456, "MemorySwap": 5},
            "Minimum memoryswap limit should be larger than memory limit, see usage",
        ),
        (
            {"MemorySwap": 6291456},
            "You should always set the Memory limit when using Memoryswap limit, see usage",
        ),
        ({"MemorySwappiness": 101}, "Invalid value: 101, valid memory swappiness range is 0-100"),
        ({"MemoryReservation": 5}, "Minimum memory reservation allowed is 6MB"),
        (
            {"Memory": 6291456, "MemoryReservation": 6291457},
            "Minimum memory limit can not be less than memory reservation limit, see usage",
        ),
        ({"KernelMemory": 5}, "Minimum kernel memory limit allowed is 6MB"),
    ],
)
def test_memory_that_is_too_small_or_does_not_fit_is_refused(given, text):
    with pytest.raises(InvalidParameter) as refusal:
        verify.verify_host_config(HostConfig.from_wire(given))
    assert str(refusal.value) == text


@pytest.mark.parametrize(
    "given",
    [
        {"Memory": 6291456, "MemorySwap": -1, "MemorySwappiness": -1},
        {"Memory": 6291456, "MemorySwap": 6291456, "MemoryReservation": 6291456},
        {"MemorySwap": -1, "KernelMemory": 6291456},
    ],
)
def test_memory_that_docker_accepts_is_accepted(given):
    verify.verify_host_config(HostConfig.from_wire(given))
