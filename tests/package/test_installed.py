"""netinit as its users have it: installed from the sdist or from the wheel, without the tree."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = ("conformance", "refimpl", "benchmarks")
# Both downloads and the first start of a program may be slow on a busy machine.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> dict[str, Path]:
    """Build both; the wheel is made of the sdist, which so has all that is needed."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [sdist], [wheel] = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return {"sdist": sdist, "wheel": wheel}


@pytest.fixture(scope="session")
def python(built, tmp_path_factory) -> Path:
    """Make a virtualenv with all that the wheel needs; give its Python."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    install(python, built["wheel"])
    return python


@pytest.fixture(scope="session", params=["sdist", "wheel"])
def installed(request, built, python) -> Path:
    """Install one of the two in place of the other; give the Python that has it."""
    install(python, "--no-deps", "--force-reinstall", built[request.param])
    return python


def install(python: Path, *words: str | Path) -> None:
    command = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def call(installed, tmp_path):
    """Call a program from a folder that has nothing of the tree: `call("conformance", "list")`."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

    def run(program: str, *words: str) -> tuple[int, str]:
        done = subprocess.run(
            [installed, "-m", program, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=tmp_path,
            env=environment,
            check=False,
        )
        return done.returncode, done.stdout

    return run


@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_explain_themselves(call, program):
    assert call(program, "--version")[1].startswith(f"netinit {program}, version 0.")
    code, out = call(program, "--help")
    assert (code, "sage: python -m" in out) == (0, True), out


def test_rows_and_records_are_there(call):
    code, out = call("conformance", "list")
    assert (code, out.rstrip().endswith(" behaviours")) == (0, True), out
    code, out = call("conformance", "compare", "docker-20.10", "docker-28.5")
    assert code == 1, out
    assert "docker-28.5" in out


@pytest.mark.parametrize("words", [("evidence",), ("list", "--write")], ids=" ".join)
def test_no_file_of_the_tree_is_written_beside_the_packages(call, words):
    code, out = call("conformance", *words)
    assert (code, "run it in a checkout" in out) == (3, True), out


def test_engine_that_is_not_known_is_wrong_usage(call):
    code, out = call("benchmarks", "run", "--engine", "nosuch")
    wanted = (3, True) if os.geteuid() == 0 else (2, False)
    assert (code, out.startswith("Error: no engine is called 'nosuch'")) == wanted, out


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="the reference needs root")
def test_rows_run_on_the_reference(call, tmp_path):
    rows = ("init.none.only-loopback", "init.user.network-by-name", "files.hostname")
    code, out = call("conformance", "run", "-q", "--engine", "reference", *rows)
    assert code == 0, out
    assert out.rstrip().endswith("exit 0")
    assert (tmp_path / "reports" / "conformance.html").exists()
