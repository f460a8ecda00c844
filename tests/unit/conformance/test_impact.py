"""What `python -m conformance impact` reads, asks and prints; no engine is needed."""

import http.server
import json
import re
import threading
from pathlib import Path
from typing import Any, ClassVar

import pytest
from click.testing import CliRunner

from conformance.changes import Change
from conformance.cli import main
from conformance.impact.columns import nearest_column
from conformance.impact.documents import as_part, objects_of, read_dump
from conformance.impact.foretell import Foretold, Impact, foretell
from conformance.impact.parts import SetupError
from conformance.impact.setup import Container, Effect, Endpoint, Network, Setup, nobody
from conformance.impact.told import impact_plain
from conformance.registry import Behaviour
from conformance.report.compare import compare_columns
from conformance.report.comparison import Kind
from tests.unit.conformance.made_reports import cell

SHORT = "aaaaaaaaaaaa"
ID = SHORT * 5 + "aaaa"
UPGRADE = ("--from", "docker-20.10", "--to", "docker-28.5")


def container(name: str = "/web", **more: Any) -> dict[str, Any]:
    return {
        "Id": ID,
        "Name": name,
        "State": {"Status": "running"},
        "Config": {"Hostname": SHORT, "ExposedPorts": {"80/tcp": {}}},
        "HostConfig": {
            "NetworkMode": "n-red",
            "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]},
            "RestartPolicy": {"Name": "no"},
            "Dns": None,
            "Sysctls": {"net.x": "1"},
        },
        "NetworkSettings": {
            "Networks": {
                "n-red": {
                    "IPAMConfig": None,
                    "Aliases": ["shop", SHORT],
                    "IPAddress": "10.1.0.2",
                    "MacAddress": "02:42:0a:01:00:02",
                }
            }
        },
        **more,
    }


def network(name: str = "n-red", **more: Any) -> dict[str, Any]:
    ipam = {"Config": [{"Subnet": "10.1.0.0/24", "Gateway": "10.1.0.1"}]}
    return {"Id": f"{name}-id-of-it", "Name": name, "Driver": "bridge", "IPAM": ipam, **more}


def read(*documents: dict[str, Any]) -> tuple[list[Container], list[Network]]:
    return objects_of(as_part(one, f"dump.json[{at}]") for at, one in enumerate(documents))


def told(tmp_path: Path, documents: Any, *words: str) -> Any:
    path = tmp_path / "dump.json"
    path.write_text(documents if isinstance(documents, str) else json.dumps(documents))
    return CliRunner().invoke(main, ["impact", "--inspect", str(path), *(words or UPGRADE)])


# ---------------------------------------------------------------------- reading


def test_container_and_network_are_read():
    (one,), (net,) = read(container(), network())
    assert (one.name, one.mode, one.status, one.restart) == ("web", "n-red", "running", "")
    assert one.ports == {"80/tcp": (("", "8080"),)}
    assert not one.has_chosen_hostname
    (end,) = one.endpoints
    assert (end.aliases, end.address, end.is_mac_of_address) == (("shop",), "10.1.0.2", True)
    assert (net.name, net.has_ipv4, net.pools[0].gateway) == ("n-red", True, "10.1.0.1")


def test_mode_by_id_is_read_as_the_networks_name():
    host = {"NetworkMode": "n-red-id-of-it"}
    (one,), _ = read(container(HostConfig=host), network())
    assert one.mode == "n-red"


def test_default_mode_is_bridge():
    (one,), _ = read(container(HostConfig={"NetworkMode": "default"}))
    assert one.mode == "bridge"


def test_network_without_ipv4():
    _, nets = read(network(EnableIPv4=False), network("m", EnableIPv4=True))
    assert [net.has_ipv4 for net in nets] == [False, True]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"RepoTags": ["x"]}, r"dump.json\[0\] is neither a container nor a network"),
        (container(name=""), "the container has no Name"),
        (network(name=""), "the network has no Name"),
        (container(HostConfig=[]), r"HostConfig: expected an object, found list"),
        (container(Name=7), "Name: expected a string, found int"),
        (container(HostConfig={"Dns": "8.8.8.8"}), "Dns: expected a list, found str"),
        (container(HostConfig={"Dns": [1]}), "Dns: expected a string, found int"),
        (container(HostConfig={"PortBindings": {"80/tcp": 8}}), "80/tcp: expected a list"),
        (container(HostConfig={"PortBindings": {"80/tcp": [8]}}), r"80/tcp\[0\]: expected"),
        (container(HostConfig={"AutoRemove": "no"}), "AutoRemove: expected true or false"),
        (container(NetworkSettings={"Networks": {"n": 1}}), "Networks.n: expected an object"),
        (
            container(NetworkSettings={"Networks": {"n": {"GwPriority": True}}}),
            "GwPriority: expected an integer, found bool",
        ),
        (network(IPAM={"Config": [None]}), r"IPAM.Config\[0\]: expected an object"),
        (network(Internal="x"), "Internal: expected true or false"),
    ],
)
def test_field_of_another_type_is_named(document, said):
    with pytest.raises(SetupError, match=said):
        read(document)


def test_what_stands_twice_is_refused():
    with pytest.raises(SetupError, match="the container web stands twice"):
        read(container(), container())
    with pytest.raises(SetupError, match="the network n-red stands twice"):
        read(network(), network())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not JSON"),
        ("[", "is not JSON"),
        ("7", "expected a list"),
        ("[7]", r"\[0\]: expected an object, found int"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ("[" + "9" * 5000 + "]", "is not JSON"),
    ],
)
def test_dump_that_is_none_is_one_clear_error(tmp_path, text, said):
    path = tmp_path / "dump.json"
    path.write_text(text)
    with pytest.raises(SetupError, match=said) as caught:
        read_dump(path)
    assert "dump.json" in str(caught.value)


def test_dump_that_is_no_text(tmp_path):
    path = tmp_path / "dump.json"
    path.write_bytes(b"\xff\xfe[]")
    with pytest.raises(SetupError, match="is not JSON"):
        read_dump(path)


def test_dump_without_an_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("conformance.impact.documents.FILE_BYTES_MAX", 1024 * 1024)
    with pytest.raises(SetupError, match="/dev/zero has more than 1 MB"):
        read_dump(Path("/dev/zero"))
    monkeypatch.setattr("conformance.impact.documents.DOCUMENTS_MAX", 2)
    path = tmp_path / "dump.json"
    path.write_text("[{},{},{}]")
    with pytest.raises(SetupError, match="more than 2 documents"):
        read_dump(path)


def test_missing_dump_and_folder(tmp_path):
    for path, said in ((tmp_path / "none", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(SetupError, match=said):
            read_dump(path)


class Answers(http.server.BaseHTTPRequestHandler):
    """An engine with one container, that answers what a test says at some paths."""

    said: ClassVar[dict[str, bytes]] = {}

    def do_GET(self) -> None:
        usual = {
            "/version": b'{"Version": "20.10.24", "ApiVersion": "1.41"}',
            "/containers/json": b'[{"Id": "a"}]',
            "/networks": b"[]",
        }
        path = re.sub(r"^/v[0-9.]+", "", self.path).partition("?")[0]
        body = {**usual, **self.said}.get(path, b"{}")
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Stay silent."""


@pytest.mark.parametrize(
    ("path", "answer", "said"),
    [
        ("/containers/json", b"null", "the list of containers: expected a list, found NoneType"),
        ("/networks", b"null", "the list of networks: expected a list, found NoneType"),
        ("/containers/a/json", b"[" * 100_000 + b"]" * 100_000, "is nested too deeply"),
        ("/info", b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "is nested too deeply"),
    ],
)
def test_engine_that_answers_nonsense_is_one_clear_error(path, answer, said):
    handler = type("Handler", (Answers,), {"said": {path: answer}})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"tcp://127.0.0.1:{server.server_port}"
        done = CliRunner().invoke(main, ["impact", "--engine", address, "--to", "docker-28.5"])
        server.shutdown()
    assert (done.exit_code, said in done.output) == (3, True), done.output


# ---------------------------------------------------------------------- the nearest column

COLUMNS = {
    "docker-20.10": ("docker", "20.10.24+dfsg1"),
    "docker-26.1": ("docker", "26.1.5+dfsg1"),
    "docker-28.5": ("docker", "28.5.2+dfsg4"),
    "podman-5.8": ("podman", "5.8.6"),
}


@pytest.mark.parametrize(
    ("family", "version", "column"),
    [
        ("docker", "20.10.7", "docker-20.10"),
        ("docker", "24.0.9", "docker-20.10"),
        ("docker", "26.1.0", "docker-26.1"),
        ("docker", "28.2.2", "docker-26.1"),
        ("docker", "28.6.0", "docker-28.5"),
        ("podman", "5.9", "podman-5.8"),
    ],
)
def test_nearest_column_is_not_newer(family, version, column):
    assert nearest_column(family, version, COLUMNS) == column


@pytest.mark.parametrize(
    ("family", "version"),
    [
        ("docker", "17.06.0-ce"),
        ("docker", "29.1.0"),
        ("podman", "4.3"),
        ("docker", "dev"),
        ("", ""),
    ],
)
def test_version_without_a_column_is_refused(family, version):
    with pytest.raises(SetupError, match="the engine says it is"):
        nearest_column(family, version, COLUMNS)


# ---------------------------------------------------------------------- asking

OLD = Behaviour(id="x.y.old", statement="It MUST be old.", source="x", docker="<28.0")


def row(concerns: Any, **more: Any) -> Behaviour:
    return Behaviour(
        id="x.y.new",
        statement="It MUST be new.",
        source="x",
        docker=">=28.0",
        replaces=("x.y.old",),
        concerns=concerns,
        **more,
    )


def every_container(there: Setup) -> Any:
    for one in there.containers:
        yield one.effect("starts", "it is there", "it is another one")


def asked(concerns: Any, there: Setup) -> Any:
    rows = [OLD, row(concerns)]
    first, second = (
        {
            id: cell(id, "any", verdict)
            for id, verdict in zip((OLD.id, "x.y.new"), pair, strict=True)
        }
        for pair in (("pass", "n/a"), ("n/a", "pass"))
    )
    return foretell(compare_columns(rows, first, second).differences, rows, second, there)


def there(**more: Any) -> Setup:
    ones = (Container(name="a", endpoints=(Endpoint(network="n"),)), Container(name="b"))
    return Setup(containers=ones, **{"source": "20.10.24", "target": "28.5.2", **more})


def test_difference_with_a_predicate_names_whom_it_concerns():
    found = asked(every_container, there())
    assert found.concerned == [("container", "a"), ("container", "b")]
    assert (found.harmless, found.unasked) == ((), ())


def test_difference_that_concerns_nobody_is_counted():
    found = asked(nobody, there())
    assert (found.found, found.harmless, found.unasked) == ((), ("x.y.new",), ())


def test_difference_without_a_predicate_cannot_be_told():
    found = asked(None, there())
    assert [one.behaviour for one in found.unasked] == ["x.y.new"]


@pytest.mark.parametrize(("advice", "is_gain"), [("", True), ("Choose another.", False)])
def test_gain_without_anything_to_do_is_not_among_what_cannot_be_told(advice, is_gain):
    rows = [row(None)]
    first, second = ({"x.y.new": cell("x.y.new", "any", v)} for v in ("n/a", "pass"))
    changes = {"x.y.new": Change(see="", advice=advice)}
    found = foretell(
        compare_columns(rows, first, second, changes).differences, rows, second, there()
    )
    assert (found.gains, len(found.unasked)) == ((("x.y.new",), 0) if is_gain else ((), 1))


def test_who_does_not_go_to_a_newer_docker_is_not_told_what_changes_there():
    (one,) = asked(every_container, there(is_docker=False)).found
    assert [(effect.why, effect.change) for effect in one.effects] == [("it is there", "")] * 2
    assert asked(nobody, there(is_docker=False)).harmless == ()


ENGINES: Any = (
    {"name": "docker-28.5", "family": "docker", "version": "28.5.2", "promises": "28.5.2"},
    {"name": "podman-6.1", "family": "podman", "version": "6.1.0", "promises": "20.10"},
)


def towards_podman(rows: list[Behaviour], verdicts: tuple[str, str]) -> Any:
    """Ask about Podman, which was asked for the old variant and does otherwise."""
    first = {id: cell(id, "any", v) for id, v in zip(("x.y.old", "x.y.new"), verdicts, strict=True)}
    second = {"x.y.old": cell("x.y.old", "any", "known"), "x.y.new": cell("x.y.new", "any", "n/a")}
    found = compare_columns(rows, first, second, engines=ENGINES).differences
    return found, foretell(found, rows, second, there(is_docker=False))


def test_what_is_measured_as_an_older_docker_is_not_told_as_a_change():
    (one,), found = towards_podman([OLD, row(every_container)], ("n/a", "pass"))
    assert one.kind is Kind.OLDER
    assert (found.found, found.harmless, found.unasked) == ((), (), ())
    assert found.older == ("x.y.new",)


def test_towards_another_engine_any_variant_tells_whom_it_concerns():
    (one,), found = towards_podman([OLD, row(every_container)], ("pass", "n/a"))
    assert one.rows == ("x.y.old",)
    assert found.concerned == [("container", "a"), ("container", "b")]


def test_recorded_podman_changes_what_compare_lists(tmp_path):
    ones = [container(), network()]
    newer = told(tmp_path, ones, "--from", "docker-28.5", "--to", "podman-6.1")
    assert "[sandbox.mac.new-each-start]" not in newer.output.partition("Cannot tell")[0]
    assert "more are left out: one of the two is measured as an older Docker" in newer.output
    older = told(tmp_path, ones, "--from", "docker-20.10", "--to", "podman-6.1")
    assert older.exit_code == 1
    assert "[sandbox.mac.new-each-start]" in older.output.partition("Cannot tell")[0]


def test_what_the_engines_own_release_has_already_is_left_out():
    found = asked(every_container, there(source="28.0.4"))
    assert (found.found, found.past) == ((), 1)


# ---------------------------------------------------------------------- the command


def test_it_is_told_by_container_and_network(tmp_path):
    done = told(tmp_path, [container(), network(EnableIPv6=True)])
    assert done.exit_code == 1, done.output
    assert "web (container)" in done.output
    assert "n-red (network)\n  - it has IPv6: once its bridge is made anew" in done.output
    assert "1 of 1 containers and 1 of 1 networks are concerned" in done.output
    assert "What to do" in done.output
    assert "Cannot tell" in done.output


def test_nothing_there_is_concerned(tmp_path):
    done = told(tmp_path, [network()])
    assert (done.exit_code, "0 of 0 containers and 0 of 1 networks" in done.output) == (0, True)


def test_what_concerns_many_is_said_once(tmp_path):
    ones = [container(name=f"/web{number}", Id=f"{number:064}") for number in range(50)]
    done = told(tmp_path, [*ones, network()])
    head, _, tail = done.output.partition("What concerns many alike")
    assert "web0 (container)" not in head
    assert "web0: its hardware address on n-red was not chosen: it is another one" in tail
    assert "; alike web1, web2, " in tail
    assert "web40 and 9 more  [" in tail
    assert "50 of 50 containers" in tail


def test_only_what_is_the_same_but_for_the_name_is_said_once(tmp_path):
    def publishing(number: int, port: str, net: str) -> dict[str, Any]:
        host = {"NetworkMode": net, "PortBindings": {port: [{"HostIp": "", "HostPort": ""}]}}
        ends = {"Networks": {net: {"IPAddress": "10.1.0.2", "MacAddress": "02:42:0a:01:00:02"}}}
        return container(
            name=f"/svc{number}", Id=f"{number:064}", HostConfig=host, NetworkSettings=ends
        )

    ones = [publishing(number, f"{22 + number}/tcp", f"n{number // 9}") for number in range(10)]
    done = told(tmp_path, [*ones, network("n0"), network("n1")])
    head, _, tail = done.output.partition("What concerns many alike")
    for number in range(10):
        assert f"it publishes {22 + number}/tcp:" in head
    assert "it publishes" not in tail
    assert "its hardware address on n1 was not chosen" in head
    assert "svc0: its hardware address on n0 was not chosen" in tail
    (line,) = [one for one in tail.splitlines() if "address on n0 was not" in one and "mac" in one]
    assert "svc8" in line
    assert "svc9" not in line


def alike(count: int, *, is_certain: bool = True, kind: str = "container") -> tuple[Effect, ...]:
    return tuple(
        Effect(
            kind=kind,
            name=f"{kind}{is_certain}{number}",
            about="x",
            why="it is there",
            change="it changes",
            is_certain=is_certain,
        )
        for number in range(count)
    )


def test_what_is_certain_is_not_said_with_what_can_happen():
    effects = alike(5) + alike(5, is_certain=False) + alike(5, kind="network")
    one = Foretold(behaviour="x.y.z", before=(), after=(), advice="", effects=effects)
    impact = Impact(found=(one,), harmless=(), unasked=(), past=0)
    printed = impact_plain("a", "b", there(), impact, ())
    assert "alike" not in printed
    assert printed.count("it is there: it changes") == 15


def test_json_holds_the_same(tmp_path):
    done = told(tmp_path, [container(), network()], *UPGRADE, "--json")
    document = json.loads(done.output)
    (web,) = document["concerned"]
    assert (web["kind"], web["name"]) == ("container", "web")
    assert {"behaviour", "about", "why", "change", "certain", "advice"} == set(web["effects"][0])
    assert document["cannot_tell"]
    assert document["concerns_nobody"]


def test_markdown_escapes_what_a_name_holds(tmp_path):
    done = told(tmp_path, [container(name="/<img src=x>|`"), network()], *UPGRADE, "--markdown")
    assert done.exit_code == 1
    assert r"## \<img src=x\>\|\` (container)" in done.output


def test_control_signs_of_a_name_do_not_reach_the_terminal(tmp_path):
    done = told(tmp_path, [container(name="/web\x07\u202e\n" + "x" * 999), network()])
    assert done.exit_code == 1
    assert not set("\x07\u202e") & set(done.output)
    assert max(map(len, done.output.splitlines())) < 700


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--to", "docker-28.5"), "want one of --engine, --inspect and --compose"),
        (("--inspect", "x", "--to", "docker-28.5"), "want --from"),
        (("--inspect", "x", "--compose", "y", *UPGRADE), "want one of"),
        (("--inspect", "/none/x", *UPGRADE), "/none/x cannot be read"),
        (("--inspect", "x", "--from", "docker-1.0", "--to", "docker-28.5"), "no column docker-1.0"),
        (("--engine", "unix:///none.sock", "--to", "docker-28.5"), "no socket at /none.sock"),
        (("--compose", "/none.yml", *UPGRADE), "no such file"),
        (("--inspect", "x", *UPGRADE, "--json", "--markdown"), "give one of --json and --markdown"),
        (("--engine", "docker-28.5", "--to", "docker-28.5"), "a column is named with --from and"),
        (("--inspect", "x", "--from", "docker-28.5", "--to", "docker-28.5"), "name one column"),
    ],
)
def test_what_cannot_be_told_is_refused_plainly(words, said):
    done = CliRunner().invoke(main, ["impact", *words])
    assert (done.exit_code, said in done.output) == (3, True), done.output


def test_engine_that_is_there_already_is_told_so():
    handler = type("Handler", (Answers,), {"said": {"/containers/json": b"[]"}})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"tcp://127.0.0.1:{server.server_port}"
        done = CliRunner().invoke(main, ["impact", "--engine", address, "--to", "docker-20.10"])
        server.shutdown()
    assert (done.exit_code, "That is the column to go to" in done.output) == (0, True)
