"""What can be decided about an engine of somebody else without one."""

import os
from ipaddress import IPv4Network, ip_network
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import docker.errors
import pytest
from click.testing import CliRunner

from conformance import clean
from conformance.cli import main
from conformance.engines import cleanup
from conformance.engines.base import EngineError, EngineUnavailable
from conformance.engines.cleanup import remove_labelled, sweep
from conformance.engines.external import ExternalEngine, address_from_environment
from conformance.image import ensure_image
from conformance.schedule import behaviour_in, engine_id, engine_of
from conformance.subnets import PARTS, SubnetAllocator, routed_subnets

IPV4_ROUTES = """Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT
eth0 00000000 0102A8C0 0003 0 0 0 00000000 0 0 0
eth0 0002A8C0 00000000 0001 0 0 0 00FFFFFF 0 0 0
tun0 0000D50A 00000000 0001 0 0 0 0000FFFF 0 0 0
"""
IPV6_ROUTES = (
    "fd6e6574696e00000000000000000000 40 " + "0" * 32 + " 00 " + "0" * 32 + " 100 1 0 1 eth0\n"
    + "0" * 32 + " 00 " + "0" * 32 + " 00 " + "0" * 32 + " 100 1 0 1 eth0\n"
)  # fmt: skip


def test_routes_of_the_machine_are_read_without_its_default_routes(tmp_path):
    (tmp_path / "route").write_text(IPV4_ROUTES)
    (tmp_path / "ipv6_route").write_text(IPV6_ROUTES)
    routed = ["192.168.2.0/24", "10.213.0.0/16", "fd6e:6574:696e::/64"]
    assert routed_subnets(tmp_path) == [ip_network(subnet) for subnet in routed]


def test_machine_without_ipv6_or_procfs_has_no_routes_to_avoid(tmp_path):
    assert routed_subnets(tmp_path / "missing") == []


def test_subnet_goes_round_what_is_routed_even_if_all_private_ones_are():
    private = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fd6e:6574:696e::/64"]
    subnets = SubnetAllocator(ip_network(subnet) for subnet in private)
    assert (subnets.ipv4(), subnets.ipv6()) == ("198.18.0.0/24", "fd6e:6574:696e:1::/64")


def test_subnets_that_the_engine_gives_by_itself_come_last():
    own = [IPv4Network("10.213.0.0/16"), IPv4Network("198.18.0.0/15")]
    subnets = SubnetAllocator((), taken_now=list)
    first = [IPv4Network(subnets.ipv4()) for _ in range(100)]
    assert all(any(subnet.subnet_of(pool) for pool in own) for subnet in first)
    assert SubnetAllocator((), taken_now=lambda: own).ipv4() == "172.29.0.0/24"


def test_runs_on_one_engine_never_give_the_same_subnet():
    given = [
        {subnet for _ in range(1600 // PARTS) for subnet in (allocator.ipv4(), allocator.ipv6())}
        for allocator in (SubnetAllocator((), taken_now=list, part=part) for part in range(PARTS))
    ]
    assert all(len(subnets) > 1600 // PARTS for subnets in given)  # and some of them a second time
    assert sum(map(len, given)) == len(set().union(*given))


def test_subnet_goes_round_what_came_in_between():
    taken = [ip_network("10.213.0.0/24")]
    subnets = SubnetAllocator((), taken_now=lambda: taken)
    assert subnets.ipv4() == f"10.213.{PARTS}.0/24"
    taken.append(ip_network(f"10.213.{2 * PARTS}.0/{24 - 2}"))
    assert subnets.ipv4() == f"10.213.{3 * PARTS}.0/24"


@pytest.mark.parametrize(
    ("environment", "address"),
    [
        ({}, "unix:///var/run/docker.sock"),
        ({"DOCKER_HOST": ""}, "unix:///var/run/docker.sock"),
        ({"DOCKER_HOST": "tcp://h:1"}, "tcp://h:1"),
        ({"DOCKER_HOST": "10.0.0.5:2375"}, "tcp://10.0.0.5:2375"),
        ({"DOCKER_HOST": "[::1]:2375"}, "tcp://[::1]:2375"),
        ({"DOCKER_HOST": "unix:///run/x:1"}, "unix:///run/x:1"),
    ],
    ids=["unset", "empty", "set", "no-scheme", "no-scheme-v6", "path"],
)
def test_environment_names_the_engine_that_the_docker_command_would_use(environment, address):
    assert address_from_environment(environment) == address


def test_tls_settings_are_taken_for_tcp_only_and_empty_ones_are_none():
    environment = {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/c", "OTHER": "x"}
    tls = {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/c"}
    assert ExternalEngine("tcp://h:2376", environment=environment).tls_settings == tls
    assert ExternalEngine("unix:///x", environment=environment).tls_settings == {}
    empty = {"DOCKER_TLS_VERIFY": "", "DOCKER_CERT_PATH": ""}
    assert ExternalEngine("tcp://h:2376", environment=empty).tls_settings == {}


@pytest.mark.parametrize("address", ["ssh://root@host", "npipe:////./pipe/docker_engine"])
def test_way_that_is_not_known_is_refused_in_plain_words(address):
    with pytest.raises(EngineUnavailable, match="is no way to an engine here: want unix://"):
        ExternalEngine(address).start()


def test_port_that_is_no_number_is_refused_in_plain_words():
    with pytest.raises(EngineUnavailable, match="no engine answers there: Port could not be cast"):
        ExternalEngine("tcp://127.0.0.1:docker").start()


def test_missing_certificates_are_named(tmp_path):
    tls = {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(tmp_path)}
    engine = ExternalEngine("tcp://127.0.0.1:1", environment=tls)
    with pytest.raises(EngineUnavailable, match=f"DOCKER_CERT_PATH={tmp_path}"):
        engine.start()


@pytest.mark.parametrize("method", ["restart", "kill", "kill_everything", "resume"])
def test_it_is_never_stopped_or_started(method):
    with pytest.raises(EngineError, match="is not ours to"):
        getattr(ExternalEngine("unix:///x"), method)()


def test_id_of_a_test_names_engine_and_row():
    nodeid = f"test_x.py::test_y[{engine_id('unix:///x y.sock', 'init.none.a-b')}-value]"
    assert (engine_of(nodeid), behaviour_in(nodeid)) == ("unix:///x y.sock", "init.none.a-b")
    assert behaviour_in("test_x.py::test_y") == ""


class Images:
    """An engine's images, as far as an import needs them."""

    def __init__(self) -> None:
        self.api = self.images = self
        self.imported: list[Any] = []

    def get(self, name: str) -> None:
        raise docker.errors.ImageNotFound(name)

    def import_image_from_data(self, _data: bytes, **options: Any) -> None:
        self.imported.append((options["tag"], options["changes"]))


def test_image_on_somebody_elses_engine_is_the_runs_own(monkeypatch):
    # not every machine has a busybox
    monkeypatch.setattr("conformance.image._archive_and_tag", lambda: (b"", "0" * 12))
    client: Any = Images()
    assert ensure_image(client, run_id="abc") == "netinit/busybox:run-abc"
    labels = ["LABEL netinit.image=1", "LABEL netinit.run=abc"]
    assert client.imported == [("run-abc", labels)]


class Api:
    """An engine with one container, one network and one image with a second name."""

    def __init__(self, *refuses: str) -> None:
        self.refuses = refuses
        self.removed: list[str] = []

    def containers(self, **_: Any) -> list[Any]:
        return [{"Id": "c", "Names": ["/netinit-abc-1"]}]

    def networks(self, **_: Any) -> list[Any]:
        return [{"Id": "n", "Name": "netinit-abc-2"}]

    def images(self, **_: Any) -> list[Any]:
        return [{"Id": "i", "RepoTags": ["theirs:1", "docker.io/netinit/busybox:run-abc"]}]

    def remove_container(self, key: str, **_: Any) -> None:
        if key in self.refuses:
            raise docker.errors.APIError("no", explanation="it is busy")
        self.removed.append(key)

    remove_network = remove_image = remove_container


def engine_with(api: Api) -> Any:
    return SimpleNamespace(name="engine", client=lambda: SimpleNamespace(api=api))


def test_only_our_name_of_an_image_is_removed():
    api = Api()
    said = remove_labelled(engine_with(api), "abc")
    assert api.removed == ["c", "n", "docker.io/netinit/busybox:run-abc"]
    assert said[0] == "removed container /netinit-abc-1 from engine"


def test_removal_goes_on_past_what_resists_and_names_it():
    api = Api("c")
    with pytest.raises(EngineError, match="container /netinit-abc-1: it is busy"):
        remove_labelled(engine_with(api), "abc")
    assert api.removed == ["n", "docker.io/netinit/busybox:run-abc"]


def test_records_of_others_and_links_are_not_believed(tmp_path, monkeypatch):
    """Anybody can put a folder into /tmp; root's `clean` must not do what it says."""
    monkeypatch.setattr(cleanup, "WORKSPACE_ROOT", tmp_path)
    elsewhere = tmp_path / "elsewhere"
    record = '{"netns": "ni-x", "pid": 0, "owner": 4194305, "owner_start": "1"}'
    (elsewhere / "docker").mkdir(parents=True)
    (elsewhere / "docker" / "engine.json").write_text(record)
    (tmp_path / "netinit-link").symlink_to(elsewhere)
    theirs = tmp_path / "netinit-theirs" / "docker"
    theirs.mkdir(parents=True)
    (theirs / "engine.json").write_text(record)
    lstat = Path.lstat

    def lstat_of_another(path: Path) -> Any:
        facts = lstat(path)
        return SimpleNamespace(st_mode=facts.st_mode, st_uid=os.geteuid() + 1)

    assert sweep("link", is_forced=True) == []
    monkeypatch.setattr(Path, "lstat", lstat_of_another)
    assert sweep("theirs", is_forced=True) == []
    assert (elsewhere / "docker").exists()
    assert theirs.exists()


@pytest.mark.parametrize("words", ["run dns", "clean", "impact --to docker-28.5"])
@pytest.mark.parametrize("value", ["garbage", "[::1:2375", "tcp://h:99999", "/run/docker.sock"])
def test_each_command_names_the_variable_that_holds_no_address(words, value, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", value)
    done = CliRunner().invoke(main, [*words.split(), "--engine", "env"])
    assert done.exit_code == 3
    assert f"DOCKER_HOST is {value!r}, no address: want unix:///path" in done.output


@pytest.mark.parametrize("words", ["run dns", "clean", "impact --to docker-28.5"])
def test_address_that_is_none_is_one_line(words):
    done = CliRunner().invoke(main, [*words.split(), "--engine", "tcp://[::1:2375"])
    assert done.exit_code == 3
    assert "tcp://[::1:2375 is no address: want unix:///path" in done.output


def test_nothing_is_taken_away_where_an_address_is_none(monkeypatch):
    monkeypatch.setattr(clean, "sweep", lambda *_args, **_more: pytest.fail("swept"))
    done = CliRunner().invoke(main, ["clean", "mine", "--engine", "docker"])
    assert (done.exit_code, "docker is no address: want unix:" in done.output) == (3, True)
