"""docs/firewall.md is what a live daemon does, and the host's own rules stay as they are."""

from __future__ import annotations

import signal

import pytest

from tests.kernel.firewall_page import PAGE, hosts_engine, nft, page, stages

pytestmark = [pytest.mark.root]


def others() -> dict[str, str]:
    """Return every table but the engine's, as nft lists it."""
    names = [line.partition(" ")[2] for line in nft("list", "tables").splitlines()]
    return {name: nft("list", "table", *name.split()) for name in names if "netinit" not in name}


def test_page_is_what_a_live_daemon_does_and_the_hosts_rules_stay(tmp_path):
    with hosts_engine(tmp_path) as engine:
        before = others()
        assert set(before) == {"inet mine", "ip nat"}
        assert page(stages(engine)) == PAGE.read_text(encoding="utf-8")
        assert others() == before
        for name in engine.docker("ps", "-aq").split():
            engine.docker("rm", "-f", name)
        for name in engine.docker("network", "ls", "-q", "--filter", "type=custom").split():
            engine.docker("network", "rm", name)
        assert engine.end(signal.SIGTERM) == 0
        assert others() == before
