"""Goal: a pid file is only taken from a process that is not there.

Method: files in a directory of the test's own, with the pids of processes that live and of none.
"""

import os

import pytest

from refimpl.daemon.pid_file import write_pid_file
from refimpl.errors import EngineError
from refimpl.kernel.files import LinuxFiles

OURS = f"{os.getpid()}\n"
NOBODY = str(2**30)  # more than the kernel's greatest


@pytest.mark.parametrize("before", [None, "", "12x", "\xff", "-1", NOBODY, OURS])
def test_pid_file_of_nobody_is_taken(tmp_path, before):
    path = tmp_path / "pid"
    if before is not None:
        path.write_text(before)
    write_pid_file(str(path), LinuxFiles())
    assert path.read_text() == OURS


@pytest.mark.parametrize("ending", ["", "\n"])
def test_pid_file_of_a_process_that_lives_is_refused(tmp_path, ending):
    path = tmp_path / "pid"
    path.write_text(f"{os.getppid()}{ending}")
    with pytest.raises(EngineError) as raised:
        write_pid_file(str(path), LinuxFiles())
    assert str(raised.value) == f"pid file found, ensure docker is not running or delete {path}"
    assert path.read_text() == f"{os.getppid()}{ending}"
