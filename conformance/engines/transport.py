"""Ways to an engine's API: the SDK's client and the raw socket, for unix and tcp addresses."""

import socket
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import docker
import docker.errors
import docker.tls
import requests

from conformance.documents import answer_in_documents
from conformance.engines.base import API_TIMEOUT_S, EngineError, EngineUnavailable


def sdk_client(address: str, tls: docker.tls.TLSConfig | None = None) -> docker.DockerClient:
    """Give the SDK's client for an address, at the newest API version that both know."""
    client = docker.DockerClient(
        base_url=address, version="auto", timeout=API_TIMEOUT_S, tls=tls or False
    )
    client.api.hooks["response"].append(answer_in_documents)
    return client


class KeptClient:
    """The SDK's client of one engine, kept until it is closed; the next one is made anew."""

    def __init__(self) -> None:
        """Begin without a client."""
        self._client: docker.DockerClient | None = None

    def of(self, name: str, address: str) -> docker.DockerClient:
        """Give the client.

        Args:
            name: what messages call the engine.
            address: where the engine is; a client that is kept was made for the same one.

        Raises:
            EngineError: the engine does not answer.
        """
        if self._client is None:
            try:
                self._client = sdk_client(address)
            except (docker.errors.DockerException, requests.RequestException) as exc:
                raise EngineError(f"{name} does not answer at {address}: {exc}") from exc
        return self._client

    def close(self) -> None:
        """Close the client, if there is one."""
        if self._client is not None:
            self._client.close()
            self._client = None


def open_socket(address: str, tls: docker.tls.TLSConfig | None = None) -> socket.socket:
    """Open a raw connection to the API at an address.

    Raises:
        EngineUnavailable: the address is of a kind that is not known here.
    """
    parts = urlsplit(address)
    if parts.scheme == "unix":
        local = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        local.settimeout(API_TIMEOUT_S)
        try:
            local.connect(socket_path(address))
        except OSError:
            local.close()
            raise
        return local
    if parts.scheme not in ("tcp", "http", "https") or parts.hostname is None:
        raise EngineUnavailable(f"{address}: want unix:///path or tcp://host:port")
    remote = socket.create_connection((parts.hostname, parts.port or 2375), API_TIMEOUT_S)
    if tls is None:
        return remote
    context = ssl.create_default_context(cafile=tls.ca_cert or None)
    if tls.cert:
        context.load_cert_chain(*tls.cert)
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(remote, server_hostname=parts.hostname)


def shows_networks(address: str) -> bool:
    """Tell whether an engine shows its networks: it may answer a ping before it has any."""
    try:
        with open_socket(address) as connection:
            connection.settimeout(5)
            connection.sendall(b"GET /networks HTTP/1.0\r\nHost: engine\r\n\r\n")
            return b" 200 " in connection.recv(64)
    except OSError:
        return False


def socket_path(address: str) -> str:
    """Give the path in a unix:// address."""
    return str(Path(urlsplit(address).netloc + urlsplit(address).path))


def peer_pid(address: str) -> int | None:
    """Ask the kernel who made the socket of a unix address; None for any other address.

    With socket activation it is systemd, not the daemon (`processes.serving_pid`).
    """
    if urlsplit(address).scheme != "unix":
        return None
    with open_socket(address) as connection:
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int.from_bytes(raw[:4], "little") or None
