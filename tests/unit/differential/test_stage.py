"""What the stage of the scenarios refuses and waits for, as far as it needs no engine."""

import pytest

from tests.differential.snapshot import has_settled
from tests.differential.stage import Stage, check_name
from tests.differential.steps import CONTAINERS, GHOST, NETWORKS, NEW_NAMES


@pytest.mark.parametrize("name", ["bad", "cafe", "c4", "0"])
def test_nothing_gets_a_name_that_may_be_the_beginning_of_an_id(name):
    stage = Stage.__new__(Stage)  # refused before anything is asked
    with pytest.raises(ValueError, match="may be the beginning of an id"):
        stage.create(name)
    with pytest.raises(ValueError, match="may be the beginning of an id"):
        stage.rename("ct1", name)
    with pytest.raises(ValueError, match="may be the beginning of an id"):
        stage.network(name)


def test_no_step_of_a_walk_has_such_a_name():
    for name in (*CONTAINERS, *NETWORKS, *NEW_NAMES, GHOST):
        check_name(name)


@pytest.mark.parametrize(
    ("flags", "state", "is_settled"),
    [
        (["LOOPBACK", "LOWER_UP", "UP"], "UNKNOWN", True),
        (["BROADCAST", "LOWER_UP", "UP"], "UP", True),
        (["BROADCAST", "LOWER_UP", "UP"], "UNKNOWN", False),
        (["BROADCAST", "LOWER_UP", "UP"], "DOWN", False),
        (["BROADCAST", "NO-CARRIER", "UP"], "UP", False),
        (["BROADCAST", "NO-CARRIER", "UP"], "LOWERLAYERDOWN", True),
        (["BROADCAST"], "DOWN", True),
    ],
)
def test_link_has_settled_when_its_state_is_that_of_its_carrier(flags, state, is_settled):
    assert has_settled({"flags": flags, "operstate": state}) is is_settled
