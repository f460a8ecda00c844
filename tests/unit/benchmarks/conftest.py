"""What every test of the benchmarks begins and ends with."""

import signal

import pytest


@pytest.fixture(autouse=True)
def _own_sigterm():
    """Take SIGTERM back from the commands, which turn it into an interrupt."""
    before = signal.signal(signal.SIGTERM, lambda _signal, _frame: None)
    yield
    signal.signal(signal.SIGTERM, before)
