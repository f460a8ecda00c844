"""The scenarios by name: every `@scenario` function of the modules `scenarios_*.py`."""

from __future__ import annotations

from collections.abc import Callable

from tests.differential.stage import Stage

Scenario = Callable[[Stage], None]
SCENARIOS: dict[str, Scenario] = {}


def scenario(function: Scenario) -> Scenario:
    """Register a scenario under its function's name."""
    assert function.__name__ not in SCENARIOS, f"two scenarios are called {function.__name__}"
    SCENARIOS[function.__name__] = function
    return function
