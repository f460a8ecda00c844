"""NETINIT_NO_SKIP: a test that cannot run fails, where somebody relies on it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TESTS = """
import pytest

@pytest.mark.skipif(True, reason="no dockerd here")
def test_marked():
    pass

@pytest.fixture
def engine():
    pytest.skip("no engine here")

def test_by_its_fixture(engine):
    pass

def test_by_nature():
    pytest.skip("the words are runc's")

@pytest.mark.xfail
def test_known():
    raise AssertionError
"""


@pytest.mark.parametrize(
    ("value", "said"), [("1", "1 skipped, 1 xfailed, 2 errors"), ("", "3 skipped, 1 xfailed")]
)
def test_what_would_be_skipped_fails(tmp_path, value, said):
    (tmp_path / "test_some.py").write_text(TESTS, encoding="utf-8")
    words = ["-p", "tests.conftest", "-p", "no:randomly", "-q", "--noconftest", "-o", "addopts="]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, tmp_path],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "NETINIT_NO_SKIP": value},
    )
    assert said in done.stdout, done.stdout
