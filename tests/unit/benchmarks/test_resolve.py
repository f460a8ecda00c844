"""Goal: the figures of the embedded DNS are those of its questions, and its bars are held."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from benchmarks import resolve
from benchmarks.asker import AnswerError, Client
from benchmarks.cli import main
from benchmarks.resolve import Asked, render


def asked(count: int, latency_s: float, *, slow: int = 0) -> Asked:
    latencies_s = [latency_s] * (count - slow) + [0.5] * slow
    return Asked("reference", "udp", 2.0, latencies_s)


@pytest.mark.parametrize(
    ("one", "is_met"),
    [
        (asked(4000, 0.0001), True),
        (asked(1999, 0.0001), False),
        (asked(4000, 0.011), False),
        (asked(4000, 0.0001, slow=20), True),
        (asked(4000, 0.0001, slow=80), False),
    ],
    ids=["fast", "too few", "too slow", "a few slow ones", "slow ones"],
)
def test_the_bar_is_a_thousand_a_second_with_a_p99_below_ten_milliseconds(one, is_met):
    assert one.is_within_the_bar() == is_met


def test_the_table_and_the_json_have_the_same_figures():
    one = asked(4000, 0.0002)
    assert one.to_wire()["rate"] == 2000
    line = render([one]).splitlines()[1].split()
    assert line == ["reference", "udp", "2000", "0.200", "0.200", "0.200"]


def test_an_answer_that_is_not_to_the_question_is_an_error(monkeypatch):
    monkeypatch.setattr("benchmarks.asker.RESOLVER", ("127.0.0.1", 9))
    client = Client("udp", b"question")
    client.socket.close()

    class Answered:
        def recv(self, size: int) -> bytes:
            return b"\0\7 wrong"

    client.socket = Answered()  # type: ignore[assignment]
    with pytest.raises(AnswerError, match="wrong answer by udp"):
        client.take(b"\1\2\3\4")


@pytest.fixture
def dns(monkeypatch):
    """The command, on engines that are quick enough."""

    def measure(engines, **_options):
        return [Asked(engine, "udp", 2.0, [0.0001] * 4000) for engine in engines]

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(resolve, "measure", measure)
    return lambda *arguments: CliRunner().invoke(main, ["dns", *arguments])


def test_folder_of_the_json_is_made(dns, tmp_path):
    path = tmp_path / "new" / "dns.json"
    result = dns("--json", str(path), "--check")
    assert result.exit_code == 0, result.output
    assert len(json.loads(path.read_text())["figures"]) == 2


def test_engine_twice_is_a_wrong_command_line(dns):
    assert dns("--engine", "docker", "--engine", "docker").exit_code == 3


def test_check_without_the_reference_checks_nothing_and_says_so(dns):
    result = dns("--engine", "docker", "--check")
    assert result.exit_code == 2
    assert "nothing was checked" in result.output
    assert dns("--engine", "docker").exit_code == 0


def test_container_whose_start_is_interrupted_is_removed_before_its_network(monkeypatch):
    removed = []

    class Part:
        """A network, or a container that is interrupted in its start."""

        def __init__(self, name):
            self.name = self.id = name

        def start(self):
            raise KeyboardInterrupt

        def remove(self, **_options):
            removed.append(self.name)

    making = SimpleNamespace(create=lambda *_what, **_how: Part("container"))
    making.run = lambda *_what, **_how: Part("container").start()
    client = SimpleNamespace(
        containers=making, networks=SimpleNamespace(create=lambda *_what, **_how: Part("network"))
    )
    monkeypatch.setattr(resolve, "ensure_image", lambda _client: "image")
    engine = SimpleNamespace(name="docker", inside=object, client=lambda: client)
    with pytest.raises(KeyboardInterrupt), ExitStack() as cleanup:
        resolve.Asker(engine, "abc", cleanup)
    assert removed == ["container", "network"]
