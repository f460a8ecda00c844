"""Goal: every value on the command line is checked when it is read, and its flag is named."""

from __future__ import annotations

import pytest

from refimpl.errors import EngineError
from refimpl.flags import metrics_address, naming, parse_arguments, socket_path


@pytest.mark.parametrize(
    ("flag", "value", "complaint"),
    [
        ("--dns", "foo", "foo is not an ip address"),
        ("--dns", "", " is not an ip address"),
        ("--dns", "1.2.3", "1.2.3 is not an ip address"),
        ("--dns-search", "a b", "a b is not a valid domain"),
        ("--dns-search", "12", "12 is not a valid domain"),
        ("--dns-search", "a..b", "a..b is not a valid domain"),
        ("--dns-opt", "a\nb", "a\nb is not a valid option"),
        ("--bip", "1.2.3", "invalid CIDR address: 1.2.3"),
        ("--bip", "10.0.0.1", "invalid CIDR address: 10.0.0.1"),
        ("--bip", "10.0.0.1/33", "invalid CIDR address: 10.0.0.1/33"),
        ("--bip", "10.0.0.1/x", "invalid CIDR address: 10.0.0.1/x"),
        ("--fixed-cidr", "fd00::/64", "invalid CIDR address: fd00::/64"),
        ("--fixed-cidr-v6", "10.0.0.0/8", "invalid CIDR address: 10.0.0.0/8"),
        ("--fixed-cidr-v6", "fd00::", "invalid CIDR address: fd00::"),
        ("--fixed-cidr-v6", "fd00::/129", "invalid CIDR address: fd00::/129"),
        ("--default-gateway-v6", "hello", "hello is not an ip address"),
        ("--default-gateway-v6", "10.0.0.1", "10.0.0.1 is not an ipv6 address"),
        ("--ipv6", "maybe", "invalid choice"),
        ("--default-gateway", "hello", "hello is not an ip address"),
        ("--default-gateway", "fd00::1", "fd00::1 is not an ipv4 address"),
        ("--default-address-pool", "foo", "invalid field 'foo' must be a key=value pair"),
        ("--default-address-pool", "", "invalid field '' must be a key=value pair"),
        (
            "--default-address-pool",
            "base=10.0.0.0/8, size=9",
            "unexpected key ' size' in ' size=9'",
        ),
        ("--default-address-pool", "size=24", 'invalid base pool "": invalid CIDR address: '),
        ("--default-address-pool", "base=x,size=24", 'base pool "x": invalid CIDR address: x'),
        ("--default-address-pool", "base=10.0.0.0/33,size=33", "invalid CIDR address: 10.0.0.0/33"),
        ("--default-address-pool", "base=10.0.0.0/8,size=24x", 'invalid size value: "24x"'),
        ("--default-address-pool", "base=10.0.0.0/8", "invalid pools size: 0"),
        ("--default-address-pool", "base=0.0.0.0/0,size=0", "invalid pools size: 0"),
        ("--default-address-pool", "base=10.0.0.0/24,size=16", "invalid pools size: 16"),
        ("--default-address-pool", "base=10.0.0.0/24,size=33", "invalid pools size: 33"),
        ("--default-address-pool", "base=10.0.0.0/24,size=-1", "invalid pools size: -1"),
        ("--default-address-pool", "base=fd00::/64,size=129", "invalid pools size: 129"),
        ("--mtu", "x", "x is not a number from 68 to 65535"),
        ("--mtu", "67", "67 is not a number from 68 to 65535"),
        ("--mtu", "9" * 30, f"{'9' * 30} is not a number from 68 to 65535"),
        ("--bridge", "a/b", "'a/b' is not a name of a bridge"),
        ("--bridge", "a" * 16, f"'{'a' * 16}' is not a name of a bridge"),
        ("--metrics-addr", "127.0.0.1:99999", "expected HOST:PORT"),
        ("--metrics-addr", "127.0.0.1", "expected HOST:PORT"),
        ("--metrics-addr", ":80", "expected HOST:PORT"),
        ("--metrics-addr", "h:²", "expected HOST:PORT"),
        ("--host", "tcp://127.0.0.1:2375", "only unix:// sockets are served"),
        ("--host", "unix://", "a path is needed"),
        ("--host", f"unix:///{'x' * 107}", "is longer than 107 bytes"),
        ("--pidfile", "", "a path is needed"),
        ("--data-root", "", "a path is needed"),
        ("--exec-root", "", "a path is needed"),
        ("--runtime", "", "a path is needed"),
        ("--icc", "maybe", "invalid choice"),
        ("--ip-masq", "maybe", "invalid choice"),
        ("--log-level", "loud", "invalid choice"),
    ],
)
def test_value_that_is_none_is_refused_with_its_flag(capsys, flag, value, complaint):
    with pytest.raises(SystemExit) as end:
        parse_arguments([f"{flag}={value}"])
    assert end.value.code == 2
    told = capsys.readouterr().err
    assert complaint in told
    assert f"{flag}: " in told


def test_values_are_taken():
    options = parse_arguments(
        [
            "--dns=1.1.1.1", "--dns=fd00::1", "--dns-search=.", "--dns-search=a_b.Example-1.",
            "--dns-opt=ndots:0", "--bip=10.0.0.1/24", "--fixed-cidr=", "--mtu=65535",
            "--default-gateway=10.0.0.9", "--ip-masq=false",
            "--default-address-pool=base=10.0.0.5/16,size=24",
            "--default-address-pool=SIZE=64,base=fd00::/48",
            "--metrics-addr=[::1]:0", "--host=/run/x.sock",
        ]
    )  # fmt: skip
    assert options.dns == ["1.1.1.1", "fd00::1"]
    assert options.dns_search == [".", "a_b.Example-1."]
    assert (options.mtu, options.bip, options.fixed_cidr) == (65535, "10.0.0.1/24", "")
    assert (options.default_gateway, options.ip_masq) == ("10.0.0.9", "false")
    assert options.default_address_pool == [("10.0.0.5/16", 24), ("fd00::/48", 64)]
    assert metrics_address(options.metrics_addr) == ("::1", 0)
    assert str(socket_path(options.host)) == "/run/x.sock"


def test_ipv6_is_a_switch():
    assert parse_arguments([]).ipv6 == "false"
    for words in (["--ipv6"], ["--ipv6=true"], ["--ipv6", "true"]):
        assert parse_arguments(words).ipv6 == "true"
    options = parse_arguments(["--fixed-cidr-v6=fd00::/64", "--default-gateway-v6=fd00::7"])
    assert (options.fixed_cidr_v6, options.default_gateway_v6) == ("fd00::/64", "fd00::7")


def test_mtu_of_nothing_is_the_usual_one():
    assert parse_arguments(["--mtu=0"]).mtu == 1500


@pytest.mark.parametrize("bridge", ["br9", "none"])
def test_bridge_and_its_address_exclude_each_other(capsys, bridge):
    with pytest.raises(SystemExit) as end:
        parse_arguments([f"--bridge={bridge}", "--bip=10.0.0.1/24"])
    assert end.value.code == 2
    assert "You specified -b & --bip, mutually exclusive options" in capsys.readouterr().err


@pytest.mark.parametrize(
    "failure",
    [
        FileNotFoundError(2, "No such file", "/x"),
        ValueError("No such file"),
        OverflowError("No such file"),
        EngineError("No such file"),
    ],
    ids=repr,
)
def test_what_fails_later_names_its_flag(failure):
    with pytest.raises(EngineError) as refusal, naming("--pidfile", "/x"):
        raise failure
    assert str(refusal.value) == "--pidfile /x: No such file"


@pytest.mark.parametrize("flag", ["ipv6", "icc", "ip-masq", "userland-proxy"])
def test_a_switch_without_a_value_is_on(flag):
    """Each switch of dockerd can stand alone."""
    assert getattr(parse_arguments([f"--{flag}"]), flag.replace("-", "_")) == "true"
