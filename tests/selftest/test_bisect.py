"""A real `git bisect run` finds the commit that planted a defect in the reference."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from conformance.runner import why_unavailable

pytestmark = [
    pytest.mark.root,
    pytest.mark.engine,
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed"),
]

ROOT = Path(__file__).parents[2]
ROW = "init.default.interface-matches-inspect"
MUTANTS = ROOT / "ci" / "mutants" / "init-none-default-disabled.toml"
PROGRAM = "refimpl/__main__.py"


@pytest.fixture
def checkout(tmp_path):
    """A repository with nothing but the reference, as a developer of it would have."""
    if reason := why_unavailable("reference"):
        pytest.skip(reason)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "refimpl", tmp_path / "refimpl", ignore=ignore)
    (tmp_path / ".gitignore").write_text("__pycache__\nreports\n", encoding="utf-8")
    git(tmp_path, "init", "--quiet")
    return tmp_path


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    environment = {
        **os.environ,
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_SYSTEM": "/dev/null",
        "PYTHONPATH": str(ROOT),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    done = subprocess.run(
        ["git", *identity, *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def commit(folder: Path, title: str, file: str = "notes", text: str = "") -> None:
    """Commit a file with a new text; without one, with the title."""
    (folder / file).write_text(text or title, encoding="utf-8")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", title)


def test_planted_defect_is_found_past_a_commit_that_does_not_start(checkout):
    mutant = tomllib.loads(MUTANTS.read_text(encoding="utf-8"))[ROW]
    sound = (checkout / mutant["file"]).read_text(encoding="utf-8")
    program = (checkout / PROGRAM).read_text(encoding="utf-8")
    assert sound.count(mutant["find"]) == 1
    commit(checkout, "sound")
    git(checkout, "tag", "sound")
    commit(checkout, "harmless")
    commit(checkout, "harmless, too")
    commit(checkout, "does not start", PROGRAM, "raise SystemExit('broken')")  # git begins here
    commit(checkout, "starts again", PROGRAM, program)
    commit(checkout, "plants it", mutant["file"], sound.replace(mutant["find"], mutant["replace"]))
    commit(checkout, "harmless as well")
    git(checkout, "bisect", "start", "HEAD", "sound")
    command = f"python -m conformance run --bisect --engine reference:. {ROW}"
    said = git(checkout, "bisect", "run", "sh", "-c", command)
    assert "bisect: cannot tell: 1 of 1 rows ended in an error" in said
    assert "bisect: good: 1 of 1 rows pass" in said
    assert "bisect: bad: 1 of 1 rows failed" in said
    assert git(checkout, "log", "-1", "--format=%s", "bisect/bad") == "plants it\n"
