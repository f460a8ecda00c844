"""What a dockerd that is started once more finds of the containerd of the one before."""

import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from conformance.engines import containerd
from conformance.engines.containerd import forget_dead_containerd


def pid_file_with(tmp_path: Path, content: str) -> Path:
    folder = tmp_path / "containerd"
    folder.mkdir()
    pid_file = folder / "containerd.pid"
    pid_file.write_text(content, encoding="ascii")
    return pid_file


@pytest.fixture
def process():
    child = subprocess.Popen(["containerd", "60"], executable="sleep")
    yield child
    child.kill()
    child.wait()


def test_pid_file_of_a_zombie_goes(tmp_path, process):
    pid_file = pid_file_with(tmp_path, str(process.pid))
    os.kill(process.pid, signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert forget_dead_containerd(tmp_path)
    assert not pid_file.exists()


def test_one_that_is_still_ending_is_waited_for(tmp_path, process):
    pid_file = pid_file_with(tmp_path, str(process.pid))
    timer = threading.Timer(0.3, process.kill)
    timer.start()
    assert forget_dead_containerd(tmp_path)
    assert not pid_file.exists()
    timer.join()


def test_one_that_lives_on_keeps_its_pid_file(tmp_path, process, monkeypatch):
    monkeypatch.setattr(containerd, "END_TIMEOUT_S", 0.1)
    pid_file = pid_file_with(tmp_path, str(process.pid))
    assert not forget_dead_containerd(tmp_path)
    assert pid_file.exists()


def test_pid_file_that_names_another_process_by_now_goes(tmp_path):
    pid_file = pid_file_with(tmp_path, str(os.getpid()))
    assert forget_dead_containerd(tmp_path)
    assert not pid_file.exists()


@pytest.mark.parametrize("content", ["", "x"])
def test_pid_file_without_a_number_is_left(tmp_path, content):
    pid_file = pid_file_with(tmp_path, content)
    assert not forget_dead_containerd(tmp_path)
    assert pid_file.exists()


def test_without_a_pid_file_there_is_nothing_to_do(tmp_path):
    assert not forget_dead_containerd(tmp_path)
