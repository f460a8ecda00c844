from typing import Any

import pytest

from conformance.capabilities import PROBES
from conformance.engines.external import ExternalEngine
from conformance.engines.settings import load_settings
from conformance.registry import load_catalogue
from conformance.upgrade import Seen
from conformance.upgraded import SETUP_CONTAINERS, SETUP_NETWORKS, Stage
from conformance.violation import BehaviourViolated

STATE = {"Running": True, "Pid": 7}


def seen(networks: dict[str, Any], **state: object) -> Seen:
    return Seen(inspect={"State": {**STATE, **state}, "NetworkSettings": {"Networks": networks}})


def stage(**more) -> Stage:
    return Stage(release="docker-26.1", version="26.1.5", containers={}, networks={}, **more)


def test_path_of_an_upgrade_leads_through_engines_that_are_there():
    settings = load_settings()
    for engine in settings.values():
        assert set(engine.upgrades_from) <= set(settings) - {engine.name}


def test_rows_of_an_upgrade_stay_out_of_the_main_job():
    rows = [row for row in load_catalogue() if row.id.startswith("upgrade.")]
    assert rows
    for row in rows:
        assert {"own-daemon", "upgrade-from"} <= set(row.needs)
        assert row.docker.startswith(">=2")


def test_engine_without_a_path_has_no_older_release():
    elsewhere = ExternalEngine("unix:///var/run/docker.sock")
    assert not PROBES["upgrade-from"].check(elsewhere)


def test_set_up_names_only_networks_that_it_has():
    default = {"bridge", "host", "none", "container:fixed"}
    for role in SETUP_CONTAINERS.values():
        assert role.mode in default | set(SETUP_NETWORKS)
        assert {*role.before, *role.after} <= set(SETUP_NETWORKS)


def test_default_network_of_podman_is_found_under_dockers_name():
    assert seen({"podman": {"IPAddress": "10.88.0.2"}}).endpoint("bridge")["IPAddress"]


def test_row_fails_for_what_was_not_made():
    found = stage(refused={"linker": "no links here"})
    with pytest.raises(BehaviourViolated, match="no links here"):
        found.seen("linker")
    with pytest.raises(BehaviourViolated, match="it is not there"):
        found.network("n-red")


def test_row_fails_for_what_was_not_started():
    now = stage(refused={"plain": "HTTP 500: no"}, is_started=True)
    now.containers["plain"] = seen({}, Running=False, Pid=0)
    with pytest.raises(BehaviourViolated, match="HTTP 500: no"):
        now.seen("plain")
