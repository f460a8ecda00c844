"""Goal: config.json says what Docker 20.10.24's says, and users are looked up as Docker does it."""

import os
from pathlib import Path
from typing import Any

import pytest

from refimpl.oci import capabilities
from refimpl.oci.base import ContainerSpec, Mount, ProcessSpec
from refimpl.oci.spec import build_config, build_process
from refimpl.oci.users import Identity, UnknownUser, inside, resolve

ROOT = Identity(uid=0, gid=0, additional_gids=(0,))
NOBODY = Identity(uid=1000, gid=1000, additional_gids=(1000,))


def config(*, cgroup_v2: bool = False, identity: Identity = ROOT, **overrides: Any) -> Any:
    values: dict[str, Any] = {
        "id": "c" * 64,
        "bundle": "/run/x/bundles/c",
        "rootfs": "/var/x/merged",
        "process": ProcessSpec(args=("sleep", "1")),
        "netns": "/run/x/netns/0123",
    }
    return build_config(ContainerSpec(**(values | overrides)), identity, cgroup_v2=cgroup_v2)


def namespaces(document: Any) -> dict[str, str | None]:
    return {one["type"]: one.get("path") for one in document["linux"]["namespaces"]}


def mount_at(document: Any, destination: str) -> Any:
    (found,) = [one for one in document["mounts"] if one["destination"] == destination]
    return found


def test_container_joins_the_network_namespace_by_its_path() -> None:
    assert namespaces(config())["network"] == "/run/x/netns/0123"


def test_host_network_has_no_network_namespace_and_no_network_sysctl() -> None:
    document = config(netns=None)
    assert "network" not in namespaces(document)
    assert document["linux"]["sysctl"] == {}


def test_own_network_gets_dockers_two_sysctls_unless_overridden() -> None:
    document = config(sysctls={"net.ipv4.ip_unprivileged_port_start": "1024"})
    assert document["linux"]["sysctl"] == {
        "net.ipv4.ip_unprivileged_port_start": "1024",
        "net.ipv4.ping_group_range": "0 2147483647",
    }


def test_domainname_is_a_sysctl() -> None:
    document = config(hostname="h", domainname="example.org")
    assert document["hostname"] == "h"
    assert document["linux"]["sysctl"]["kernel.domainname"] == "example.org"


def test_host_uts_sets_neither_hostname_nor_domainname() -> None:
    document = config(hostname="h", domainname="example.org", host_uts=True)
    assert "hostname" not in document
    assert "kernel.domainname" not in document["linux"]["sysctl"]
    assert "uts" not in namespaces(document)


def test_defaults_guard_the_host() -> None:
    document = config()
    assert "/proc/kcore" in document["linux"]["maskedPaths"]
    assert "/proc/sys" in document["linux"]["readonlyPaths"]
    assert "ro" in mount_at(document, "/sys")["options"]
    assert "ro" in mount_at(document, "/sys/fs/cgroup")["options"]
    assert document["linux"]["resources"]["devices"][0] == {"allow": False, "access": "rwm"}
    assert "devices" not in document["linux"]


def test_privileged_lifts_the_guards() -> None:
    document = config(privileged=True)
    assert "maskedPaths" not in document["linux"]
    assert "readonlyPaths" not in document["linux"]
    assert "ro" not in mount_at(document, "/sys")["options"]
    assert document["linux"]["resources"]["devices"] == [{"allow": True, "access": "rwm"}]
    assert "/dev/null" in {one["path"] for one in document["linux"]["devices"]}


def test_bind_mounts_come_last_and_carry_their_access() -> None:
    document = config(
        mounts=(
            Mount(source="/var/x/hosts", destination="/etc/hosts"),
            Mount(source="/var/x/y", destination="/y", read_only=True),
        )
    )
    first, second = document["mounts"][-2:]
    assert (first["source"], first["destination"]) == ("/var/x/hosts", "/etc/hosts")
    assert "ro" not in first["options"]
    assert "ro" in second["options"]


@pytest.mark.parametrize(
    ("cgroup_v2", "privileged", "own"),
    [(False, False, False), (True, False, True), (True, True, False)],
)
def test_cgroup_namespace_is_own_on_v2_only(cgroup_v2: bool, privileged: bool, own: bool) -> None:
    document = config(cgroup_v2=cgroup_v2, privileged=privileged)
    assert ("cgroup" in namespaces(document)) is own


def test_cgroup_parent_is_a_path_below_the_root() -> None:
    assert config(cgroup_parent="/a/b/")["linux"]["cgroupsPath"] == "/a/b/" + "c" * 64


def test_root_has_its_capabilities_and_others_only_the_bound() -> None:
    sets = build_process(ProcessSpec(args=("id",)), ROOT)["capabilities"]
    assert sets["effective"] == sets["permitted"] == sets["bounding"]
    assert "inheritable" not in sets
    assert set(build_process(ProcessSpec(args=("id",)), NOBODY)["capabilities"]) == {"bounding"}


def test_default_capabilities_are_dockers() -> None:
    chosen = set(capabilities.effective_set())
    assert chosen <= set(capabilities.DEFAULT)
    assert len(capabilities.DEFAULT) == 14
    assert "CAP_SYS_ADMIN" not in chosen
    assert "CAP_NET_ADMIN" not in chosen


def test_capabilities_are_added_and_dropped_by_any_spelling() -> None:
    chosen = capabilities.effective_set(add=("net_admin",), drop=("CAP_chown",))
    assert "CAP_CHOWN" not in chosen
    assert set(capabilities.effective_set(drop=("ALL",))) == set()
    assert capabilities.effective_set(drop=("all",), add=("KILL",)) in ([], ["CAP_KILL"])
    assert set(capabilities.effective_set(add=("ALL",), drop=("KILL",))) == set(
        capabilities.effective_set(privileged=True)
    ) - {"CAP_KILL"}


def test_unknown_capability_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match='unknown capability: "nonsense"'):
        capabilities.effective_set(add=("nonsense",))


# -- users -----------------------------------------------------------------------------------------

PASSWD = """\
root:x:0:0:root:/root:/bin/sh
bob:x:1000:1001::/home/bob:/bin/sh
broken
12345:x:77:78::/:/bin/sh
"""
GROUP = """\
root:x:0:
bobs:x:1001:
wheel:x:10:bob,alice
audio:x:29:bob
"""


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(PASSWD)
    (tmp_path / "etc/group").write_text(GROUP)
    return tmp_path


@pytest.mark.parametrize(
    ("user", "uid", "gid", "additional"),
    [
        ("", 0, 0, (0,)),
        ("root", 0, 0, (0,)),
        ("bob", 1000, 1001, (1001, 10, 29)),
        ("1000", 1000, 1001, (1001, 10, 29)),
        ("bob:wheel", 1000, 10, (10,)),
        ("bob:4242", 1000, 4242, (4242,)),
        ("4242", 4242, 0, (0,)),
        ("4242:29", 4242, 29, (29,)),
        (":audio", 0, 29, (29,)),
        ("12345", 77, 78, (78,)),
    ],
)
def test_user_is_looked_up_in_the_image(rootfs, user, uid, gid, additional) -> None:
    assert resolve(str(rootfs), user) == Identity(uid=uid, gid=gid, additional_gids=additional)


@pytest.mark.parametrize(
    ("user", "text"),
    [
        ("nosuch", "unable to find user nosuch: no matching entries in passwd file"),
        ("0:nosuch", "unable to find group nosuch: no matching entries in group file"),
        ("2147483648", "uids and gids must be in range 0-2147483647"),
        ("0:-1", "uids and gids must be in range 0-2147483647"),
        ("²", "unable to find user ²: no matching entries in passwd file"),
    ],
)
def test_unknown_user_is_refused_in_dockers_words(rootfs, user, text) -> None:
    with pytest.raises(UnknownUser) as caught:
        resolve(str(rootfs), user)
    assert str(caught.value) == text


def test_an_image_without_passwd_knows_numbers_only(tmp_path) -> None:
    assert resolve(str(tmp_path), "5:6") == Identity(uid=5, gid=6, additional_gids=(6,))
    with pytest.raises(UnknownUser):
        resolve(str(tmp_path), "root")


def test_links_are_followed_inside_the_image_only(tmp_path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "real").mkdir()
    (tmp_path / "real/passwd").write_text("eve:x:5:6::/:/bin/sh\n")
    (tmp_path / "etc/passwd").symlink_to("/real/../../../real/passwd")
    assert inside(str(tmp_path), "/etc/passwd") == tmp_path / "real/passwd"
    assert resolve(str(tmp_path), "eve").uid == 5


def test_a_circle_of_links_is_an_image_without_the_file(tmp_path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").symlink_to("group")
    (tmp_path / "etc/group").symlink_to("passwd")
    with pytest.raises(OSError, match="too many symbolic links"):
        inside(str(tmp_path), "/etc/passwd")
    with pytest.raises(UnknownUser):
        resolve(str(tmp_path), "eve")


def test_a_pipe_for_passwd_does_not_hang(tmp_path) -> None:
    (tmp_path / "etc").mkdir()
    os.mkfifo(tmp_path / "etc/passwd")
    with pytest.raises(UnknownUser):
        resolve(str(tmp_path), "eve")
