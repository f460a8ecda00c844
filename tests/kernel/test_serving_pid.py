"""The daemon behind a socket is found where the first process made the socket, as systemd does.

Here it is the first one of a pid namespace.
"""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.root

# Makes a socket, and so many daemons that get it; each of them has a child that holds it, too.
_FIRST = """
import os, socket, sys, time
from conformance.engines.processes import serving_pid
assert os.getpid() == 1
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
daemons = []
for _ in range(int(sys.argv[2])):
    ready, done = os.pipe()
    daemon = os.fork()
    if not daemon:
        os.fork()
        os.write(done, b"x")
        time.sleep(60)
    os.read(ready, 2)
    daemons.append(daemon)
print(*daemons, "found", serving_pid(f"unix://{sys.argv[3]}"), flush=True)
"""


@pytest.mark.parametrize(
    ("daemons", "found"),
    [(0, "found 1"), (1, "2 found 2"), (2, "2 4 found None")],
    ids=["the first process serves", "one daemon", "two daemons"],
)
def test_daemon_is_who_got_the_socket_from_the_first_process(tmp_path, daemons, found):
    (tmp_path / "run").mkdir()
    (tmp_path / "var").symlink_to(tmp_path / "run")
    made, asked = tmp_path / "run" / "d.sock", tmp_path / "var" / "d.sock"
    apart = ("unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", _FIRST)
    done = subprocess.run(
        [*apart, str(made), str(daemons), str(asked)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.stdout.strip(), done.stderr) == (found, "")
