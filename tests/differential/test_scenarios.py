"""Each scenario runs on both engines; after every step they must show the same.

docs/differential.md says how to read a difference and how to add a scenario.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.differential import (
    scenarios_bridge,
    scenarios_connect,
    scenarios_create,
    scenarios_lists,
    scenarios_modes,
    scenarios_names,
    scenarios_networks,
)
from tests.differential.compare import Accepted, differences, report
from tests.differential.pair import Pair, Side
from tests.differential.scenario import SCENARIOS, Scenario
from tests.differential.stage import Stage, Step, clear

# Docker looks 15 s for a driver that there is not
pytestmark = [
    pytest.mark.root,
    pytest.mark.engine,
    pytest.mark.slow,
    pytest.mark.timeout(180),
]

MODULES = (
    scenarios_bridge,
    scenarios_connect,
    scenarios_create,
    scenarios_lists,
    scenarios_modes,
    scenarios_names,
    scenarios_networks,
)
RANDOM = "random"
"""The scenario of the random sequences, whose entries this page cannot see used."""

ran: set[str] = set()


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_both_engines_show_the_same(pair: Pair, accepted: Accepted, name: str) -> None:
    ran.add(name)
    with ThreadPoolExecutor(2) as pool:
        docker, reference = pool.map(lambda side: played(side, SCENARIOS[name]), pair.sides)
    assert [step.label for step in docker] == [step.label for step in reference]
    for number, (ours, theirs) in enumerate(zip(docker, reference, strict=True), start=1):
        found = accepted.unexplained(differences(ours.seen, theirs.seen), name)
        if found:
            steps = "\n".join(f"  {step.label}" for step in docker[:number])
            pytest.fail(f"after these steps:\n{steps}\n\n{report(found)}", pytrace=False)


def test_every_accepted_difference_was_seen(accepted: Accepted) -> None:
    assert ran == set(SCENARIOS), "only a run of all scenarios tells which entries are needed"
    stale = [entry for entry in accepted.stale() if entry.scenario != RANDOM]
    assert not stale, f"no difference needs these entries of accepted.toml any more: {stale}"


def played(side: Side, scenario: Scenario) -> list[Step]:
    """Play a scenario on one engine, which is empty before and after."""
    stage = Stage(side)
    try:
        scenario(stage)
        stage.finish()
    finally:
        clear(side)
    return stage.steps
