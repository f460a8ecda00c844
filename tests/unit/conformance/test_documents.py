"""What an engine does not say fails the row that rests on it, and is no error of the harness."""

import pytest

from conformance.documents import Document, Listing, as_document
from conformance.rowrun import classify
from conformance.verdicts import Outcome
from conformance.violation import BehaviourViolated

DOCUMENT = as_document({"Networks": {"bridge": {"Aliases": ["web"]}}})


@pytest.mark.parametrize(
    "read",
    [
        lambda: DOCUMENT["State"],
        lambda: DOCUMENT["Networks"]["none"],
        lambda: DOCUMENT["Networks"]["bridge"]["Aliases"][1],
    ],
    ids=["field", "nested", "entry"],
)
def test_what_is_missing_fails_the_row(read):
    with pytest.raises(BehaviourViolated) as found:
        read()
    assert classify("call", found.value)[0] is Outcome.FAILED


def test_a_rows_own_mistake_stays_an_error():
    mine: dict[str, int] = {}
    with pytest.raises(KeyError) as found:
        mine["own"]
    assert classify("call", found.value)[0] is Outcome.ERROR


def test_what_is_there_is_read_as_ever():
    assert DOCUMENT == {"Networks": {"bridge": {"Aliases": ["web"]}}}
    assert DOCUMENT.get("State") is None
    assert (type(DOCUMENT["Networks"]), type(DOCUMENT["Networks"]["bridge"]["Aliases"])) == (
        Document,
        Listing,
    )


def test_message_says_what_there_is():
    with pytest.raises(KeyError, match=r'Expected: to have "State"\n  Actual:   \{"Networks"'):
        DOCUMENT["State"]
