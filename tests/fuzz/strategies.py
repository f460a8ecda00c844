"""Shots from nothing: valid, nearly valid and hostile ones, for every route of the reference.

What is chosen hangs on what exists (`Known`), so that most shots meet live objects.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote, urlencode

from hypothesis import strategies as st

from tests.fuzz import archives, documents, values
from tests.fuzz.routing import ENDPOINTS, PARAMETERS, Endpoint
from tests.fuzz.shots import ENDINGS, FRAMINGS, Shot
from tests.fuzz.wire import Outcome

CONTAINERS = ("mole", "newt", "otter", "puma", "quoll")
NETWORKS = ("north", "south", "west")
JSON = (("Content-Type", "application/json"),)
UPGRADE = (("Connection", "Upgrade"), ("Upgrade", "tcp"))
SUBNETS = {name: f"10.7{number}.0.0/24" for number, name in enumerate(NETWORKS, 1)}

Strategy = st.SearchStrategy[Shot]


@dataclass
class Known:
    """What a run has made, as far as the answers told; it may be wrong.

    Attributes:
        containers: names, of which some run.
        running: names.
        networks: names.
    """

    containers: set[str] = field(default_factory=set)
    running: set[str] = field(default_factory=set)
    networks: set[str] = field(default_factory=set)

    def learn(self, shot: Shot, outcome: Outcome) -> None:
        """Take note of an answer that says that something was done."""
        if outcome.status not in {200, 201, 204} or shot.raw is not None:
            return
        path, _, query = shot.target.partition("?")
        words = [word for word in path.split("/") if word and not word.startswith("v1.")]
        given = parse_qs(query).get("name", [""])[0]
        match (shot.method, words):
            case ("POST", ["containers", "create"]) if given in CONTAINERS:
                self.containers.add(given)
            case ("POST", ["containers", name, "start" | "restart"]):
                self.running |= {name} & self.containers
            case ("POST", ["containers", name, "stop" | "kill"]):
                self.running -= {name}
            case ("POST", ["containers", name, "rename"]) if name in self.containers:
                self.containers = self.containers - {name} | ({given} & set(CONTAINERS))
                if name in self.running:
                    self.running = self.running - {name} | ({given} & set(CONTAINERS))
            case ("DELETE", ["containers", name]) if "link" not in query:
                self.containers -= {name}
                self.running -= {name}
            case ("POST", ["networks", "create"]) if shot.body:
                self.networks |= {n for n in NETWORKS if f'"{n}"'.encode() in shot.body}
            case ("DELETE", ["networks", name]):
                self.networks -= {name}
            case _:
                pass


def post(target: str, document: Any = None, **more: Any) -> Shot:
    """Give a POST as a careful client sends it."""
    body = None if document is None else documents.encoded(document)
    return Shot("POST", target, body, JSON if body is not None else (), **more)


def create(name: str, mode: str = "bridge", **fields: Any) -> Shot:
    """Give a valid create of a container that ends at once when it is stopped."""
    host = {"NetworkMode": mode, **fields.pop("HostConfig", {})}
    document = {
        "Image": documents.IMAGE,
        "Cmd": ["sleep", "600"],
        "StopSignal": "SIGKILL",
        "HostConfig": host,
        **fields,
    }
    return post(f"/v1.41/containers/create?name={name}", document)


def network(name: str) -> Shot:
    """Give a valid create of one of the NETWORKS."""
    ipam = {"Config": [{"Subnet": SUBNETS[name]}]}
    return post("/v1.41/networks/create", {"Name": name, "CheckDuplicate": True, "IPAM": ipam})


BEGIN = (
    network("north"),
    create("mole", "north"),
    post("/v1.41/containers/mole/start"),
    create("newt", OpenStdin=True, Cmd=["cat"], HostConfig={"Links": []}),
    post("/v1.41/containers/newt/start"),
    post("/v1.41/containers/mole/exec", {"Cmd": ["cat"], "AttachStdin": True}),
)
"""How every run of shots begins: two running containers, a network and an exec."""


def shots(known: Known) -> Strategy:
    """Give any shot at all."""
    kinds = [ordinary(known)] * 9 + [odd_query(known)] * 3 + [odd_document(known)] * 4
    kinds += [odd_text(known), odd_framing(known), odd_ending(known), odd_target(known)]
    kinds += [streamed(known)] * 2 + [archive()] * 2 + [raw()]
    return st.sampled_from(kinds).flatmap(lambda kind: kind)


# ------------------------------------------------------------------------------------- ordinary


def _some(known: set[str], names: tuple[str, ...]) -> st.SearchStrategy[str]:
    return st.sampled_from([*sorted(known) * 4, *names])


@st.composite
def ordinary(draw: st.DrawFn, known: Known) -> Shot:
    """Draw what a careful client sends, which meets whatever state there is."""
    container = draw(_some(known.containers, CONTAINERS))
    running = draw(_some(known.running, CONTAINERS))
    net = draw(_some(known.networks, (*NETWORKS, "bridge")))
    other = draw(st.sampled_from(CONTAINERS))
    path = f"/v1.41/containers/{container}"
    live = f"/v1.41/containers/{running}"
    free = [name for name in CONTAINERS if name not in known.containers] or [other]
    new = draw(st.sampled_from(free))
    mode = draw(
        st.sampled_from(["bridge", "bridge", "none", "host", net, net, f"container:{container}"])
    )
    links = draw(st.sampled_from([[], [f"{running}:peer"], [container]]))
    choices = [
        create(new, mode, HostConfig={"Links": links}),
        create(new, net, Tty=True, OpenStdin=True, Cmd=["sh"]),
        create(new, Cmd=["sh", "-c", "echo out; echo err >&2"], HostConfig={"AutoRemove": True}),
        create(new, Cmd=["false"], HostConfig={"RestartPolicy": {"Name": "always"}}),
        *[post(f"{path}/start")] * 5,
        post(f"{live}/stop?t=0"),
        post(f"{path}/restart?t=0"),
        post(f"{live}/kill"),
        post(f"{live}/kill?signal=SIGUSR1"),
        post(f"{live}/pause"),
        post(f"{path}/unpause"),
        post(f"{path}/unpause"),
        post(f"{path}/rename?name={other}"),
        Shot("DELETE", f"{path}?force=1"),
        Shot("DELETE", path),
        Shot("DELETE", f"/v1.41/containers/{container}/peer?link=1"),
        post(f"{live}/exec", {"Cmd": ["echo", "said"], "AttachStdout": True}),
        post(f"{live}/exec", {"Cmd": ["cat"], "AttachStdin": True, "Tty": True}),
        post("/v1.41/exec/<exec>/start", {"Detach": True}),
        post("/v1.41/exec/<exec>/start", {"Detach": False}),
        Shot("GET", "/v1.41/exec/<exec>/json"),
        Shot("GET", f"{path}/json"),
        Shot("GET", "/v1.41/containers/json?all=1&size=1"),
        Shot("GET", f"{path}/logs?stdout=1&stderr=1"),
        *[network(name) for name in NETWORKS],
        *[post(f"/v1.41/networks/{net}/connect", {"Container": container})] * 3,
        post(f"/v1.41/networks/{net}/connect",
             {"Container": running, "EndpointConfig": {"Links": [f"{other}:l"], "Aliases": ["a"]}}),
        *[post(f"/v1.41/networks/{net}/disconnect", {"Container": container, "Force": False})] * 2,
        Shot("DELETE", f"/v1.41/networks/{net}"),
        Shot("GET", f"/v1.41/networks/{net}?verbose=1"),
        post("/v1.41/networks/prune"),
        post("/v1.41/containers/prune"),
    ]  # fmt: skip
    return draw(st.sampled_from(choices))


# ------------------------------------------------------------------------------------------ odd

_PLAIN = [endpoint for endpoint in ENDPOINTS if not endpoint.is_unserved]
_ANY = st.sampled_from([*_PLAIN * 6, *ENDPOINTS])
_WITH_QUERY = st.sampled_from([e for e in _PLAIN if e.parameters])
_DETACH_KEYS = ("ctrl-p,ctrl-q", "zz", "ctrl-é", "a,b", ",", "ctrl-", "ctrl-@", "é", "a" * 5000)
_CHANGES = (
    "CMD true", "VOLUME [{}]", "VOLUME", 'CMD ["a"', "CMD [1]", "ENV x", "ENV a=b c", 'ENV a="',
    "EXPOSE x", "EXPOSE 80/x", "USER", "LABEL a=b", "LABEL a", "HEALTHCHECK NONE", "WORKDIR x",
    "HEALTHCHECK --interval=x CMD y", "STOPSIGNAL FOO", "ONBUILD FROM x", "FROM x", "RUN x", "#",
    "\\", "ENTRYPOINT {}", "CMD\0", "é x", "a" * 5000, 'SHELL ["sh"]', "CMD " + "[" * 3000,
)  # fmt: skip
_KINDS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("h", "w", "t", "limit", "tail"), values.INTEGERS),
    **dict.fromkeys(("since", "until"), values.TIMES),
    **dict.fromkeys(
        ("all", "size", "force", "v", "link", "follow", "stdout", "stderr", "stdin", "stream"),
        values.BOOLEANS,
    ),
    **dict.fromkeys(("logs", "timestamps", "noprune", "quiet", "verbose"), values.BOOLEANS),
    "filters": values.FILTERS,
    "detachKeys": _DETACH_KEYS,
    "changes": _CHANGES,
    "signal": ("SIGKILL", "9", "0", "-9", "KILL", "65", "SIGRTMIN+1", "sigterm", *values.TEXTS),
    "fromSrc": ("-", "http://127.0.0.1:1/x", "x", "file:///etc/passwd", ""),
    "condition": ("next-exit", "removed", "not-running", "x"),
}


@st.composite
def _path(draw: st.DrawFn, endpoint: Endpoint, known: Known) -> str:
    """Draw a path of a route with a prefix; names are of what exists as a rule."""
    path = endpoint.path
    if "{" in path:
        head, _, rest = path.partition("{")
        names: set[str] = known.containers if head.startswith("/containers") else set()
        if head.startswith("/networks"):
            names = known.networks
        if head.startswith("/exec"):
            names = {"<exec>"}
        if head.startswith("/images"):
            names = {"fuzzed:latest", "<image>"}
        name = draw(st.sampled_from([*sorted(names) * 20, *values.REFS]))
        path = head + name + rest.partition("}")[2]
    return draw(st.sampled_from(values.VERSIONS[:10])) + path


def _quoted(name: str, value: str) -> str:
    # a surrogate stands for a byte that is not UTF-8
    return f"{quote(name, safe='')}={quote(value.encode('utf-8', 'surrogateescape'), safe='<> ')}"


@st.composite
def _query(draw: st.DrawFn, endpoint: Endpoint) -> str:
    """Draw parameters, some of them odd."""
    names = [*endpoint.parameters * 4, draw(st.sampled_from(PARAMETERS))]
    parts = []
    for name in draw(st.lists(st.sampled_from(names), min_size=1, max_size=3)):
        pool = _KINDS.get(name, values.TEXTS)
        value = draw(st.sampled_from([*pool * 3, *values.TEXTS]))
        parts.append(_quoted(name, value).replace(" ", "%20"))
    joint = draw(st.sampled_from(["&"] * 8 + [";", "&&", "&%zz&"]))
    return joint.join(parts)


def _document_for(endpoint: Endpoint) -> dict[str, Any] | None:
    return documents.BY_PATH.get(endpoint.path)


@st.composite
def odd_query(draw: st.DrawFn, known: Known) -> Shot:
    """Draw a route with odd parameters and, where it takes one, a whole document."""
    endpoint = draw(_WITH_QUERY)
    target = f"{draw(_path(endpoint, known))}?{draw(_query(endpoint))}"
    if endpoint.path == "/images/create" and "fromSrc" not in target:
        target += "&fromSrc=-"
    document = _document_for(endpoint)
    if endpoint.path in {"/images/create", "/images/load"}:
        return Shot("POST", target, archives.layers()["good"], odd="query")
    if document is not None:
        return post(target, document, odd="query")
    return Shot(endpoint.method, target, odd="query")


_WITH_DOCUMENT = [endpoint for endpoint in ENDPOINTS if _document_for(endpoint)]


@st.composite
def odd_document(draw: st.DrawFn, known: Known) -> Shot:
    """Draw a document with one or two odd fields."""
    weights = [e for e in _WITH_DOCUMENT for _ in range(4 if "create" in e.path else 1)]
    endpoint = draw(st.sampled_from(weights))
    document = _document_for(endpoint)
    assert document is not None
    fields = []
    for _ in range(draw(st.sampled_from([1, 1, 1, 2]))):
        ways = [way for way in documents.paths_in(document) if len(way) < 7]
        way = draw(st.sampled_from(ways))
        value = draw(st.sampled_from(documents.odd_values(way)))
        document = documents.with_value(document, way, value)
        fields.append(".".join(map(str, way)))
    target = draw(_path(endpoint, known))
    if endpoint.path == "/containers/create":
        target += f"?name={draw(st.sampled_from(CONTAINERS))}"
    return post(target, document, odd=f"field {' and '.join(fields)}")


@st.composite
def odd_text(draw: st.DrawFn, known: Known) -> Shot:
    """Draw a document whose text is spoiled, for a route that reads one or for any other."""
    endpoint = draw(st.sampled_from([*_WITH_DOCUMENT * 10, *ENDPOINTS]))
    how = draw(st.sampled_from(sorted(documents.SPOILERS)))
    document = _document_for(endpoint) or documents.EXEC
    body = documents.SPOILERS[how](documents.encoded(document))
    headers = draw(
        st.sampled_from([*[JSON] * 8, (), *((header,) for header in values.HEADERS[:8])])
    )
    return Shot(endpoint.method, draw(_path(endpoint, known)), body, headers, odd=f"body: {how}")


@st.composite
def odd_framing(draw: st.DrawFn, known: Known) -> Shot:
    """Draw a body that is framed in an odd way."""
    endpoint = draw(st.sampled_from([*_WITH_DOCUMENT * 4, *ENDPOINTS]))
    framing = draw(st.sampled_from(FRAMINGS))
    body = documents.encoded(_document_for(endpoint) or documents.EXEC)
    if "/images/" in endpoint.path:
        body = archives.layers()["good"]
    body = draw(st.sampled_from([body, body, b"", b"{}", b"x"]))
    return Shot(
        endpoint.method,
        draw(_path(endpoint, known)),
        body,
        JSON,
        framing,
        odd=f"framing: {framing}",
    )


@st.composite
def odd_ending(draw: st.DrawFn, known: Known) -> Shot:
    """Draw a request whose client hangs up, or goes on, where others wait."""
    endpoint = draw(_ANY)
    ending = draw(st.sampled_from(ENDINGS))
    document = _document_for(endpoint)
    body = None if document is None else documents.encoded(document)
    target = draw(_path(endpoint, known))
    return Shot(endpoint.method, target, body, JSON, ending=ending, odd=f"ending: {ending}")


@st.composite
def odd_target(draw: st.DrawFn, known: Known) -> Shot:
    """Draw an odd method, version, name or header."""
    endpoint = draw(_ANY)
    method, headers = endpoint.method, JSON
    path = draw(_path(endpoint, known))
    what = draw(st.sampled_from(["method", "version", "name", "name", "header"]))
    if what == "method":
        method = draw(st.sampled_from(values.METHODS))
    elif what == "version":
        path = draw(st.sampled_from(values.VERSIONS)) + endpoint.path.replace("{", "").replace(
            "}", ""
        )
    elif what == "name" and "{" in endpoint.path:
        head, _, rest = endpoint.path.partition("{")
        path = head + draw(st.sampled_from(values.ODD_REFS)) + rest.partition("}")[2]
    else:
        headers = (draw(st.sampled_from(values.HEADERS)),)
    document = _document_for(endpoint)
    body = None if document is None else documents.encoded(document)
    return Shot(method, path, body, headers, odd=what)


@st.composite
def streamed(draw: st.DrawFn, known: Known) -> Shot:
    """Draw a stream that is left in one way or another: events, logs, attach, wait, exec."""
    container = draw(_some(known.running, CONTAINERS))
    path = f"/v1.41/containers/{container}"
    ending = draw(st.sampled_from(["read", "type", "hang up", *ENDINGS]))
    headers = draw(st.sampled_from([(), UPGRADE]))
    shot = draw(
        st.sampled_from([
            Shot("GET", "/v1.41/events"),
            Shot("GET", "/v1.41/events?" + urlencode({"filters": '{"type":["network"]}'})),
            Shot("GET", f"{path}/logs?follow=1&stdout=1&stderr=1&timestamps=1"),
            Shot("GET", f"{path}/logs?follow=1&stdout=1&tail=1&until=1"),
            post(f"{path}/attach?stream=1&stdin=1&stdout=1&stderr=1&logs=1"),
            post(f"{path}/attach?stream=1&stdin=1"),
            post(f"{path}/attach?logs=1&stdout=1"),
            post(f"{path}/attach"),
            post(f"{path}/wait"),
            post(f"{path}/wait?condition=next-exit"),
            post(f"{path}/wait?condition=removed"),
            post(f"/v1.24/containers/{container}/wait"),
            post("/v1.41/exec/<exec>/start", {"Detach": False, "Tty": False}),
            post("/v1.41/exec/<exec>/start", {"Detach": False, "Tty": True}),
        ])
    )  # fmt: skip
    return Shot(
        shot.method, shot.target, shot.body, (*shot.headers, *headers), ending=ending,
        odd=f"ending: {ending}",
    )  # fmt: skip


@st.composite
def archive(draw: st.DrawFn) -> Shot:
    """Draw an odd archive for import or load."""
    if draw(st.booleans()):
        odd = draw(st.sampled_from(sorted(archives.layers())))
        body = archives.layers()[odd]
        target = "/v1.41/images/create?fromSrc=-&repo=fuzzed&tag=latest"
        if draw(st.sampled_from([False, False, True])):
            target += "&" + _quoted("changes", draw(st.sampled_from(_CHANGES))).replace(" ", "%20")
    else:
        odd = draw(st.sampled_from(sorted(archives.images())))
        body = archives.images()[odd]
        target = "/v1.41/images/load?quiet=" + draw(st.sampled_from(["0", "1"]))
    framing = draw(st.sampled_from(["length", "chunked", "expect", "length too long"]))
    return Shot("POST", target, body, (("Content-Type", "application/x-tar"),), framing, odd=odd)


@st.composite
def raw(draw: st.DrawFn) -> Shot:
    """Draw bytes that are hardly a request."""
    return Shot(raw=draw(st.sampled_from(values.RAW)), odd="raw")
