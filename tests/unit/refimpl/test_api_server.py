"""The front door on a real unix socket: heads, bodies, versions, errors, many clients at once."""

from __future__ import annotations

import errno
import logging
import socket
import threading
from pathlib import Path

import pytest

from refimpl.api import connection
from refimpl.api.routes import ROUTES
from refimpl.errors import Forbidden
from refimpl.limits import API_HEADERS_MAX, API_PARAMETERS_MAX, JSON_BYTES_MAX
from tests.unit.refimpl.api_fake import FAKE_INFO, FakeBackend
from tests.unit.refimpl.raw_http import WAIT_S, Client, request_bytes

# ---------------------------------------------------------------------------------- ping, headers


def test_ping_names_the_engine_and_no_builder(client: Client) -> None:
    reply = client.request("GET", "/_ping")
    assert (reply.status, reply.body) == (200, b"OK")
    assert reply.headers["api-version"] == "1.41"
    assert reply.headers["docker-experimental"] == "false"
    assert reply.headers["ostype"] == "linux"
    assert reply.headers["server"] == "Docker/20.10.24 (linux)"
    assert reply.headers["cache-control"] == "no-cache, no-store, must-revalidate"
    assert "builder-version" not in reply.headers


def test_ping_answers_a_head_request_without_a_body(client: Client) -> None:
    reply = client.request("HEAD", "/_ping")
    assert reply.headers["content-length"] == "0"
    assert client.request("GET", "/_ping").body == b"OK"


def test_a_versioned_path_is_the_same_endpoint(client: Client) -> None:
    assert client.request("GET", "/v1.25/info").json() == FAKE_INFO
    assert client.request("GET", "/v1.41/info").json() == FAKE_INFO


def test_an_old_client_is_told_of_the_execution_driver(client: Client) -> None:
    """As 20.10 does up to API 1.24, with the bare names of the security options."""
    assert client.request("GET", "/v1.24/info").json() == {
        "ID": "fake",
        "ExecutionDriver": "<not supported>",
        "SecurityOptions": ["seccomp"],
    }


@pytest.mark.parametrize(
    ("asked", "location"),
    [
        ("/v1.41//info", "/v1.41/info"),
        ("//info?a=%20b", "/info?a=%20b"),
        ("/containers/a/../b%20c/json", "/containers/b%20c/json"),
        ("/networks//", "/networks/"),
    ],
)
def test_a_path_that_is_not_clean_is_sent_to_the_clean_one(
    client: Client, asked: str, location: str
) -> None:
    reply = client.request("GET", asked)
    assert (reply.status, reply.body, reply.headers["location"]) == (301, b"", location)


def test_a_client_that_is_too_new_is_told_the_newest_version(client: Client) -> None:
    reply = client.request("GET", "/v1.99/info")
    assert reply.status == 400
    assert reply.message == (
        "client version 1.99 is too new. Maximum supported API version is 1.41"
    )


def test_a_client_that_is_too_old_is_told_in_plain_text(client: Client) -> None:
    reply = client.request("GET", "/v1.11/info")
    assert reply.status == 400
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert reply.body == (
        b"client version 1.11 is too old. Minimum supported API version is 1.12, "
        b"please upgrade your client to a newer version\n"
    )


# ---------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("method", "target"),
    [("GET", "/nope"), ("POST", "/_ping"), ("GET", "/"), ("PUT", "/containers/json")],
)
def test_a_path_that_docker_does_not_know_is_not_found(
    client: Client, method: str, target: str
) -> None:
    reply = client.request(method, target)
    assert (reply.status, reply.body) == (404, b'{"message":"page not found"}\n')


def test_an_endpoint_that_is_not_served_says_so_in_a_sentence(client: Client) -> None:
    reply = client.request("GET", "/v1.41/containers/x/top")
    assert reply.status == 501
    assert reply.message == (
        "this engine does not serve GET /containers/{ref}/top of the Docker API"
    )


def test_no_endpoint_hides_another() -> None:
    """Each route's own template must lead to itself: an earlier route may not swallow it."""
    for route in ROUTES:
        template = route.pattern.pattern.removesuffix(r"\Z").replace("\\", "")
        for name in route.pattern.groupindex:
            for pattern in (".*", "[^/]+"):
                template = template.replace(f"(?P<{name}>{pattern})", "x")
        first = next(
            other
            for other in ROUTES
            if other.method == route.method and other.pattern.match(template)
        )
        assert first is route, template


def test_an_unexpected_failure_is_a_message_and_its_traceback_a_log_line(
    backend: FakeBackend, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    backend.broken = RuntimeError("the disk is on fire")
    with caplog.at_level(logging.ERROR):
        reply = client.request("GET", "/info")
    assert (reply.status, reply.body) == (500, b'{"message":"the disk is on fire"}\n')
    assert caplog.records[0].exc_info is not None
    backend.broken = None
    assert client.request("GET", "/info").status == 200


def test_a_refusal_by_the_machine_is_a_message_and_one_log_line(
    backend: FakeBackend, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    backend.broken = OSError(errno.ENOSPC, "create interface eth0: No space left on device")
    with caplog.at_level(logging.ERROR):
        reply = client.request("GET", "/info")
    assert reply.message == "create interface eth0: No space left on device"
    assert [record.exc_info for record in caplog.records] == [None]


def test_a_failure_without_words_is_named_by_its_class(
    backend: FakeBackend, client: Client
) -> None:
    backend.broken = AssertionError()
    assert client.request("GET", "/info").message == "AssertionError"


def test_the_backends_refusal_has_its_status_and_text(backend: FakeBackend, client: Client) -> None:
    backend.broken = Forbidden('a <b> & "c" é')
    reply = client.request("GET", "/info")
    assert reply.status == 403
    assert reply.body == '{"message":"a <b> & \\"c\\" é"}\n'.encode()


def test_not_modified_and_no_content_have_no_body(client: Client) -> None:
    assert client.request("POST", "/containers/running/start").status == 304
    reply = client.request("POST", "/containers/x/start")
    assert reply.status == 204
    assert "content-length" not in reply.headers
    assert client.request("GET", "/_ping").status == 200


# ---------------------------------------------------------------------------------------- bodies


def test_a_chunked_body_is_read(backend: FakeBackend, client: Client) -> None:
    head = request_bytes(
        "POST",
        "/containers/create",
        headers={"Content-Type": "application/json", "Transfer-Encoding": "chunked"},
    )
    client.send(head + b'5\r\n{"Ima\r\n')
    client.send(b'9\r\nge":"b"}x\r\n0\r\n\r\n')
    assert client.reply().status == 201
    assert backend.calls == [("create", None, {"Image": "b"})]


def test_a_client_that_waits_for_it_is_told_to_continue(
    backend: FakeBackend, client: Client
) -> None:
    body = b'{"Image":"b"}'
    headers = {"Expect": "100-continue", "Content-Length": str(len(body))}
    headers["Content-Type"] = "application/json"
    client.send(request_bytes("POST", "/containers/create", headers=headers))
    assert client.until(b"\r\n\r\n").startswith(b"HTTP/1.1 100")
    client.send(body)
    assert client.reply().status == 201


def test_a_client_that_waits_for_a_refused_body_gets_the_refusal_at_once(client: Client) -> None:
    headers = {"Expect": "100-continue", "Content-Length": "5"}
    client.send(request_bytes("POST", "/nope", headers=headers))
    assert client.reply().status == 404
    assert client.rest() == b""


@pytest.mark.parametrize("target", ["/images/load", "/images/create?fromSrc=-"])
def test_an_upload_that_waits_for_it_is_told_to_continue(
    backend: FakeBackend, client: Client, target: str
) -> None:
    """curl asks by itself; a load answers its head before it has read the body."""
    headers = {"Expect": "100-continue", "Content-Length": "4"}
    client.send(request_bytes("POST", target, headers=headers))
    assert client.until(b"\r\n\r\n").startswith(b"HTTP/1.1 100")
    client.send(b"good")
    assert client.reply().status == 200
    assert backend.imported == b"good"


def test_a_body_that_is_declared_too_large_is_refused_unread(client: Client) -> None:
    headers = {"Expect": "100-continue", "Content-Length": str(JSON_BYTES_MAX + 1)}
    headers["Content-Type"] = "application/json"
    client.send(request_bytes("POST", "/containers/create", headers=headers))
    assert client.reply().status == 413


def test_a_body_in_chunks_that_is_too_large_is_refused(path: Path) -> None:
    headers = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
    piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    with Client(path) as client:
        head = request_bytes("POST", "/containers/create", headers=headers)
        writer = threading.Thread(target=_write_until_refused, args=(client.sock, head, piece))
        writer.start()
        assert client.reply().status == 413
        writer.join(WAIT_S)
        assert not writer.is_alive()


def test_a_body_of_one_mebibyte_arrives_whole(backend: FakeBackend, client: Client) -> None:
    label = "x" * (1 << 20)
    body = b'{"Image":"b","Labels":{"a":"' + label.encode() + b'"}}'
    assert client.request("POST", "/containers/create", body).status == 201
    assert backend.calls[0][2]["Labels"]["a"] == label


def test_an_endless_json_body_is_refused_and_the_connection_ended(path: Path) -> None:
    with Client(path) as client:
        declared = {"Content-Length": str(1 << 30)}
        client.send(request_bytes("POST", "/containers/create", b"", declared))
        writer = threading.Thread(target=_write_until_refused, args=(client.sock,))
        writer.start()
        reply = client.reply()
        assert (reply.status, reply.message) == (
            413,
            "http: request body too large: more than 2097152 bytes",
        )
        writer.join(WAIT_S)
        assert not writer.is_alive()


def _write_until_refused(
    sock: socket.socket, head: bytes = b"", piece: bytes = b" " * (1 << 16)
) -> None:
    try:
        sock.sendall(head)
        for _ in range(1 << 14):
            sock.sendall(piece)
    except OSError:
        return


@pytest.mark.parametrize(
    ("target", "status"), [("/containers/create", 500), ("/networks/create", 400)]
)
def test_a_body_that_breaks_off_is_an_unexpected_eof(
    client: Client, target: str, status: int
) -> None:
    client.send(request_bytes("POST", target, b'{"Name"', {"Content-Length": "100"}))
    client.sock.shutdown(socket.SHUT_WR)
    reply = client.reply()
    assert (reply.status, reply.message) == (status, "unexpected EOF")
    assert client.rest() == b""


def test_a_badly_framed_body_is_refused(client: Client) -> None:
    headers = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
    client.send(request_bytes("POST", "/containers/create", headers=headers) + b"zz\r\n{}\r\n")
    reply = client.reply()
    assert (reply.status, reply.message) == (500, "invalid byte in chunk length")


def test_an_unread_body_does_not_become_the_next_request(client: Client) -> None:
    client.send(request_bytes("POST", "/nope", b"GET /evil HTTP/1.1\r\n\r\n"))
    assert client.reply().status == 404
    assert client.request("GET", "/_ping").body == b"OK"


# ----------------------------------------------------------------------------------------- heads


def test_requests_may_be_pipelined(client: Client) -> None:
    client.send(request_bytes("GET", "/_ping") * 3 + request_bytes("GET", "/nope"))
    assert [client.reply().status for _ in range(4)] == [200, 200, 200, 404]


def test_a_request_may_arrive_byte_by_byte(client: Client) -> None:
    for byte in request_bytes("POST", "/containers/create", b'{"Image":"b"}'):
        client.send(bytes([byte]))
    assert client.reply().status == 201


def test_a_client_that_says_close_is_closed(client: Client) -> None:
    client.send(request_bytes("GET", "/_ping", headers={"Connection": "close"}))
    assert client.reply().headers["connection"] == "close"
    assert client.rest() == b""


def test_an_old_client_gets_one_answer(client: Client) -> None:
    client.send(b"GET /_ping HTTP/1.0\r\n\r\n")
    assert client.reply().body == b"OK"
    assert client.rest() == b""


@pytest.mark.parametrize(
    "sent",
    [
        b"garbage\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET _ping HTTP/1.1\r\nHost: d\r\n\r\n",
        b"GET /%zz HTTP/1.1\r\nHost: d\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: d\r\nbad\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: d\r\nHost: e\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: d\r\nContent-Length: x\r\n\r\n",
    ],
)
def test_a_malformed_head_is_a_bad_request(client: Client, sent: bytes) -> None:
    client.send(sent)
    assert client.rest() == (
        b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Connection: close\r\n\r\n400 Bad Request"
    )


@pytest.mark.parametrize(
    ("sent", "line", "body"),
    [
        (
            b"GET /_ping HTTP/1.1\r\n\r\n",
            b"400 Bad Request: missing required Host header",
            b"400 Bad Request: missing required Host header",
        ),
        (
            b"GET /_ping HTTP/3.0\r\nHost: d\r\n\r\n",
            b"505 HTTP Version Not Supported: unsupported protocol version",
            b"505 HTTP Version Not Supported: unsupported protocol version",
        ),
        (
            b"POST / HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: foo\r\n\r\n",
            b"501 Not Implemented",
            b"Unsupported transfer encoding",
        ),
    ],
)
def test_a_head_that_cannot_be_served_is_answered_as_gos_server_does(
    client: Client, sent: bytes, line: bytes, body: bytes
) -> None:
    client.send(sent)
    head, _, text = client.rest().partition(b"\r\n\r\n")
    assert head.split(b"\r\n")[0] == b"HTTP/1.1 " + line
    assert text == body


def test_a_head_that_breaks_off_is_a_bad_request(client: Client) -> None:
    client.send(b"GET /_pi")
    client.sock.shutdown(socket.SHUT_WR)
    assert client.rest().startswith(b"HTTP/1.1 400 Bad Request\r\n")


def test_an_unknown_expectation_fails(client: Client) -> None:
    client.send(request_bytes("GET", "/_ping", headers={"Expect": "foo"}))
    assert client.rest().startswith(b"HTTP/1.1 417 Expectation Failed\r\n")


def test_a_large_header_is_read_and_a_huge_one_refused(path: Path) -> None:
    with Client(path) as client:
        reply = client.request("GET", "/_ping", headers={"X-Large": "a" * 100_000})
        assert reply.status == 200
    with Client(path) as client:
        writer = threading.Thread(target=_write_until_refused, args=(client.sock,))
        client.send(b"GET /_ping HTTP/1.1\r\nHost: d\r\nX: ")
        writer.start()
        assert client.head().status == 431
        writer.join(WAIT_S)


def test_a_head_with_very_many_lines_is_refused(client: Client) -> None:
    headers = {f"X-{number}": "a" for number in range(API_HEADERS_MAX)}
    client.send(request_bytes("GET", "/_ping", headers=headers))
    assert client.head().status == 431


def test_a_query_with_very_many_parameters_is_refused(client: Client) -> None:
    reply = client.request("GET", "/info?" + "a=1&" * API_PARAMETERS_MAX)
    assert (reply.status, reply.message) == (400, "more than 1024 parameters in the query")
    assert client.request("GET", "/_ping").status == 200


def test_a_client_that_does_not_finish_its_head_is_closed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "API_HEAD_WAIT_S", 0.2)
    with Client(path) as slow, Client(path) as idle:
        slow.send(b"GET /_ping HTTP/1.1\r\nHost")
        assert slow.rest().startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        # who has sent nothing may be silent for as long as it likes
        assert idle.request("GET", "/_ping").status == 200


def test_a_query_with_a_broken_escape_is_named_and_the_connection_kept(client: Client) -> None:
    reply = client.request("GET", "/networks?a=%zz")
    assert (reply.status, reply.message) == (400, 'invalid URL escape "%zz"')
    assert client.request("GET", "/_ping").status == 200
