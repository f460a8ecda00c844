"""Engines in roots of their own, as far as no root has to be made for it."""

import importlib.util
import json
import shutil
from pathlib import Path

import pytest

from conformance.engines import roots
from conformance.engines.roots import (
    RootSettings,
    engines_folder,
    needs_root,
    read_marker,
    tree_of,
    why_unprovisioned,
)
from conformance.engines.settings import load_settings
from conformance.runner import why_unavailable

PROVISION = Path(__file__).resolve().parents[3] / "ci" / "engines" / "provision.py"
WANTED = RootSettings(suite="sid", install=("docker.io", "iptables"))


@pytest.fixture
def provision():
    """The program, loaded from its file: ci/ is no package."""
    spec = importlib.util.spec_from_file_location("provision", PROVISION)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NETINIT_CACHE", str(tmp_path))
    return tmp_path / "engines"


def root_of(engine: str) -> RootSettings:
    root = load_settings()[engine].root
    assert root is not None
    return root


def make_root(engine: str, **marker) -> None:
    tree_of(engine).mkdir(parents=True)
    found = {"suite": "sid", "install": ["docker.io", "iptables"], **marker}
    (engines_folder() / engine / "root.json").write_text(json.dumps(found), encoding="utf-8")


def make_program(folder: Path, text: str) -> str:
    program = folder / "engined"
    program.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    program.chmod(0o755)
    roots.own_version.cache_clear()
    return str(program)


def test_every_root_of_engines_toml_is_well_formed():
    found = [(engine, engine.root) for engine in load_settings().values() if engine.root]
    assert {root.suite for _, root in found} >= {"bookworm", "trixie", "sid"}
    for engine, root in found:
        assert set(root.install) & set(engine.packages), engine.name


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ({"suite": "sid"}, "missing key root.install"),
        ({"suite": "sid", "install": [], "mirror": "x"}, "unknown key root.mirror"),
        ({"suite": "sid", "install": [], "own": "old ones"}, "not a version condition"),
        ({"suite": "sid", "install": [], "newer": ["podman"]}, "'podman': want SUITE/PACKAGE"),
    ],
)
def test_bad_root_is_refused(table, complaint):
    with pytest.raises(ValueError, match=complaint):
        RootSettings.from_toml(table)


def test_root_that_is_not_there_is_told_with_the_command_that_makes_it():
    reason = why_unprovisioned("docker-28.5", WANTED)
    assert reason.endswith("make it with: python ci/engines/provision.py docker-28.5")
    assert read_marker("docker-28.5") == {}


def test_half_built_root_does_not_count(cache):
    tree_of("docker-28.5").mkdir(parents=True)  # no marker: it was never complete
    assert "is not on this machine" in why_unprovisioned("docker-28.5", WANTED)
    (cache / "docker-28.5" / "root.json").write_text("{", encoding="utf-8")
    assert "is not on this machine" in why_unprovisioned("docker-28.5", WANTED)


@pytest.mark.parametrize(
    "changed",
    [{"suite": "trixie"}, {"install": ["docker.io"]}, {"newer": ["experimental/docker.io"]}],
)
def test_root_for_other_settings_does_not_count(changed):
    make_root("docker-28.5", **changed)
    assert "made for other settings" in why_unprovisioned("docker-28.5", WANTED)


def test_complete_root_counts():
    make_root("docker-28.5")
    assert why_unprovisioned("docker-28.5", WANTED) == ""


@pytest.mark.parametrize(
    ("prints", "is_needed"),
    [
        ("echo 'Docker version 20.10.24+dfsg1, build 297e128'", False),
        ("echo 'Docker version 28.5.2, build 1'", True),
        ("echo 'Docker version 20.10.24'; exit 1", True),
        ("echo nothing", True),
    ],
)
def test_own_program_serves_where_its_version_is_the_wanted_one(tmp_path, prints, is_needed):
    program = make_program(tmp_path, prints)
    own = RootSettings(suite="bookworm", install=("docker.io",), own="==20.10.*")
    assert needs_root(program, own) is is_needed
    assert needs_root(program, WANTED) is True
    assert needs_root(program, None) is False


def test_no_own_program_needs_the_root(tmp_path):
    own = RootSettings(suite="bookworm", install=("docker.io",), own="==20.10.*")
    assert needs_root(str(tmp_path / "nothing"), own) is True


def test_engine_without_its_root_is_unavailable(monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert "provision.py docker-28.5" in why_unavailable("docker-28.5")
    settings = root_of("docker-28.5")
    make_root("docker-28.5", install=list(settings.install))
    assert why_unavailable("docker-28.5") == ""


def test_list_says_what_is_there(provision, capsys):
    settings = root_of("docker-26.1")
    versions = {"docker.io": "26.1.5+dfsg1-9"}
    make_root(
        "docker-26.1", suite=settings.suite, install=list(settings.install), versions=versions
    )
    assert provision.main(["--list"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "docker.io 26.1.5+dfsg1-9" in lines["docker-26.1"]
    assert lines["docker-28.5"].endswith("not there")


def test_unknown_engine_is_a_mistake_of_usage(provision, capsys):
    with pytest.raises(SystemExit) as found:
        provision.main(["docker-1.0"])
    assert found.value.code == 3
    assert "no engine is called docker-1.0; known: reference" in capsys.readouterr().err


def test_root_that_is_there_is_left_alone(provision, capsys, monkeypatch):
    settings = root_of("docker-28.5")
    make_root("docker-28.5", install=list(settings.install))
    monkeypatch.setattr(provision, "debootstrap", lambda *_: pytest.fail("it was made again"))
    assert provision.main(["docker-28.5"]) == 0
    assert "docker-28.5: is there" in capsys.readouterr().err


def test_failed_build_keeps_the_old_root_and_says_why(provision, capsys, monkeypatch, cache):
    settings = root_of("docker-28.5")
    make_root("docker-28.5", install=list(settings.install))
    (cache / ".building-docker-28.5" / "left").mkdir(parents=True)

    def fail(*_):
        raise provision.ProvisionError("the mirror is down")

    monkeypatch.setattr(provision, "debootstrap", fail)
    monkeypatch.setattr(provision, "check_machine", lambda: None)
    assert provision.main(["--renew", "--mirror", "http://mirror.invalid", "docker-28.5"]) == 1
    said = capsys.readouterr().err
    assert "takes up to" in said
    assert "the mirror is down" in said
    assert why_unprovisioned("docker-28.5", settings) == ""
    assert not (cache / ".building-docker-28.5" / "left").exists()


def test_complete_build_takes_the_place_of_the_old_root(provision, monkeypatch):
    make_root("docker-28.5", suite="old")
    settings = root_of("docker-28.5")

    def build(_engine, _root, building, _mirror):
        (building / "root" / "new").mkdir(parents=True)

    monkeypatch.setattr(provision, "debootstrap", build)
    monkeypatch.setattr(provision, "check_machine", lambda: None)
    monkeypatch.setattr(provision, "installed_versions", lambda _: {"docker.io": "28.5.2"})
    assert provision.main(["--mirror", "http://mirror.invalid", "docker-28.5"]) == 0
    assert (tree_of("docker-28.5") / "new").is_dir()
    assert why_unprovisioned("docker-28.5", settings) == ""
    assert read_marker("docker-28.5")["versions"] == {"docker.io": "28.5.2"}


def test_remove_takes_the_root_and_a_half_built_one(provision, cache):
    make_root("docker-28.5")
    (cache / ".building-docker-28.5").mkdir()
    assert provision.main(["--remove", "docker-28.5"]) == 0
    assert [path.name for path in cache.iterdir()] == [".lock"]


def test_full_disk_is_told_before_anything_is_taken(provision, monkeypatch, tmp_path):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2**20))
    with pytest.raises(provision.ProvisionError, match="not enough disk: it takes up to"):
        provision.check_space(tmp_path)


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ("I: Retrieving InRelease \n", 0),
        ("I: Valid Release signature (key id B8E5)\n", 1),
        ("I: Retrieving apt 3.3.5\n", 2),
        ("I: Validating apt 3.3.5\n", -1),
        ("I: Configuring the base system...\n", 5),
    ],
)
def test_steps_of_debootstrap_are_told_apart(provision, line, step):
    assert provision.step_of(line) == step


def test_mirror_is_the_one_of_apt_unless_another_is_chosen(provision, tmp_path, monkeypatch):
    assert provision.find_mirror("http://chosen.invalid/debian") == "http://chosen.invalid/debian"
    (tmp_path / "bin").mkdir()
    apt = tmp_path / "bin" / "apt-get"
    lines = [
        "Debian Debian-Security http://security.invalid/",
        "Debian Debian http://mirror.invalid/debian/",
    ]
    apt.write_text("#!/bin/sh\n" + "".join(f"echo '{line}'\n" for line in lines), encoding="utf-8")
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert provision.find_mirror("") == "http://mirror.invalid/debian"
    apt.write_text("#!/bin/sh\necho 'Ubuntu Ubuntu http://ubuntu.invalid'\n", encoding="utf-8")
    with pytest.raises(provision.ProvisionError, match="--mirror URL or NETINIT_MIRROR"):
        provision.find_mirror("")
