"""What the endpoints pass on to the daemon, and the decoding that they refuse themselves."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.unit.refimpl.api_fake import FakeBackend
from tests.unit.refimpl.raw_http import Client

NO_MANAGER = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect '
    "this node to swarm and try again."
)
NO_HOST = 'Get "http:": http: no Host in request URL'
SEMICOLON = "invalid semicolon separator in query"


@pytest.mark.parametrize(
    ("method", "target", "body", "call"),
    [
        ("POST", "/containers/create?name=a", b'{"Image":"b"}', ("create", "a", {"Image": "b"})),
        ("POST", "/containers/create?name=", b"{}", ("create", None, {})),
        ("POST", "/containers/a/start", None, ("start", "a")),
        ("POST", "/containers/a%2Fb/start", b"{}", ("start", "a/b")),
        ("POST", "/containers/a/stop", None, ("stop", "a", None)),
        ("POST", "/containers/a/stop?t=0", None, ("stop", "a", 0)),
        ("POST", "/containers/a/kill?signal=HUP", None, ("kill", "a", "HUP")),
        ("POST", "/containers/a/resize?h=10&w=20", None, ("resize", "a", 10, 20)),
        # of the sizes the kernel gets 16 bits, as from Docker
        ("POST", "/containers/a/resize?h=70000&w=-1", None, ("resize", "a", 4464, 65535)),
        ("POST", "/exec/e/resize?h=-5&w=4294967298", None, ("exec_resize", "e", 65531, 2)),
        # a wait has an end, if a late one
        ("POST", "/containers/a/stop?t=9223372036854775807", None, ("stop", "a", (1 << 31) - 1)),
        ("POST", "/containers/a/restart?t=-99", None, ("container_restart", "a", -1)),
        ("POST", "/networks/n/connect", b'{"Container":"c"}', ("connect", "n", {"Container": "c"})),
        ("POST", "/networks/create", b'{"Name":"n"}', ("network", {"Name": "n"})),
        (
            "DELETE",
            "/containers/a?force=1&v=true",
            None,
            ("remove", "a", {"force": True, "volumes": True, "link": False}),
        ),
        (
            "GET",
            "/containers/json?all=1&limit=3&size=0&filters=" + quote('{"name":["x"]}'),
            None,
            ("list", {"all_": True, "limit": 3, "size": False, "filters": {"name": ["x"]}}),
        ),
        ("GET", "/networks/?filters=", None, ("networks", {})),
        ("GET", "/v1.27/networks", None, ("networks", {}, "detailed")),
        ("GET", "/v1.28/networks", None, ("networks", {})),
        ("POST", "/containers/a/restart?t=-1", None, ("container_restart", "a", -1)),
        ("POST", "/containers/a/pause", None, ("container_pause", "a")),
        ("POST", "/containers/a/unpause", None, ("container_unpause", "a")),
        ("POST", "/containers/a/rename?name=b", None, ("container_rename", "a", "b")),
        ("POST", "/containers/a/exec", b'{"Cmd":["x"]}', ("exec", "a", {"Cmd": ["x"]})),
        ("POST", "/exec/e/resize?h=1&w=2", None, ("exec_resize", "e", 1, 2)),
        ("GET", "/exec/e/json", None, ("exec_inspect", "e")),
        # moby does not parse the query there
        ("GET", "/exec/e/json?%zz", None, ("exec_inspect", "e")),
        ("GET", "/images/i/history?a;b", None, ("image_history", "i")),
        ("POST", "/networks/n/disconnect", b"{}", ("network_disconnect", "n", {})),
        ("DELETE", "/networks/n", None, ("network_remove", "n")),
        ("POST", "/networks/prune", None, ("networks_prune", {})),
        ("POST", "/images/prune", None, ("images_prune", {})),
        ("GET", "/images/json?all=1", None, ("image_list", {"all_": True, "filters": {}})),
        ("GET", "/images/i/history", None, ("image_history", "i")),
        ("POST", "/images/a/b/tag?repo=c&tag=d", None, ("image_tag", "a/b", "c", "d")),
        (
            "DELETE",
            "/images/i?force=1&noprune=1",
            None,
            ("image_remove", "i", {"force": True, "prune": False}),
        ),
    ],
)
def test_an_endpoint_passes_on_what_it_was_asked(
    backend: FakeBackend,
    client: Client,
    method: str,
    target: str,
    body: bytes | None,
    call: tuple[object, ...],
) -> None:
    assert client.request(method, target, body).status in {200, 201, 204}
    assert backend.calls == [call]


@pytest.mark.parametrize(
    ("method", "target", "body", "status", "message"),
    [
        ("GET", "/containers/json?limit=x", None, 500, 'strconv.Atoi: parsing "x": invalid syntax'),
        ("POST", "/containers/a/stop?t=x", None, 500, 'strconv.Atoi: parsing "x": invalid syntax'),
        ("POST", "/containers/a/resize", None, 400, 'strconv.Atoi: parsing "": invalid syntax'),
        ("POST", "/exec/e/resize?h=1&w=x", None, 400, 'strconv.Atoi: parsing "x": invalid syntax'),
        (
            "POST",
            "/containers/prune?filters=x",
            None,
            400,
            "invalid character 'x' looking for beginning of value",
        ),
        (
            "GET",
            "/containers/nope/logs",
            None,
            400,
            "Bad parameters: you must choose at least one stream",
        ),
        ("GET", "/containers/nope/logs?stdout=1", None, 404, "No such container: nope"),
        ("POST", "/containers/nope/wait", None, 404, "No such container: nope"),
        ("POST", "/containers/create", None, 500, "EOF"),
        ("POST", "/containers/a/exec", None, 400, "got EOF while reading request body"),
        ("POST", "/exec/nope/start", None, 400, "got EOF while reading request body"),
        ("POST", "/exec/nope/start", b"{}", 404, "No such exec instance: nope"),
        ("POST", "/networks/create", b"", 400, "got EOF while reading request body"),
        ("POST", "/networks/n/connect", None, 400, "got EOF while reading request body"),
        (
            "POST",
            "/networks/create",
            b"[]",
            400,
            "json: cannot unmarshal array into Go value of type types.NetworkCreateRequest",
        ),
        (
            "POST",
            "/containers/create",
            b'"x"',
            500,
            "json: cannot unmarshal string into Go value of type runconfig.ContainerConfigWrapper",
        ),
        (
            "POST",
            "/containers/a/start",
            b'{"NetworkMode":"x"}',
            400,
            "starting container with non-empty request body was deprecated since API v1.22 "
            "and removed in v1.24",
        ),
        (
            "GET",
            "/networks/bridge?verbose=zz",
            None,
            400,
            'invalid value for verbose: zz: strconv.ParseBool: parsing "zz": invalid syntax',
        ),
        ("POST", "/swarm/leave", None, 503, "This node is not part of a swarm"),
        ("POST", "/swarm/leave?force=1", b"{}", 503, "This node is not part of a swarm"),
        ("POST", "/containers/a/restart?t=a;t=b", None, 400, SEMICOLON),
        ("GET", "/events?since=x;until=y", None, 400, SEMICOLON),
        ("DELETE", "/nodes/x?a;b", None, 400, SEMICOLON),
        # the body is read before the exec is looked up
        (
            "POST",
            "/exec/nope/start",
            b'{"Detach":"x"}',
            400,
            "json: cannot unmarshal string into Go struct field ExecStartCheck.Detach of type bool",
        ),
        ("POST", "/exec/nope/start", b'{"detach":true}', 404, "No such exec instance: nope"),
        ("GET", "/nothing?a;b", None, 404, "page not found"),
        ("GET", "/services/x?a;b", None, 503, NO_MANAGER),
        ("GET", "/plugins/x/json?%zz", None, 404, 'plugin "x" not found'),
        # the id of an object of a swarm ends at a slash
        ("GET", "/configs/x/", None, 404, "page not found"),
        ("DELETE", "/services/x/", None, 404, "page not found"),
        ("GET", "/services/x/y/logs", None, 404, "page not found"),
        ("POST", "/secrets/x/y/update", b"{}", 404, "page not found"),
        ("GET", "/tasks/", None, 404, "page not found"),
        ("GET", "/volumes/x/", None, 404, "get x/: no such volume"),
        ("GET", "/swarm", None, 503, NO_MANAGER),
        ("POST", "/swarm/unlock", b"{}", 503, NO_MANAGER),
        ("POST", "/swarm/update?version=1", b"{}", 503, NO_MANAGER),
        ("POST", "/services/create", b"{}", 503, NO_MANAGER),
        ("POST", "/services/create", None, 400, "got EOF while reading request body"),
        ("POST", "/nodes/x/update?version=1", b"{}", 503, NO_MANAGER),
        ("GET", "/services/x/logs?stdout=1", None, 503, NO_MANAGER),
        (
            "GET",
            "/networks?filters=" + quote('{"id":["' + "x" * 70_000 + '"]}'),
            None,
            400,
            "filters are longer than 65536 bytes",
        ),
        (
            "POST",
            "/containers/a/stop?t=" + "9" * 5000,
            None,
            500,
            f'strconv.Atoi: parsing "{"9" * 5000}": value out of range',
        ),
        ("GET", "/containers/nope/logs?stdout=1&x=%00%ff", None, 404, "No such container: nope"),
        (
            "POST",
            "/images/create?fromImage=busybox&tag=1",
            None,
            404,
            "pull access denied for busybox:1",
        ),
        *(
            ("POST", f"/images/create{query}", None, 500, NO_HOST)
            for query in ("", "?fromSrc=", "?fromImage=&repo=y")
        ),
        (
            "POST",
            "/images/create?fromSrc=http://x/y",
            None,
            501,
            "this engine imports an image from the request only, not from 'http://x/y'",
        ),
    ],
)
def test_an_endpoint_refuses_as_docker_does(
    client: Client, method: str, target: str, body: bytes | None, status: int, message: str
) -> None:
    reply = client.request(method, target, body)
    assert (reply.status, reply.message) == (status, message)


def test_a_host_config_at_an_old_clients_start_is_refused_and_not_ignored(client: Client) -> None:
    reply = client.request("POST", "/v1.23/containers/a/start", b'{"NetworkMode":"x"}')
    assert (reply.status, reply.body) == (
        501,
        b"this engine takes no HostConfig at a start, as API 1.23 and older did\n",
    )


def test_an_image_is_imported_from_a_streamed_body(backend: FakeBackend, client: Client) -> None:
    tar = b"tar" * 300_000
    reply = client.request("POST", "/images/create?fromSrc=-&repo=a&tag=b", tar)
    assert reply.body == b'{"status":"sha256:' + b"1" * 64 + b'"}\r\n'
    assert reply.headers["content-type"] == "application/json"
    assert backend.imported == tar


def test_an_import_that_fails_has_a_status(client: Client) -> None:
    reply = client.request("POST", "/images/create?fromSrc=-", b"bad")
    assert reply.status == 500
    assert reply.message == "Error processing tar file(exit status 1): unexpected EOF"


def test_a_load_that_fails_says_so_inside_of_its_stream(client: Client) -> None:
    reply = client.request("POST", "/images/load?quiet=1", b"bad")
    assert reply.status == 200
    assert (
        reply.body == b'{"errorDetail":{"message":"unexpected EOF"},"error":"unexpected EOF"}\r\n'
    )
    reply = client.request("POST", "/images/load", b"good")
    assert reply.body == b'{"stream":"Loaded image: busybox:latest\\n"}\r\n'


def test_an_inspection_is_asked_for_in_full(client: Client) -> None:
    assert client.request("GET", "/containers/c/json?size=1").json() == {"Id": "c", "SizeRw": True}
    asked = client.request("GET", "/networks/n?verbose=true&scope=local").json()
    assert asked == {"Name": "n", "verbose": True, "Scope": "local"}


def test_an_images_name_may_have_slashes(client: Client) -> None:
    reply = client.request("GET", "/images/localhost:5000/a/b:c/json")
    assert reply.json() == {"Id": "localhost:5000/a/b:c"}
