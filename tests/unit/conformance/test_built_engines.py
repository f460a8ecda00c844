"""What somebody built: `dockerd:/path`, `podman:/path`, `reference:/checkout`."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conformance.engines import program
from conformance.engines.dockerd import COMPANIONS, DockerdEngine
from conformance.engines.factory import full_spec, make_engine, slot_of
from conformance.engines.podman import PodmanEngine
from conformance.engines.processes import is_alive
from conformance.engines.program import ask
from conformance.engines.reference import ReferenceEngine
from conformance.engines.settings import SettingsError
from conformance.observe.poll import wait_until

DOCKERD = """#!/bin/sh
case $1 in
--version) echo "Docker version 28.5.2, build abc" ;;
--help) echo "Usage: dockerd [OPTIONS] --data-root string --mtu int" ;;
esac
"""
PODMAN = """#!/bin/sh
case $1 in
--version) echo "podman-new version 6.2.0-dev" ;;
--help) echo "Manage pods --network-config-dir string" ;;
esac
"""
COMMAND_LINE = '#!/bin/sh\necho "Docker version 28.5.2, build abc"\n'


def script(path: Path, text: str = "#!/bin/sh\n", mode: int = 0o755) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def make(spec: str, tmp_path: Path) -> Any:
    return make_engine(spec, run_id="r", workspace=tmp_path)


@pytest.fixture(autouse=True)
def nothing_on_path(tmp_path, monkeypatch):
    """Only a shell is on PATH, and no companion of any engine; nobody waits long."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "sleep", "yes"):
        (tools / name).symlink_to(f"/usr/bin/{name}")
    monkeypatch.setenv("PATH", str(tools))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(program, "ASK_TIMEOUT_S", 1)


@pytest.fixture
def built(tmp_path) -> Path:
    """A folder with a dockerd and all its companions."""
    folder = tmp_path / "bundles"
    for name in COMPANIONS:
        script(folder / name)
    script(folder / "dockerd", DOCKERD)
    return folder


def test_a_built_dockerd_gets_its_companions_from_its_own_folder_first(built, tmp_path):
    engine = make(f"dockerd:{built}/dockerd", tmp_path)
    assert isinstance(engine, DockerdEngine)
    assert engine.why_unavailable() == ""
    assert engine.environment()["PATH"].split(":") == [str(built), str(tmp_path / "tools")]
    engine.folder.mkdir()
    assert engine.command_line()[0] == f"{built}/dockerd"
    text = (engine.folder / "daemon.json").read_text(encoding="utf-8")
    assert f'"userland-proxy-path": "{built}/docker-proxy"' in text
    assert f'"init-path": "{built}/docker-init"' in text


def test_a_link_leads_to_the_companions_beside_it_and_beside_what_it_names(built, tmp_path):
    link = tmp_path / "here" / "dockerd"
    script(link.parent / "runc")
    link.symlink_to(built / "dockerd")
    engine = make(f"dockerd:{link}", tmp_path)
    assert engine.why_unavailable() == ""
    assert engine.environment()["PATH"].split(":")[:2] == [str(link.parent), str(built)]


def test_missing_companions_are_all_named(built, tmp_path):
    (built / "runc").unlink()
    (built / "docker-init").unlink()
    reason = make(f"dockerd:{built}/dockerd", tmp_path).why_unavailable()
    assert "needs runc, docker-init, found neither in its own folder nor on PATH" in reason
    assert f"(looked in {built}:" in reason


def test_companions_of_podman_may_be_where_distributions_put_them(tmp_path, monkeypatch):
    podman = script(tmp_path / "bin" / "podman", PODMAN)
    for name in ("conmon", "aardvark-dns", "crun"):
        script(podman.parent / name)
    script(tmp_path / "libexec" / "netavark")
    monkeypatch.setattr("conformance.engines.podman.HELPER_FOLDERS", ())
    assert "needs netavark, found" in make(f"podman:{podman}", tmp_path).why_unavailable()
    monkeypatch.setattr("conformance.engines.podman.HELPER_FOLDERS", (f"{tmp_path}/libexec",))
    engine = make(f"podman:{podman}", tmp_path)
    assert isinstance(engine, PodmanEngine)
    assert engine.why_unavailable() == ""
    assert engine.settings.own_cgroup  # Podman 6 would move this machine's processes
    (podman.parent / "crun").unlink()
    assert "needs crun or runc, found" in engine.why_unavailable()


@pytest.mark.parametrize(
    ("name", "text", "mode", "complaint"),
    [
        ("plain", "", 0o644, "is not executable (mode 0644)"),
        ("empty", "", 0o755, "it cannot be run: Exec format error and says nothing"),
        ("sleeper", "#!/bin/sh\nsleep 60\n", 0o755, "it did not end within 1 s and says nothing"),
        ("endless", "#!/bin/sh\nexec yes\n", 0o755, "it printed more than 256 KiB and says 'y'"),
        ("other", "#!/bin/sh\necho '\033[31mhi'\n", 0o755, "it says '\\x1b[31mhi'"),
        ("failing", "#!/bin/sh\necho no; exit 4\n", 0o755, "it ended with 4 and says 'no'"),
        ("docker", COMMAND_LINE, 0o755, "is it Docker's command line?"),
    ],
)
def test_what_is_no_dockerd_is_refused_in_one_sentence(tmp_path, name, text, mode, complaint):
    path = script(tmp_path / "x" / name, text, mode)
    reason = make(f"dockerd:{path}", tmp_path).why_unavailable()
    assert reason.startswith(f"dockerd:{path}: {path} is no")
    assert complaint in reason
    assert reason.isprintable()


@pytest.mark.parametrize(
    ("make_it", "complaint"),
    [
        (lambda path: None, "there is no file"),
        (lambda path: path.mkdir(), "is a folder; want the program itself"),
        (lambda path: path.symlink_to("nowhere"), "is a link to nothing"),
        (lambda path: path.symlink_to(path), "cannot be looked at: Too many levels"),
        (lambda path: os.mkfifo(path, 0o755), "is no file"),
    ],
)
@pytest.mark.parametrize("kind", ["dockerd", "podman"])
def test_path_that_is_no_program_is_refused(tmp_path, kind, make_it, complaint):
    make_it(tmp_path / "it")
    assert complaint in make(f"{kind}:{tmp_path}/it", tmp_path).why_unavailable()


@pytest.mark.parametrize("argument", ["", "/a:b/dockerd", "/a\nb/dockerd", "/a\x1b[31m"])
def test_argument_that_is_no_path_is_refused(argument, tmp_path):
    with pytest.raises(SettingsError, match=r"names nothing|cannot be on PATH"):
        make(f"dockerd:{argument}", tmp_path)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("#!/bin/sh\necho v1\n", "is no podman: asked for its --version it says 'v1'"),
        (DOCKERD, "is no podman from 4.0 on"),
    ],
)
def test_no_podman_is_refused(tmp_path, text, complaint):
    path = script(tmp_path / "x", text)
    assert complaint in make(f"podman:{path}", tmp_path).why_unavailable()


def test_folder_that_is_no_checkout_is_refused(tmp_path):
    reason = make(f"reference:{tmp_path}", tmp_path).why_unavailable()
    assert "it has no refimpl/__init__.py" in reason
    assert "is not a folder" in make(f"reference:{tmp_path}/x", tmp_path).why_unavailable()


def test_checkout_is_what_python_finds_first(tmp_path):
    script(tmp_path / "tree" / "refimpl" / "__main__.py", "print('--mine')")
    reason = make(f"reference:{tmp_path}/tree", tmp_path).why_unavailable()
    assert "it has no refimpl/__init__.py" in reason
    script(tmp_path / "tree" / "refimpl" / "__init__.py", "")
    engine = make(f"reference:{tmp_path}/tree", tmp_path)
    assert isinstance(engine, ReferenceEngine)
    assert engine.why_unavailable() == ""
    assert engine.profile == "20.10.24"
    assert engine.help_text() == "--mine\n"


def test_one_path_has_one_name_wherever_it_is_named_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    specs = [f"dockerd:{tmp_path}/d", "dockerd:d", "dockerd:./x/../d", "dockerd:~/d"]
    assert {full_spec(spec) for spec in specs} == {f"dockerd:{tmp_path}/d"}
    assert len({slot_of(spec) for spec in specs}) == 1
    assert slot_of("dockerd:e") != slot_of("dockerd:d")


@pytest.mark.parametrize("value", ["garbage", "/run/docker.sock"])
def test_variable_that_holds_no_address_is_named(monkeypatch, value):
    monkeypatch.setenv("DOCKER_HOST", value)
    with pytest.raises(SettingsError, match=f"DOCKER_HOST is '{value}', no address: want unix:"):
        full_spec("env")


def test_words_that_look_like_a_pattern_stay_as_they_are(tmp_path):
    path = script(tmp_path / "{x}" / "dockerd", DOCKERD)
    assert make(f"dockerd:{path}", tmp_path).program() == str(path)


def test_child_that_keeps_the_output_open_holds_nobody_up():
    words = ["sh", "-c", "sleep 60 & echo $!"]
    answer = ask(words, os.environ)
    assert (answer.code, answer.why) == (0, "")
    wait_until("the child to be gone", lambda: not is_alive(int(answer.text)), timeout_s=10)


def test_program_says_it_once_and_ends_with_3(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "conformance", "run", "--engine", "dockerd:/nope", "init.none"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parents[3]), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == "Error: dockerd:/nope: there is no file /nope\n"


@pytest.mark.parametrize("later", [True, False])
def test_kept_daemon_is_used_again_only_if_its_binary_is_older(built, tmp_path, later):
    engine = make(f"dockerd:{built}/dockerd", tmp_path)
    engine.folder.mkdir()
    record = engine.folder / "engine.json"
    record.touch()
    wanted = (built / "dockerd").stat().st_ctime + (-10 if later else 10)
    os.utime(record, (wanted, wanted))
    assert engine.is_current() is not later
    # a copy that keeps the time of its source is new all the same
    os.utime(built / "dockerd", (1, 1))
    assert engine.is_current() is not later
