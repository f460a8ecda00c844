"""Goal: the embedded DNS's own answers are Docker's, and no packet brings it out of step.

Method: dnspython writes the questions and reads the answers; the code under test does neither with
it. What Docker 20.10.24 says to each odd packet was measured.
"""

from __future__ import annotations

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refimpl.libnetwork import answers
from tests.unit.refimpl.dns_backend import Names, addresses

OPT = b"\0\0\x29\x10\0\0\0\0\0\0\0"
RECORD = b"\xc0\x0c\0\1\0\1\0\0\0\5\0\4\1\2\3\4"


def query(name="db", rdtype="A", **options):
    return dns.message.make_query(name, rdtype, **options)


def reply(wire, names=None, *, udp=True, **options):
    """What is said to a packet; None when an upstream server is to be asked."""
    question = answers.read_query(wire)
    if not isinstance(question, answers.Question):
        return question
    return answers.answer(question, names or Names(), udp=udp, **options)


def ask(name="db", rdtype="A", names=None, *, udp=True, **options):
    wire = reply(query(name, rdtype, **options).to_wire(), names, udp=udp)
    assert wire, f"{name} is not answered: {wire!r}"
    return dns.message.from_wire(wire)


# -- names and addresses ---------------------------------------------------------------------------


def test_a_name_is_answered_with_its_address_for_ten_minutes():
    response = ask()
    assert response.answer[0].to_text() == "db. 600 IN A 10.0.0.2"
    assert dns.flags.to_text(response.flags) == "QR RD RA"


def test_an_answer_repeats_the_spelling_of_the_question():
    assert ask("dB").answer[0].name.to_text() == "dB."


def test_every_holder_of_a_name_is_in_the_answer():
    assert addresses(ask("both")) == {"10.0.0.2", "10.0.0.3"}


def test_the_holders_of_a_name_take_turns():
    wire = reply(query("both").to_wire(), shuffle=lambda items: items.reverse())
    assert [str(item) for item in dns.message.from_wire(wire).answer[0]] == ["10.0.0.3", "10.0.0.2"]


def test_a_name_has_its_addresses_of_the_family_that_is_asked_for():
    assert addresses(ask("six", "AAAA")) == {"fd00::6"}
    assert addresses(ask("six", "A")) == {"10.0.0.6"}


@pytest.mark.parametrize("rdtype", ["AAAA", "MX"])
def test_an_own_name_without_such_a_record_has_none_and_no_error(rdtype):
    response = ask("db", rdtype)
    assert (response.rcode(), response.answer) == (dns.rcode.NOERROR, [])


@pytest.mark.parametrize(
    ("name", "rdtype"),
    [("nowhere", "A"), ("nowhere", "MX"), ("db", "TXT"), ("db", "SRV"), ("db", "ANY"), (".", "A")],
)
def test_what_is_not_ours_to_answer_is_passed_on(name, rdtype):
    assert reply(query(name, rdtype).to_wire()) is None


def test_with_a_users_ndots_a_single_label_stays_inside():
    names = Names(ndots_set=True)
    response = ask("nowhere", names=names)
    assert (response.rcode(), response.answer) == (dns.rcode.NOERROR, [])
    assert reply(query("nowhere.example").to_wire(), names) is None
    assert reply(query("nowhere", "MX").to_wire(), names) is None


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("2.0.0.10.in-addr.arpa", "db.net."),
        ("6." + "0." * 27 + "0.0.d.f.ip6.arpa", "six.net."),
    ],
)
def test_an_address_has_its_name_and_network(name, target):
    response = ask(name, "PTR")
    assert addresses(response) == {target}
    assert response.answer[0].ttl == 600


@pytest.mark.parametrize(
    "name",
    ["nonsense.in-addr.arpa", "9.9.9.10.in-addr.arpa", "0.0.10.in-addr.arpa", "6.ip6.arpa"],
)
def test_an_address_that_is_none_or_nobodys_is_not_ours(name):
    assert reply(query(name, "PTR").to_wire()) is None


@pytest.mark.parametrize("name", ["db", "in-addr.arpa", "2.0.0.10.IN-ADDR.ARPA"])
def test_a_pointer_of_what_is_no_reverse_name_is_met_with_silence(name):
    assert reply(query(name, "PTR").to_wire()) == answers.SILENCE


@pytest.mark.parametrize("name", ["a..b", "x" * 64])
def test_a_network_whose_name_is_no_dns_name_has_no_pointer_of_ours(name):
    names = Names()
    names.reverse["10.0.0.2"] = f"db.{name}"
    assert reply(query("2.0.0.10.in-addr.arpa", "PTR").to_wire(), names) is None


def test_the_class_is_not_looked_at():
    assert addresses(ask("db", rdclass="CH")) == {"10.0.0.2"}


def test_a_name_of_odd_characters_is_no_name_of_ours():
    names = Names()
    names.known |= {"a b": ("10.0.0.9",), "d.b": ("10.0.0.9",)}
    for label in (b"a b", b"d.b"):
        name = dns.name.Name([label, b""])
        assert reply(dns.message.make_query(name, "A").to_wire(), names) is None


# -- room ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "holders", "size", "is_cut"),
    [
        ({}, 24, 502, True),
        ({"payload": 100}, 24, 502, True),
        ({"payload": 700}, 33, 682, True),
        ({"payload": 4096}, 45, 922, False),
        ({"udp": False}, 45, 922, False),
    ],
)
def test_an_answer_has_as_many_holders_as_have_room(options, holders, size, is_cut):
    names = Names()
    names.known["many"] = tuple(f"10.1.0.{number}" for number in range(45))
    udp = options.pop("udp", True)
    wire = reply(query("many", **options).to_wire(), names, udp=udp)
    response = dns.message.from_wire(wire)
    assert (len(addresses(response)), len(wire)) == (holders, size)
    assert bool(response.flags & dns.flags.TC) == is_cut


def test_an_own_answer_says_nothing_of_edns():
    assert ask(use_edns=0, payload=4096, want_dnssec=True).edns == -1


# -- packets that are no plain question ------------------------------------------------------------


def refused(wire):
    response = dns.message.from_wire(reply(wire))
    assert response.id == int.from_bytes(wire[:2])
    assert (response.question, response.answer) == ([], [])
    assert response.flags & dns.flags.QR
    return response.rcode()


@pytest.mark.parametrize("opcode", [1, 2, 5, 6, 15])
def test_another_operation_is_not_implemented(opcode):
    wire = bytearray(query().to_wire())
    wire[2] |= opcode << 3
    assert refused(bytes(wire)) == dns.rcode.NOTIMP


def test_a_notification_is_answered_as_a_question():
    wire = bytearray(query().to_wire())
    wire[2] |= dns.opcode.NOTIFY << 3
    response = dns.message.from_wire(reply(bytes(wire)))
    assert addresses(response) == {"10.0.0.2"}
    assert not response.flags & dns.flags.RD


@pytest.mark.parametrize(
    "spoil",
    [
        lambda wire: wire[:4] + b"\0\2" + wire[6:] + wire[12:],
        lambda wire: wire[:4] + bytes(8),
        lambda wire: wire[:-3],
        lambda wire: wire[:14],
        lambda wire: wire[:12] + b"\xc0\x0c\0\1\0\1",
        lambda wire: wire[:12] + b"\x41a\0\0\1\0\1",
        lambda wire: wire[:12] + b"\x01a" * 128 + b"\0\0\1\0\1",
        lambda wire: wire[:10] + b"\0\3" + wire[12:] + OPT * 3,
        lambda wire: wire[:6] + b"\0\2" + wire[8:] + RECORD * 2,
        lambda wire: wire[:10] + b"\0\1" + wire[12:] + OPT[:-4],
    ],
    ids=[
        "two questions",
        "no question",
        "short question",
        "short name",
        "name that points at itself",
        "unknown label",
        "long name",
        "too many records",
        "too many answers",
        "torn record",
    ],
)
def test_a_malformed_question_is_a_format_error(spoil):
    assert refused(spoil(query().to_wire())) == dns.rcode.FORMERR


@pytest.mark.parametrize(
    "spoil",
    [
        lambda wire: b"",
        lambda wire: wire[:8],
        lambda wire: wire[:2] + bytes((wire[2] | 0x80,)) + wire[3:],
    ],
    ids=["empty", "short header", "an answer"],
)
def test_what_is_no_question_at_all_is_met_with_silence(spoil):
    assert reply(spoil(query().to_wire())) == answers.SILENCE


@pytest.mark.parametrize(
    "add",
    [
        lambda wire: wire + b"xyz",
        lambda wire: wire[:6] + b"\0\1" + wire[8:] + RECORD,
        lambda wire: wire[:8] + b"\0\1" + wire[10:] + RECORD,
        lambda wire: wire[:2] + b"\x07\xff" + wire[4:],
    ],
    ids=["rubbish behind it", "an answer in it", "an authority in it", "every flag"],
)
def test_a_question_may_have_more_in_it(add):
    assert addresses(dns.message.from_wire(reply(add(query().to_wire())))) == {"10.0.0.2"}


def test_checking_disabled_comes_back_and_other_flags_do_not():
    wire = query().to_wire()
    response = dns.message.from_wire(reply(wire[:2] + b"\x07\xff" + wire[4:]))
    assert dns.flags.to_text(response.flags) == "QR RD RA CD"
    assert response.rcode() == dns.rcode.NOERROR


# -- any packet ------------------------------------------------------------------------------------


def text_of(name):
    return "" if name == dns.name.root else name.to_text(omit_final_dot=True)


labels = st.lists(st.binary(min_size=1, max_size=63), max_size=4)
packets = st.one_of(
    st.binary(max_size=600),
    st.builds(lambda head, tail: head + tail, st.just(query().to_wire()[:12]), st.binary()),
    st.builds(
        lambda wire, at, byte: wire[: at % len(wire)] + bytes((byte,)) + wire[at % len(wire) + 1 :],
        st.sampled_from(
            [
                query("six", rdtype, use_edns=edns).to_wire()
                for rdtype in ("A", "PTR", "MX")
                for edns in (-1, 0)
            ]
        ),
        st.integers(0, 200),
        st.integers(0, 255),
    ),
)


@given(packets, st.booleans())
def test_whatever_comes_the_answer_is_whole_and_to_the_question(wire, udp):
    answer = reply(wire, udp=udp)
    if not answer:
        return
    response = dns.message.from_wire(answer)
    assert response.id == int.from_bytes(wire[:2])
    assert response.flags & dns.flags.QR
    if response.question:
        assert answer[12:].startswith(response.question[0].name.to_wire())
        assert wire[12:].startswith(response.question[0].name.to_wire())


@given(packets)
def test_what_dnspython_reads_as_a_question_is_one(wire):
    try:
        message = dns.message.from_wire(wire, ignore_trailing=True)
    except (dns.exception.DNSException, ValueError):
        return
    counts = [int.from_bytes(wire[at : at + 2]) for at in (4, 6, 8, 10)]
    is_query = not message.flags & dns.flags.QR and message.opcode() == dns.opcode.QUERY
    if is_query and counts[0] == 1 and not any(counts[1:3]) and counts[3] <= 1 and wire[12] < 64:
        question = answers.read_query(wire)
        assert isinstance(question, answers.Question)
        (asked,) = message.question
        assert question.name == text_of(asked.name)
        assert question.rdtype == asked.rdtype
        assert question.payload_bytes == (message.payload if message.edns >= 0 else 0)


@given(labels)
def test_a_name_reads_as_in_a_zone_file(parts):
    name = dns.name.Name([*parts, b""]) if sum(map(len, parts)) + len(parts) < 255 else None
    if name is None:
        return
    question = answers.read_query(dns.message.make_query(name, "A").to_wire())
    assert isinstance(question, answers.Question)
    assert question.name == text_of(name)
