"""Two networks are apart although an engine lets one try through while another network is made."""

from typing import Any

import pytest

from conformance.observe.sockets import Sockets


@pytest.mark.parametrize(
    ("outcomes", "lasts"),
    [
        (["silence"], "silence"),
        (["connected", "silence"], "silence"),
        (["connected"] * 3, "connected"),
    ],
    ids=["apart", "once", "together"],
)
def test_only_a_connection_that_lasts_counts(monkeypatch, outcomes, lasts):
    tries = iter(outcomes)
    monkeypatch.setattr(Sockets, "outcome", lambda *_: next(tries))
    host: Any = None
    assert Sockets(host).outcome_apart(None, "10.0.0.1", 80) == lasts
    assert list(tries) == []
