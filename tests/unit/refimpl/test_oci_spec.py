"""Goal: config.json says what Docker 20.10.24's says."""

from typing import Any

import pytest

from refimpl.oci import capabilities
from refimpl.oci.base import ContainerSpec, Mount, ProcessSpec
from refimpl.oci.spec import build_config, build_process
from refimpl.oci.users import Identity

ROOT = Identity(uid=0, gid=0, additional_gids=(0,))
NOBODY = Identity(uid=1000, gid=1000, additional_gids=(1000,))


def config(
    *,
    cgroup_v2: bool = False,
    with_seccomp: bool = True,
    identity: Identity = ROOT,
    **overrides: Any,
) -> Any:
    values: dict[str, Any] = {
        "id": "c" * 64,
        "bundle": "/run/x/bundles/c",
        "rootfs": "/var/x/merged",
        "process": ProcessSpec(args=("sleep", "1")),
        "netns": "/run/x/netns/0123",
    }
    return build_config(
        ContainerSpec(**(values | overrides)),
        identity,
        cgroup_v2=cgroup_v2,
        with_seccomp=with_seccomp,
    )


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


def test_host_uts_sets_no_hostname() -> None:
    document = config(hostname="h", host_uts=True)
    assert "hostname" not in document
    assert "kernel.domainname" not in document["linux"]["sysctl"]
    assert "uts" not in namespaces(document)


def test_domainname_is_the_runtimes_to_refuse_with_host_uts() -> None:
    document = config(domainname="example.org", host_uts=True)
    assert document["linux"]["sysctl"]["kernel.domainname"] == "example.org"
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


def test_masked_paths_are_those_that_were_asked_for() -> None:
    document = config(masked_paths=(), readonly_paths=("/proc/fs",))
    assert document["linux"]["maskedPaths"] == []
    assert document["linux"]["readonlyPaths"] == ["/proc/fs"]


def test_no_new_privileges_are_for_every_process() -> None:
    assert config()["process"]["noNewPrivileges"] is False
    assert config(no_new_privileges=True)["process"]["noNewPrivileges"] is True


@pytest.mark.parametrize(
    ("propagation", "root"),
    [
        (("rprivate",), None),
        (("private", "slave"), "rslave"),
        (("rslave", "rshared"), "shared"),
        (("shared",), "shared"),
    ],
)
def test_propagation_of_mounts_is_applied_and_the_root_lets_it(propagation, root) -> None:
    mounts = tuple(
        Mount(source="/s", destination=f"/{one}", propagation=one) for one in propagation
    )
    document = config(mounts=mounts)
    assert [mount_at(document, f"/{one}")["options"][1] for one in propagation] == list(propagation)
    assert document["linux"].get("rootfsPropagation") == root


def test_mount_need_not_bring_along_what_is_below_it() -> None:
    document = config(mounts=(Mount(source="/s", destination="/d", is_recursive=False),))
    assert mount_at(document, "/d")["options"][0] == "bind"


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
