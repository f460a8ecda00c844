"""The words for malformed JSON are those that dockerd 20.10.24 answered when it was asked."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable

import pytest

from refimpl.api import gojson
from refimpl.limits import (
    JSON_BYTES_MAX,
    JSON_DEPTH_MAX,
    JSON_EXACT_ERROR_BYTES_MAX,
    JSON_MEMBERS_MAX,
)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (b"", "EOF"),
        (b"   ", "EOF"),
        (b"{", "unexpected EOF"),
        (b'{"Image":"a"', "unexpected EOF"),
        (b"nul", "unexpected EOF"),
        (b"-", "unexpected EOF"),
        (b'{"a":{"b":[1,{}]}', "unexpected EOF"),
        (b"x", "invalid character 'x' looking for beginning of value"),
        (b"}", "invalid character '}' looking for beginning of value"),
        (b"[1,]", "invalid character ']' looking for beginning of value"),
        (b"'", r"invalid character '\'' looking for beginning of value"),
        (b"\x00", r"invalid character '\x00' looking for beginning of value"),
        ("é".encode(), "invalid character 'Ã' looking for beginning of value"),
        (b"\xef\xbb\xbf{}", "invalid character 'ï' looking for beginning of value"),
        (b"\xa0", r"invalid character '\u00a0' looking for beginning of value"),
        (b"NaN", "invalid character 'N' looking for beginning of value"),
        (b"-Infinity", "invalid character 'I' in numeric literal"),
        (b'{"Image":"a",}', "invalid character '}' looking for beginning of object key string"),
        (b"{'Image':1}", r"invalid character '\'' looking for beginning of object key string"),
        (b"{a:1}", "invalid character 'a' looking for beginning of object key string"),
        (b'{"a" 1}', "invalid character '1' after object key"),
        (b'{"a":1 2}', "invalid character '2' after object key:value pair"),
        (b'{"a":01}', "invalid character '1' after object key:value pair"),
        (b"[1 2]", "invalid character '2' after array element"),
        (b'{"a":tru}', "invalid character '}' in literal true (expecting 'e')"),
        (b'{"a":"\n"}', r"invalid character '\n' in string literal"),
        (b'{"a":"\\q"}', "invalid character 'q' in string escape code"),
        (b'{"a":"\\u12x"}', r"invalid character 'x' in \u hexadecimal character escape"),
        (b"-x", "invalid character 'x' in numeric literal"),
        (b"1.x", "invalid character 'x' after decimal point in numeric literal"),
        (b"1ex", "invalid character 'x' in exponent of numeric literal"),
        (b"[" * 20_000, "invalid character '[' exceeded max depth"),
    ],
)
def test_a_malformed_document_is_refused_in_gos_words(document: bytes, words: str) -> None:
    with pytest.raises(gojson.GoJSONError) as refused:
        gojson.decode(document)
    assert str(refused.value) == words


@pytest.mark.parametrize(
    ("document", "value"),
    [
        (b'{"a":1} trailing', {"a": 1}),
        (b'{"a":1}}', {"a": 1}),
        (b" \n[1, -2.5e3, true, null]", [1, -2500.0, True, None]),
        (b'"\xff"', "\ufffd"),
        (b'{"a\\ud800":["\\udc00", {"b":"\\ud83d\\ude00"}]}', {"a�": ["�", {"b": "😀"}]}),
        (b"0", 0),
        (b"12", 12),
    ],
)
def test_the_first_value_is_read_and_the_rest_ignored(document: bytes, value: object) -> None:
    assert gojson.decode(document) == value


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (b"{}}", "invalid character '}' after top-level value"),
        (b"{", "unexpected end of JSON input"),
        (b"", "unexpected end of JSON input"),
        (b"1 2", "invalid character '2' after top-level value"),
    ],
)
def test_a_whole_document_may_have_nothing_after_it(document: bytes, words: str) -> None:
    with pytest.raises(gojson.GoJSONError) as refused:
        gojson.decode(document, whole=True)
    assert str(refused.value) == words


def test_a_document_of_the_wrong_kind_names_both_types() -> None:
    for value, kind in (
        ([], "array"),
        ("", "string"),
        (1, "number"),
        (True, "bool"),
        ({}, "object"),
    ):
        text = str(gojson.cannot_unmarshal(value, "types.ExecConfig"))
        assert text == f"json: cannot unmarshal {kind} into Go value of type types.ExecConfig"


def nested(depth: int, inner: bytes = b"") -> bytes:
    return b'{"a":' + b"[" * depth + inner + b"]" * depth + b"}"


@pytest.mark.parametrize("inner", [b"", b'"\\u00e9"', b'"\\ud800"', b"1.5"])
@pytest.mark.parametrize("depth", [JSON_DEPTH_MAX, 600, 990, 5_000, 15_000])
def test_a_document_that_nests_too_deep_is_refused_in_gos_words(depth: int, inner: bytes) -> None:
    with pytest.raises(gojson.GoJSONError) as refused:
        gojson.decode(nested(depth, inner))
    assert str(refused.value) == "invalid character '[' exceeded max depth"


def test_a_document_may_nest_and_have_many_brackets() -> None:
    assert gojson.decode(nested(JSON_DEPTH_MAX - 1)) == json.loads(nested(JSON_DEPTH_MAX - 1))
    flat = b"[" + b",".join([b"[]"] * 1000) + b"]"
    assert gojson.decode(flat) == [[]] * 1000


@pytest.mark.parametrize("item", [b"[]", b"{}", b"1", b'"a"', b"{"])
def test_a_document_with_too_many_members_is_refused(item: bytes) -> None:
    with pytest.raises(gojson.GoJSONError, match="more than 32768 members"):
        gojson.decode(b'{"Cmd":[' + b",".join([item] * (JSON_MEMBERS_MAX + 1)) + b"]}")


def test_a_large_bad_document_is_refused_with_a_plain_sentence() -> None:
    start = b'{"User":"' + b"x" * JSON_EXACT_ERROR_BYTES_MAX + b'",'
    for end, words in ((b'"a"}', "Expecting ':'"), (b'"a":NaN}', "NaN is no number")):
        with pytest.raises(gojson.GoJSONError, match=f"^invalid JSON: {words}"):
            gojson.decode(start + end)
    with pytest.raises(gojson.GoJSONError, match="a second value follows the first"):
        gojson.decode(start[:-1] + b"}}", whole=True)


@pytest.mark.parametrize("text", ["1e3", "1.50", "-0.0", "9" * 21, "9" * 5000 + "e-5000"])
def test_a_number_that_is_no_integer_is_shown_as_it_came(text: str) -> None:
    number = gojson.decode(b"[" + text.encode() + b"]")[0]
    assert (str(number), f"{number}", number) == (text, text, float(text))
    assert json.loads(json.dumps(number)) == float(text)


@pytest.mark.parametrize("text", ["1e999", "9" * 5000])
def test_a_number_beyond_a_float_is_refused(text: str) -> None:
    with pytest.raises(gojson.GoJSONError, match="cannot unmarshal number"):
        gojson.decode(b"[" + text.encode() + b"]")


LARGE = JSON_MEMBERS_MAX - 10
COSTLY = {
    "many lists": b"[" + b",".join([b"[]"] * (LARGE // 2)) + b"]",
    "many objects": b"[" + b",".join([b'{"a":1}'] * (LARGE // 2)) + b"]",
    "many labels": b"{" + b",".join(b'"%x":"%x"' % (i, i) for i in range(LARGE)) + b"}",
    "one string": b'"' + b"x" * (JSON_BYTES_MAX - 2) + b'"',
    "one escaped string": b'"' + b"\\n" * (JSON_BYTES_MAX // 2 - 1) + b'"',
    "bad at its end": b"[" + b",".join([b'"a"'] * LARGE) + b",]",
}


@pytest.mark.parametrize("document", COSTLY.values(), ids=COSTLY.keys())
def test_a_document_costs_no_more_than_three_times_the_standard_librarys(document: bytes) -> None:
    def standard() -> None:
        with contextlib.suppress(ValueError):
            json.loads(document)

    def ours() -> None:
        with contextlib.suppress(gojson.GoJSONError):
            gojson.decode(document)

    assert cost_s(ours) <= 3 * cost_s(standard) + 0.005


def cost_s(action: Callable[[], None]) -> float:
    """Return the processor's time of this thread, which a loaded machine does not change much."""
    costs = []
    for _ in range(5):
        start = time.thread_time()
        action()
        costs.append(time.thread_time() - start)
    return min(costs)


@pytest.mark.timeout(20)
def test_a_number_of_a_million_digits_is_refused_at_once() -> None:
    """To convert one takes the square of its length."""
    with pytest.raises(gojson.GoJSONError, match="cannot unmarshal number 9"):
        gojson.decode(b'{"a":' + b"9" * 1_000_000 + b"}")
