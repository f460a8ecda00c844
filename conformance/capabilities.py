"""What an engine can, found out by asking it: probed, never guessed from failures.

A row names what it needs; where a probe says no, the row is `unsupported` and does not run.
"""

import os
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from conformance.engines.base import Engine
from conformance.engines.factory import make_engine
from conformance.engines.managed import ManagedEngine
from conformance.engines.settings import load_settings
from conformance.observe.host import HostView
from conformance.observe.metrics import MetricsReader


@dataclass(frozen=True, slots=True)
class Probe:
    """One capability: what it means, how to find out, and how to get it where it is missing.

    `is_of_machine` says that it is the machine's, mostly its kernel's, whatever engine is there.
    """

    meaning: str
    check: Callable[[Engine], bool]
    remedy: str
    is_of_machine: bool = False


def _has_own_daemon(engine: Engine) -> bool:
    return engine.is_managed and os.geteuid() == 0


def _has_host_view(engine: Engine) -> bool:
    inside = engine.inside()
    return os.geteuid() == 0 and inside is not None and HostView(inside).is_usable()


def _has_metrics(engine: Engine) -> bool:
    inside = engine.inside()
    return (
        os.geteuid() == 0
        and inside is not None
        and bool(inside.metrics_url)
        and MetricsReader(inside).is_usable()
    )


def _has_ipv4(engine: Engine) -> bool:
    return bool(engine.client().info().get("IPv4Forwarding"))


def _has_memory_limit(engine: Engine) -> bool:
    return bool(engine.client().info().get("MemoryLimit"))


def _has_container_folder(engine: Engine) -> bool:
    inside = engine.inside()
    if inside is None or not _has_host_view(engine):
        return False
    return (HostView(inside).file(inside.data_root) / "containers").is_dir()


def has_link_kind(*words: str) -> bool:
    """Tell whether this machine's kernel makes a link, in a namespace that ends with the attempt.

    Args:
        words: what follows `ip link add`; the link `ni-a` is there for it to hang on.
    """
    script = 'ip link add ni-a type veth peer name ni-b && exec ip link add "$@"'
    command = ("unshare", "--net", "sh", "-c", script, "sh", *words)
    return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0


def _makes(driver: str, *words: str) -> Callable[[Engine], bool]:
    """Look whether an engine has a driver and can make its links on this machine."""
    return lambda engine: (
        _has_driver(driver)(engine) and _has_host_view(engine) and has_link_kind(*words)
    )


def _has_driver(driver: str) -> Callable[[Engine], bool]:
    def check(engine: Engine) -> bool:
        plugins = engine.client().info().get("Plugins") or {}
        return driver in (plugins.get("Network") or [])

    return check


def _has_network_files(engine: Engine) -> bool:
    inside = engine.inside()
    return _has_host_view(engine) and inside is not None and bool(inside.network_files())


def _has_live_restore(engine: Engine) -> bool:
    """Say whether it knows the option and shows it; a row that uses it sees whether it is on."""
    knows = _has_option("--live-restore")(engine)
    return knows and "LiveRestoreEnabled" in engine.client().info()


def _has_older_release(engine: Engine) -> bool:
    """Say whether every release is there from which its state folder comes in an upgrade."""
    settings = load_settings().get(engine.name)
    if settings is None or not settings.upgrades_from or not _has_own_daemon(engine):
        return False
    older = [make_engine(name, run_id="", workspace=Path()) for name in settings.upgrades_from]
    return all(isinstance(one, ManagedEngine) and not one.why_unavailable() for one in older)


def has_sctp() -> bool:
    """Tell whether this machine's kernel makes SCTP sockets."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP).close()
    except OSError:
        return False
    return True


def _has_option(option: str) -> Callable[[Engine], bool]:
    return lambda engine: _has_own_daemon(engine) and option in engine.help_text()


_AS_ROOT = "Run the suite as root, on the engine's own machine."
_OWN = "Let the suite start the engine, as root: `--engine docker-28.5`, not an address."
_DOCKER_ONLY = "Docker and the reference have it, where the suite starts them as root."
_KERNEL = "Load the module {} on the engine's machine, and run the suite there as root."


def _option(name: str) -> Probe:
    option = f"--{name} " if name == "ip" else f"--{name}"  # --ip is the beginning of others
    return Probe(f"its daemon takes the option `{name}`", _has_option(option), _DOCKER_ONLY)


PROBES = {
    "own-daemon": Probe("the suite may start, kill and restart it", _has_own_daemon, _OWN),
    "upgrade-from": Probe(
        "the older releases that engines.toml names in its `upgrades_from` are on this machine",
        _has_older_release,
        "Make them with `python ci/engines/provision.py ENGINE`; see docs/upgrades.md.",
    ),
    "host-view": Probe(
        "its namespaces and files can be seen from the machine", _has_host_view, _AS_ROOT
    ),
    "metrics": Probe(
        "it reports engine_daemon_network_actions_seconds", _has_metrics, _DOCKER_ONLY
    ),
    "container-folder": Probe(
        "it keeps a container's files in <data-root>/containers/<id>",
        _has_container_folder,
        f"Docker and the reference have it. {_AS_ROOT}",
    ),
    "network-files": Probe(
        "the files are known in which it keeps its networks", _has_network_files, _DOCKER_ONLY
    ),
    "live-restore": Probe(
        "its daemon takes the option `live-restore`, and says at /info whether it is on",
        _has_live_restore,
        "Docker has it, where the suite starts it as root.",
    ),
    "memory-limit": Probe(
        "it limits the memory of a container",
        _has_memory_limit,
        "Start the engine where it may write the control group of its containers' memory.",
    ),
    "bridge-option": _option("bridge"),
    "dns-option": _option("dns"),
    "address-pool-option": _option("default-address-pool"),
    "userland-proxy-option": _option("userland-proxy"),
    "ip-option": _option("ip"),
    "icc-option": _option("icc"),
    "ipv6-option": _option("ipv6"),
    "bip-option": _option("bip"),
    "fixed-cidr-option": _option("fixed-cidr"),
    "default-gateway-option": _option("default-gateway"),
    "mtu-option": _option("mtu"),
    "ip-masq-option": _option("ip-masq"),
    "sctp": Probe(
        "the kernel has SCTP sockets",
        lambda engine: _has_host_view(engine) and has_sctp(),
        _KERNEL.format("sctp"),
        is_of_machine=True,
    ),
    "ipv4": Probe(
        "it forwards IPv4",
        _has_ipv4,
        "Set the sysctl net.ipv4.ip_forward=1 on the engine's machine.",
        is_of_machine=True,
    ),
    "macvlan": Probe(
        "it has the driver macvlan, and the kernel such links",
        _makes("macvlan", "link", "ni-a", "name", "ni-c", "type", "macvlan"),
        _KERNEL.format("macvlan"),
        is_of_machine=True,
    ),
    "macvlan-dummy": Probe(
        "it has the driver macvlan, and the kernel dummy links",
        _makes("macvlan", "ni-c", "type", "dummy"),
        _KERNEL.format("dummy"),
        is_of_machine=True,
    ),
    "macvlan-vlan": Probe(
        "it has the driver macvlan, and the kernel 802.1q links",
        _makes("macvlan", "link", "ni-a", "name", "ni-a.10", "type", "vlan", "id", "10"),
        _KERNEL.format("8021q"),
        is_of_machine=True,
    ),
    "ipvlan": Probe(
        "it has the driver ipvlan, and the kernel such links",
        _makes("ipvlan", "link", "ni-a", "name", "ni-c", "type", "ipvlan"),
        _KERNEL.format("ipvlan"),
        is_of_machine=True,
    ),
    "ipvlan-driver": Probe(
        "it has the driver ipvlan",
        _has_driver("ipvlan"),
        "Docker and Podman have it, the reference has not.",
    ),
}


def probe_capabilities(engine: Engine) -> frozenset[str]:
    """Run every probe on a started engine and give the names of those that said yes."""
    return frozenset(name for name, probe in PROBES.items() if probe.check(engine))


def missing_capabilities(needs: tuple[str, ...], has: frozenset[str]) -> str:
    """Say in one sentence which needed capability is missing; "" = none.

    Raises:
        KeyError: a need that no probe knows: a mistake in the row.
    """
    missing = [f"{need} ({PROBES[need].meaning})" for need in needs if need not in has]
    return f"capability missing: {', '.join(missing)}" if missing else ""
