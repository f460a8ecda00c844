"""Goal: a container runs as Docker's would, its end is ours to learn, and nothing outlives it.

Method: the real runtime on a root file system of busybox alone.
"""

import contextlib
import json
import os
import signal
import termios
from pathlib import Path

import pytest

from refimpl.kernel import libc
from refimpl.kernel.base import SandboxPlan
from refimpl.kernel.files import LinuxFiles
from refimpl.oci.base import Mount, ProcessSpec, RuntimeFailure
from refimpl.oci.runtime import find_runtime
from refimpl.oci.users import UnknownUser
from tests.kernel.oci_stage import drain, finish, prepared

# -- running ---------------------------------------------------------------------------------------


def test_output_error_and_exit_code_are_kept_apart(runtime, spec) -> None:
    process = runtime.run(spec("sh", "-c", "echo out; echo err >&2; exit 7"))
    assert finish(runtime, process) == (7, "out\n", "err\n")


def test_stdin_is_read_to_its_end(runtime, spec) -> None:
    process = runtime.run(spec("cat", open_stdin=True))
    os.write(process.stdin, b"hello")
    os.close(process.stdin)
    process.stdin = None
    assert finish(runtime, process) == (0, "hello", "")


def test_without_stdin_a_reader_sees_the_end_at_once(runtime, spec) -> None:
    process = runtime.run(spec("cat"))
    assert process.stdin is None
    assert finish(runtime, process) == (0, "", "")


def test_process_has_no_descriptor_of_the_daemons(runtime, spec) -> None:
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    pipe = str(Path(f"/proc/self/fd/{writer}").readlink())
    script = "for one in /proc/self/fd/*; do readlink $one; done; true"
    try:
        code, output, _ = finish(runtime, runtime.run(spec("sh", "-c", script)))
    finally:
        os.close(reader)
        os.close(writer)
    assert code == 0
    assert "pipe:" in output
    assert pipe not in output


def test_terminal_is_the_daemons_to_read_write_and_size(runtime, spec) -> None:
    process = runtime.run(spec("sh", "-c", "read x; stty size; tty; exit 3", tty=True))
    assert (process.stdin, process.stdout, process.stderr) == (None, None, None)
    runtime.resize(process.console, 70000, -1)  # of each the lower 16 bits, as in Docker
    assert termios.tcgetwinsize(process.console) == (4464, 65535)
    runtime.resize(process.console, 50, 120)
    os.write(process.console, b"\n")
    output = drain(process.console)
    assert "50 120" in output
    assert "/dev/pts/0" in output
    assert finish(runtime, process) == (3,)


def test_terminal_works_however_long_the_path_of_the_state_is(tmp_path, spec) -> None:
    runtime = prepared(tmp_path / ("long" * 40) / "root")
    try:
        process = runtime.run(spec("tty", tty=True))
        assert process.console is not None
        assert drain(process.console).strip() == "/dev/pts/0"
        assert finish(runtime, process) == (0,)
    finally:
        runtime.delete("ni-one")
        runtime.close()


def test_names_of_host_and_domain(runtime, spec, kernel, netns_directory) -> None:
    key = str(netns_directory / "key")
    kernel.create_sandbox(SandboxPlan(key=key))
    process = runtime.run(
        spec(
            *("sh", "-c", "hostname; cat /proc/sys/kernel/domainname"),
            hostname="box",
            domainname="example.org",
            netns=key,
        )
    )
    assert finish(runtime, process) == (0, "box\nexample.org\n", "")


def test_container_is_in_the_sandbox_that_it_was_given(
    runtime, spec, kernel, netns_directory
) -> None:
    key = netns_directory / "key"
    kernel.create_sandbox(SandboxPlan(key=str(key)))
    process = runtime.run(spec("readlink", "/proc/self/ns/net", netns=str(key)))
    assert finish(runtime, process) == (0, f"net:[{key.stat().st_ino}]\n", "")
    runtime.delete("ni-one")
    process = runtime.run(spec("readlink", "/proc/self/ns/net", netns=None))
    own = Path("/proc/thread-self/ns/net").stat().st_ino
    assert finish(runtime, process) == (0, f"net:[{own}]\n", "")


def test_files_are_mounted_and_seen_to_change(runtime, spec, tmp_path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("before\n")
    mount = Mount(source=str(hosts), destination="/etc/hosts")
    process = runtime.run(
        spec("sh", "-c", "cat /etc/hosts; read x; cat /etc/hosts", mounts=(mount,), open_stdin=True)
    )
    assert os.read(process.stdout, 100) == b"before\n"
    hosts.write_text("after\n")
    os.write(process.stdin, b"\n")
    assert finish(runtime, process) == (0, "after\n", "")


def test_defaults_guard_the_host(runtime, spec) -> None:
    script = (
        "grep -q ' /sys sysfs ro' /proc/mounts || echo sys is writable;"
        "grep -q ' /proc/sys proc ro' /proc/mounts || echo proc/sys is writable;"
        "mount -t tmpfs none /tmp 2>/dev/null && echo may mount;"
        "grep CapEff /proc/self/status"
    )
    code, output, _ = finish(runtime, runtime.run(spec("sh", "-c", script)))
    assert (code, output) == (0, "CapEff:\t00000000a80425fb\n")


def test_privileged_may_mount(runtime, spec) -> None:
    process = runtime.run(
        spec("sh", "-c", "mount -t tmpfs none /tmp && ls -l /dev/null", privileged=True)
    )
    assert finish(runtime, process)[0] == 0


def test_namespaces_of_its_own_are_refused_as_docker_refuses_them(runtime, spec) -> None:
    script = (
        "unshare -U -n -r true; unshare -n true; unshare -m true;"
        "(echo a thread or process is none) | cat; chroot / true && echo may change its root"
    )
    code, output, errors = finish(runtime, runtime.run(spec("sh", "-c", script)))
    assert (code, output) == (0, "a thread or process is none\nmay change its root\n")
    assert errors.count("Operation not permitted") == 3


@pytest.mark.parametrize(
    "values",
    [
        {"privileged": True},
        {"seccomp_profile": "unconfined"},
        {"cap_add": ("SYS_ADMIN",)},
    ],
    ids=str,
)
def test_namespaces_of_its_own_for_who_asked(runtime, spec, values) -> None:
    process = runtime.run(spec("unshare", "-U", "-r", "id", "-u", **values))
    assert finish(runtime, process) == (0, "0\n", "")


def test_profile_of_a_client_holds_for_every_process(runtime, spec) -> None:
    rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}
    profile = json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]})
    process = runtime.run(spec("sleep", "1000", seccomp_profile=profile))
    for privileged in (False, True):
        added = ProcessSpec(args=("/bin/mkdir", "/tmp/new"), privileged=privileged)
        code, _, errors = finish(runtime, runtime.exec("ni-one", added))
        assert (code, "No space left on device" in errors) == (1, True)
    runtime.kill("ni-one", signal.SIGKILL)
    finish(runtime, process)


def test_action_that_the_runtime_does_not_know_is_refused_in_its_words(runtime, spec) -> None:
    with pytest.raises(RuntimeFailure, match="string X is not a valid action for seccomp"):
        runtime.run(spec("true", seccomp_profile='{"defaultAction":"X"}'))
    assert runtime.list() == []


def test_no_new_privileges_hold_for_every_process(runtime, spec) -> None:
    look = ("/bin/grep", "NoNewPrivs", "/proc/self/status")
    process = runtime.run(spec("sh", "-c", "grep NoNewPrivs /proc/self/status; sleep 1000",
                               no_new_privileges=True))  # fmt: skip
    assert os.read(process.stdout, 100) == b"NoNewPrivs:\t1\n"
    added = runtime.exec("ni-one", ProcessSpec(args=look))
    assert finish(runtime, added) == (0, "NoNewPrivs:\t1\n", "")
    runtime.kill("ni-one", signal.SIGKILL)
    finish(runtime, process)


@pytest.mark.parametrize(("propagation", "is_seen"), [("rslave", True), ("rprivate", False)])
def test_propagation_of_a_mount_is_applied(runtime, spec, tmp_path, propagation, is_seen) -> None:
    shared = tmp_path / "shared"
    (shared / "in").mkdir(parents=True)
    libc.mount(str(shared), str(shared), None, libc.MS_BIND)
    libc.mount("none", str(shared), None, 1 << 20)  # MS_SHARED
    try:
        mount = Mount(source=str(shared), destination="/tmp", propagation=propagation)
        process = runtime.run(spec("sh", "-c", "read x; grep -c /tmp/in /proc/mounts; true",
                                   mounts=(mount,), open_stdin=True))  # fmt: skip
        libc.mount("none", str(shared / "in"), "tmpfs", 0)
        os.write(process.stdin, b"\n")
        assert finish(runtime, process) == (0, f"{int(is_seen)}\n", "")
    finally:
        with contextlib.suppress(OSError):
            libc.umount(str(shared / "in"))
        libc.umount(str(shared))


@pytest.mark.parametrize(
    ("user", "output"),
    [
        ("", "uid=0(root) gid=0(root) groups=0(root)\n"),
        ("bob", "uid=1000(bob) gid=1000 groups=10(wheel),1000\n"),
        ("4000:10", "uid=4000 gid=10(wheel) groups=10(wheel)\n"),
    ],
)
def test_user_is_who_was_asked_for(runtime, spec, user, output) -> None:
    assert finish(runtime, runtime.run(spec("id", user=user))) == (0, output, "")


# -- exec ------------------------------------------------------------------------------------------


def test_exec_runs_beside_the_first_process(runtime, spec) -> None:
    runtime.run(spec("sleep", "1000"))
    added = ProcessSpec(args=("sh", "-c", "pidof sleep; id -u; exit 4"), env=("PATH=/bin",))
    assert finish(runtime, runtime.exec("ni-one", added)) == (4, "1\n0\n", "")
    as_bob = ProcessSpec(args=("/bin/id", "-u"), user="bob")
    assert finish(runtime, runtime.exec("ni-one", as_bob)) == (0, "1000\n", "")


def test_exec_with_a_terminal(runtime, spec) -> None:
    runtime.run(spec("sleep", "1000"))
    process = runtime.exec("ni-one", ProcessSpec(args=("/bin/tty",), tty=True))
    assert drain(process.console).strip() == "/dev/pts/0"
    assert finish(runtime, process) == (0,)


def test_exec_that_cannot_run_says_why_and_the_container_goes_on(
    runtime, spec, open_descriptors
) -> None:
    runtime.run(spec("sleep", "1000"))
    descriptors = open_descriptors()
    with pytest.raises(RuntimeFailure, match="unable to start container process: exec: "):
        runtime.exec("ni-one", ProcessSpec(args=("/nosuchcmd",)))
    with pytest.raises(UnknownUser):
        runtime.exec("ni-one", ProcessSpec(args=("/bin/id",), user="nosuch"))
    with pytest.raises(RuntimeFailure):
        runtime.exec("ni-none", ProcessSpec(args=("/bin/id",)))
    assert open_descriptors() == descriptors
    assert finish(runtime, runtime.exec("ni-one", ProcessSpec(args=("/bin/true",)))) == (0, "", "")


# -- ending ----------------------------------------------------------------------------------------


def test_killed_process_has_128_and_the_signal(runtime, spec) -> None:
    process = runtime.run(spec("sleep", "1000"))
    runtime.kill("ni-one", signal.SIGKILL)
    assert runtime.wait(process) == 128 + signal.SIGKILL
    with pytest.raises(RuntimeFailure, match="not running"):
        runtime.kill("ni-one", signal.SIGKILL)


def test_signal_reaches_a_process_that_handles_it(runtime, spec) -> None:
    script = 'trap "exit 42" TERM; echo ready; while :; do read x; done'
    process = runtime.run(spec("sh", "-c", script, open_stdin=True))
    assert os.read(process.stdout, 100) == b"ready\n"
    runtime.kill("ni-one", signal.SIGTERM)
    os.close(process.stdin)
    process.stdin = None
    assert finish(runtime, process)[0] in {42, 128 + signal.SIGTERM}


def test_paused_container_stands_still_until_resumed(runtime, spec) -> None:
    process = runtime.run(spec("cat", open_stdin=True))
    runtime.pause("ni-one")
    os.write(process.stdin, b"later")
    os.set_blocking(process.stdout, False)
    with pytest.raises(BlockingIOError):
        os.read(process.stdout, 10)
    runtime.resume("ni-one")
    os.set_blocking(process.stdout, True)
    assert os.read(process.stdout, 10) == b"later"


def test_delete_kills_what_runs_and_forgets_it(runtime, spec, tmp_path) -> None:
    process = runtime.run(spec("sleep", "1000"))
    runtime.delete("ni-one")
    assert runtime.wait(process) == 128 + signal.SIGKILL
    assert runtime.list() == []
    assert list((tmp_path / "bundles").iterdir()) == []
    runtime.delete("ni-one")
    runtime.delete("ni-never")


def test_paused_container_can_be_deleted(runtime, spec) -> None:
    process = runtime.run(spec("sleep", "1000"))
    runtime.pause("ni-one")
    runtime.delete("ni-one")
    assert runtime.wait(process) == 128 + signal.SIGKILL


def test_next_daemon_finds_and_deletes_what_a_crash_left(runtime, spec, tmp_path) -> None:
    process = runtime.run(spec("sleep", "1000"))
    other = prepared(tmp_path / "root")
    assert other.list() == ["ni-one"]
    other.delete("ni-one")
    assert other.list() == []
    assert list((tmp_path / "bundles").iterdir()) == []
    other.close()
    assert runtime.wait(process) == 128 + signal.SIGKILL


def test_scratch_files_that_a_crash_left_are_removed(tmp_path) -> None:
    (tmp_path / "root-scratch").mkdir()
    (tmp_path / "root-scratch/7-log").touch()
    runtime = prepared(tmp_path / "root")
    assert list((tmp_path / "root-scratch").iterdir()) == []
    runtime.close()
    runtime.close()
    assert not (tmp_path / "root-scratch").exists()


def test_who_only_looks_for_a_runtime_touches_nothing(runtime, spec, tmp_path) -> None:
    find_runtime(str(tmp_path / "root"), LinuxFiles().read_inside).close()
    process = runtime.run(spec("true", tty=True))
    assert process.console is not None
    drain(process.console)
    assert finish(runtime, process) == (0,)


def test_half_made_state_of_a_crash_is_deleted(runtime, tmp_path) -> None:
    (tmp_path / "root/ni-half").mkdir()
    assert runtime.list() == ["ni-half"]
    runtime.delete("ni-half")
    assert runtime.list() == []


@pytest.mark.slow
def test_twenty_containers_leave_no_process_and_no_descriptor(
    runtime, spec, open_descriptors
) -> None:
    finish(runtime, runtime.run(spec("true")))
    runtime.delete("ni-one")
    descriptors = open_descriptors()
    for _ in range(20):
        finish(runtime, runtime.run(spec("true")))
        runtime.delete("ni-one")
    assert open_descriptors() == descriptors
    with pytest.raises(ChildProcessError):
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
