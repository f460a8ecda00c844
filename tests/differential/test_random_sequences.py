"""Random sequences of steps on the reference and on Docker 20.10: no difference, ever.

Hypothesis chooses the steps, so a walk that fails comes back as a short one. What it prints goes
into test_found_sequences.py as it is. NETINIT_PROFILE=nightly walks longer, each time elsewhere.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.differential.pair import Pair
from tests.differential.steps import (
    ADDRESSES,
    ALIASES,
    CONTAINER_EXTRAS,
    CONTAINERS,
    ENDPOINT_LINKS,
    GHOST,
    NETWORK_KINDS,
    NETWORKS,
    NEW_NAMES,
    NONSENSE,
    SIGNALS,
)
from tests.differential.walk import Walk
from tests.differential.world import PREDEFINED

IS_NIGHTLY = os.environ.get("NETINIT_PROFILE") == "nightly"
NIGHTLY_STEPS = 2000
_COMMON = settings(
    deadline=None,
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
    verbosity=Verbosity.normal,
)
# The steps of every run are the same, and none is spent on making a failing walk shorter.
SHORT = settings(
    _COMMON,
    database=None,
    max_examples=4,
    stateful_step_count=40,
    phases=[Phase.generate],
)
SHORT_SEED = 3
"""One whose walks start many containers and meet many refusals."""

LONG = settings(_COMMON, max_examples=64, stateful_step_count=50)


def _state(*states: str) -> st.SearchStrategy[str]:
    """Give containers in one of some states, now and then another one, and seldom nobody."""

    def choose(walk: Walk) -> st.SearchStrategy[str]:
        return st.sampled_from([*_in_state(walk, *states) * 8, *sorted(walk.containers), GHOST])

    return st.runner().flatmap(choose)


def _in_state(walk: Walk, *states: str) -> list[str]:
    containers = sorted(walk.containers.items())
    return [name for name, seen in containers if seen["State"]["Status"] in states]


def _made_networks(walk: Walk) -> list[str]:
    return sorted(walk.networks & set(NETWORKS))


def _free(walk: Walk) -> st.SearchStrategy[str]:
    taken = sorted(walk.containers)
    free = [name for name in CONTAINERS if name not in taken]
    return st.sampled_from([*free * 8, *taken[:1]])


def _unmade(walk: Walk) -> st.SearchStrategy[str]:
    unmade = [name for name in NETWORKS if name not in walk.networks]
    return st.sampled_from([*unmade * 8, *_made_networks(walk), "bridge"])


def _made(walk: Walk) -> st.SearchStrategy[str]:
    return st.sampled_from([*_made_networks(walk) * 8, *NETWORKS, *PREDEFINED, GHOST])


def _mode(walk: Walk) -> st.SearchStrategy[str]:
    others = [f"container:{name}" for name in (*sorted(walk.containers), GHOST)]
    plain = ["default", "bridge", "bridge", "host", "none", "", "container:"]
    return st.sampled_from([*_made_networks(walk) * 8, *NETWORKS, *others * 2, *plain])


def _mostly(first: str, *others: str) -> st.SearchStrategy[str]:
    return st.sampled_from([*[first] * 2 * len(others), *others])


def _if(sense: Callable[[Walk], object]) -> Callable[[Any], Any]:
    """Let a rule be chosen when it makes sense, and at every eighth step when it does not."""
    return precondition(lambda walk: bool(sense(walk)) or walk.counts["steps"] % 8 == 7)


_ANY = _state("created", "running", "paused", "exited")
_RUNNING = _state("running")
_STOPPED = _state("created", "exited")
_NETWORK = st.runner().flatmap(_made)
_has_containers = _if(lambda walk: walk.containers)
_has_room_for_networks = _if(lambda walk: len(_made_networks(walk)) < len(NETWORKS))
_seldom = precondition(lambda walk: walk.counts["steps"] % 4 == 3)
_has_both = _if(lambda walk: walk.containers and _made_networks(walk))
_has_running = _if(lambda walk: _in_state(walk, "running"))
_has_stopped = _if(lambda walk: _in_state(walk, "created", "exited"))
_has_paused = _if(lambda walk: _in_state(walk, "paused"))
_has_room = _if(lambda walk: len(walk.containers) < len(CONTAINERS))
_create: dict[str, Any] = {
    "container": st.runner().flatmap(_free),
    "mode": st.runner().flatmap(_mode),
    "extra": st.sampled_from([*["plain"] * len(CONTAINER_EXTRAS), *CONTAINER_EXTRAS]),
    "address": _mostly(*ADDRESSES),
    "alias": _mostly(*ALIASES),
}
_connect: dict[str, Any] = {
    "network": _NETWORK,
    "container": _ANY,
    "address": _mostly(*ADDRESSES),
    "alias": _mostly(*ALIASES),
    "link": _mostly(*ENDPOINT_LINKS),
}
_kind = st.sampled_from([*["plain"] * len(NETWORK_KINDS), *NETWORK_KINDS])


class RandomWalk(Walk, RuleBasedStateMachine):
    """The steps as rules: what can be done next, and with what; some stand twice, to come often."""

    pair: Pair
    total: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        Walk.__init__(self, self.pair)
        RuleBasedStateMachine.__init__(self)

    first_network = initialize(network=st.just("alpha"), kind=_kind, check_duplicate=st.just(True))(
        Walk.network_create
    )
    second_network = initialize(network=st.just("zeta"), kind=_kind, check_duplicate=st.just(True))(
        Walk.network_create
    )
    network_create = _has_room_for_networks(
        rule(network=st.runner().flatmap(_unmade), kind=_kind, check_duplicate=st.booleans())(
            Walk.network_create
        )
    )
    network_rm = _seldom(rule(network=_NETWORK)(Walk.network_rm))
    connect = _has_both(rule(**_connect)(Walk.connect))
    connect_more = _has_both(rule(**_connect)(Walk.connect))
    disconnect = _has_both(
        rule(network=_NETWORK, container=_ANY, force=st.booleans())(Walk.disconnect)
    )
    create = _has_room(rule(**_create)(Walk.create))
    create_more = _has_room(rule(**_create)(Walk.create))
    start = _has_stopped(rule(container=_STOPPED)(Walk.start))
    start_more = _has_stopped(rule(container=_STOPPED)(Walk.start))
    restart = _has_containers(rule(container=_ANY)(Walk.restart))
    stop = _has_running(rule(container=_RUNNING)(Walk.stop))
    kill = _has_running(rule(container=_RUNNING, signal=_mostly(*SIGNALS))(Walk.kill))
    pause = _has_running(rule(container=_RUNNING)(Walk.pause))
    unpause = _has_paused(rule(container=_state("paused"))(Walk.unpause))
    rename = _has_containers(rule(container=_ANY, to=st.sampled_from(NEW_NAMES))(Walk.rename))
    rm = _has_stopped(rule(container=_STOPPED, force=st.booleans())(Walk.rm))
    nonsense = _seldom(rule(request=st.sampled_from(sorted(NONSENSE)))(Walk.nonsense))

    def teardown(self) -> None:
        """End the walk and count its steps."""
        try:
            self.end()
        finally:
            RandomWalk.total += self.counts


@pytest.mark.timeout(45 * 60 if IS_NIGHTLY else 300)
def test_random_walks_show_no_difference(walked_pair, capsys):
    RandomWalk.pair = walked_pair
    RandomWalk.total = Counter()
    try:
        if IS_NIGHTLY:
            run_state_machine_as_test(RandomWalk, settings=LONG)
        else:
            run_state_machine_as_test(seed(SHORT_SEED)(RandomWalk), settings=SHORT)
    finally:
        with capsys.disabled():
            print("\n" + ", ".join(f"{count} {what}" for what, count in RandomWalk.total.items()))
    assert RandomWalk.total["steps"] >= (NIGHTLY_STEPS if IS_NIGHTLY else 100)
    assert RandomWalk.total["pings answered"] > 100
    assert RandomWalk.total["names answered"] > 100
