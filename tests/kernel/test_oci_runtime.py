"""Goal: a container runs as Docker's would, its end is ours to learn, and nothing outlives it.

Method: the real runtime on a root file system of busybox alone.
"""

import contextlib
import errno
import json
import os
import resource
import shutil
import signal
import termios
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from refimpl.kernel import libc
from refimpl.kernel.base import SandboxPlan
from refimpl.kernel.files import LinuxFiles
from refimpl.oci.base import ContainerSpec, Mount, ProcessSpec, RuntimeFailure
from refimpl.oci.runtime import OciRuntime, Timeouts, become_subreaper, find_runtime
from refimpl.oci.users import UnknownUser


@pytest.fixture(scope="module", autouse=True)
def parent_of_orphans() -> None:
    become_subreaper()


def prepared(root: Path) -> OciRuntime:
    """A runtime whose state is in a directory that belongs to nobody else."""
    runtime = find_runtime(str(root), LinuxFiles().read_inside)
    runtime.prepare()
    return runtime


def reap_all() -> None:
    """Reap the processes that a test did not wait for and that have been killed just now."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass


@pytest.fixture
def runtime(tmp_path):
    runtime = prepared(tmp_path / "root")
    yield runtime
    for container_id in runtime.list():
        runtime.delete(container_id)
    assert list((tmp_path / "root").iterdir()) == []
    assert list(tmp_path.glob("root-scratch/*")) == []
    runtime.close()
    reap_all()


@pytest.fixture
def spec(tmp_path, busybox_rootfs):
    def build(*args: str, id: str = "ni-one", **values) -> ContainerSpec:
        fields = {"env": ("PATH=/bin",), "cwd": "/", "user": "", "tty": False, "open_stdin": False}
        process = {name: values.pop(name, default) for name, default in fields.items()}
        return ContainerSpec(
            id=id,
            bundle=str(tmp_path / "bundles" / id),
            rootfs=values.pop("rootfs", str(busybox_rootfs)),
            process=ProcessSpec(args=args, **process),
            **values,
        )

    return build


def drain(descriptor: int) -> str:
    """Read to the end; a pty's end is EIO."""
    data = b""
    with contextlib.suppress(OSError):
        while chunk := os.read(descriptor, 65536):
            data += chunk
    os.close(descriptor)
    return data.decode()


def finish(runtime, process) -> tuple[Any, ...]:
    outputs = [
        drain(descriptor)
        for descriptor in (process.stdout, process.stderr)
        if descriptor is not None
    ]
    code = runtime.wait(process)
    os.close(process.pidfd)
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            os.close(process.stdin)
    return (code, *outputs)


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


# -- failing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("/nosuchcmd", 'exec: "/nosuchcmd": stat /nosuchcmd: no such file or directory'),
        ("nosuchcmd", 'exec: "nosuchcmd": executable file not found in $PATH'),
        ("/etc/passwd", 'exec: "/etc/passwd": permission denied'),
        ("/etc", 'exec: "/etc": permission denied'),
    ],
)
def test_command_that_cannot_run_is_refused_in_runcs_words(
    runtime, spec, tmp_path, open_descriptors, command, text
) -> None:
    if runtime.name != "runc":
        pytest.skip("the words are runc's")
    descriptors = open_descriptors()
    with pytest.raises(RuntimeFailure) as caught:
        runtime.run(spec(command))
    # of a directory, the runc of trixie says what it is; that of bookworm, that it may not
    said = str(caught.value).replace("is a directory", "permission denied")
    assert said == f"unable to start container process: {text}"
    assert runtime.list() == []
    assert list((tmp_path / "bundles").iterdir()) == []
    assert open_descriptors() == descriptors


def test_unknown_user_is_refused_before_anything_is_made(runtime, spec, tmp_path) -> None:
    with pytest.raises(UnknownUser, match="unable to find user nosuch: no matching entries"):
        runtime.run(spec("id", user="nosuch"))
    assert runtime.list() == []
    assert not (tmp_path / "bundles").exists()


@pytest.mark.parametrize("name", ["passwd", "group"])
def test_pipe_at_which_the_runtime_would_wait_is_refused(
    runtime, spec, tmp_path, busybox_rootfs, name
) -> None:
    rootfs = tmp_path / "rootfs"
    shutil.copytree(busybox_rootfs, rootfs, symlinks=True)
    process = runtime.run(spec("sleep", "1000", rootfs=str(rootfs)))
    (rootfs / "etc" / name).unlink()
    os.mkfifo(rootfs / "etc" / name)
    with pytest.raises(UnknownUser, match=f"the container's /etc/{name} is not a regular file"):
        runtime.exec("ni-one", ProcessSpec(args=("/bin/true",)))
    runtime.kill("ni-one", signal.SIGKILL)
    runtime.wait(process)
    runtime.delete("ni-one")
    with pytest.raises(UnknownUser, match=f"the container's /etc/{name} is not a regular file"):
        runtime.run(spec("true", rootfs=str(rootfs)))


def test_missing_namespace_fails_and_leaves_nothing(runtime, spec, tmp_path) -> None:
    with pytest.raises(RuntimeFailure, match="no such file"):
        runtime.run(spec("true", netns=str(tmp_path / "missing")))
    assert runtime.list() == []


def test_id_in_use_is_refused_and_the_first_container_goes_on(runtime, spec) -> None:
    process = runtime.run(spec("cat", open_stdin=True))
    with pytest.raises(RuntimeFailure, match="exists"):
        runtime.run(spec("true"))
    os.write(process.stdin, b"alive")
    os.close(process.stdin)
    process.stdin = None
    assert finish(runtime, process) == (0, "alive", "")


def test_no_runtime_is_said_plainly(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeFailure, match="runc: not installed; crun: not installed"):
        find_runtime(str(tmp_path / "root"), LinuxFiles().read_inside)


def test_nobody_looks_every_now_and_then_whether_the_runtime_has_ended(
    runtime, spec, monkeypatch
) -> None:
    """A container that starts in 30 ms is not to wait for the next look, 60 ms after the first."""
    naps: list[float] = []
    sleep, ours = time.sleep, threading.current_thread()

    def noted(seconds: float) -> None:
        if threading.current_thread() is ours:
            naps.append(seconds)
        sleep(seconds)

    with monkeypatch.context() as patched:
        patched.setattr(time, "sleep", noted)
        process = runtime.run(spec("true"))
    assert naps == []
    assert finish(runtime, process) == (0, "", "")


def test_without_a_descriptor_for_it_the_end_is_waited_for_all_the_same(
    runtime, spec, monkeypatch
) -> None:
    opened = []

    def none_is_left_at_first(pid: int) -> int:
        opened.append(pid)
        if len(opened) == 1:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return pidfd_open(pid)

    pidfd_open = os.pidfd_open
    with monkeypatch.context() as patched:
        patched.setattr(os, "pidfd_open", none_is_left_at_first)
        process = runtime.run(spec("echo", "whole"))
    assert len(opened) == 2  # the runtime, and then the container's process
    assert finish(runtime, process) == (0, "whole\n", "")


@pytest.fixture
def fake_runtime(tmp_path):
    """Build a runtime of which each command is a line of shell, and whose waits are short."""
    made = []

    def build(*, kill_s: float = 2, **commands: str) -> OciRuntime:
        program = tmp_path / "fake-runc"
        arms = "".join(f"{name}) {script};;\n" for name, script in commands.items())
        program.write_text(
            "#!/bin/sh\n[ $1 = --version ] && echo runc version 1 && exit\n"
            f'shift 6\ncase "$1" in\n{arms}*) exec runc --root {tmp_path}/root "$@";;\nesac\n'
        )
        program.chmod(0o755)
        timeouts = Timeouts(command_s=2, kill_s=kill_s, delete_s=2)
        runtime = OciRuntime(
            str(program), str(tmp_path / "root"), LinuxFiles().read_inside, timeouts
        )
        runtime.prepare()
        made.append(runtime)
        return runtime

    yield build
    for runtime in made:
        for container_id in runtime.list():
            runtime.delete(container_id)
        runtime.close()
    reap_all()


@pytest.mark.parametrize("command", ["pause", "resume", "kill", "exec", "run"])
def test_runtime_that_does_not_end_is_killed_with_its_children(
    fake_runtime, spec, tmp_path, command, open_descriptors
) -> None:
    pids = tmp_path / "pids"
    runtime = fake_runtime(
        **{command: f"sleep 1000 & echo $$ $! > {pids}.new; mv {pids}.new {pids}; wait"}
    )
    if command in {"kill", "exec"}:
        process = runtime.run(spec("sleep", "1000"))
    if command == "kill":
        process.has_ended = True  # there is nobody to be signalled without the runtime
    descriptors = open_descriptors()
    calls = {
        "pause": lambda: runtime.pause("ni-one"),
        "resume": lambda: runtime.resume("ni-one"),
        "kill": lambda: runtime.kill("ni-one", signal.SIGTERM),
        "exec": lambda: runtime.exec("ni-one", ProcessSpec(args=("/bin/true",))),
        "run": lambda: runtime.run(spec("true")),
    }
    with pytest.raises(RuntimeFailure, match=rf"^fake-runc {command} did not end within 2 s$"):
        calls[command]()
    assert open_descriptors() == descriptors
    assert list(tmp_path.glob("root-scratch/*")) == []
    for pid in pids.read_text().split():
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)
    if command == "run":
        assert not list((tmp_path / "bundles").iterdir())


@pytest.mark.parametrize("is_first", [True, False])
def test_pipe_at_which_only_the_runtime_waits_holds_up_nobody_for_long(
    fake_runtime, spec, tmp_path, open_descriptors, is_first
) -> None:
    """A container can put it there after it was looked at: here it is mounted over the file."""
    runtime = fake_runtime()
    os.mkfifo(tmp_path / "passwd")
    (tmp_path / "empty").touch()
    source = tmp_path / ("passwd" if is_first else "empty")
    mount = Mount(source=str(source), destination="/etc/passwd")
    command = "run" if is_first else "exec"
    if not is_first:
        trap = "mkfifo /tmp/p; mount --bind /tmp/p /etc/passwd; echo; rm /tmp/p; exec sleep 1000"
        process = runtime.run(spec("sh", "-c", trap, mounts=(mount,), privileged=True))
        assert os.read(process.stdout, 1) == b"\n"
    start = {
        True: lambda: runtime.run(spec("true", mounts=(mount,))),
        False: lambda: runtime.exec("ni-one", ProcessSpec(args=("/bin/true",))),
    }[is_first]
    before = open_descriptors()
    with pytest.raises(RuntimeFailure, match=rf"^fake-runc {command} did not end within 2 s$"):
        start()
    assert open_descriptors() == before
    assert runtime.list() == ([] if is_first else ["ni-one"])
    if not is_first:
        runtime.kill("ni-one", signal.SIGKILL)
        runtime.wait(process)
    with pytest.raises(ChildProcessError):  # of nobody else either
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)


@pytest.mark.parametrize("script", ["exit 1", "sleep 1000"])
def test_signal_arrives_without_the_runtime(fake_runtime, spec, script) -> None:
    runtime = fake_runtime(kill=script)
    process = runtime.run(spec("sleep", "1000"))
    runtime.kill("ni-one", signal.SIGKILL)
    os.waitid(os.P_PIDFD, process.pidfd, os.WEXITED | os.WNOWAIT)
    for _ in range(2):  # it has ended, and is reaped
        with pytest.raises(RuntimeFailure, match=r"^fake-runc kill (ended|did not end)"):
            runtime.kill("ni-one", signal.SIGKILL)
        if not process.has_ended:
            assert runtime.wait(process) == 128 + signal.SIGKILL


def test_paused_container_is_killed_without_the_runtime(fake_runtime, spec) -> None:
    runtime = fake_runtime(kill="exit 1")
    process = runtime.run(spec("sleep", "1000"))
    runtime.pause("ni-one")
    runtime.kill("ni-one", signal.SIGKILL)
    assert runtime.wait(process) == 128 + signal.SIGKILL


@pytest.mark.parametrize("script", ["exit 1", "sleep 1000"])
@pytest.mark.parametrize("is_ours", [True, False])
def test_container_is_ended_without_the_runtime(
    fake_runtime, runtime, spec, tmp_path, script, is_ours
) -> None:
    broken = fake_runtime(delete=script)
    starter = broken if is_ours else runtime
    process = starter.run(spec("sh", "-c", "sleep 1000 & sleep 1000"))
    if not is_ours:  # a paused one does not end before it is thawed
        starter.pause("ni-one")
    broken.delete("ni-one")
    assert starter.wait(process) == 128 + signal.SIGKILL
    assert broken.list() == []
    assert list((tmp_path / "bundles").iterdir()) == []
    assert list(Path("/sys/fs/cgroup").glob("**/netinit/ni-one")) == []


def test_runtime_that_starts_nothing_is_a_failure(fake_runtime, spec, tmp_path) -> None:
    runtime = fake_runtime(run="exit 0")
    with pytest.raises(RuntimeFailure, match="wrote no process id"):
        runtime.run(spec("true"))
    assert list((tmp_path / "bundles").iterdir()) == []


def test_runtime_that_is_gone_is_named(fake_runtime, spec, tmp_path) -> None:
    runtime = fake_runtime()
    (tmp_path / "fake-runc").unlink()
    with pytest.raises(RuntimeFailure, match="fake-runc cannot be started: No such file"):
        runtime.run(spec("true"))
    assert list((tmp_path / "bundles").iterdir()) == []


@pytest.mark.parametrize("tty", [False, True])
def test_start_for_which_too_few_descriptors_are_left_leaves_nothing(
    runtime, spec, tmp_path, open_descriptors, tty
) -> None:
    """Every step of a start fails once, by one more descriptor at a time."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    open_now, failures = open_descriptors(), 0
    for spare in range(40):
        held = [os.open("/dev/null", os.O_RDONLY) for _ in range(40)]
        highest = max(held)
        for descriptor in held[:spare]:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, limits[1]))
        try:
            process = runtime.run(spec("true", tty=tty))
        except OSError:
            failures += 1
        else:
            break
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            for descriptor in held[spare:]:
                os.close(descriptor)
        assert open_descriptors() == open_now
        assert runtime.list() == []
        assert list(tmp_path.glob("bundles/*")) == []
        assert list(tmp_path.glob("root-scratch/*")) == []
        with pytest.raises(ChildProcessError):
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    assert failures > 3
    if process.console is not None:
        drain(process.console)
    assert finish(runtime, process)[0] == 0


def test_start_during_which_the_last_descriptors_go_leaves_no_bundle(
    runtime, spec, tmp_path, monkeypatch
) -> None:
    """Other threads may have taken all of them by the time that it is undone."""
    limits, taken = resource.getrlimit(resource.RLIMIT_NOFILE), []

    def none_is_left() -> tuple[int, int]:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))
        while True:
            taken.append(os.open("/dev/null", os.O_RDONLY))

    monkeypatch.setattr(os, "pipe", none_is_left)
    try:
        with pytest.raises(OSError, match="Too many open files"):
            runtime.run(spec("true"))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for descriptor in taken:
            os.close(descriptor)
    assert len(taken) > 10
    assert list((tmp_path / "bundles").iterdir()) == []
    assert list(tmp_path.glob("root-scratch/*")) == []


@pytest.mark.parametrize("is_first", [True, False])
def test_process_that_was_started_in_vain_is_ended(
    runtime, spec, tmp_path, monkeypatch, open_descriptors, is_first
) -> None:
    """There is no descriptor for it: nobody would hear of its end."""
    if not is_first:
        runtime.run(spec("sleep", "1000"))
    calls: list[int] = []

    def fails_for_the_process(pid: int) -> int:
        calls.append(pid)
        if len(calls) == 2:  # the first is the runtime's
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return pidfd_open(pid)

    pidfd_open, descriptors = os.pidfd_open, open_descriptors()
    monkeypatch.setattr(os, "pidfd_open", fails_for_the_process)
    start = {
        True: lambda: runtime.run(spec("sleep", "1000")),
        False: lambda: runtime.exec("ni-one", ProcessSpec(args=("/bin/sleep", "1001"))),
    }[is_first]
    with pytest.raises(OSError, match="Too many open files"):
        start()
    assert not Path(f"/proc/{calls[1]}").exists()
    assert open_descriptors() == descriptors
    assert list(tmp_path.glob("root-scratch/*")) == []
    assert runtime.list() == ([] if is_first else ["ni-one"])


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
