"""A daemon whose first thread is in a container's namespace is looked into in its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.engines.threads import Pinned, home_thread

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


@pytest.fixture
def away() -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", _AWAY], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"away\n"
        yield process.pid
        process.kill()


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


def test_process_that_may_not_be_seen_is_its_first_thread():
    assert home_thread(2**22 + 1) == Path(f"/proc/{2**22 + 1}")
