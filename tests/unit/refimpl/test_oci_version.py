"""Goal: a runtime that does not tell its version is refused in one sentence.

Method: scripts stand in for the runtime; only their `--version` is asked for.
"""

import re
from pathlib import Path

import pytest

from refimpl.kernel.files import LinuxFiles
from refimpl.oci import program as runtime_program
from refimpl.oci.base import RuntimeFailure
from refimpl.oci.runtime import find_runtime


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("exit 0", "its --version prints no version"),
        ("echo; echo version 1", "its --version prints no version"),
        ("echo 'runc version '", "its --version prints no version"),
        (r"printf 'version \377'", "its --version is not UTF-8: .*"),
        ("echo version 1; exit 3", "does not run: .*exit status 3."),
    ],
)
def test_runtime_without_a_version_is_refused(tmp_path, script, sentence):
    check_is_refused(tmp_path, script, sentence)


def test_runtime_that_hangs_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(runtime_program, "_VERSION_TIMEOUT_S", 0.2)
    check_is_refused(tmp_path, "exec sleep 60", "does not run: .* timed out after 0.2 seconds")


def check_is_refused(tmp_path: Path, script: str, sentence: str) -> None:
    program = tmp_path / "fake-runc"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    with pytest.raises(RuntimeFailure) as raised:
        find_runtime(str(tmp_path / "root"), LinuxFiles().read_inside, str(program))
    assert re.fullmatch(f"no OCI runtime: {program}: {sentence}", str(raised.value))
    assert not (tmp_path / "root").exists()
