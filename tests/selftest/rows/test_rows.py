"""Rows for the deviant engine: one for each way in which a row can end."""

import pytest

from conformance.assertions import expect_equal
from conformance.observe.poll import eventually
from conformance.registry import behaviour


def started(container):
    """Start it without the look at its process that `run` takes: the deviant engine has none."""
    container.start()
    container.reload()
    return container.attrs


@behaviour("self.runs", "A started container MUST run.", source="selftest")
def test_started_container_runs(create):
    expect_equal("whether it runs", True, started(create())["State"]["Running"])


@behaviour("self.runs-if-possible", "A started container SHOULD run.", source="selftest")
def test_started_container_runs_if_possible(create):
    expect_equal("whether it runs", True, started(create())["State"]["Running"])


@behaviour("self.creates", "A container MUST be created.", source="selftest")
def test_container_is_created(create):
    assert create().id


@behaviour("self.each-value", "Each value MUST be the first one.", source="selftest")
@pytest.mark.parametrize("value", ["one", "two"])
def test_each_value(value):
    expect_equal("which value", "one", value)


@behaviour("self.broken-row", "A row MUST NOT be wrong itself.", source="selftest")
def test_broken_row():
    raise KeyError("a mistake in the row")


@behaviour("self.slow", "A container MUST come up at last.", source="selftest")
def test_slow(create):
    started(create())
    eventually("something that never happens", lambda: False, timeout_s=120)


@behaviour("self.own-daemon", "A daemon MAY be restarted.", source="selftest")
def test_own_daemon(own_daemon):
    own_daemon()


@behaviour("self.later-release", "A later release MUST do more.", source="x", docker=">=99")
def test_later_release():
    raise AssertionError
