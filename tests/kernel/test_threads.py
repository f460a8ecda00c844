"""A daemon whose first thread is in a container's namespace is looked into in its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conformance.engines.external import ExternalEngine
from conformance.engines.threads import Pinned, home_thread
from conformance.subnets import routed_subnets

pytestmark = pytest.mark.root

# Two threads stay in the namespace; the first one is in one of its own, as a Go program's may be.
_AWAY = """
import ctypes, threading, time
for _ in range(2):
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
assert ctypes.CDLL(None).unshare(0x40000000) == 0
print("away", flush=True)
time.sleep(60)
"""


@contextmanager
def running(script: str, *arguments: str) -> Iterator[int]:
    """Run a script until its first thread is away; give its pid."""
    command = [sys.executable, "-c", script, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"away\n"
        try:
            yield process.pid
        finally:
            process.kill()


@pytest.fixture
def away() -> Iterator[int]:
    with running(_AWAY) as pid:
        yield pid


def test_namespace_is_that_of_most_threads(away):
    ours = Path("/proc/self/ns/net").stat().st_ino
    assert Path(f"/proc/{away}/ns/net").stat().st_ino != ours
    assert (home_thread(away) / "ns/net").stat().st_ino == ours
    assert (home_thread(away) / "net/route").is_file()


def test_first_thread_is_taken_where_it_is_at_home():
    assert home_thread(os.getpid()) == Path(f"/proc/{os.getpid()}/task/{os.getpid()}")


def test_pinned_namespace_outlives_the_thread(away):
    inode = Path(f"/proc/{away}/ns/net").stat().st_ino
    pinned = Pinned(Path(f"/proc/{away}/ns/net"))
    os.kill(away, 9)
    os.waitid(os.P_PID, away, os.WEXITED | os.WNOWAIT)
    found = subprocess.run(
        ["nsenter", f"--net={pinned.path}", "readlink", "/proc/self/ns/net"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(inode) in found.stdout
    pinned.close()
    assert not pinned.path.exists()


def test_process_that_is_gone_is_its_first_thread():
    assert home_thread(2**22 + 1) == Path(f"/proc/{2**22 + 1}")


# An engine whose first thread is away while the others answer.
_ENGINE = """
import ctypes, sys, time
from pathlib import Path
from tests.selftest.unix_api import VERSION, JsonHandler, UnixApi
class Handler(JsonHandler):
    def do_GET(self):
        self.answer(200, VERSION if self.path.endswith("/version") else {"DockerRootDir": "/d"})
server = UnixApi(Path(sys.argv[1]), Handler)
server.begin()
assert ctypes.CDLL(None).unshare(0x40000000) == 0
print("away", flush=True)
time.sleep(60)
"""


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_engine_is_looked_into_once_for_each_of_its_processes(tmp_path):
    path = tmp_path / "d.sock"
    engine = ExternalEngine(f"unix://{path}")
    before = open_files()
    for _ in range(2):
        path.unlink(missing_ok=True)
        with running(_ENGINE, str(path)) as pid:
            inside = engine.inside()
            assert inside is not None
            assert (inside.pid, inside.data_root) == (pid, Path("/d"))
            assert inside.netns.stat().st_ino == Path("/proc/self/ns/net").stat().st_ino
            assert engine.inside() is inside
            routed = {one for folder in engine.proc_nets for one in routed_subnets(folder)}
            assert routed >= set(routed_subnets(Path("/proc/self/net")))
    engine.stop()
    assert open_files() == before
