"""How a verdict is drawn: symbol, plain letter, colour, meaning."""

from dataclasses import dataclass

from conformance.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class Symbol:
    """One verdict's look."""

    symbol: str
    ascii: str
    style: str
    meaning: str


SYMBOLS = {
    Verdict.PASS: Symbol("✓", ".", "green", "pass"),
    Verdict.KNOWN: Symbol("~", "~", "yellow", "known deviation"),
    Verdict.FAIL: Symbol("✗", "X", "bold red", "new failure"),
    Verdict.FIXED: Symbol("!", "!", "bold magenta", "unexpectedly fixed"),
    Verdict.NON_STRICT: Symbol("s", "s", "yellow", "SHOULD not met"),
    Verdict.ERROR: Symbol("E", "E", "bold red", "harness error"),
    Verdict.NOT_PROMISED: Symbol("-", "-", "dim", "not promised"),
    Verdict.UNSUPPORTED: Symbol("?", "?", "dim", "capability missing"),
}
