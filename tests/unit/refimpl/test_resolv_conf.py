"""The text of /etc/resolv.conf, compared with what 20.10 writes."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refimpl.errors import EngineError, InvalidParameter
from refimpl.libnetwork import files

GOOGLE = "\nnameserver 8.8.8.8\nnameserver 8.8.4.4"
GOOGLE_IPV6 = GOOGLE + "\nnameserver 2001:4860:4860::8888\nnameserver 2001:4860:4860::8844"


def test_search_comes_before_servers_and_options_last():
    assert files.build_resolv_conf(["10.0.0.1", "10.0.0.2"], ["a", "b"], ["ndots:2", "x"]) == (
        "search a b\nnameserver 10.0.0.1\nnameserver 10.0.0.2\noptions ndots:2 x\n"
    )


@pytest.mark.parametrize("search", [[], ["."]])
def test_no_search_and_a_search_of_a_dot_give_no_line(search):
    assert files.build_resolv_conf(["10.0.0.1"], search) == "nameserver 10.0.0.1\n"


def test_an_unparsable_server_is_written_as_it_is():
    assert files.build_resolv_conf(["bad"]) == "nameserver bad\n"


@pytest.mark.parametrize("field", range(3))
def test_no_value_ever_becomes_a_second_line(field):
    values: list[list[str]] = [["10.0.0.1"], ["a"], ["b"]]
    values[field] = ["x\nnameserver 6.6.6.6"]
    with pytest.raises(InvalidParameter):
        files.build_resolv_conf(*values)


@pytest.mark.parametrize(
    ("content", "ipv6", "expected"),
    [
        ("nameserver 10.0.0.1\n", False, "nameserver 10.0.0.1\n"),
        ("nameserver 127.0.0.53\nnameserver 10.0.0.1\n", False, "nameserver 10.0.0.1\n"),
        ("nameserver 127.0.0.53\noptions edns0\n", False, "options edns0\n" + GOOGLE),
        ("", True, GOOGLE_IPV6),
        ("nameserver ::1\nnameserver 10.0.0.1\n", True, "nameserver 10.0.0.1\n"),
        ("nameserver fe80::1%eth0\nsearch a\n", False, "search a\n" + GOOGLE),
        ("nameserver 2001:db8::1\n", True, "nameserver 2001:db8::1\n"),
        ("nameserver 2001:db8::1\nnameserver 10.0.0.1\n", False, "nameserver 10.0.0.1\n"),
        ("# a comment\nnameserver 10.0.0.1", False, "# a comment\nnameserver 10.0.0.1"),
    ],
)
def test_servers_that_a_container_cannot_reach_are_left_out(content, ipv6, expected):
    assert files.filter_resolv_conf(content, ipv6=ipv6) == expected


@given(st.lists(st.sampled_from(["nameserver 127.0.0.1", "nameserver 10.1.1.1", "search x", ""])))
def test_filtering_twice_changes_nothing_more(lines):
    once = files.filter_resolv_conf("\n".join(lines), ipv6=False)
    assert files.filter_resolv_conf(once, ipv6=False) == once
    assert files.ipv4_nameservers(once)


def test_the_last_search_line_counts_and_comments_do_not():
    parsed = files.parse_resolv_conf(
        "search a\n#search b\nsearch c d # e\nnameserver 10.0.0.1 # x\n;nameserver 10.0.0.2\n"
    )
    assert parsed == files.ResolvConf(("10.0.0.1",), ("c", "d"), ())


def test_on_a_user_network_there_is_one_server_and_no_dots_are_needed():
    content = "nameserver 10.0.0.1\nnameserver 10.0.0.2\n"
    assert files.embedded_resolv_conf(content, has_user_options=False) == (
        "nameserver 127.0.0.11\noptions ndots:0\n",
        False,
    )


def test_search_options_and_ipv6_servers_stay_beside_the_embedded_dns():
    content = "search a\nnameserver 10.0.0.1\nnameserver 2001:db8::1\noptions edns0\n"
    assert files.embedded_resolv_conf(content, has_user_options=False)[0] == (
        "search a\nnameserver 127.0.0.11\nnameserver 2001:db8::1\noptions edns0 ndots:0\n"
    )


def test_the_hosts_ndots_is_not_the_users():
    content = "nameserver 10.0.0.1\noptions ndots:3 rotate\n"
    assert files.embedded_resolv_conf(content, has_user_options=False) == (
        "nameserver 127.0.0.11\noptions rotate ndots:0\n",
        False,
    )


def test_a_users_ndots_is_kept():
    content = "nameserver 10.0.0.1\noptions ndots:3\n"
    assert files.embedded_resolv_conf(content, has_user_options=True) == (
        "nameserver 127.0.0.11\noptions ndots:3\n",
        True,
    )


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("ndots", "invalid ndots option ndots"),
        ("ndots:x", "invalid number for ndots option: x"),
        ("ndots:-1", "invalid number for ndots option: -1"),
        pytest.param(
            "ndots:" + "9" * 5000, "invalid number for ndots option: " + "9" * 5000, id="huge"
        ),
    ],
)
def test_an_ndots_that_is_no_number_is_refused(option, message):
    with pytest.raises(EngineError) as raised:
        files.embedded_resolv_conf(
            f"nameserver 10.0.0.1\noptions {option}\n", has_user_options=True
        )
    assert str(raised.value) == message


def test_the_hash_is_dockers():
    digest = hashlib.sha256(b"nameserver 10.0.0.1\n").hexdigest()
    assert files.content_hash("nameserver 10.0.0.1\n") == f"sha256:{digest}"
