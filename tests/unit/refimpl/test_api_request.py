"""Targets, versions and the query, read with Go's conversions and refused with Go's words."""

from __future__ import annotations

import io
import json
from typing import cast
from urllib.parse import quote

import pytest

from refimpl.api.request import BodyTooLarge, Request, parse_target
from refimpl.api.streams import frame
from refimpl.api.versions import check_version, less_than, split_version
from refimpl.errors import EngineError, InvalidParameter
from refimpl.limits import JSON_BYTES_MAX


def a_request(query: str = "", body: bytes = b"", **headers: str) -> Request:
    return Request(
        method="POST",
        path="/",
        query=parse_target("/?" + query).query,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        body=io.BufferedReader(cast("io.RawIOBase", io.BytesIO(body))),
    )


def json_request(body: bytes) -> Request:
    return a_request("", body, content_type="application/json", content_length=str(len(body)))


def test_a_target_is_decoded() -> None:
    target = parse_target("/containers/a%2Fb/json?x=1+2&x=&y")
    assert target.path == "/containers/a/b/json"
    assert target.query == {"x": ["1 2", ""], "y": [""]}
    assert parse_target("http://docker/_ping").path == "/_ping"
    assert parse_target("http://docker").path == "/"


@pytest.mark.parametrize("target", ["_ping", "/%zz", "*", "", "/%"])
def test_a_target_that_is_no_path_is_refused(target: str) -> None:
    with pytest.raises(ValueError, match="no path"):
        parse_target(target)


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("a=%zz&x=1", 'invalid URL escape "%zz"'),
        ("%zz=a&x=1", 'invalid URL escape "%zz"'),
        ("a=%z&b=%zq&x=1", 'invalid URL escape "%z"'),
        ("a=b;c=d&x=1", "invalid semicolon separator in query"),
        # a semicolon is told first, wherever it is
        ("a=%zz&x=1&b;c", "invalid semicolon separator in query"),
        ("x=1&b;%zz&a=%zz", "invalid semicolon separator in query"),
    ],
)
def test_a_malformed_parameter_is_named_and_the_others_are_read(query: str, error: str) -> None:
    target = parse_target(f"/info?{query}")
    assert (target.query, target.query_error) == ({"x": ["1"]}, error)


@pytest.mark.parametrize("word", ["1", "true", "True", "foo", " yes ", "2"])
def test_a_flag_is_set_by_almost_any_word(word: str) -> None:
    assert a_request(f"all={quote(word)}").flag("all")


@pytest.mark.parametrize("word", ["", "0", "no", "No", "false", "FALSE", "none", " 0 "])
def test_a_flag_is_unset_by_a_few_words(word: str) -> None:
    assert not a_request(f"all={quote(word)}").flag("all", default=True)


def test_an_absent_flag_has_its_default() -> None:
    assert a_request().flag("quiet", default=True)
    assert not a_request().flag("quiet")


@pytest.mark.parametrize(("text", "value"), [("5", 5), ("-1", -1), ("+7", 7), ("007", 7)])
def test_an_integer_is_read_as_atoi_does(text: str, value: int) -> None:
    assert a_request(f"t={quote(text)}").integer("t") == value


@pytest.mark.parametrize("text", ["x", "", "1_0", " 1", "1.5", "٣", "0x10"])
def test_what_is_no_integer_is_refused_in_gos_words(text: str) -> None:
    with pytest.raises(EngineError) as refused:
        a_request(f"t={quote(text)}").integer("t")
    assert str(refused.value) == f'strconv.Atoi: parsing "{text}": invalid syntax'
    assert refused.value.status == 500


@pytest.mark.parametrize("text", ["9223372036854775808", "9" * 10_000])
def test_an_integer_out_of_range_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameter, match="value out of range"):
        a_request(f"h={text}").integer("h", InvalidParameter)


def test_a_strict_flag_is_read_as_parse_bool_does() -> None:
    assert a_request("verbose=T").strict_flag("verbose")
    assert not a_request("verbose=false").strict_flag("verbose")
    assert not a_request().strict_flag("verbose")
    with pytest.raises(InvalidParameter) as refused:
        a_request("verbose=zz").strict_flag("verbose")
    assert str(refused.value) == (
        'invalid value for verbose: zz: strconv.ParseBool: parsing "zz": invalid syntax'
    )


@pytest.mark.parametrize(
    "filters",
    ['{"status":["running","paused"]}', '{"status":{"running":true,"paused":false}}'],
)
def test_filters_come_in_two_encodings(filters: str) -> None:
    request = a_request(f"filters={quote(filters)}")
    assert request.filters() == {"status": ["running", "paused"]}


def test_null_in_the_old_encoding_is_an_empty_string_and_values_are_a_set() -> None:
    request = a_request("filters=" + quote('{"name":[null,"a",null,"a"],"id":null}'))
    assert request.filters() == {"name": ["", "a"], "id": []}


@pytest.mark.parametrize("filters", ["", "null", "{}", " {} "])
def test_no_filters_are_no_filters(filters: str) -> None:
    assert a_request(f"filters={quote(filters)}").filters() == {}


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        ("x", "invalid character 'x' looking for beginning of value"),
        ("{}}", "invalid character '}' after top-level value"),
        ("[]", "json: cannot unmarshal array into Go value of type map[string]map[string]bool"),
        ('{"a":"b"}', "json: cannot unmarshal string into Go value of type map[string]bool"),
        ('{"a":1}', "json: cannot unmarshal number into Go value of type map[string]bool"),
        ('{"a":["b",1]}', "json: cannot unmarshal array into Go value of type map[string]bool"),
        ('{"a":{"b":1}}', "json: cannot unmarshal number into Go value of type bool"),
    ],
)
def test_bad_filters_are_refused_in_gos_words(filters: str, words: str) -> None:
    with pytest.raises(EngineError) as refused:
        a_request(f"filters={quote(filters)}").filters()
    assert str(refused.value) == words
    assert refused.value.status == 500


@pytest.mark.parametrize("content_type", ["text/plain", "application/json;;;", "", "json"])
def test_a_body_must_say_that_it_is_json(content_type: str) -> None:
    request = a_request("", b"{}", content_type=content_type, content_length="2")
    with pytest.raises(InvalidParameter) as refused:
        request.json_object("T")
    assert str(refused.value) == (
        f"Content-Type specified ({content_type}) must be 'application/json'"
    )


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON; charset=utf-8", "application/json;"],
)
def test_a_json_body_is_read(content_type: str) -> None:
    request = a_request("", b'{"a":1}', content_type=content_type, content_length="7")
    assert request.json_object("T") == {"a": 1}


def test_a_null_body_is_an_empty_object() -> None:
    assert json_request(b"null").json_object("T") == {}


def test_an_empty_body_has_the_endpoints_own_words() -> None:
    with pytest.raises(InvalidParameter, match=r"^got EOF$"):
        a_request().json_object("T", empty="got EOF")
    with pytest.raises(EngineError, match=r"^EOF$") as refused:
        a_request().json_object("T", error=EngineError)
    assert refused.value.status == 500


def test_a_body_that_is_no_object_is_refused() -> None:
    words = "^json: cannot unmarshal array into Go value of type T$"
    with pytest.raises(InvalidParameter, match=words):
        json_request(b"[]").json_object("T")


def test_a_body_of_one_mebibyte_is_read() -> None:
    body = {"Labels": {"a": "x" * (1 << 20)}}
    assert json_request(json.dumps(body).encode()).json_object("T") == body


def test_a_body_beyond_the_limit_is_refused() -> None:
    with pytest.raises(BodyTooLarge, match="http: request body too large"):
        json_request(b" " * (JSON_BYTES_MAX + 1)).json_object("T")


def test_a_chunked_body_has_no_length() -> None:
    assert a_request("", b"", transfer_encoding="chunked").content_length == -1


@pytest.mark.parametrize(
    ("path", "version", "rest"),
    [
        ("/v1.41/info", "1.41", "/info"),
        ("/info", "", "/info"),
        ("/v1.41", "", "/v1.41"),
        ("/vx/info", "", "/vx/info"),
        ("/v1.41/v1.24/info", "1.41", "/v1.24/info"),
    ],
)
def test_the_version_is_a_prefix_of_the_path(path: str, version: str, rest: str) -> None:
    assert split_version(path) == (version, rest)


@pytest.mark.parametrize("version", ["", "1.12", "1.24", "1.41", "1.30", "1.41.0"])
def test_versions_from_the_oldest_to_the_newest_are_served(version: str) -> None:
    check_version(version)


@pytest.mark.parametrize("version", ["1.99", "2", "1.42", "1.41.1", "9" * 5000])
def test_a_version_that_is_too_new_is_refused(version: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        check_version(version)
    assert str(refused.value) == (
        f"client version {version} is too new. Maximum supported API version is 1.41"
    )


@pytest.mark.parametrize("version", ["1.11", "1", "1.5", ".", "0"])
def test_a_version_that_is_too_old_is_refused(version: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        check_version(version)
    assert str(refused.value) == (
        f"client version {version} is too old. Minimum supported API version is 1.12, "
        "please upgrade your client to a newer version"
    )


def test_a_client_without_a_version_is_the_newest() -> None:
    assert less_than("1.29", "1.30")
    assert not less_than("1.30", "1.30")
    assert not less_than("", "1.30")
    assert less_than("1.9", "1.30")


def test_a_frame_is_stream_zeros_length_data() -> None:
    assert frame(2, b"err\n") == b"\x02\0\0\0\0\0\0\x04err\n"
