"""The words for malformed JSON are those that dockerd 20.10.24 answered when it was asked."""

from __future__ import annotations

import pytest

from refimpl.api import gojson


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
