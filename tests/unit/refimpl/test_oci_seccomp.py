"""Goal: a container may make the system calls that Docker 20.10.24 lets it make, and no other."""

import hashlib
import json
from typing import Any

import pytest

from refimpl.errors import EngineError
from refimpl.oci import capabilities, seccomp
from refimpl.oci.base import ContainerSpec, ProcessSpec
from refimpl.oci.seccomp import DEFAULT, build_seccomp, read_profile, resolve
from refimpl.oci.security import SecurityOptions, read_security_options
from refimpl.oci.spec import build_config
from refimpl.oci.users import Identity

USUAL = frozenset(capabilities.DEFAULT)
KERNEL = (6, 1)

DEFAULT_SUM = "623b188187dccbd3f7094ef808ccb068d87f33cdc6b18fe6451e7156d1650382"
OTHER_SUM = "9bbacc403e1f4a52307bffb507909ad3d65e779e7c77fd78ef8fbf88d26d4135"


def default(*more: str, less: str = "", machine: str = "amd64", kernel=KERNEL) -> Any:
    return resolve(DEFAULT, USUAL.union(more) - {less}, machine, kernel)


def allowed(document: Any) -> set[str]:
    """What may be called whatever its arguments are."""
    return {
        name
        for call in document["syscalls"]
        if call["action"] == seccomp.ALLOW and "args" not in call
        for name in call["names"]
    }


def digest(document: Any) -> str:
    """A sum of what a filter says, whatever order it says names in."""
    calls = [
        [sorted(call["names"]), call["action"], call.get("errnoRet"),
         [[one["index"], one["value"], one["op"]] for one in call.get("args", ())]]
        for call in document["syscalls"]
    ]  # fmt: skip
    text = json.dumps([document["defaultAction"], document.get("architectures"), calls])
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (default(), DEFAULT_SUM),
        (
            default("CAP_SYS_ADMIN", "CAP_SYS_PTRACE", less="CAP_SYS_CHROOT"),
            OTHER_SUM,
        ),
    ],
    ids=["default", "other-capabilities"],
)
def test_filter_is_the_one_that_docker_gave_its_runtime(document, expected) -> None:
    """The sums are of `linux.seccomp` as Docker 20.10.24 wrote it on amd64, with these options."""
    assert digest(document) == expected


def test_namespaces_need_the_capability() -> None:
    assert default()["defaultAction"] == "SCMP_ACT_ERRNO"
    for name in ("unshare", "setns", "mount", "clone", "clone3", "bpf", "keyctl", "add_key"):
        assert name not in allowed(default())
    for name in ("unshare", "setns", "mount", "clone", "clone3", "bpf"):
        assert name in allowed(default("CAP_SYS_ADMIN"))
    assert "keyctl" not in allowed(default("CAP_SYS_ADMIN"))
    (clone,) = [one for one in default()["syscalls"] if one["names"] == ["clone"]]
    assert clone["args"] == [{"index": 0, "value": 0x7E020000, "op": "SCMP_CMP_MASKED_EQ"}]
    (clone3,) = [one for one in default()["syscalls"] if one["names"] == ["clone3"]]
    assert (clone3["action"], clone3["errnoRet"]) == ("SCMP_ACT_ERRNO", 38)


def test_rules_of_other_machines_and_kernels_do_not_hold() -> None:
    assert "arch_prctl" in allowed(default())
    assert "arch_prctl" not in allowed(default(machine="arm64"))
    assert "breakpoint" in allowed(default(machine="arm64"))
    assert "ptrace" in allowed(default(kernel=(4, 8)))
    assert "ptrace" not in allowed(default(kernel=(4, 7)))
    assert default()["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
    assert "architectures" not in default(machine="riscv64")
    (clone,) = [one for one in default(machine="s390x")["syscalls"] if one["names"] == ["clone"]]
    assert clone["args"][0]["index"] == 1


def config(*, with_seccomp: bool = True, **values: Any) -> Any:
    spec = ContainerSpec(
        id="c", bundle="/b", rootfs="/r", process=ProcessSpec(args=("true",)), **values
    )
    root = Identity(uid=0, gid=0, additional_gids=(0,))
    return build_config(spec, root, cgroup_v2=False, with_seccomp=with_seccomp)["linux"]


def test_who_has_a_filter() -> None:
    assert "seccomp" in config()
    assert "seccomp" not in config(privileged=True)
    assert "seccomp" not in config(privileged=True, seccomp_profile='{"defaultAction":"X"}')
    assert "seccomp" not in config(seccomp_profile="unconfined")
    assert config(seccomp_profile='{"defaultAction":"X"}')["seccomp"] == {
        "defaultAction": "X",
        "syscalls": [],
    }


def test_without_support_there_is_none_and_a_profile_is_refused() -> None:
    assert "seccomp" not in config(with_seccomp=False)
    assert "seccomp" not in config(with_seccomp=False, seccomp_profile="unconfined")
    with pytest.raises(EngineError, match="seccomp is not enabled in your kernel, cannot run a"):
        config(with_seccomp=False, seccomp_profile="{}")


def test_profile_of_a_client_is_applied_under_its_conditions() -> None:
    text = json.dumps(
        {
            "defaultAction": "SCMP_ACT_ALLOW",
            "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["A"]}],
            "syscalls": [
                {"name": "a", "action": "X", "args": [{"index": 1, "value": 2**64 - 1, "op": "O"}]},
                {"names": ["b"], "action": "X", "errnoRet": 7, "includes": {"caps": ["CAP_BPF"]}},
                {"names": ["c"], "action": "X", "excludes": {"caps": ["CAP_BPF"]}},
                {"names": ["d"], "action": "X", "excludes": {"arches": ["amd64"]}},
                {"names": ["e"], "action": "X", "excludes": {"minKernel": "6.1"}},
                {"names": ["f"], "action": "X", "includes": {"minKernel": "6.2"}},
                {"names": ["g"], "action": "X", "includes": {"arches": ["s390"]}},
            ],
        }
    )
    assert resolve(read_profile(text), frozenset({"CAP_BPF"}), "amd64", KERNEL) == {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64", "A"],
        "syscalls": [
            {
                "names": ["a"],
                "action": "X",
                "args": [{"index": 1, "value": 2**64 - 1, "valueTwo": 0, "op": "O"}],
            },
            {"names": ["b"], "action": "X", "errnoRet": 7},
        ],
    }


@pytest.mark.parametrize("text", ["{}", "null", '{"syscalls":[]}'])
def test_profile_that_says_nothing_is_none(text) -> None:
    assert build_seccomp(text, ()) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "Decoding seccomp profile failed: "),
        ("/etc/p.json", "Decoding seccomp profile failed: "),
        ("[" * 200_000, "Decoding seccomp profile failed: exceeded max depth"),
        ("9" * 5000, "Decoding seccomp profile failed: Exceeds the limit"),
        ("[]", "Decoding seccomp profile failed: the profile is no object"),
        ('{"syscalls":5}', "Decoding seccomp profile failed: syscalls of the profile is no list"),
        ('{"syscalls":[5]}', "Decoding seccomp profile failed: one of syscalls is no object"),
        ('{"defaultAction":5}', "defaultAction of the profile is no string"),
        ('{"syscalls":[{"names":[5]}]}', "names of one of syscalls is no list of strings"),
        ('{"syscalls":[{"errnoRet":-1}]}', "errnoRet of one of syscalls is no 64-bit number"),
        ('{"syscalls":[{"errnoRet":1e9}]}', "errnoRet of one of syscalls is no 64-bit number"),
        ('{"syscalls":[{"args":[{"value":18446744073709551616}]}]}', "value of one of args"),
        ('{"syscalls":[{"includes":[1]}]}', "includes of one of syscalls is no object"),
        ('{"syscalls":[{"name":"a","names":["b"]}]}', "^'name' and 'names' were specified in the"),
        ('{"architectures":["a"],"archMap":[{}]}', "^'architectures' and 'archMap' were specified"),
        (
            '{"syscalls":[{"includes":{"minKernel":"x"}}]}',
            'failed: invalid kernel version: "x", expected "<kernel>.<major>"$',
        ),
        ('{"syscalls":[{"excludes":{"minKernel":"4.8.1"}}]}', 'invalid kernel version: "4.8.1"'),
        ('"' + "a" * (1 << 20) + '"', "failed: it is longer than 1048576 bytes"),
    ],
    ids=str,
)  # fmt: skip
def test_profile_that_is_none_is_refused(text, why) -> None:
    with pytest.raises(EngineError, match=why):
        build_seccomp(text, ())


# -- SecurityOpt -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "meant"),
    [
        ([], SecurityOptions()),
        (["seccomp=unconfined"], SecurityOptions("unconfined")),
        (["seccomp:unconfined"], SecurityOptions("unconfined")),
        (['seccomp={"a":"b=c"}'], SecurityOptions('{"a":"b=c"}')),
        (["seccomp=unconfined", "seccomp="], SecurityOptions()),
        (["no-new-privileges"], SecurityOptions("", True)),
        (["no-new-privileges:true"], SecurityOptions("", True)),
        (["no-new-privileges", "no-new-privileges=f"], SecurityOptions()),
        (["apparmor=x", "label=disable", "label:user:u", "disable"], SecurityOptions()),
    ],
    ids=str,
)
def test_security_options(options, meant) -> None:
    assert read_security_options(options) == meant


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("foo", 'invalid --security-opt 1: "foo"'),
        ("foo=bar", 'invalid --security-opt 2: "foo=bar"'),
        ("no-new-privileges=maybe", 'invalid --security-opt 2: "no-new-privileges=maybe"'),
    ],
)
def test_security_option_that_docker_does_not_know(option, text) -> None:
    with pytest.raises(EngineError) as caught:
        read_security_options([option])
    assert (str(caught.value), caught.value.status) == (text, 500)
