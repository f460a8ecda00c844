"""Go's conversions of text, in Go's words."""

from __future__ import annotations

import pytest

from refimpl.model.strconv import parse_bool, parse_int, quote


def test_strings_are_quoted_as_strconv_does() -> None:
    assert quote("x") == '"x"'
    assert quote('a"\n\\\x01é\u2028\U000e0001') == r'"a\"\n\\\x01é\u2028\U000e0001"'
    assert quote("it's") == '"it\'s"'


@pytest.mark.parametrize("text", ["1", "t", "T", "TRUE", "true", "True"])
def test_a_true_word_is_true(text: str) -> None:
    assert parse_bool(text) is True


@pytest.mark.parametrize("text", ["0", "f", "F", "FALSE", "false", "False"])
def test_a_false_word_is_false(text: str) -> None:
    assert parse_bool(text) is False


@pytest.mark.parametrize("text", ["", "yes", "tRUE", " 1", "2"])
def test_any_other_word_is_no_boolean(text: str) -> None:
    with pytest.raises(ValueError, match="invalid syntax") as refused:
        parse_bool(text)
    assert str(refused.value) == f'strconv.ParseBool: parsing "{text}": invalid syntax'


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("-0", 0),
        ("+7", 7),
        ("9223372036854775807", (1 << 63) - 1),
        ("-9223372036854775808", -(1 << 63)),
        ("0" * 5000 + "1", 1),
    ],
)
def test_an_integer_has_64_bits(text: str, value: int) -> None:
    assert parse_int(text) == value


@pytest.mark.parametrize(
    "text", ["9223372036854775808", "-9223372036854775809", "1" * 20, "9" * 100_000]
)
def test_an_integer_beyond_64_bits_is_out_of_range(text: str) -> None:
    with pytest.raises(ValueError, match="value out of range"):
        parse_int(text)


@pytest.mark.parametrize("text", ["", "x", "1_0", " 1", "1\n", "1.5", "٣", "0x10", "--1", "+"])
def test_what_is_no_integer_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid syntax") as refused:
        parse_int(text, "ParseInt")
    assert str(refused.value) == f"strconv.ParseInt: parsing {quote(text)}: invalid syntax"
