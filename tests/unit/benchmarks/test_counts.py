"""Reading strace's output and comparing counts."""

from benchmarks.counts import (
    PYTHON_MINOR,
    differences,
    read_golden,
    read_strace,
    smallest,
    write_golden,
)

TRACE = """\
7  openat(AT_FDCWD, "before") = 3
7  access("/netinit-count/first-bridge", F_OK) = -1 ENOENT
7  access("/netinit-count/begin-bridge", F_OK) = -1 ENOENT
7  sendto(5<NETLINK:[ROUTE:1]>, [[{nlmsg_len=48, nlmsg_type=0x14}], [{nlmsg_type=0x18}]]) = 9
7  sendto(6<UNIX-STREAM:[2]>, "nlmsg_type=") = 9
7  mmap(NULL, 4096) = 0x7f
8  unshare(CLONE_NEWNET <unfinished ...>
7  access("/netinit-count/end-bridge", F_OK) = -1 ENOENT
8  <... unshare resumed>) = 0
7  close(9) = 0
8  mount("a", "b") = 0
7  access("/netinit-count/rest-bridge", F_OK) = -1 ENOENT
8  umount2("b") = 0
"""


def counted(**bytecodes):
    return {**read_strace(TRACE.splitlines()), "bytecodes": {PYTHON_MINOR: bytecodes}}


def test_only_what_lies_between_the_borders_counts():
    assert read_strace(TRACE.splitlines()) == {
        "syscalls": {"bridge": 0.4},  # two sends, unshare and mount, by ten allocates
        "netlink_sends": {"bridge": 0.1},
        "netlink_messages": {"bridge": 0.2},
    }


def test_the_smallest_pass_counts():
    longer = TRACE.replace("7  sendto(6", "7  read(6) = 1\n7  sendto(6")
    assert read_strace((longer + TRACE).splitlines()) == read_strace(TRACE.splitlines())


def test_a_change_is_told_by_figure_and_network():
    golden = {**counted(bridge=10.0), "syscalls": {"bridge": 0.5}}
    assert differences(golden, counted(bridge=10.0)) == ["syscalls on bridge: 0.5 -> 0.4"]
    assert differences(counted(bridge=10.0), counted(bridge=10.0)) == []


def test_on_another_python_only_what_is_sent_over_netlink_is_compared():
    golden = {**counted(bridge=10.0), "bytecodes": {"2.7": {"bridge": 1.0}}, "syscalls": {}}
    assert differences(golden, counted(bridge=10.0)) == []
    assert differences({**golden, "netlink_sends": {}}, counted(bridge=10.0)) == [
        "netlink_sends on bridge: not known -> 0.1"
    ]


def test_a_network_that_the_file_does_not_know_is_a_change():
    golden = {**counted(bridge=10.0), "syscalls": {}}
    assert differences(golden, counted(bridge=10.0)) == ["syscalls on bridge: not known -> 0.4"]


def test_the_smaller_of_two_counts_is_taken_figure_by_figure():
    one, other = counted(bridge=10.0, user=7.0), counted(bridge=9.0, user=8.0)
    assert smallest(one, other)["bytecodes"] == {PYTHON_MINOR: {"bridge": 9.0, "user": 7.0}}


def test_the_file_is_of_the_python_that_wrote_it_alone(tmp_path):
    path = tmp_path / "counts.json"
    write_golden({**counted(bridge=9.0), "bytecodes": {"2.7": {"bridge": 1.0}}}, path)
    write_golden(counted(bridge=10.0), path)
    assert read_golden(path) == counted(bridge=10.0)
