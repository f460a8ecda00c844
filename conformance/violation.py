"""What it means that an engine did not do what a row states: both sides, as text."""

import json


class BehaviourViolated(AssertionError):
    """The engine did not do what the row states."""

    def __init__(self, what: str, expected: object, actual: object) -> None:
        """Keep the parts, so that the report can show them side by side."""
        self.what = what
        self.expected = expected if isinstance(expected, str) else show(expected)
        self.actual = actual if isinstance(actual, str) else show(actual)
        super().__init__(f"{what}\n  Expected: {self.expected}\n  Actual:   {self.actual}")


def show(value: object) -> str:
    """Write a value the same way every time, so that two reports can be compared."""
    if isinstance(value, set | frozenset):
        value = sorted(value, key=repr)
    try:
        return json.dumps(value, sort_keys=True, ensure_ascii=False)
    except TypeError:
        return repr(value)
