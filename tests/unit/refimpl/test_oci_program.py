"""Goal: whatever the runtime writes or leaves undone, a call ends with one kind of error.

Method: scripts stand in for the runtime, and a directory for the kernel's control groups.
"""

import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from refimpl.oci import cgroups
from refimpl.oci.base import RuntimeFailure
from refimpl.oci.program import RuntimeProgram, reap


@pytest.fixture
def fails(tmp_path):
    """Run a command of a runtime that is this script, and return what it is said to have failed of.

    The script has the log file in `$log`.
    """

    def run(script: str, timeout_s: float = 30) -> str:
        program = tmp_path / "fake-runc"
        program.write_text(
            f"#!/bin/sh\n[ $1 = --version ] && echo runc version 1 && exit\nlog=$4\n{script}\n"
        )
        program.chmod(0o755)
        null = os.open(os.devnull, os.O_RDWR)
        try:
            with pytest.raises(RuntimeFailure) as caught:
                RuntimeProgram(str(program), tmp_path).execute(
                    ["pause", "x"],
                    (null, null, null),
                    log_file=tmp_path / "log",
                    timeout_s=timeout_s,
                )
        finally:
            os.close(null)
        assert not (tmp_path / "log").exists()
        return str(caught.value)

    return run


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("", "fake-runc pause ended with status 3"),
        ('{"level":"error","msg":"runc run failed: no"}', "no"),
        ('{"level":"error","msg":"one"}\n{"level":"error","msg":"two"}\n{"level":"info"}', "two"),
        ("[1]\n5\nnull\n{\n\\377", "fake-runc pause ended with status 3"),
        ('{"level":"error","msg":{"a":1}}', "{'a': 1}"),
        ('{"level":["error"],"msg":"no"}', "fake-runc pause ended with status 3"),
        ("9" * 5000, "fake-runc pause ended with status 3"),
        ("[" * 100_000, "fake-runc pause ended with status 3"),
    ],
    ids=["nothing", "error", "last", "strange", "object", "list", "digits", "depth"],
)
def test_log_of_any_kind_is_read(fails, tmp_path, written, said) -> None:
    (tmp_path / "written").write_text(written)
    assert fails(f'printf "$(cat {tmp_path}/written)" > $log; exit 3') == said


def test_only_the_end_of_a_long_log_is_read(fails) -> None:
    last = """printf '\\n{"level":"error","msg":"the end"}\\n' >> $log"""
    assert fails(f"truncate -s 100G $log; {last}; exit 1") == "the end"


def test_what_does_not_end_is_killed_and_named(fails) -> None:
    assert fails("sleep 1000", timeout_s=0.5) == "fake-runc pause did not end within 0.5 s"


def test_reaping_gives_up_in_time() -> None:
    with subprocess.Popen(["sleep", "1000"]) as running:
        assert not reap(running.pid, timeout_s=0.1)
        running.kill()
        os.waitid(os.P_PID, running.pid, os.WEXITED | os.WNOWAIT)
        assert reap(running.pid)
        assert reap(running.pid)  # somebody else has


def test_what_can_have_seccomp_says_so(tmp_path) -> None:
    for text, has in (
        ("runc version 1.1.5\nlibseccomp: 2.5.4", True),
        ("crun version 1.8\n+SYSTEMD +SELINUX +SECCOMP +YAJL", True),
        ("runc version 1.1.5\ngo: go1.19.8", False),
    ):
        program = tmp_path / "fake-runc"
        program.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\n")
        program.chmod(0o755)
        assert RuntimeProgram(str(program), tmp_path).has_seccomp is has


# -- control groups --------------------------------------------------------------------------------


@pytest.fixture
def group(tmp_path) -> Path:
    (tmp_path / "pids/netinit/ni-one").mkdir(parents=True)
    return tmp_path / "pids/netinit/ni-one"


def test_a_process_whose_number_has_become_anothers_is_left_alone(tmp_path, group) -> None:
    with subprocess.Popen(["sleep", "1000"]) as running:
        (group / "cgroup.procs").write_text(f"{running.pid}\n")
        assert not cgroups.kill_all("/netinit/", "ni-one", 0.1, root=tmp_path)
        assert running.poll() is None
        running.send_signal(signal.SIGTERM)


def test_groups_without_a_process_are_removed_and_missing_ones_are_no_error(
    tmp_path, group
) -> None:
    assert cgroups.kill_all("netinit", "ni-one", 1, root=tmp_path)
    assert not group.exists()
    assert cgroups.kill_all("netinit", "ni-one", 1, root=tmp_path)


def test_a_command_under_way_ends_soon_once_there_is_a_limit(tmp_path):
    program = tmp_path / "fake-runc"
    program.write_text(
        "#!/bin/sh\n[ $1 = --version ] && echo runc version 1 && exit\n"
        f"echo > {tmp_path}/begun; exec sleep 1000\n"
    )
    program.chmod(0o755)
    runtime = RuntimeProgram(str(program), tmp_path)

    def pause() -> None:
        with Path(os.devnull).open("r+b", buffering=0) as null:
            runtime.execute(
                ["pause", "x"],
                (null.fileno(),) * 3,
                log_file=tmp_path / "log",
                timeout_s=1000,
            )

    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(pause)
        while not (tmp_path / "begun").exists():
            time.sleep(0.01)
        runtime.limit(0.1)
        with pytest.raises(RuntimeFailure, match=r"^fake-runc pause did not end within 0.1 s$"):
            call.result(30)
        with pytest.raises(RuntimeFailure, match=r"did not end within 0.1 s$"):
            pause()
