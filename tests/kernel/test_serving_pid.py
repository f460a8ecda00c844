"""The daemon behind a socket is found where systemd made the socket."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.root

# Makes a socket, and so many daemons that get it; each of them has a child that holds it, too.
_MAKER = """
import os, socket, sys, time
from pathlib import Path
from conformance.engines.processes import serving_pid
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[2])
listener.listen()
daemons = []
for _ in range(int(sys.argv[4])):
    ready, done = os.pipe()
    daemon = os.fork()
    if not daemon:
        os.close(1)  # or whoever reads it waits for this one, too
        os.fork()
        os.write(done, b"x")
        time.sleep(5)
        os._exit(0)
    os.read(ready, 2)
    daemons.append(daemon)
Path("/proc/self/comm").write_text(sys.argv[1])
found = serving_pid(f"unix://{sys.argv[3]}")
print("maker" if found == os.getpid() else daemons.index(found) if found else None, flush=True)
"""


@pytest.mark.parametrize(
    ("command", "daemons", "found"),
    [
        ("dockerd", 0, "maker"),
        ("dockerd", 1, "maker"),
        ("systemd", 0, "None"),
        ("systemd", 1, "0"),
        ("systemd", 2, "None"),
    ],
)
def test_daemon_is_who_got_the_socket_from_systemd(tmp_path, command, daemons, found):
    (tmp_path / "run").mkdir()
    (tmp_path / "var").symlink_to(tmp_path / "run")
    made, asked = tmp_path / "run" / "d.sock", tmp_path / "var" / "d.sock"
    done = subprocess.run(
        [sys.executable, "-c", _MAKER, command, str(made), str(asked), str(daemons)],
        stdout=subprocess.PIPE,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout.strip() == found
