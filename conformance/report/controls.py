"""Free text for a terminal: what a report says may not steer it."""

import re

# All but the end of a line.
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


def without_controls(text: str) -> str:
    """Give a text with `?` for each control character but the end of a line."""
    return _CONTROL.sub("?", text)
