"""Goal: a published port is somebody's from start to end, whatever happens in between.

Method: as in test_ports; what is left is looked for in sockets, rules and processes.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator

import pytest

from tests.kernel.docker_cli import IMAGE, tool, until
from tests.kernel.ports_stage import ASKER, HOST, Stage, ask, stage

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(240)]
GATEWAY = "172.17.0.1"
TAKEN = re.compile(
    r"driver failed programming external connectivity on endpoint (\S+) \([0-9a-f]{64}\): "
    r"(.*?)\.?$",
    re.MULTILINE,
)


@pytest.fixture
def here(tmp_path) -> Iterator[Stage]:
    with stage(tmp_path) as one:
        yield one


def refusal(answer) -> tuple[str, str]:
    """Return the endpoint's name and the reason of a start that was refused."""
    assert answer.status != 0, answer
    found = TAKEN.search(answer.err)
    assert found is not None, answer
    return found[1], found[2]


def check_nothing_is_left(here: Stage) -> None:
    assert here.elements() == []
    assert here.listening() == set()


def test_port_is_claimed_and_given_back(here):
    docker = here.docker
    here.run("web", "-p", "8080:80", "-p", "8080:80/udp")
    assert here.listening() == {
        f"{kind} {address}:8080" for kind in ("tcp", "udp") for address in ("0.0.0.0", "[::]")
    }
    assert len(here.relays()) == 1
    # another container's
    assert refusal(docker.run("run", "--name", "two", "-p", "8080:80", IMAGE, "true")) == (
        "two", "Bind for 0.0.0.0:8080 failed: port is already allocated",
    )  # fmt: skip
    assert here.engine.state("two", "ExitCode") == "128"
    assert here.ports("two") == {}
    # and a bound one of the kernel's own
    loopback = ("-p", "127.0.0.1:8080:80")
    assert refusal(docker.run("run", "--name", "three", *loopback, IMAGE, "true")) == (
        "three", "Error starting userland proxy: listen tcp4 127.0.0.1:8080: bind: address already "
        "in use",
    )  # fmt: skip
    assert ask(here.outside, HOST, 8080) == f"web {ASKER}"
    for end in (("stop", "web"), ("rm", "-f", "web")):
        docker(*end)
        check_nothing_is_left(here)
        assert ask(here.outside, HOST, 8080) == "ConnectionRefusedError"
        if end[0] == "stop":
            assert here.ports("web") == {}
            docker("start", "web")
            here.serve("web")
            assert ask(here.host, "::1", 8080) == f"web {GATEWAY}"


def test_port_of_a_process_is_refused(here):
    here.serve_host(8080)
    tool("nsenter", f"--net={here.host}", "true")
    assert refusal(here.docker.run("run", "--name", "web", "-p", "8080:80", IMAGE, "true")) == (
        "web", "Error starting userland proxy: listen tcp4 0.0.0.0:8080: bind: address already in "
        "use",
    )  # fmt: skip
    assert here.elements() == []
    # of the engine's own choice it takes the next one
    here.run("other", "-p", "80")
    assert ask(here.outside, HOST, here.port("other")) == f"other {ASKER}"


def test_start_that_fails_in_the_middle_is_undone(here):
    docker = here.docker
    docker("network", "create", "--subnet", "10.233.0.0/24", "aaa")
    here.run("web", "-p", "8080:80")
    before = here.elements(), here.listening()
    # the default network first, then the other one, which has the default route by its name
    docker("create", "--name", "two", "-p", "8090:80", "-p", "8080:81", IMAGE, "sleep", "1000")
    docker("network", "connect", "aaa", "two")
    assert refusal(docker.run("start", "two"))[1].startswith("Bind for 0.0.0.0:8080 failed")
    assert (here.elements(), here.listening()) == before
    assert ask(here.outside, HOST, 8080) == f"web {ASKER}"
    docker("rm", "-f", "web")
    docker("start", "two")
    here.serve("two", 81)
    assert ask(here.outside, HOST, 8080) == f"two {ASKER}"
    assert here.address("two", "aaa") in " ".join(here.elements())
    docker("rm", "-f", "two")
    check_nothing_is_left(here)


def test_ports_follow_the_default_route(here):
    docker = here.docker
    docker("network", "create", "--internal", "--subnet", "10.233.1.0/24", "inner")
    docker("network", "create", "--subnet", "10.233.2.0/24", "near")
    here.run("web", "--network", "inner", "-p", "8080:80")
    assert here.ports("web") == {}
    check_nothing_is_left(here)
    for connected, carrier in (
        (("connect", "near"), "near"),
        (("connect", "bridge"), "bridge"),
        (("disconnect", "bridge"), "near"),
    ):
        docker("network", *connected, "web")
        assert ask(here.outside, HOST, 8080) == f"web {ASKER}"
        assert any(here.address("web", carrier) in one for one in here.elements())
    # a port that somebody else has takes the endpoint off the network again
    docker("network", "disconnect", "near", "web")
    assert here.ports("web") == {}
    check_nothing_is_left(here)
    here.run("thief", "-p", "8080:80")
    answer = docker.run("network", "connect", "near", "web")
    assert refusal(answer)[1].startswith("Bind for 0.0.0.0:8080 failed")
    assert docker("network", "inspect", "-f", "{{len .Containers}}", "near") == "0"
    assert ask(here.outside, HOST, 8080) == f"thief {ASKER}"


def test_udp_client_reaches_the_next_container(here):
    """Its flow is known to the kernel, and would lead to where the port led before."""
    docker = here.docker

    def from_everywhere() -> set[str]:
        return {
            ask(here.outside, HOST, 8080, "udp", own_port=5353, wait_s=1).partition(" ")[0],
            ask(here.host, "127.0.0.1", 8080, "udp", own_port=5354, wait_s=1).partition(" ")[0],
            ask(here.host, "::1", 8080, "udp", own_port=5355, wait_s=1).partition(" ")[0],
        }

    here.run("one", "-p", "8080:80/udp")
    assert from_everywhere() == {"one"}
    docker("rm", "-f", "one")
    # what is sent meanwhile is a flow as well, and to the host itself
    assert from_everywhere() == {"ConnectionRefusedError"}
    here.run("idle")  # takes the address that the port led to
    here.run("two", "-p", "8080:80/udp")
    assert here.address("two") != here.address("idle")
    assert from_everywhere() == {"two"}
    docker("restart", "two")
    here.serve("two")
    assert from_everywhere() == {"two"}


def test_killed_daemon_leaves_nothing_that_its_successor_does_not_clear(here):
    docker, engine = here.docker, here.engine
    docker("run", "-d", "--name", "always", "--restart", "always", "-p", "8080:80", IMAGE,
           "sleep", "1000")  # fmt: skip
    here.run("once", "-p", "8081:80", "-p", "80")
    (relay,) = here.relays()
    assert engine.process is not None
    engine.end(signal.SIGKILL)
    engine.start()
    until("it runs again", lambda: engine.state("always") == "running")
    assert engine.state("once") == "exited"
    (other,) = here.relays()
    assert other != relay
    assert here.listening() == {"tcp 0.0.0.0:8080", "tcp [::]:8080"}
    assert len(here.elements()) == 2, here.elements()
    here.serve("always")
    assert ask(here.outside, HOST, 8080) == f"always {ASKER}"
    assert ask(here.host, "::1", 8080) == f"always {GATEWAY}"
    docker("start", "once")
    here.serve("once")
    assert ask(here.outside, HOST, 8081) == f"once {ASKER}"


def test_flushed_rules_come_back_with_the_next_port(here):
    here.run("web", "-p", "8080:80")
    tool("nsenter", f"--net={here.host}", "nft", "flush", "ruleset")
    here.run("two", "-p", "8081:80")
    assert ask(here.outside, HOST, 8081) == f"two {ASKER}"
    assert ask(here.outside, HOST, 8080) == f"web {ASKER}"
    tool("nsenter", f"--net={here.host}", "nft", "flush", "ruleset")
    here.docker("rm", "-f", "web", "two")
    assert here.listening() == set()


def test_killed_relay_is_replaced(here):
    here.run("web", "-p", "8080:80")
    (relay,) = here.relays()
    os.kill(relay, signal.SIGKILL)
    assert ask(here.outside, HOST, 8080) == f"web {ASKER}"
    here.run("two", "-p", "8081:80")
    (other,) = here.relays()
    assert other != relay
    assert ask(here.host, "::1", 8080) == f"web {GATEWAY}"
    assert ask(here.host, "::1", 8081) == f"two {GATEWAY}"
    os.kill(other, signal.SIGKILL)
    here.docker("rm", "-f", "two")
    assert ask(here.host, "::1", 8080) == f"web {GATEWAY}"


def test_end_of_the_engine_ends_the_relay(here):
    here.run("web", "-p", "8080:80")
    assert len(here.relays()) == 1
    assert here.engine.end(signal.SIGTERM) == 0
    assert here.relays() == []
    assert here.listening() == set()
    assert "Traceback" not in here.engine.log()


def test_rename_and_what_lists_show(here):
    docker = here.docker
    here.run("web", "-p", "8080:80", "-p", "127.0.0.1:53:53/udp", "--expose", "99")
    docker("rename", "web", "shop")
    assert sorted(docker("port", "shop").splitlines()) == [
        "53/udp -> 127.0.0.1:53", "80/tcp -> 0.0.0.0:8080", "80/tcp -> :::8080",
    ]  # fmt: skip
    shown = docker("ps", "--format", "{{.Ports}}")
    assert sorted(shown.split(", ")) == sorted(
        ["99/tcp", "127.0.0.1:53->53/udp", "0.0.0.0:8080->80/tcp", ":::8080->80/tcp"]
    )
    for filters, names in (
        (("publish=8080",), "shop"),
        (("publish=80",), ""),
        (("publish=8000-9000/tcp",), "shop"),
        (("expose=99",), "shop"),
        (("expose=98",), ""),
    ):
        asked = [word for one in filters for word in ("--filter", one)]
        assert docker("ps", "--format", "{{.Names}}", *asked) == names, filters
    docker("rm", "-f", "shop")
    check_nothing_is_left(here)


def test_without_the_relay(tmp_path):
    with stage(tmp_path, "--userland-proxy", "false", "--ip", "127.0.0.1") as here:
        here.run("web", "-p", "8080:80", "-p", "0.0.0.0:8081:80")
        assert here.ports("web") == {
            "80/tcp": [
                {"HostIp": "0.0.0.0", "HostPort": "8081"},
                {"HostIp": "127.0.0.1", "HostPort": "8080"},
            ]
        }
        assert here.relays() == []
        assert ask(here.host, "127.0.0.1", 8080) == f"web {GATEWAY}"
        assert ask(here.outside, HOST, 8080) == "ConnectionRefusedError"
        assert ask(here.outside, HOST, 8081) == f"web {ASKER}"
