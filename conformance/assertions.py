"""Assertions in the words of the domain; each says what it expected and what it got.

A failed assertion is a FAIL of the row. Anything else that goes wrong is an error of the harness.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from http import HTTPStatus
from typing import Any, NoReturn, TypeVar

import docker.errors

from conformance.rawapi import Answer
from conformance.violation import BehaviourViolated, show

HEX64 = re.compile(r"[0-9a-f]{64}")
_T = TypeVar("_T")


def violated(what: str, *, expected: object, actual: object) -> NoReturn:
    """Fail the row, for what no other assertion here can say."""
    raise BehaviourViolated(what, expected, actual)


def expect_equal(what: str, expected: object, actual: object) -> None:
    """Expect two values to be equal: `expect_equal("the Networks keys", ["bridge"], keys)`."""
    if expected != actual:
        raise BehaviourViolated(what, show(expected), show(actual))


def expect_not_equal(what: str, unwanted: object, actual: object) -> None:
    """Expect two values to differ."""
    if unwanted == actual:
        raise BehaviourViolated(what, f"anything but {show(unwanted)}", show(actual))


def expect_true(what: str, actual: object) -> None:
    """Expect a statement to hold; prefer an assertion that shows both sides."""
    if not actual:
        raise BehaviourViolated(what, "yes", show(actual))


def expect_empty(what: str, actual: object) -> None:
    """Expect a field to be empty: "", null, [], {} or 0, as the API writes "nothing"."""
    if actual:
        raise BehaviourViolated(what, "empty", show(actual))


def expect_in(what: str, member: object, container: Collection[Any]) -> None:
    """Expect a list, a mapping or a text to contain something."""
    if member not in container:
        raise BehaviourViolated(what, f"to contain {show(member)}", show(container))


def expect_not_in(what: str, member: object, container: Collection[Any]) -> None:
    """Expect a list, a mapping or a text not to contain something."""
    if member in container:
        raise BehaviourViolated(what, f"not to contain {show(member)}", show(container))


def expect_fields(what: str, expected: Mapping[str, Any], actual: Mapping[str, Any]) -> None:
    """Expect some fields of a document to have these values; the others are not looked at."""
    expect_equal(what, dict(expected), {key: actual.get(key) for key in expected})


def the_only(what: str, values: Iterable[_T]) -> _T:
    """Expect exactly one value, and give it: `the_only("the IPv6 subnet", subnets)`."""
    found = list(values)
    if len(found) != 1:
        raise BehaviourViolated(what, "exactly one", show(found))
    return found[0]


def expect_hex_id(what: str, actual: object) -> None:
    """Expect a full id: 64 lower-case hex digits."""
    if not (isinstance(actual, str) and HEX64.fullmatch(actual)):
        raise BehaviourViolated(what, "64 hex digits", show(actual))


def expect_match(what: str, pattern: str, actual: str) -> None:
    """Expect a text to match a regular expression from end to end."""
    if not re.fullmatch(pattern, actual, re.DOTALL):
        raise BehaviourViolated(what, f"a text like {pattern}", show(actual))


def expect_refused(call: Callable[[], object]) -> str:
    """Expect a request to be refused with any status of 400 or more; give the message.

    For a row about what is refused, and what must not change by it; status and text are the
    matter of another row. `call` may be of the SDK or a raw request.
    """
    try:
        result = call()
    except docker.errors.APIError as exc:
        return str(exc.explanation or "")
    if isinstance(result, Answer) and result.status >= HTTPStatus.BAD_REQUEST:
        return result.message
    shown = f"HTTP {result.status}" if isinstance(result, Answer) else f"{result!r}"
    raise BehaviourViolated("the answer", "a refusal", f"accepted: {shown}")


def expect_api_error(
    call: Callable[[], object], status: int, message: str | re.Pattern[str] = ""
) -> str:
    """Expect a request to be refused with a status and a message; give the message.

    Args:
        call: the request, as a function without arguments.
        status: the HTTP status that the engine must answer.
        message: a part of the message, or a compiled pattern to search for in it.
    """
    wanted = f"HTTP {status}"
    if message:
        wanted += f": {message.pattern if isinstance(message, re.Pattern) else message}"
    try:
        result = call()
    except docker.errors.APIError as exc:
        got = str(exc.explanation or "")
        is_meant = message.search(got) if isinstance(message, re.Pattern) else message in got
        if exc.status_code != status or not is_meant:
            raise BehaviourViolated("the answer", wanted, f"HTTP {exc.status_code}: {got}") from exc
        return got
    raise BehaviourViolated("the answer", wanted, f"accepted: {result!r}")
