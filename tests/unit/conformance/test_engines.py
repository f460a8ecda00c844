"""The engines' own parts, as far as they need no daemon."""

import ipaddress
import os
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from conformance import capabilities
from conformance.capabilities import PROBES, missing_capabilities, probe_capabilities
from conformance.engines.base import (
    NO_LOG,
    OWN_NOTE,
    EngineError,
    EngineRefused,
    EngineUnavailable,
    EngineVersion,
    Inside,
    failed_start,
)
from conformance.engines.dockerd import DockerdEngine
from conformance.engines.external import ExternalEngine, explain_socket
from conformance.engines.factory import make_engine
from conformance.engines.processes import descendants, is_alive, mounts_under, start_time
from conformance.engines.reference import ReferenceEngine
from conformance.engines.settings import SettingsError, load_settings
from conformance.engines.transport import open_socket, peer_pid
from conformance.leaks import Snapshot, compare
from conformance.pool import column_name, promised_release
from conformance.schedule import EngineScheduling, engine_id, engine_of
from conformance.subnets import SubnetAllocator, SubnetsExhausted


class FakeEngine:
    """An engine whose answers are given by the test."""

    name = "fake"
    family = "docker"
    origin = ""

    def __init__(
        self,
        *,
        is_managed: bool,
        inside: Inside | None,
        forwards: bool,
        drivers: Sequence[str] = (),
    ) -> None:
        self.is_managed = is_managed
        self._drivers = drivers
        self._inside = inside
        self._forwards = forwards

    def inside(self) -> Inside | None:
        return self._inside

    def help_text(self) -> str:
        return "  --bridge name" if self._forwards else "  --mtu bytes"

    def client(self) -> Any:
        return self

    def info(self) -> dict[str, Any]:
        return {"IPv4Forwarding": self._forwards, "Plugins": {"Network": self._drivers}}


def here(tmp_path: Path, data_root: str = "data") -> Inside:
    (tmp_path / "data").mkdir(exist_ok=True)
    return Inside(
        pid=os.getpid(),
        netns=Path("/proc/self/ns/net"),
        root=Path("/"),
        data_root=tmp_path / data_root,
        exec_root=tmp_path,
    )


def probe(engine: FakeEngine) -> frozenset[str]:
    fake: Any = engine
    return probe_capabilities(fake)


@pytest.mark.parametrize("is_managed", [True, False])
def test_own_daemon_needs_root_and_an_engine_of_ours(monkeypatch, is_managed):
    engine = FakeEngine(is_managed=is_managed, inside=None, forwards=False)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert ("own-daemon" in probe(engine)) is is_managed
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert probe(engine) == frozenset()


@pytest.fixture(autouse=True)
def no_sctp(monkeypatch):
    """Whatever this machine's kernel has."""
    monkeypatch.setattr(capabilities, "has_sctp", lambda: False)


def test_sctp_needs_the_kernel_and_the_view_from_the_host(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(capabilities, "has_sctp", lambda: True)
    seen = FakeEngine(is_managed=False, inside=here(tmp_path), forwards=False)
    assert probe(seen) == {"host-view", "sctp"}
    assert probe(FakeEngine(is_managed=False, inside=None, forwards=False)) == frozenset()


def test_host_view_needs_root_and_the_daemons_files(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    seen = FakeEngine(is_managed=False, inside=here(tmp_path), forwards=False)
    blind = FakeEngine(is_managed=False, inside=here(tmp_path, "elsewhere"), forwards=False)
    remote = FakeEngine(is_managed=False, inside=None, forwards=False)
    assert probe(seen) == {"host-view"}
    assert probe(blind) == probe(remote) == frozenset()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert probe(seen) == frozenset()


def test_ipv4_is_what_the_engine_says():
    assert "ipv4" in probe(FakeEngine(is_managed=False, inside=None, forwards=True))
    assert "ipv4" not in probe(FakeEngine(is_managed=False, inside=None, forwards=False))


@pytest.mark.parametrize("driver", ["macvlan", "ipvlan"])
@pytest.mark.parametrize("kind", ["macvlan", "ipvlan", "dummy", "vlan", "none of these"])
def test_links_of_a_driver_need_the_driver_and_the_kernel(monkeypatch, tmp_path, driver, kind):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(capabilities, "has_link_kind", lambda *words: kind in words)
    engine = FakeEngine(
        is_managed=False, inside=here(tmp_path), forwards=False, drivers=["bridge", driver]
    )
    expected = {
        ("macvlan", "macvlan"): {"macvlan"},
        ("macvlan", "dummy"): {"macvlan-dummy"},
        ("macvlan", "vlan"): {"macvlan-vlan"},
        ("ipvlan", "ipvlan"): {"ipvlan"},
    }.get((driver, kind), set())
    own = {"ipvlan-driver"} if driver == "ipvlan" else set()
    assert probe(engine) == {"host-view"} | own | expected
    engine = FakeEngine(is_managed=False, inside=None, forwards=False, drivers=[driver])
    assert probe(engine) == own


def test_engine_that_says_nothing_of_drivers_has_none(monkeypatch):
    engine = FakeEngine(is_managed=False, inside=None, forwards=False)
    monkeypatch.setattr(engine, "info", lambda: {"IPv4Forwarding": True, "Plugins": None})
    assert probe(engine) == {"ipv4"}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_kernel_is_asked_in_a_namespace_that_ends():
    before = sorted(Path("/sys/class/net").iterdir())
    assert capabilities.has_link_kind("ni-c", "type", "bridge")
    assert not capabilities.has_link_kind("ni-c", "type", "no-such-kind")
    assert not capabilities.has_link_kind("link", "ni-none", "name", "ni-c", "type", "macvlan")
    assert sorted(Path("/sys/class/net").iterdir()) == before


def test_missing_capability_is_said_in_words():
    assert missing_capabilities(("ipv4",), frozenset({"ipv4"})) == ""
    assert missing_capabilities(("ipv4", "metrics"), frozenset()) == (
        "capability missing: ipv4 (it forwards IPv4), metrics (it reports "
        "engine_daemon_network_actions_seconds)"
    )
    assert all(p.meaning and p.remedy.endswith(".") for p in PROBES.values())


def test_engines_toml_is_read_in_its_order():
    settings = load_settings()
    assert list(settings)[:2] == ["reference", "docker"]
    assert settings["reference"].profile == "20.10.24"


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ('kind = "dockerd"\nfamily = "docker"', "missing key command"),
        ('kind = "dockerd"\nfamily = "x"\ncommand = ["y"]\ncolour = "red"', "unknown key colour"),
    ],
)
def test_bad_table_is_refused(tmp_path, table, complaint):
    path = tmp_path / "engines.toml"
    path.write_text(f"[x]\n{table}\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=complaint):
        load_settings(path)


def test_unknown_engine_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(SettingsError, match="known: reference, docker"):
        make_engine("nodocker", run_id="r", workspace=tmp_path)


def test_address_is_an_external_engine(tmp_path):
    engine = make_engine("unix:///x.sock", run_id="r", workspace=tmp_path)
    assert isinstance(engine, ExternalEngine)
    assert engine.inside is not None


def test_dockerd_gets_its_options_by_file(tmp_path):
    engine = make_engine("docker", run_id="r", workspace=tmp_path, config={"bridge": "none"})
    assert isinstance(engine, DockerdEngine)
    engine.folder.mkdir()
    assert engine.command_line() == ["dockerd", "--config-file", f"{engine.folder}/daemon.json"]
    text = (engine.folder / "daemon.json").read_text(encoding="utf-8")
    assert '"bridge": "none"' in text
    assert f'"data-root": "{engine.folder}/data"' in text
    assert engine.netns_name == "ni-r-docker"


def test_reference_gets_dockerds_flags(tmp_path):
    engine = make_engine("reference", run_id="r", workspace=tmp_path, config={"bridge": "none"})
    assert isinstance(engine, ReferenceEngine)
    words = engine.command_line()
    assert words[1:3] == ["-m", "refimpl"]
    pairs = dict(zip(words[3::2], words[4::2], strict=True))
    assert pairs["--host"] == f"unix://{engine.folder}/engine.sock"
    assert pairs["--bridge"] == "none"
    assert set(pairs) == {
        "--host",
        "--data-root",
        "--exec-root",
        "--pidfile",
        "--metrics-addr",
        "--log-level",
        "--bridge",
    }


def test_reference_gets_lists_and_objects_as_flags(tmp_path):
    pools = [{"base": "10.1.0.0/24", "size": 26}, {"base": "10.2.0.0/16", "size": 24}]
    config = {"default-address-pools": pools, "dns-opts": ["ndots:2"], "icc": False}
    engine = make_engine("reference", run_id="u", workspace=tmp_path, config=config)
    assert isinstance(engine, ReferenceEngine)
    assert engine.command_line()[-8:] == [
        "--default-address-pool",
        "base=10.1.0.0/24,size=26",
        "--default-address-pool",
        "base=10.2.0.0/16,size=24",
        "--dns-opt",
        "ndots:2",
        "--icc",
        "false",
    ]


def test_managed_engine_needs_root(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    engine = make_engine("docker", run_id="r", workspace=tmp_path)
    with pytest.raises(EngineUnavailable, match="needs root"):
        engine.start()
    assert list(tmp_path.iterdir()) == []


def test_managed_engine_needs_its_program(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", str(tmp_path))
    engine = make_engine("docker", run_id="r", workspace=tmp_path)
    with pytest.raises(EngineUnavailable, match="dockerd is not installed"):
        engine.start()


@pytest.mark.parametrize(
    ("family", "version", "origin", "name"),
    [
        ("docker", "20.10.24+dfsg1", "", "docker-20.10"),
        ("docker", "20.10.24+dfsg1", "external", "docker-20.10-external"),
        ("docker", "dev", "built-1a2b3c", "docker-dev-built-1a2b3c"),
        ("docker", "<b>\x1b[31m/..", "built-1a2b3c", "docker-b-31m-built-1a2b3c"),
        ("docker", "", "external", "docker-unknown-external"),
        ("refimpl", "20.10.24", "", "fake"),
        ("refimpl", "20.10.24", "built-1a2b3c", "reference-built-1a2b3c"),
    ],
)
def test_column_names(family, version, origin, name):
    engine: Any = FakeEngine(is_managed=True, inside=None, forwards=True)
    engine.family, engine.origin = family, origin
    assert column_name(engine, version) == name


@pytest.mark.parametrize(
    ("family", "profile", "version", "release"),
    [
        ("docker", "", "28.5.2", "28.5.2"),
        ("docker", "", "dev", "25.0"),
        ("podman", "", "5.8.6", "25.0"),
        ("acme", "", "nightly", "25.0"),
        ("podman", "20.10.24", "5.4.2", "20.10.24"),
    ],
)
def test_release_whose_promises_hold(family, profile, version, release):
    engine: Any = SimpleNamespace(family=family, profile=profile)
    said = EngineVersion(version=version, api_min="1.24", api_max="1.44")
    assert promised_release(engine, said) == release


def test_missing_socket_is_explained(tmp_path):
    assert "there is no socket" in explain_socket(tmp_path / "none.sock")


def test_plain_file_is_no_socket(tmp_path):
    (tmp_path / "file").touch()
    assert "is not a socket" in explain_socket(tmp_path / "file")


def test_forbidden_socket_is_explained_with_mode_owner_and_remedy(monkeypatch, tmp_path):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(0o660)
        assert explain_socket(path) == ""
        monkeypatch.setattr(os, "access", lambda *_: False)
        text = explain_socket(path)
    assert "mode 0660, owner " in text
    assert "usermod -aG" in text


def test_listener_behind_a_socket_is_found(tmp_path):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        assert peer_pid(f"unix://{path}") == os.getpid()
    assert peer_pid("tcp://127.0.0.1:1") is None


@pytest.mark.parametrize("address", ["ftp://x", "tcp://", "nothing"])
def test_unknown_kind_of_address_is_refused(address):
    with pytest.raises(EngineUnavailable, match="want unix:///path or tcp://host:port"):
        open_socket(address)


def test_version_from_the_wire():
    wire = {"Version": "20.10.24+dfsg1", "ApiVersion": "1.41", "MinAPIVersion": "1.12"}
    assert EngineVersion.from_wire(wire) == EngineVersion(
        version="20.10.24+dfsg1", api_min="1.12", api_max="1.41"
    )


def test_processes_are_found_by_parentage_and_start_time():
    child = subprocess.Popen(["sleep", "30"])
    try:
        assert child.pid in descendants([os.getpid()])
        assert is_alive(child.pid)
        assert start_time(child.pid) != start_time(1)
    finally:
        child.kill()
    assert child.wait() != 0
    assert not is_alive(child.pid)
    assert start_time(child.pid) == ""


def test_zombie_is_not_alive():
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not is_alive(child.pid)
    child.wait()


def test_mounts_are_listed_deepest_first():
    found = mounts_under(Path("/proc"))
    assert Path("/proc") in found
    depths = [len(path.parts) for path in found]
    assert depths == sorted(depths, reverse=True)


def test_leaks_are_counted_not_only_named():
    before = Snapshot(("rule x", "network a"))
    assert compare(before, Snapshot(("network a", "rule x"))) == ([], [])
    assert compare(before, Snapshot(("rule x", "rule x"))) == (["rule x"], ["network a"])


def test_engine_is_read_back_from_the_tests_id():
    for spec in ("unix:///var/run/docker.sock", "dockerd:/home/jörg/<b>[1]::x y%20/d"):
        assert engine_id(spec).isascii()
        assert engine_of(f"test_x.py::test_y[value-{engine_id(spec)}]") == spec
    assert engine_of("test_x.py::test_y") == ""


def test_subnets_avoid_what_is_there():
    taken = [ipaddress.ip_network("10.213.0.0/23"), ipaddress.ip_network("fd6e:6574:696e::/64")]
    subnets = SubnetAllocator(taken)
    assert [subnets.ipv4(), subnets.ipv4()] == ["10.213.2.0/24", "10.213.3.0/24"]
    assert subnets.ipv6() == "fd6e:6574:696e:1::/64"


def test_exhausted_subnets_are_said():
    subnets = SubnetAllocator([ipaddress.ip_network("0.0.0.0/0")])
    with pytest.raises(SubnetsExhausted):
        subnets.ipv4()


@pytest.mark.parametrize(
    ("kept", "found"),
    [("networks/*.db*", {"a.db", "a.db-wal"}), ("other/*", set()), ("", set())],
)
def test_the_files_of_networks_are_named_as_the_daemon_sees_them(
    tmp_path: Path, kept: str, found: set[str]
) -> None:
    folder = tmp_path / "data" / "networks"
    folder.mkdir(parents=True)
    for name in ("a.db", "a.db-wal", "lock"):
        (folder / name).touch()
    inside = Inside(
        pid=1,
        netns=Path("/proc/1/ns/net"),
        root=tmp_path,
        data_root=Path("/data"),
        exec_root=Path("/exec"),
        networks_kept=kept,
    )
    assert set(inside.network_files()) == {Path("/data/networks") / name for name in found}


@pytest.mark.parametrize(
    ("options", "info", "has"),
    [
        ("  --live-restore", {"LiveRestoreEnabled": False}, True),
        ("  --live-restore", {}, False),
        ("  --mtu bytes", {"LiveRestoreEnabled": False}, False),
    ],
)
def test_live_restore_is_an_option_that_is_shown(
    monkeypatch: pytest.MonkeyPatch, options: str, info: dict[str, bool], has: bool
) -> None:
    engine = FakeEngine(is_managed=True, inside=None, forwards=False)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(engine, "help_text", lambda: options)
    monkeypatch.setattr(engine, "info", lambda: info)
    assert ("live-restore" in probe(engine)) == has


@pytest.mark.parametrize(
    ("parts", "pieces"),
    [(1, ["0 a", "0 a", "0 a", "0 b"]), (2, ["0 a", "1 a", "1 a", "0 b"])],
)
def test_rows_of_an_engine_are_shared_by_its_instances(parts, pieces):
    scheduling = EngineScheduling.__new__(EngineScheduling)
    option = SimpleNamespace(netinit_row=["x.one", "x.two"], netinit_parts=parts)
    scheduling.config = SimpleNamespace(option=option)
    tests = [("a", "x.one", ""), ("a", "x.two", "-1"), ("a", "x.two", "-2"), ("b", "x.one", "")]
    found = [
        scheduling._split_scope(f"t.py::t[{engine_id(spec, row)}{value}]")
        for spec, row, value in tests
    ]
    assert found == pieces


@pytest.mark.parametrize(
    ("tail", "first_line"),
    [
        (
            "Traceback\n  SyntaxError: (\x1b[31m\n\n",
            "x did not come up: it ended: SyntaxError: ( [31m",
        ),
        (f"no such option\n{OWN_NOTE} SIGKILL\n", "x did not come up: it ended: no such option"),
        ("", "x did not come up: it ended"),
        (NO_LOG, "x did not come up: it ended"),
    ],
)
def test_failed_start_says_first_what_the_engine_said_last(tail, first_line):
    error = failed_start("x", EngineRefused("it ended"), tail)
    assert (type(error), str(error).splitlines()[0]) == (EngineRefused, first_line)


def test_engine_that_never_came_up_kills_nothing_when_it_is_started_again(monkeypatch, tmp_path):
    engine: Any = make_engine("docker", run_id="r", workspace=tmp_path)
    engine.folder.mkdir(parents=True)

    def refuse() -> list[str]:
        raise EngineError("planted")

    killed: list[int] = []
    monkeypatch.setattr(engine, "command_line", refuse)
    monkeypatch.setattr(os, "kill", lambda pid, _signal: killed.append(pid))
    with pytest.raises(EngineError, match="planted"):
        engine.resume()
    assert killed == []
