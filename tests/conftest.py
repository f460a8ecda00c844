"""A machine on which nothing may be skipped: with NETINIT_NO_SKIP=1 a test that cannot run fails.

Hosted CI sets it: a job that skips its tests because a program is missing would be green.
"""

import os
from collections.abc import Generator

import pytest

# Skips that no machine could avoid: the case itself says that it is about something else.
_BY_NATURE = (
    "the words are runc's",
    "this CLI sends --mac-address to no engine of before 1.44",
    "it runs on this machine's files",
    "this machine has its own",
)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure."""
    report = yield
    if not report.skipped or hasattr(report, "wasxfail") or not os.environ.get("NETINIT_NO_SKIP"):
        return report
    reason = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else ""
    if not any(words in reason for words in _BY_NATURE):
        report.outcome = "failed"
        report.longrepr = f"{reason or 'Skipped'}, and NETINIT_NO_SKIP says that nothing may be"
    return report
