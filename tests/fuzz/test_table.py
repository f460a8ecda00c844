"""The table of 5xx: its examples are asked for on the reference and on Docker, if there is one."""

from __future__ import annotations

import os
import re

import pytest

from tests.fuzz import table
from tests.fuzz.field import open_field, why_no_docker
from tests.fuzz.routing import ENDPOINTS
from tests.fuzz.wire import Outcome

ENTRIES = table.load()


def test_table_is_about_routes_that_exist():
    routes = {route for entry in ENTRIES for route in entry.routes}
    assert routes - {"*"} <= {endpoint.name for endpoint in ENDPOINTS}


def test_table_gives_a_reason_and_an_oddity_for_each():
    assert [entry for entry in ENTRIES if not (entry.reason and entry.odd)] == []
    assert {entry.engine for entry in ENTRIES} == {"docker", "reference"}


def test_pattern_covers_its_own_status_and_whole_text_only():
    entry = next(entry for entry in ENTRIES if "POST /networks/prune" in entry.routes)
    route, said = "POST /networks/prune", "invalid character 'x' looking for beginning of value"
    assert entry.covers(route, Outcome("answer", 500, said))
    assert entry.covers(route, Outcome("left", 500))
    assert not entry.covers(route, Outcome("answer", 503, said))
    assert not entry.covers(route, Outcome("answer", 500, f"list index out of range: {said}"))
    assert not entry.covers("GET /info", Outcome("answer", 500, said))


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it starts a daemon")
@pytest.mark.timeout(180)
@pytest.mark.parametrize("engine", ["reference", "docker"])
def test_engine_answers_every_example_as_recorded(engine):
    if engine == "docker" and (reason := why_no_docker()):
        pytest.skip(reason)
    other = []
    with open_field("t", with_docker=engine == "docker") as field:
        side = field.docker or field.reference
        for entry in ENTRIES:
            if not entry.example or (engine == "docker" and entry.engine == "reference"):
                continue
            outcome = side.shoot(entry.shot())
            if outcome.status != entry.status or not entry.says(outcome.message):
                other.append(f"{entry.example} {entry.body}: {outcome.status} {outcome.message}")
    assert other == [], re.sub(r"', '", "\n", str(other))
