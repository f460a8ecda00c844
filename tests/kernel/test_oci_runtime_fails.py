"""Goal: whatever fails, a call says so in time, and nothing is left behind.

Method: the real runtime, or one of which some commands are a line of shell.
"""

import errno
import os
import resource
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest

from refimpl.kernel.files import LinuxFiles
from refimpl.oci.base import Mount, ProcessSpec, RuntimeFailure
from refimpl.oci.runtime import OciRuntime, Timeouts, become_subreaper, find_runtime
from refimpl.oci.users import UnknownUser
from tests.kernel.oci_stage import drain, finish, reap_all


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
    become_subreaper()
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
