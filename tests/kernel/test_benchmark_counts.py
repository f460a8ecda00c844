"""What an allocate takes is known to the syscall: who changes it says so in the golden file."""

import shutil

import pytest

from benchmarks.counts import compare_allocates, read_golden

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_an_allocate_takes_what_the_golden_file_says():
    # python -m benchmarks counts --write
    assert compare_allocates(read_golden()) == []
