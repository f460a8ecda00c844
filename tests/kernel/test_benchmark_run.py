"""A whole run against a real Docker: what it keeps, and that it leaves the machine as it was."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.peers import find_peers
from conformance.observe.poll import wait_until

pytestmark = [
    pytest.mark.root,
    pytest.mark.engine,
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.skipif(shutil.which("dockerd") is None, reason="there is no dockerd here"),
]
ROOT = Path(__file__).parents[2]


def start(tmp_path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmarks", "run", "--engine", "docker", *arguments]
    return subprocess.Popen(
        [*command, "--storage", str(tmp_path / "storage")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # a shell that runs in the background has it ignored, and what it starts, too
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )


def traces() -> dict[str, list[str]]:
    """What a benchmark run makes on this machine, found by its own names."""
    commands = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if "/netinit-bench-" in line:
                commands.append(line)
    return {
        "namespaces": [each.name for each in Path("/run/netns").glob("ni-bench-*")],
        "folders": [str(each) for each in Path("/tmp").glob("netinit-bench-????????")],
        "mounts": [
            line
            for line in Path("/proc/self/mountinfo").read_text().splitlines()
            if "/netinit-bench-" in line
        ],
        "processes": commands,
    }


@pytest.fixture
def before():
    """What other runs on this machine have made is theirs."""
    return traces()


def test_every_case_has_its_samples_and_nothing_is_left(tmp_path, before):
    path = tmp_path / "run.json"
    process = start(tmp_path, "--rounds", "2", "--json", str(path))
    output, errors = process.communicate(timeout=150)
    assert process.returncode == 0, output + errors
    document = json.loads(path.read_text())
    rounds = {each["param"]: each["stats"]["rounds"] for each in document["benchmarks"]}
    assert rounds == {
        "floor-bridge-floor": 10,
        "metric-bridge-docker": 2,
        "metric-user-docker": 2,
        "release-bridge-docker": 2,
        "release-user-docker": 2,
        "outside-in-bridge-docker": 2,
        "outside-in-user-docker": 2,
        "start-none-docker": 2,
        "start-bridge-docker": 2,
        "start-user-docker": 2,
        "end-none-docker": 2,
        "end-bridge-docker": 2,
        "end-user-docker": 2,
        **{f"peer-bridge-{peer}": 2 for peer in find_peers()},
    }
    (engine,) = document["netinit"]["engines"]
    assert engine["label"].startswith("docker-")
    assert output.splitlines()[-1].startswith("bar not measured")
    assert traces() == before


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_interrupted_run_says_so_and_leaves_nothing(tmp_path, before, end):
    process = start(tmp_path, "--rounds", "1000")
    try:
        wait_until(
            "the benchmark to start its daemon",
            lambda: (
                len(traces()["namespaces"]) > len(before["namespaces"])
                or process.poll() is not None
            ),
            timeout_s=120,
        )
        assert process.poll() is None, "it ended by itself"
        # as /run is; a daemon on the disk would be compared with a floor in memory
        points = [line.split()[4] for line in traces()["mounts"]]
        assert [point for point in points if point.endswith("/docker/exec")]
        os.kill(process.pid, end)
        _output, errors = process.communicate(timeout=90)
    except BaseException:
        process.kill()
        print(*process.communicate(), sep="\n")
        raise
    assert process.returncode == 2
    assert "error: interrupted" in errors
    assert traces() == before
