"""`--tx`: the engines run on another machine, as far as one machine can play two.

The other machine is an sshd, or execnet's own server, in a network namespace and a folder of its
own; nothing of this checkout is on its path, so what it runs is the copy that it was sent.
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from conformance.engines.processes import make_netns, remove_netns, run_tool
from conformance.observe.poll import wait_until
from tests.selftest.deviant import Deviant

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="making a network namespace needs root"),
]
ROWS = Path(__file__).parent / "rows"
PORT = 2222


@pytest.fixture
def netns() -> Iterator[str]:
    name = f"ni-tx-{secrets.token_hex(3)}"
    make_netns(name)
    yield name
    remove_netns(name)


@pytest.fixture(params=["ssh", "socket"])
def machine(request, netns, tmp_path) -> Iterator[str]:
    """Another machine; gives what `--tx` calls it."""
    start = {"ssh": start_sshd, "socket": start_execnet}[request.param]
    folder = tmp_path / "machine"
    folder.mkdir()
    command, place = start(folder)
    enter = ["nsenter", f"--net=/run/netns/{netns}"]
    with subprocess.Popen(
        [*enter, *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
    ) as server:
        try:
            listening = [*enter, "ss", "-Hltn", f"sport = :{PORT}"]
            wait_until("the machine to listen", lambda: run_tool(*listening), timeout_s=10)
            yield place
        finally:
            server.kill()


def start_sshd(folder: Path) -> tuple[list[str], str]:
    sshd = shutil.which("sshd")
    if sshd is None or shutil.which("ssh") is None:
        pytest.skip("no sshd or no ssh here")
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where sshd locks itself in
    for name in ("host", "user"):
        run_tool("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name)
    (folder / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1:{PORT}\nHostKey {folder}/host\nStrictModes no\nUsePAM no\n"
        f"AuthorizedKeysFile {folder}/user.pub\nPasswordAuthentication no\nPidFile none\n"
    )
    (folder / "ssh_config").write_text(
        f"Host machine\n HostName 127.0.0.1\n Port {PORT}\n User root\n IdentitiesOnly yes\n"
        f" IdentityFile {folder}/user\n StrictHostKeyChecking no\n UserKnownHostsFile /dev/null\n"
    )
    there = f"python={sys.executable}//chdir={folder}/suite"
    command = [sshd, "-D", "-f", str(folder / "sshd_config")]
    return command, f"ssh=machine//ssh_config={folder}/ssh_config//{there}"


def start_execnet(folder: Path) -> tuple[list[str], str]:
    command = [sys.executable, "-m", "execnet.script.socketserver", f"127.0.0.1:{PORT}"]
    return command, f"socket=127.0.0.1:{PORT}//chdir={folder}/suite"


@pytest.mark.parametrize(
    ("deviations", "code"), [((), 0), (("never-runs",), 1)], ids=["good", "deviant"]
)
def test_engine_of_another_machine_is_in_the_report(machine, netns, tmp_path, deviations, code):
    with ExitStack() as stack:
        engine = stack.enter_context(Deviant(tmp_path / "engine.sock", *deviations))
        (tmp_path / "known").mkdir()
        words = [sys.executable, "-m", "conformance", "run", "self.runs", "--tx", machine]
        words += ["--engine", engine.address, "--report", str(tmp_path / "r")]
        words += ["--behaviours", str(ROWS), "--expectations", str(tmp_path / "known")]
        done = subprocess.run(
            ["nsenter", f"--net=/run/netns/{netns}", *words],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == code, done.stdout + done.stderr
    document = json.loads((tmp_path / "r" / "conformance.json").read_text("utf-8"))
    assert document["engines"][0]["host"]["kernel"] == os.uname().release
    assert (tmp_path / "machine" / "suite" / "conformance" / "plugin.py").exists()
    cell = document["results"][0]
    assert bool(cell["log"]) == bool(code)
    if code:
        text = (tmp_path / "r" / cell["log"] / "row.log").read_text("utf-8")
        assert "whether it runs" in text
