"""A client's pattern matches as in Go, and costs the other threads nothing."""

from __future__ import annotations

import pytest

from refimpl.errors import InvalidParameter
from refimpl.limits import PATTERN_BYTES_MAX
from refimpl.model.patterns import Patterns, has_labels


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("web", "web"),
        ("web", "my-website"),
        ("^/web$", "/web"),
        ("w.b", "web"),
        (r"\Aw[[:alpha:]]b\z", "web"),
        ("(?i)WEB", "web"),
        ("[", "["),
        ("w(", "w("),
        ("", "anything"),
        (r"\pL", "é"),
        ("ö", "schön"),
    ],
)
def test_a_pattern_is_found_in_a_text_or_is_the_text(pattern: str, text: str) -> None:
    assert Patterns([pattern]).match(text)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("web", "we"),
        ("^web$", "/web"),
        ("[", "a[b"),  # what is no pattern matches only itself
        ("(?=web)", "web"),  # Python's look-ahead is none of Go's
        (r"(w)\1", "ww"),
        ("x{1001}", "x" * 1001),
    ],
)
def test_a_pattern_that_go_would_not_find_is_not_found(pattern: str, text: str) -> None:
    assert not Patterns([pattern]).match(text)


def test_one_of_several_patterns_is_enough() -> None:
    assert Patterns(["nothing", "^a", "["]).match("abc")
    assert not Patterns([]).match("abc")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("pattern", ["([0-9a-f]+)+z", "(a?){100}a{100}$", "(.*)*(.*)*(.*)*x"])
def test_no_pattern_takes_time_beyond_its_text(pattern: str) -> None:
    """Python's `re` would go on with the first one for longer than the universe exists."""
    assert not Patterns([pattern]).match("f" * 64)


def test_patterns_are_limited_but_plain_words_are_not() -> None:
    Patterns(["0123456789ab" * 5] * 1000)
    Patterns(["a." * (PATTERN_BYTES_MAX // 2)])
    with pytest.raises(InvalidParameter, match="longer than 1024 bytes"):
        Patterns(["a." * (PATTERN_BYTES_MAX // 4)] * 3)


def test_a_pattern_that_needs_too_much_memory_matches_nothing() -> None:
    assert not Patterns(["(x{1000}){1000}", "x{1000}" * 140]).match("x" * 100_000)


def test_labels_match_by_key_or_by_key_and_value() -> None:
    labels = {"a": "1", "b": "", "c=d": "e"}
    assert has_labels(labels, ["a", "a=1", "b="])
    assert not has_labels(labels, ["a", "missing"])
    assert not has_labels(labels, ["a=2"])
    assert has_labels({}, [])
