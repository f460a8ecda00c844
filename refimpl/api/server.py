"""The engine's front door: HTTP on a unix socket, one thread a client.

A `Listener` is the socket; a `Server` answers on it, and its `close` ends every connection and
every thread. What a request means is decided by the routes and, behind them, by the daemon.

Mirrors: moby api/server/server.go, api/server/middleware/version.go and daemon/listeners (v20.10).
"""

from __future__ import annotations

import contextlib
import grp
import io
import logging
import os
import socket
import threading
import time
from pathlib import Path

import h11

from refimpl.api.answer import Answer
from refimpl.api.connection import Body, ClientGone, Connection, ProtocolError
from refimpl.api.hang_ups import HangUps
from refimpl.api.request import Request, moved_target, parse_target
from refimpl.api.routes import dispatch
from refimpl.api.versions import split_version
from refimpl.daemon.backend import Backend
from refimpl.errors import EngineError, InvalidParameter, message_of
from refimpl.limits import (
    API_ACCEPT_PAUSE_S,
    API_BACKLOG,
    API_CLIENTS_MAX,
    API_CLOSE_WAIT_S,
    API_HEADERS_MAX,
)
from refimpl.model.api_version import API_VERSION

_log = logging.getLogger(__name__)

SOCKET_MODE = 0o660
SOCKET_GROUP = "docker"


class SocketInUse(EngineError):
    """Another live server listens on the socket."""


class Listener:
    """A bound unix socket, mode 0660, owned by the group docker where there is one.

    Clients can connect at once, and wait for the server. A socket file that nobody listens on is
    replaced.

    Raises:
        SocketInUse: another server answers on it.
        OSError: the socket cannot be made there.
    """

    def __init__(self, path: Path) -> None:
        _remove_stale(path)
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            mask = os.umask(0o777 & ~SOCKET_MODE)
            try:
                self.socket.bind(str(path))
            finally:
                os.umask(mask)
            self._inode = path.stat().st_ino
            with contextlib.suppress(KeyError, PermissionError):
                os.chown(path, -1, grp.getgrnam(SOCKET_GROUP).gr_gid)
            self.socket.listen(API_BACKLOG)
        except BaseException:
            self.socket.close()
            raise

    def wake(self) -> None:
        """Let whoever waits for a client wait no longer."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Stop listening and remove the socket file, if it is still this one's. Idempotent."""
        self.socket.close()
        with contextlib.suppress(FileNotFoundError):
            if self.path.stat().st_ino == self._inode:
                self.path.unlink()


class Server:
    """Serves a backend to every client that connects, from the first moment to `close`."""

    def __init__(self, backend: Backend, listener: Listener) -> None:
        self._backend = backend
        self._listener = listener
        self._headers = standard_headers(backend)
        self._hang_ups = HangUps()
        self._lock = threading.Lock()
        self._clients: dict[Connection, threading.Thread] = {}
        self._is_refusing = False
        self._closing = False
        self._acceptor = threading.Thread(target=self._accept, name="api-accept", daemon=True)
        self._acceptor.start()

    def close(self) -> None:
        """Stop listening, end every connection, remove the socket file. Idempotent."""
        with self._lock:
            if self._closing:
                return
            self._closing = True
            clients = list(self._clients.items())
        self._listener.wake()
        self._acceptor.join(API_CLOSE_WAIT_S)
        self._listener.close()
        for connection, _ in clients:
            connection.abort()
        deadline = time.monotonic() + API_CLOSE_WAIT_S
        for _, thread in clients:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._hang_ups.close()

    def _accept(self) -> None:
        """Take clients until the server closes; what goes wrong for one is the end of that one."""
        is_failing = False
        while True:
            try:
                client, _ = self._listener.socket.accept()
            except OSError as exc:
                if self._closing or self._listener.socket.fileno() == -1:
                    return
                if not is_failing:
                    _log.error("accept failed: %s; trying on", exc)
                is_failing = True
                time.sleep(API_ACCEPT_PAUSE_S)
                continue
            is_failing = False
            connection = Connection(client, self._hang_ups)
            try:
                self._begin(connection)
            except Exception as exc:  # noqa: BLE001 - the acceptor outlives every client
                self._refuse(connection, exc)

    def _begin(self, connection: Connection) -> None:
        """Give a client its thread.

        Raises:
            RuntimeError: there are too many clients, or threads.
        """
        thread = threading.Thread(
            target=self._serve, args=(connection,), name="api-client", daemon=True
        )
        with self._lock:
            if self._closing:
                connection.close()
                return
            if len(self._clients) >= API_CLIENTS_MAX:
                raise RuntimeError(f"more than {API_CLIENTS_MAX} clients are connected")
            self._clients[connection] = thread
        thread.start()
        self._is_refusing = False

    def _refuse(self, connection: Connection, reason: Exception) -> None:
        """Turn a client away; of a row of them the first is logged."""
        with self._lock:
            self._clients.pop(connection, None)
        if not self._is_refusing:
            _log.error("%s is refused: %s", connection.name, reason)
        self._is_refusing = True
        connection.refuse(f"the engine can serve no further client: {reason}")

    def _serve(self, connection: Connection) -> None:
        try:
            while self._serve_one(connection):
                pass
        except ClientGone:
            pass
        except ProtocolError as exc:
            connection.send_protocol_error(exc)
        except Exception:  # noqa: BLE001 - one client's trouble must not end the engine
            _log.exception("%s: the connection ended with an unexpected failure", connection.name)
        finally:
            connection.close()
            with self._lock:
                self._clients.pop(connection, None)

    def _serve_one(self, connection: Connection) -> bool:
        """Serve the next request; False when the connection has come to its end."""
        head = connection.next_request()
        if head is None:
            return False
        request, refused = _read_request(connection, head)
        if request.headers.get("expect", "100-continue").lower() != "100-continue":
            raise ProtocolError(417)
        answer = Answer(connection, request, self._headers)
        try:
            if refused is not None:
                raise refused
            if request.moved:
                answer.redirect(request.moved)
            else:
                dispatch(self._backend, request, answer)
        except ClientGone:
            raise
        except Exception as exc:  # noqa: BLE001 - a client gets a message, never a traceback
            if not _answer_failure(request, answer, exc):
                return False
        return not answer.hijacked and connection.next_cycle()


def _answer_failure(request: Request, answer: Answer, failure: Exception) -> bool:
    """Tell the client; False when its answer has begun and can only be broken off."""
    if isinstance(failure, EngineError):
        if answer.started:
            _log.error("%s %s: %s", request.method, request.path, failure)
            return False
        answer.error(failure.status, str(failure))
        return True
    if isinstance(failure, OSError):  # the machine refused, which is no defect of the engine's
        _log.error("%s %s: %s", request.method, request.path, failure)
    else:
        _log.error("%s %s failed unexpectedly", request.method, request.path, exc_info=failure)
    if answer.started:
        return False
    answer.error(500, message_of(failure))
    return True


def standard_headers(backend: Backend) -> dict[str, str]:
    """Return the headers of every answer, by which clients know the engine and its API."""
    version = backend.version()
    return {
        "Api-Version": API_VERSION,
        "Docker-Experimental": str(bool(version.get("Experimental"))).lower(),
        "Ostype": str(version.get("Os", "linux")),
        "Server": f"Docker/{version.get('Version', '')} ({version.get('Os', 'linux')})",
    }


def _read_request(connection: Connection, head: h11.Request) -> tuple[Request, EngineError | None]:
    """Return the request, and why it must be refused before any route sees it."""
    if len(head.headers) > API_HEADERS_MAX:
        raise ProtocolError(431)
    target = head.target.decode("latin-1")
    refused = None
    try:
        parsed = parse_target(target)
    except InvalidParameter as exc:
        refused = exc
        parsed = parse_target(target.partition("?")[0])
    except ValueError:
        raise ProtocolError(400) from None
    version, path = split_version(parsed.path)
    headers: dict[str, str] = {}
    for name, value in head.headers:
        headers.setdefault(name.decode("latin-1"), value.decode("latin-1"))
    request = Request(
        method=head.method.decode("latin-1"),
        path=path,
        query=parsed.query,
        headers=headers,
        body=io.BufferedReader(Body(connection)),
        version=version,
        moved=moved_target(target, parsed.path),
        query_error=parsed.query_error,
    )
    return request, refused


def _remove_stale(path: Path) -> None:
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except FileNotFoundError:
            return
    raise SocketInUse(f"another engine listens on unix://{path}")
