"""Random requests at the running daemon: valid, nearly valid and hostile ones.

Hypothesis chooses them. NETINIT_PROFILE=nightly sends more, each time others, and the same ones to
a real Docker 20.10; NETINIT_FUZZ_SEED=N repeats a run. What a failing run prints goes into
test_found.py as it is.
"""

from __future__ import annotations

import os
import secrets
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.fuzz.field import Field, open_field, why_no_docker
from tests.fuzz.shots import Shot
from tests.fuzz.strategies import shots

pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it starts a daemon"),
]
IS_NIGHTLY = os.environ.get("NETINIT_PROFILE") == "nightly"
SHOTS = 20_000 if IS_NIGHTLY else 1_000
SHOTS_A_RUN = 50
SEED = 11
"""Of the run that is the same every time."""


class Run(RuleBasedStateMachine):
    """One run of shots, from an empty engine to an empty engine."""

    field: ClassVar[Field]

    @initialize()
    def begin(self) -> None:
        """Make what the shots meet."""
        self.field.begin()

    @rule(shot=st.runner().flatmap(lambda run: shots(run.field.known)))
    def shoot(self, shot: Shot) -> None:
        """Send one."""
        self.field.shoot(shot)

    def teardown(self) -> None:
        """Remove everything, and look for what is left."""
        self.field.end()


def fuzz(field: Field, count: int, *, begins_with: int, shortens: bool = False) -> None:
    """Send some `count` shots or a few more, and raise what was found."""
    Run.field = field
    phases = [Phase.generate, Phase.shrink] if shortens else [Phase.generate]
    chosen = settings(
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        verbosity=Verbosity.normal,
        max_examples=-(-count // SHOTS_A_RUN) + 1,
        stateful_step_count=SHOTS_A_RUN,
        phases=phases,
    )
    run_state_machine_as_test(seed(begins_with)(Run), settings=chosen)
    field.conclude()


@pytest.mark.timeout(120 * 60 if IS_NIGHTLY else 300)
def test_no_request_harms_the_daemon(capsys):
    begins_with = SEED
    if IS_NIGHTLY:
        if reason := why_no_docker():
            pytest.skip(reason)
        begins_with = secrets.randbelow(10**6)
    begins_with = int(os.environ.get("NETINIT_FUZZ_SEED", begins_with))
    count = int(os.environ.get("NETINIT_FUZZ_SHOTS", SHOTS))
    with capsys.disabled():
        print(f"\nNETINIT_FUZZ_SEED={begins_with}")
    with open_field("r", with_docker=IS_NIGHTLY, collects=not IS_NIGHTLY) as field:
        try:
            fuzz(field, count, begins_with=begins_with, shortens=IS_NIGHTLY)
        finally:
            with capsys.disabled():
                print(field.summary())
        assert field.tally["shots"] >= count
