"""Two networks are apart although an engine lets one try through while another network is made."""

from typing import Any

import pytest

from conformance.observe.sockets import Sockets


@pytest.mark.parametrize(
    ("are_others_at_work", "outcomes", "lasts"),
    [
        (True, ["silence"], "silence"),
        (True, ["connected", "silence"], "silence"),
        (True, ["connected"] * 3, "connected"),
        (False, ["connected"], "connected"),
    ],
    ids=["apart", "once", "together", "alone"],
)
def test_only_a_connection_that_lasts_counts(monkeypatch, are_others_at_work, outcomes, lasts):
    tries = iter(outcomes)
    monkeypatch.setattr(Sockets, "outcome", lambda *_: next(tries))
    host: Any = None
    sockets = Sockets(host, are_others_at_work=are_others_at_work)
    assert sockets.outcome_apart(None, "10.0.0.1", 80) == lasts
    assert list(tries) == []
