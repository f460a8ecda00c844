"""`pytest benchmarks/` measures real allocates and starts, keeps them, and leaves nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.root, pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(180)]
ROOT = Path(__file__).parents[2]


def mounts() -> set[str]:
    """What a benchmark mounts here; other engines' come and go."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    ours = ("ni-bench-", "/netinit-bench-", "/reference0/exec")
    return {line for line in lines if any(name in line for name in ours)}


def call_pytest(tmp_path, *arguments: str) -> str:
    storage = f"--benchmark-storage=file://{tmp_path / 'storage'}"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(ROOT / "benchmarks")),
            *("--benchmark-only", "--rounds=1", storage, "-k", "bridge", *arguments),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_what_was_kept_is_compared_with_what_is_measured(tmp_path):
    before = mounts()
    call_pytest(tmp_path, "--benchmark-autosave")
    (kept,) = (tmp_path / "storage").rglob("*.json")
    rounds = {
        each["name"]: (each["stats"]["rounds"], each["extra_info"]["engine"])
        for each in json.loads(kept.read_text())["benchmarks"]
    }
    assert rounds == {
        "test_start[reference-bridge]": (1, "reference"),
        "test_end_until_the_links_are_gone[reference-bridge]": (1, "reference"),
        "test_allocate[bridge]": (5, "reference"),
        "test_release[its-return-bridge]": (5, "reference"),
        "test_release[the-links-are-gone-bridge]": (5, "reference"),
    }
    said = call_pytest(tmp_path, "--benchmark-compare")
    assert said.count("test_allocate[bridge] (") == 2
    assert mounts() <= before
