"""A package of somebody else brings a kind of engine, and rows run on it as on any other."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.engines.kinds import GROUP
from conformance.runner import why_unavailable

pytestmark = [pytest.mark.root, pytest.mark.engine, pytest.mark.timeout(120)]

ROOT = Path(__file__).parents[2]
# One row of any engine, and one that starts a daemon with an option of its own.
ROWS = ["init.none.only-loopback", "options.mtu.default-network"]
PACKAGE = '''
"""Acme's engine: for this test, the reference with another name."""

from dataclasses import replace

from conformance.engines.kinds import EngineKind
from conformance.engines.reference import ReferenceEngine
from conformance.engines.settings import settings_of_argument


def settings_of(argument):
    found = settings_of_argument("acme", argument, family="acme")
    return replace(found, command=("{python}", "-m", "refimpl"), profile="20.10.24")


KIND = EngineKind(settings_of=settings_of, make=ReferenceEngine)
'''


@pytest.fixture
def site(tmp_path) -> Path:
    """A folder with the package as pip would have put it there."""
    folder = tmp_path / "site"
    info = folder / "acme_engines-2.5.dist-info"
    info.mkdir(parents=True)
    (folder / "acme_engines.py").write_text(PACKAGE, encoding="utf-8")
    metadata = "Metadata-Version: 2.1\nName: acme-engines\nVersion: 2.5\n"
    (info / "METADATA").write_text(metadata, encoding="utf-8")
    entry = f"[{GROUP}]\nacme = acme_engines:KIND\n"
    (info / "entry_points.txt").write_text(entry, encoding="utf-8")
    return folder


def run(site: Path, argument: str, *rows: str) -> subprocess.CompletedProcess[str]:
    words = ["run", "--engine", f"acme:{argument}", "--report", str(site.parent / "report"), *rows]
    return subprocess.run(
        [sys.executable, "-m", "conformance", *words],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{site}", "NO_COLOR": "1"},
        cwd=site.parent,
        capture_output=True,
        text=True,
        check=False,
    )


def test_rows_run_on_an_engine_of_a_foreign_kind(site):
    if reason := why_unavailable("reference"):
        pytest.skip(reason)
    done = run(site, str(ROOT), *ROWS)
    assert done.returncode == 0, done.stdout
    report = json.loads((site.parent / "report" / "conformance.json").read_text(encoding="utf-8"))
    facts = report["engines"][0]
    assert facts["family"] == "acme"
    assert facts["name"].startswith("acme-20.10-acme-")
    assert {cell["verdict"] for cell in report["results"]} == {"pass"}


def test_engine_that_does_not_start_names_its_package(site):
    broken = site.parent / "broken" / "refimpl"
    broken.mkdir(parents=True)
    (broken / "__init__.py").touch()
    (broken / "__main__.py").write_text("raise SystemExit('out of order')", encoding="utf-8")
    done = run(site, str(broken.parent), ROWS[0])
    assert done.returncode == 2
    assert "the engine kind 'acme' of the package acme-engines 2.5 failed" in done.stdout
    [log] = (site.parent / "report" / "logs").rglob("row.log")
    assert "out of order" in log.read_text(encoding="utf-8")
