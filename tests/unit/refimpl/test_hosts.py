"""The text of /etc/hosts and /etc/hostname, compared with what 20.10 writes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refimpl.errors import InvalidParameter
from refimpl.libnetwork import files

TEMPLATE = """\
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
ff00::0\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
"""


def test_without_extra_hosts_the_file_is_the_template():
    assert files.build_hosts() == TEMPLATE


def test_extra_hosts_follow_in_order_with_their_duplicates():
    extra = [("a", "10.0.0.1"), ("b c", "10.0.0.2"), ("a", "10.0.0.1")]
    assert files.build_hosts(extra) == TEMPLATE + "10.0.0.1\ta\n10.0.0.2\tb c\n10.0.0.1\ta\n"


@pytest.mark.parametrize(
    ("hostname", "domainname", "names"),
    [
        ("web", "", "web"),
        ("web", "example.org", "web.example.org web"),
        ("web.example.org", "", "web.example.org web"),
        ("web.a", "b", "web.a.b web"),
    ],
)
def test_own_names_have_the_full_name_first(hostname, domainname, names):
    assert files.own_names(hostname, domainname) == names


def test_the_hostname_file_is_the_name_and_a_newline():
    assert files.build_hostname("web") == "web\n"


def test_deleting_goes_by_the_whole_names_part():
    content = TEMPLATE + "10.0.0.2\tweb\n10.0.0.3\tweb two\n10.0.0.4\ttheweb\n"
    assert files.delete_hosts_lines(content, {"web"}.__contains__) == (
        TEMPLATE + "10.0.0.3\tweb two\n10.0.0.4\ttheweb\n"
    )


def test_deleting_leaves_comments_alone():
    content = "# 10.0.0.2\tweb\n10.0.0.3\tother\n"
    assert files.delete_hosts_lines(content, {"web"}.__contains__) == content


@pytest.mark.parametrize(
    ("content", "left"),
    [
        ("10.0.0.2\tweb\r\n10.0.0.3\tother\r\n", "10.0.0.3\tother\n"),
        ("\n10.0.0.3\tother\n\n\n10.0.0.2\tweb\n\n", "10.0.0.3\tother\n"),
        ("10.0.0.3\tother\n10.0.0.2\tweb", "10.0.0.3\tother\n"),
        ("10.0.0.2\tweb\n10.0.0.3\tother", "10.0.0.3\tother\n"),
        ("\n10.0.0.3\tother\n", "10.0.0.3\tother\n"),
        ("\n", ""),
        ("\r", ""),
        ("", ""),
    ],
)
def test_deleting_reads_and_writes_lines_as_go_does(content, left):
    assert files.delete_hosts_lines(content, {"web"}.__contains__) == left


def test_deleting_nothing_changes_nothing():
    assert files.delete_hosts_lines(TEMPLATE, set[str]().__contains__) == TEMPLATE


def test_deleting_looks_behind_every_tab_of_a_users_line():
    content = "10.0.0.2\tmine\tweb\n10.0.0.3\tweb\tmine\n"
    assert files.delete_hosts_lines(content, {"web"}.__contains__) == "10.0.0.3\tweb\tmine\n"


def test_what_a_user_wrote_into_one_line_costs_no_more_than_its_length():
    """A mebibyte of it; each took hours when it was looked at from each of its characters."""
    word, tabs = "a" * (1 << 20), "\t" * (1 << 20)
    assert files.update_hosts_address(word, "db", "10.0.0.7") == word
    asked = 0

    def is_deleted(name: str) -> bool:
        nonlocal asked
        asked += len(name)
        return name == "db"

    content = f"x\t{tabs}\n10.0.0.2\tdb\n"
    assert files.delete_hosts_lines(content, is_deleted) == f"x\t{tabs}\n"
    assert asked < 10 << 20


def test_updating_goes_on_behind_a_word_that_was_updated():
    content = "10.0.0.2\tdb\n10.0.0.2\tdb web\n"
    assert files.update_hosts_address(content, "db", "10.0.0.7") == (
        "10.0.0.7\tdb\n10.0.0.7\tdb web\n"
    )


def test_deleting_leaves_a_line_without_a_tab_before_one_that_goes():
    content = "10.0.0.2 mine\n10.0.0.3\tweb\n"
    assert files.delete_hosts_lines(content, {"web"}.__contains__) == "10.0.0.2 mine\n"


def test_an_update_changes_the_address_of_the_first_name_only():
    content = "10.0.0.2\tdb web 1234\n10.0.0.9\tweb db\n"
    assert files.update_hosts_address(content, "db", "10.0.0.7") == (
        "10.0.0.7\tdb web 1234\n10.0.0.9\tweb db\n"
    )


@given(st.text(alphabet="ab.\t \n#", max_size=30))
def test_an_update_is_that_of_mobys_expression(content: str) -> None:
    expected = re.sub(r"(\S*)(\ta)(\s|\.)", r"X\2\3", content)
    assert files.update_hosts_address(content, "a", "X") == expected


@pytest.mark.timeout(20)
def test_an_update_takes_time_in_proportion_to_the_file() -> None:
    """A container writes the file: one word of a megabyte took the square of its length."""
    content = "a" * 1_000_000 + "\tb\n"
    assert files.update_hosts_address(content, "b", "10.0.0.2") == "10.0.0.2\tb\n"
    assert files.update_hosts_address(content, "c", "10.0.0.2") == content


def test_an_update_takes_the_name_literally():
    assert files.update_hosts_address("10.0.0.2\tdxb\n", "d.b", "10.0.0.7") == "10.0.0.2\tdxb\n"


@pytest.mark.parametrize("bad", ["a\n10.0.0.1\tvictim", "a\rb", "a\0b"])
def test_no_name_or_address_ever_becomes_a_second_line(bad):
    for build in (
        lambda: files.hosts_line("10.0.0.1", bad),
        lambda: files.hosts_line(bad, "a"),
        lambda: files.build_hosts([(bad, "10.0.0.1")]),
        lambda: files.build_hostname(bad),
        lambda: files.update_hosts_address("10.0.0.2\tdb\n", "db", bad),
    ):
        with pytest.raises(InvalidParameter):
            build()


@given(st.text(alphabet="abc.-", min_size=1), st.text(alphabet="abc.-"))
def test_whatever_is_added_is_one_line_and_can_be_deleted_again(hostname, domainname):
    names = files.own_names(hostname, domainname)
    line = files.hosts_line("10.0.0.1", names)
    assert line.count("\n") == 1
    assert files.delete_hosts_lines(TEMPLATE + line, {names}.__contains__) == TEMPLATE


@given(st.binary())
def test_edits_of_a_user_need_not_be_text(content):
    assert files.encode(files.decode(content)) == content
