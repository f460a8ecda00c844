"""Goal: a process has the environment that Docker's has, also where names come twice.

The expected lines are what `env` prints in a container of Docker 20.10 (see also the differential
scenario `environments`), before the runtime takes the last of each name.
"""

import pytest

from refimpl.daemon.lifecycle.spec import replace_or_append_env


@pytest.mark.parametrize(
    ("defaults", "overrides", "expected"),
    [
        (["A=1", "B=2"], ["A=3"], ["A=3", "B=2"]),
        (["A=1"], ["B=2", "B=3"], ["A=1", "B=2", "B=3"]),
        (["A=1", "B=2"], ["A"], ["B=2"]),
        (["A=1"], ["A", "A=2"], ["A=2"]),
        (["A=1"], ["A=2", "A"], []),
        ([], ["A=1", "A"], ["A=1"]),
        (["A=1", "A=2"], ["A"], ["A=1"]),
        (["A=1"], ["A="], ["A="]),
        (["A=1"], ["=2"], ["A=1", "=2"]),
    ],
)
def test_lines_replace_defaults_and_a_bare_name_removes_one(defaults, overrides, expected):
    assert list(replace_or_append_env(defaults, overrides)) == expected
