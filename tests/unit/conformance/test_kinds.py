"""Kinds of engines are entry points: the suite's own, and those of packages of somebody else."""

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from conformance.engines.factory import full_spec, make_engine
from conformance.engines.kinds import GROUP, OWN_KINDS, find_kind, kind_names
from conformance.engines.settings import SettingsError, load_settings
from conformance.runner import why_unavailable

ROOT = Path(__file__).parents[3]
SAMPLE = """
from conformance.engines.external import ExternalEngine
from conformance.engines.kinds import EngineKind
from conformance.engines.settings import settings_of_argument

class Engine(ExternalEngine):
    def __init__(self, settings, **_):
        super().__init__(f"unix:///nowhere/{settings.argument}", name=settings.name)

def settings_of(argument):
    if argument == "bad":
        raise ValueError("bad is no name")
    if argument == "nothing":
        return None
    return settings_of_argument("acme", argument, family="acme")

def lazy(settings, **_):
    return object()

class Broken(Engine):
    def why_unavailable(self):
        raise RuntimeError("the licence has run out")

KIND = EngineKind(settings_of=settings_of, make=Engine)
LAZY = EngineKind(settings_of=settings_of, make=lazy)
BROKEN = EngineKind(settings_of=settings_of, make=Broken)
NO_KIND = 7
"""


def install(folder: Path, *lines: str, name: str = "acme-engines", module: str = SAMPLE) -> None:
    """Put a package into a folder of the path, as pip would."""
    package = name.replace("-", "_")
    (folder / f"{package}.py").write_text(module, encoding="utf-8")
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8"
    )
    (info / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines]), encoding="utf-8")


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder on the path, into which a test installs packages."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    yield folder
    for name in [name for name in sys.modules if name.startswith(("acme_", "rival_"))]:
        del sys.modules[name]


def make(spec: str, tmp_path: Path):
    return make_engine(spec, run_id="r", workspace=tmp_path)


def test_own_kinds_stand_in_the_projects_metadata_as_well():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = project["entry-points"][GROUP]
    assert declared == {name: entry.value for name, entry in OWN_KINDS.items()}


@pytest.mark.parametrize("name", OWN_KINDS)
def test_own_kinds_come_through_the_same_door(name):
    found = find_kind(name)
    assert found.package == ""
    assert callable(found.kind.make)


def test_every_table_has_a_kind():
    assert {table.kind for table in load_settings().values()} <= OWN_KINDS.keys()


def test_package_of_somebody_else_adds_a_kind(site, tmp_path):
    install(site, "acme = acme_engines:KIND")
    assert kind_names() == [*OWN_KINDS, "acme"]
    engine = make("acme:one", tmp_path)
    assert re.fullmatch(r"acme-[0-9a-f]{6}", engine.name)
    assert full_spec("acme:one") == "acme:one"


@pytest.mark.parametrize(
    ("target", "spec", "complaint"),
    [
        ("KIND", "acme:bad", r"acme-engines 1.0 failed: ValueError: bad is no name"),
        ("KIND", "acme:nothing", r"acme-engines 1.0 failed: AttributeError"),
        ("KIND", "acme:", r"acme-engines 1.0 failed: its settings for '' lack an argument"),
        ("LAZY", "acme:x", r"acme-engines 1.0 makes a object, which is no engine: .*client"),
        ("NO_KIND", "acme:x", r"acme-engines 1.0: acme_engines:NO_KIND is a int, no EngineKind"),
        ("GONE", "acme:x", r"acme-engines 1.0 cannot be loaded: AttributeError"),
        ("BROKEN", "acme:x", r"acme-engines 1.0 failed: RuntimeError: the licence has run out"),
    ],
)
def test_error_of_somebody_elses_kind_names_its_package(site, target, spec, complaint):
    install(site, f"acme = acme_engines:{target}")
    with pytest.raises(SettingsError, match=complaint):
        why_unavailable(spec)


@pytest.mark.parametrize("module", ["import no_such_thing", "1 +", "raise SystemError('no')"])
def test_package_that_cannot_be_imported_is_named(site, module):
    install(site, "acme = acme_engines:KIND", module=module)
    with pytest.raises(SettingsError, match=r"acme-engines 1.0 cannot be loaded: \w+Error"):
        find_kind("acme")


def test_broken_package_disturbs_no_other_engine(site, tmp_path):
    install(site, "acme = acme_engines:KIND", module="1 +")
    assert make("reference", tmp_path).name == "reference"


def test_two_packages_with_one_kind_are_both_named(site):
    install(site, "acme = acme_engines:KIND")
    install(site, "acme = rival_engines:KIND", name="rival-engines")
    with pytest.raises(SettingsError, match=r"acme-engines 1\.0, rival-engines 1\.0; remove"):
        find_kind("acme")


def test_no_package_takes_a_name_of_the_suites_own(site):
    install(site, "dockerd = acme_engines:KIND")
    assert find_kind("dockerd").package == ""
    assert kind_names() == list(OWN_KINDS)


@pytest.mark.parametrize("spec", ["acme:one", "docker:28", ":", "x:"])
def test_unknown_kind_is_refused_with_the_known_ones(spec, tmp_path):
    assert not entry_points(group=GROUP, name="acme")
    with pytest.raises(SettingsError, match="known: reference, dockerd, podman, image"):
        make(spec, tmp_path)


def test_program_says_whose_kind_failed(site, tmp_path):
    install(site, "acme = acme_engines:BROKEN")
    done = subprocess.run(
        [sys.executable, "-m", "conformance", "run", "--engine", "acme:x", "init.none"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{site}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == (
        "Error: acme:x: the engine kind 'acme' of the package acme-engines 1.0 failed: "
        "RuntimeError: the licence has run out\n"
    )
