import re
from typing import Any

import docker.errors
import pytest
import requests

from conformance import assertions as a
from conformance.rawapi import Answer
from conformance.violation import BehaviourViolated, show


def refuse(status: int, text: str) -> Any:
    response = requests.Response()
    response.status_code = status
    raise docker.errors.APIError("refused", response=response, explanation=text)


@pytest.mark.parametrize(
    ("check", "expected", "actual"),
    [
        (lambda: a.expect_equal("x", [1], [2]), "[1]", "[2]"),
        (lambda: a.expect_not_equal("x", 1, 1), "anything but 1", "1"),
        (lambda: a.expect_true("x", 0), "yes", "0"),
        (lambda: a.expect_empty("x", "a"), "empty", '"a"'),
        (lambda: a.expect_in("x", 1, [2]), "to contain 1", "[2]"),
        (lambda: a.expect_not_in("x", 1, [1]), "not to contain 1", "[1]"),
        (lambda: a.expect_fields("x", {"a": 1}, {"a": 2, "b": 3}), '{"a": 1}', '{"a": 2}'),
        (lambda: a.expect_hex_id("x", "abc"), "64 hex digits", '"abc"'),
        (lambda: a.expect_match("x", "a+", "aab"), "a text like a+", '"aab"'),
        (lambda: a.expect_api_error(lambda: None, 409), "HTTP 409", "accepted: None"),
        (
            lambda: a.expect_api_error(lambda: refuse(500, "boom"), 409, "no"),
            "HTTP 409: no",
            "HTTP 500: boom",
        ),
        (
            lambda: a.expect_api_error(lambda: refuse(409, "boom"), 409, "no"),
            "HTTP 409: no",
            "HTTP 409: boom",
        ),
    ],
)
def test_failed_assertion_shows_both_sides(check, expected, actual):
    with pytest.raises(BehaviourViolated) as caught:
        check()
    assert (caught.value.expected, caught.value.actual) == (expected, actual)
    assert f"Expected: {expected}\n  Actual:   {actual}" in str(caught.value)


def test_assertions_that_hold_say_nothing():
    a.expect_equal("x", {"b": 1}, {"b": 1})
    a.expect_not_equal("x", 1, 2)
    a.expect_true("x", 1)
    empties: tuple[object, ...] = ("", None, [], {}, 0)
    for nothing in empties:
        a.expect_empty("x", nothing)
    a.expect_in("x", "b", "abc")
    a.expect_not_in("x", "z", {"a": 1})
    a.expect_fields("x", {"a": 1}, {"a": 1, "b": 2})
    a.expect_hex_id("x", "0f" * 32)
    a.expect_match("x", "a.b", "a\nb")
    assert a.expect_api_error(lambda: refuse(409, "it is so"), 409, "is so") == "it is so"
    assert a.expect_api_error(lambda: refuse(409, "it is so"), 409, re.compile("^it")) == "it is so"


@pytest.mark.parametrize("status", [400, 403, 404, 409, 500, 501])
def test_refusal_may_have_any_status_and_text(status):
    assert a.expect_refused(lambda: refuse(status, "why")) == "why"
    raw = Answer(status=status, headers={}, body=b'{"message": "why"}')
    assert a.expect_refused(lambda: raw) == "why"


@pytest.mark.parametrize(
    ("answer", "shown"),
    [(None, "accepted: None"), (Answer(status=304, headers={}, body=b""), "accepted: HTTP 304")],
)
def test_what_is_accepted_is_no_refusal(answer, shown):
    with pytest.raises(BehaviourViolated) as caught:
        a.expect_refused(lambda: answer)
    assert (caught.value.expected, caught.value.actual) == ("a refusal", shown)


def test_other_errors_pass_through():
    with pytest.raises(ZeroDivisionError):
        a.expect_api_error(lambda: 1 // 0, 409)


def test_values_are_always_written_alike():
    assert show({"b": 1, "a": [1]}) == '{"a": [1], "b": 1}'
    assert show({"x", "a"}) == '["a", "x"]'
    assert show(object) == "<class 'object'>"
