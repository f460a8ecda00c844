"""Lets `pytest conformance/behaviours/... --engine reference` work; for pytest only.

pytest reads this file when it is called with this folder or something in it, and never else.
"""

import pytest


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    """Load the suite's plugin, unless `python -m conformance run` has loaded it by its name."""
    pluginmanager.import_plugin("conformance.plugin")
