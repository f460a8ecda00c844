"""What an engine can, found out by asking it: probed, never guessed from failures.

A row names what it needs; where a probe says no, the row is `unsupported` and does not run.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass

from conformance.engines.base import Engine
from conformance.observe.host import HostView
from conformance.observe.metrics import MetricsReader


@dataclass(frozen=True, slots=True)
class Probe:
    """One capability: what it means, and how to find out."""

    meaning: str
    check: Callable[[Engine], bool]


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


def _has_container_folder(engine: Engine) -> bool:
    inside = engine.inside()
    if inside is None or not _has_host_view(engine):
        return False
    return (HostView(inside).file(inside.data_root) / "containers").is_dir()


def _has_option(option: str) -> Callable[[Engine], bool]:
    return lambda engine: _has_own_daemon(engine) and option in engine.help_text()


PROBES = {
    "own-daemon": Probe("the suite may start, kill and restart it", _has_own_daemon),
    "host-view": Probe("its namespaces and files can be seen from the machine", _has_host_view),
    "metrics": Probe("it reports engine_daemon_network_actions_seconds", _has_metrics),
    "container-folder": Probe(
        "it keeps a container's files in <data-root>/containers/<id>", _has_container_folder
    ),
    "bridge-option": Probe("its daemon takes the option `bridge`", _has_option("--bridge")),
    "dns-option": Probe("its daemon takes the option `dns`", _has_option("--dns")),
    "userland-proxy-option": Probe(
        "its daemon takes the option `userland-proxy`", _has_option("--userland-proxy")
    ),
    "ip-option": Probe("its daemon takes the option `ip`", _has_option("--ip ")),
    "icc-option": Probe("its daemon takes the option `icc`", _has_option("--icc")),
    "ipv4": Probe("it forwards IPv4", _has_ipv4),
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
