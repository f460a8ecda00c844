"""The words that `run` hands on to pytest: which it may not, and which only ask pytest to show."""

from collections.abc import Sequence

_SHOWING = {"-h", "--help", "-V", "--version", "--co", "--collect-only"}
# They are the suite's own: `run` gives them itself, after it has seen that they can be met.
_OURS = ("--engine", "--netinit-")


def refused(words: Sequence[str]) -> str:
    """Say which word is not pytest's; "" = none."""
    for word in words:
        name = word.partition("=")[0]
        if name == _OURS[0] or name.startswith(_OURS[1]):
            return f"{name} is no option of pytest's: it does not go behind `--`"
    return ""


def showing(words: Sequence[str]) -> str:
    """Give the word that makes pytest show something and run no row; "" = there is none."""
    return next((word for word in words if word in _SHOWING), "")
