"""Which system calls a container may make: Docker's own profile, or one that a client brings.

A profile is a list of rules, of which some hold only with or without a capability, on some
machines, or from some kernel on. What holds for a container is what its config.json says.

Mirrors: moby profiles/seccomp (v20.10.24) as data, setupSeccomp and LoadProfile.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from refimpl.errors import EngineError
from refimpl.limits import SECCOMP_PROFILE_BYTES_MAX

Json = dict[str, Any]
Version = tuple[int, int]

UNCONFINED = "unconfined"

_ACTIONS_FILE = Path("/proc/sys/kernel/seccomp/actions_avail")
_SETS_MAX = 64
"""Different sets of capabilities whose rules are kept; nearly all containers have one set."""

ALLOW, REFUSE = "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"
_EQUAL, _MASKED_EQUAL = "SCMP_CMP_EQ", "SCMP_CMP_MASKED_EQ"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What a rule depends on; an empty part of it is no condition."""

    capabilities: tuple[str, ...] = ()
    machines: tuple[str, ...] = ()
    kernel: Version | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What is done at some system calls."""

    names: tuple[str, ...]
    action: str = ALLOW
    errno: int | None = None
    args: tuple[Json, ...] = ()
    only: Condition = Condition()
    """It holds where all of this is so: every capability, one of the machines, the kernel."""
    never: Condition = Condition()
    """It does not hold where any of this is so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Rules, and what is done at all other system calls."""

    default_action: str
    rules: tuple[Rule, ...]
    architectures: tuple[str, ...] = ()
    by_machine: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The architectures that a machine's programs may be of, by the first of them."""


def is_enabled() -> bool:
    """Tell whether the kernel filters system calls."""
    return _ACTIONS_FILE.exists()


def build_seccomp(text: str, capabilities: Sequence[str]) -> Json | None:
    """Return `linux.seccomp` of a container that is not privileged; None for no filter.

    Args:
        text: "" for Docker's profile, `unconfined`, or a profile's JSON.
        capabilities: those that the container's processes can have.

    Raises:
        EngineError: the profile cannot be read; the text says why.
    """
    if text == UNCONFINED:
        return None
    if not text:
        return _build_default(tuple(capabilities))
    return resolve(read_profile(text), frozenset(capabilities), _machine(), _kernel())


@lru_cache(maxsize=_SETS_MAX)
def _build_default(capabilities: tuple[str, ...]) -> Json | None:
    return resolve(DEFAULT, frozenset(capabilities), _machine(), _kernel())


def resolve(
    profile: Profile, capabilities: frozenset[str], machine: str, kernel: Version
) -> Json | None:
    """Return what of a profile holds, in the OCI's words; None when it says nothing.

    Args:
        profile: with its conditions.
        capabilities: in the bounding set.
        machine: as Go and libseccomp call it, for instance `amd64`.
        kernel: the first two numbers of its version.
    """
    if not profile.default_action and not profile.rules:
        return None
    seccomp: Json = {"defaultAction": profile.default_action}
    architectures = profile.architectures + profile.by_machine.get(
        _ARCHITECTURES.get(machine, ""), ()
    )
    if architectures:
        seccomp["architectures"] = list(architectures)
    seccomp["syscalls"] = [
        _to_oci(rule)
        for rule in profile.rules
        if not (
            machine in rule.never.machines
            or capabilities.intersection(rule.never.capabilities)
            or (rule.never.kernel is not None and kernel >= rule.never.kernel)
        )
        and (not rule.only.machines or machine in rule.only.machines)
        and capabilities.issuperset(rule.only.capabilities)
        and (rule.only.kernel is None or kernel >= rule.only.kernel)
    ]
    return seccomp


def _to_oci(rule: Rule) -> Json:
    call: Json = {"names": list(rule.names), "action": rule.action}
    if rule.errno is not None:
        call["errnoRet"] = rule.errno
    if rule.args:
        call["args"] = list(rule.args)
    return call


@cache
def _machine() -> str:
    return _MACHINES.get(os.uname().machine, "")


@cache
def _kernel() -> Version:
    return _read_version(os.uname().release) or (0, 0)


def _read_version(text: str) -> Version | None:
    match = re.match(r"([0-9]{1,3})\.([0-9]{1,3})", text)
    return (int(match[1]), int(match[2])) if match else None


# -- a profile that a client brings ----------------------------------------------------------------


def read_profile(text: str) -> Profile:
    """Read a profile's JSON.

    Raises:
        EngineError: it is none, or too long.
    """
    if len(text) > SECCOMP_PROFILE_BYTES_MAX:
        raise _refused(f"it is longer than {SECCOMP_PROFILE_BYTES_MAX} bytes")
    try:
        document = json.loads(text)
    except RecursionError as error:  # its text is another in each release of Python
        raise _refused("exceeded max depth") from error
    except ValueError as error:
        raise _refused(str(error)) from error
    whole = _Fields(document, "the profile")
    architectures, machines = whole.strings("architectures"), whole.objects("archMap")
    if architectures and machines:
        raise EngineError(
            "'architectures' and 'archMap' were specified in the seccomp profile, use either "
            "'architectures' or 'archMap'"
        )
    return Profile(
        default_action=whole.string("defaultAction"),
        rules=tuple(_read_rule(one) for one in whole.objects("syscalls")),
        architectures=architectures,
        by_machine={
            one.string("architecture"): (
                one.string("architecture"),
                *one.strings("subArchitectures"),
            )
            for one in machines
        },
    )


def _read_rule(fields: _Fields) -> Rule:
    name, names = fields.string("name"), fields.strings("names")
    if name and names:
        raise EngineError(
            "'name' and 'names' were specified in the seccomp profile, use either 'name' or 'names'"
        )
    return Rule(
        names=(name,) if name else names,
        action=fields.string("action"),
        errno=fields.number("errnoRet"),
        args=tuple(
            {
                "index": one.number("index") or 0,
                "value": one.number("value") or 0,
                "valueTwo": one.number("valueTwo") or 0,
                "op": one.string("op"),
            }
            for one in fields.objects("args")
        ),
        only=_read_condition(fields.object("includes")),
        never=_read_condition(fields.object("excludes")),
    )


def _read_condition(fields: _Fields) -> Condition:
    text = fields.string("minKernel")
    kernel = _read_version(text)
    if text and (kernel is None or kernel == (0, 0) or text.count(".") != 1):
        raise _refused(f'invalid kernel version: "{text}", expected "<kernel>.<major>"')
    return Condition(
        capabilities=fields.strings("caps"), machines=fields.strings("arches"), kernel=kernel
    )


class _Fields:
    """An object of a client's JSON, whose fields are of the right kind or are refused."""

    def __init__(self, value: Any, what: str) -> None:
        self._what = what
        if value is None:
            value = {}
        if not isinstance(value, dict):
            raise _refused(f"{what} is no object")
        self._fields: Json = value

    def string(self, name: str) -> str:
        value = self._fields.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self._wrong(name, "string")
        return value

    def strings(self, name: str) -> tuple[str, ...]:
        values = self._list(name)
        if not all(isinstance(value, str) for value in values):
            raise self._wrong(name, "list of strings")
        return tuple(values)

    def number(self, name: str) -> int | None:
        value = self._fields.get(name)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**64:
            raise self._wrong(name, "64-bit number")
        return value

    def object(self, name: str) -> _Fields:
        return _Fields(self._fields.get(name), f"{name} of {self._what}")

    def objects(self, name: str) -> list[_Fields]:
        return [_Fields(one, f"one of {name}") for one in self._list(name)]

    def _list(self, name: str) -> list[Any]:
        value = self._fields.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self._wrong(name, "list")
        return value

    def _wrong(self, name: str, kind: str) -> EngineError:
        return _refused(f"{name} of {self._what} is no {kind}")


def _refused(why: str) -> EngineError:
    return EngineError(f"Decoding seccomp profile failed: {why}")


# -- Docker's profile ------------------------------------------------------------------------------

_MACHINES = {
    "x86_64": "amd64", "i686": "x86", "aarch64": "arm64", "armv7l": "arm", "ppc64le": "ppc64le",
    "ppc64": "ppc64", "s390x": "s390x", "mips64": "mips64",
}  # fmt: skip
"""What Go and libseccomp call a machine, by the kernel's name for it."""

_ARCHITECTURES = {
    "amd64": "SCMP_ARCH_X86_64", "x86": "SCMP_ARCH_X86", "arm64": "SCMP_ARCH_AARCH64",
    "arm": "SCMP_ARCH_ARM", "ppc64le": "SCMP_ARCH_PPC64LE", "ppc64": "SCMP_ARCH_PPC64",
    "s390x": "SCMP_ARCH_S390X", "mips64": "SCMP_ARCH_MIPS64",
}  # fmt: skip

_NEW_NAMESPACES = 0x7E020000
"""The CLONE_NEW* flags of clone (not CLONE_NEWTIME, which only clone3 and unshare take)."""
_MIPS = ("mips3l64n32", "mips64", "mips64n32", "mipsel", "mipsel64")
_S390 = ("s390", "s390x")
_ARM = ("arm", "arm64")
_ENOSYS, _ENOSYS_MIPS = 38, 89


def _argument(index: int, value: int, op: str = _EQUAL) -> tuple[Json, ...]:
    return ({"index": index, "value": value, "op": op},)


def _with(capability: str, names: str) -> Rule:
    return Rule(names=tuple(names.split()), only=Condition(capabilities=(capability,)))


def _on(machines: tuple[str, ...], names: str) -> Rule:
    return Rule(names=tuple(names.split()), only=Condition(machines=machines))


_ALWAYS = """
_llseek _newselect accept accept4 access adjtimex alarm bind brk capget capset chdir chmod chown
chown32 clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime
clock_gettime64 clock_nanosleep clock_nanosleep_time64 close close_range connect copy_file_range
creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2
epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2
fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchown fchown32 fchownat
fcntl fcntl64 fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstat64
fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_time64 futex_waitv futimesat
get_robust_list get_thread_area getcpu getcwd getdents getdents64 getegid getegid32 geteuid
geteuid32 getgid getgid32 getgroups getgroups32 getitimer getpeername getpgid getpgrp getpid
getppid getpriority getrandom getresgid getresgid32 getresuid getresuid32 getrlimit getrusage
getsid getsockname getsockopt gettid gettimeofday getuid getuid32 getxattr inotify_add_watch
inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents
io_pgetevents_time64 io_setup io_submit io_uring_enter io_uring_register io_uring_setup ioctl
ioprio_get ioprio_set ipc kill landlock_add_rule landlock_create_ruleset landlock_restrict_self
lchown lchown32 lgetxattr link linkat listen listxattr llistxattr lremovexattr lseek lsetxattr
lstat lstat64 madvise membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat
mlock mlock2 mlockall mmap mmap2 mprotect mq_getsetattr mq_notify mq_open mq_timedreceive
mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink mremap msgctl msgget msgrcv
msgsnd msync munlock munlockall munmap nanosleep newfstatat open openat openat2 pause pidfd_open
pidfd_send_signal pipe pipe2 poll ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64
process_mrelease pselect6 pselect6_time64 pwrite64 pwritev pwritev2 read readahead readlink
readlinkat readv recv recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages removexattr
rename renameat renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask
rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64
rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr
sched_getparam sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64
sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp select
semctl semget semop semtimedop semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg
sendto set_robust_list set_thread_area set_tid_address setfsgid setfsgid32 setfsuid setfsuid32
setgid setgid32 setgroups setgroups32 setitimer setpgid setpriority setregid setregid32
setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit setsid setsockopt
setuid setuid32 setxattr shmat shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4
sigprocmask sigreturn socket socketcall socketpair splice stat stat64 statfs statfs64 statx
symlink symlinkat sync sync_file_range syncfs sysinfo tee tgkill time timer_create timer_delete
timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create
timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill truncate
truncate64 ugetrlimit umask uname unlink unlinkat utime utimensat utimensat_time64 utimes vfork
vmsplice wait4 waitid waitpid write writev
"""

_ADMIN = ("CAP_SYS_ADMIN",)

DEFAULT = Profile(
    default_action=REFUSE,
    by_machine={
        "SCMP_ARCH_X86_64": ("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"),
        "SCMP_ARCH_AARCH64": ("SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"),
        "SCMP_ARCH_MIPS64": ("SCMP_ARCH_MIPS64", "SCMP_ARCH_MIPS", "SCMP_ARCH_MIPS64N32"),
        "SCMP_ARCH_S390X": ("SCMP_ARCH_S390X", "SCMP_ARCH_S390"),
    },
    rules=(
        Rule(names=tuple(_ALWAYS.split())),
        Rule(names=("ptrace",), only=Condition(kernel=(4, 8))),
        *(
            Rule(names=("personality",), args=_argument(0, persona))
            for persona in (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)
        ),
        _on(("ppc64le",), "sync_file_range2"),
        _on(
            _ARM,
            "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls",
        ),
        _on(("amd64", "x32"), "arch_prctl"),
        _on(("amd64", "x32", "x86"), "modify_ldt"),
        _on(_S390, "s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr"),
        _with("CAP_DAC_READ_SEARCH", "open_by_handle_at"),
        _with(
            "CAP_SYS_ADMIN",
            "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount "
            "mount_setattr move_mount name_to_handle_at open_tree perf_event_open quotactl "
            "quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare",
        ),
        # a process or thread, but no namespace
        Rule(
            names=("clone",),
            args=_argument(0, _NEW_NAMESPACES, _MASKED_EQUAL),
            never=Condition(capabilities=_ADMIN, machines=_S390),
        ),
        Rule(
            names=("clone",),
            args=_argument(1, _NEW_NAMESPACES, _MASKED_EQUAL),
            only=Condition(machines=_S390),
            never=Condition(capabilities=_ADMIN),
        ),
        # its flags are in memory, which a filter cannot see: C libraries then go on with clone
        Rule(
            names=("clone3",),
            action=REFUSE,
            errno=_ENOSYS,
            never=Condition(capabilities=_ADMIN, machines=_MIPS),
        ),
        Rule(
            names=("clone3",),
            action=REFUSE,
            errno=_ENOSYS_MIPS,
            only=Condition(machines=_MIPS),
            never=Condition(capabilities=_ADMIN),
        ),
        _with("CAP_SYS_BOOT", "reboot"),
        _with("CAP_SYS_CHROOT", "chroot"),
        _with("CAP_SYS_MODULE", "delete_module init_module finit_module"),
        _with("CAP_SYS_PACCT", "acct"),
        _with(
            "CAP_SYS_PTRACE",
            "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace",
        ),
        _with("CAP_SYS_RAWIO", "iopl ioperm"),
        _with("CAP_SYS_TIME", "settimeofday stime clock_settime"),
        _with("CAP_SYS_TTY_CONFIG", "vhangup"),
        _with("CAP_SYS_NICE", "get_mempolicy mbind set_mempolicy"),
        _with("CAP_SYSLOG", "syslog"),
    ),
)
