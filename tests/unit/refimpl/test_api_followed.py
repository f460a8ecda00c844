"""Goal: logs, waits and events are streamed, and end with their client."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from refimpl.daemon.backend import WaitResult
from refimpl.errors import EngineError
from tests.unit.refimpl.api_fake import FakeBackend, FakeSession
from tests.unit.refimpl.raw_http import WAIT_S, Client, request_bytes

UPGRADE = {"Connection": "Upgrade", "Upgrade": "tcp"}
ATTACH = "/v1.41/containers/c/attach?stream=1&stdin=1&stdout=1&stderr=1"
RAW_STREAM = "application/vnd.docker.raw-stream"


# ------------------------------------------------------------------------------------------ logs


def test_logs_are_framed_chunks(client: Client) -> None:
    client.send(request_bytes("GET", "/containers/c/logs?stdout=1&stderr=1"))
    head = client.head()
    assert head.headers["transfer-encoding"] == "chunked"
    assert "content-type" not in head.headers
    assert client.chunk() == b"\x01\0\0\0\0\0\0\x04out\n"
    assert client.chunk() == b"\x02\0\0\0\0\0\0\x04err\n"
    assert client.chunk() == b""
    assert client.request("GET", "/_ping").status == 200


def test_logs_of_a_terminal_are_raw(client: Client) -> None:
    assert client.request("GET", "/containers/tty/logs?stdout=1").body == b"out\nerr\n"


def test_logs_are_asked_for_in_full(backend: FakeBackend, client: Client) -> None:
    client.request(
        "GET", "/containers/c/logs?stdout=1&timestamps=1&details=1&tail=5&since=1.5&until=x"
    )
    assert backend.calls == [
        (
            "logs",
            "c",
            {
                "stdout": True,
                "stderr": False,
                "follow": False,
                "since": "1.5",
                "until": "x",
                "timestamps": True,
                "details": True,
                "tail": "5",
            },
        )
    ]


def test_a_followed_log_ends_when_the_client_goes_away(backend: FakeBackend, path: Path) -> None:
    with Client(path) as client:
        client.send(request_bytes("GET", "/containers/c/logs?stdout=1&follow=1"))
        client.head()
        assert client.chunk().endswith(b"out\n")
        log = backend.last_log
        assert log is not None
        assert not log.closed.is_set()
    assert log.closed.wait(WAIT_S)


def test_a_followed_log_goes_on_for_a_client_that_has_finished_sending(
    backend: FakeBackend, client: Client
) -> None:
    client.send(request_bytes("GET", "/containers/c/logs?stdout=1&follow=1"))
    client.sock.shutdown(socket.SHUT_WR)
    client.head()
    assert client.chunk().endswith(b"out\n")
    assert client.chunk().endswith(b"err\n")
    log = backend.last_log
    assert log is not None
    assert not log.closed.is_set()


def test_a_log_that_breaks_says_so_at_its_end(backend: FakeBackend, client: Client) -> None:
    backend.log_error = EngineError("the file is gone")
    reply = client.request("GET", "/containers/c/logs?stdout=1")
    assert reply.body == (
        b"\x01\0\0\0\0\0\0\x07before\n\x02\0\0\0\0\0\0\x26Error grabbing logs: the file is gone\n"
    )


# ---------------------------------------------------------------------------------- wait, events


def test_a_wait_answers_its_head_at_once_and_its_body_at_the_end(
    backend: FakeBackend, client: Client
) -> None:
    client.send(request_bytes("POST", "/v1.41/containers/c/wait?condition=next-exit"))
    assert client.head().headers["content-type"] == "application/json"
    assert backend.calls == [("wait", "c", "next-exit")]
    backend.waiter.ended.put(WaitResult(status_code=7))
    assert client.chunk() == b'{"Error":null,"StatusCode":7}\n'
    assert client.chunk() == b""
    assert backend.waiter.closed.wait(WAIT_S)


def test_an_old_client_gets_its_wait_in_one_piece(backend: FakeBackend, client: Client) -> None:
    backend.waiter.ended.put(WaitResult(status_code=127, error="no such file"))
    reply = client.request("POST", "/v1.29/containers/c/wait?condition=removed")
    assert "content-length" in reply.headers
    assert reply.body == b'{"Error":{"Message":"no such file"},"StatusCode":127}\n'
    assert backend.calls == [("wait", "c", "removed")]


@pytest.mark.parametrize("version", ["/v1.41", "/v1.29"])
def test_a_wait_is_given_up_when_the_client_goes_away(
    backend: FakeBackend, path: Path, version: str
) -> None:
    with Client(path) as client:
        client.send(request_bytes("POST", f"{version}/containers/c/wait"))
    assert backend.waiter.closed.wait(WAIT_S)


def test_events_come_as_they_happen(backend: FakeBackend, client: Client) -> None:
    client.send(request_bytes("GET", "/events?since=5&filters=%7B%22type%22%3A%5B%22n%22%5D%7D"))
    assert client.head().headers["content-type"] == "application/json"
    assert backend.calls == [("events", {"since": "5", "until": "", "filters": {"type": ["n"]}})]
    backend.subscription.news.put({"Type": "network"})
    assert client.chunk() == b'{"Type":"network"}\n'
    backend.subscription.ended = True
    assert client.chunk() == b""
    assert backend.subscription.closed.wait(WAIT_S)


def test_events_end_when_the_client_goes_away(backend: FakeBackend, path: Path) -> None:
    with Client(path) as client:
        client.send(request_bytes("GET", "/events"))
        client.head()
    assert backend.subscription.closed.wait(WAIT_S)


def test_events_end_when_a_client_that_does_not_read_goes_away(
    backend: FakeBackend, path: Path
) -> None:
    with Client(path) as client:
        client.send(request_bytes("GET", "/events"))
        client.head()
        for _ in range(500):
            backend.subscription.news.put({"filler": "x" * 1000})
    assert backend.subscription.closed.wait(WAIT_S)


# ------------------------------------------------------------------------------- the docker SDK


@pytest.fixture
def sdk(path: Path) -> Iterator[docker.APIClient]:
    client = docker.APIClient(base_url=f"unix://{path}", version="auto", timeout=int(WAIT_S))
    yield client
    client.close()


def test_the_sdk_loses_no_output_of_an_exec(backend: FakeBackend, sdk: docker.APIClient) -> None:
    """Output that is ready before the start is what docker-py#3332 loses."""
    for number in range(50):
        backend.session = FakeSession()
        backend.session.say(f"output {number}\n".encode())
        backend.session.end()
        assert sdk.exec_start("e") == f"output {number}\n".encode()


def test_the_sdk_reads_streams_apart(backend: FakeBackend, sdk: docker.APIClient) -> None:
    backend.session.say(b"out")
    backend.session.say(b"err", stream=2)
    backend.session.end()
    assert sdk.exec_start("e", demux=True) == (b"out", b"err")


def test_the_sdk_follows_waits_and_listens(backend: FakeBackend, sdk: docker.APIClient) -> None:
    backend.waiter.ended.put(WaitResult(status_code=3))
    assert sdk.wait("c") == {"Error": None, "StatusCode": 3}
    backend.subscription.news.put({"Type": "container"})
    events = sdk.events(decode=True)
    assert next(events) == {"Type": "container"}
    events.close()
