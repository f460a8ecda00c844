"""The docker CLI drives the reference: the commands a user types, with what they print.

Every test runs with each docker CLI of the machine: the distribution's 20.10 and, where there is
one, a much later release that negotiates the API down.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.docker_cli import (
    IMAGE,
    WAIT_S,
    Docker,
    Terminal,
    installed_clis,
    load_image,
    reference,
    until,
)

CLIS = installed_clis()
pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it makes namespaces"),
    pytest.mark.skipif(not CLIS, reason="no docker CLI on this machine"),
]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if given := os.environ.get("NETINIT_CLI_HOST"):
        yield given
        return
    with reference(tmp_path_factory.mktemp("cli")) as host:
        yield host


@pytest.fixture(params=CLIS or ["docker"])
def docker(request: pytest.FixtureRequest, host: str) -> Iterator[Docker]:
    """The CLI, on an engine that has the image and nothing else, before and after."""
    docker = Docker(request.param, host)
    load_image(docker)
    yield docker
    if left := docker("ps", "-aq").split():
        docker("rm", "-f", *left)
    docker("network", "prune", "-f")


# ------------------------------------------------------------------------------------------- run


def test_run_prints_the_containers_output_and_removes_it(docker: Docker) -> None:
    assert docker("run", "--rm", IMAGE, "echo", "hello") == "hello"
    assert docker("ps", "-aq") == ""


def test_run_keeps_the_streams_apart_and_passes_on_the_exit_status(docker: Docker) -> None:
    answer = docker.run("run", "--rm", IMAGE, "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (answer.status, answer.out, answer.err) == (7, "out\n", "err\n")


def test_run_feeds_its_input_to_the_process(docker: Docker) -> None:
    text = b"line\n" * 20_000
    assert docker("run", "--rm", "-i", IMAGE, "wc", "-l", stdin=text) == "20000"


def test_run_names_the_container(docker: Docker) -> None:
    script = "hostname; hostname -f; cat /etc/hostname"
    options = ["--name", "cli-named", "--hostname", "web", "--domainname", "example.test"]
    printed = docker("run", "--rm", *options, IMAGE, "sh", "-c", script)
    assert printed.splitlines() == ["web", "web.example.test", "web"]


def test_run_sets_environment_and_names_that_resolve(docker: Docker) -> None:
    script = "echo $GREETING; cat /etc/hosts /etc/resolv.conf"
    options = ["-e", "GREETING=hi", "--add-host", "db:10.9.8.7", "--dns", "192.0.2.53"]
    printed = docker("run", "--rm", *options, IMAGE, "sh", "-c", script).splitlines()
    assert printed[0] == "hi"
    assert "10.9.8.7\tdb" in printed
    assert "nameserver 192.0.2.53" in printed


def test_run_puts_the_container_where_it_was_asked_to(docker: Docker) -> None:
    docker("network", "create", "--subnet", "10.123.0.0/24", "cli-net")
    options = ["--network", "cli-net", "--ip", "10.123.0.77"]
    printed = docker("run", "--rm", *options, IMAGE, "ip", "-4", "-o", "addr", "show", "eth0")
    assert "10.123.0.77/24" in printed


def test_run_gives_the_container_its_mac_address(docker: Docker) -> None:
    mac = "02:42:0a:7b:00:99"
    look = ["cat", "/sys/class/net/eth0/address"]
    answer = docker.run("run", "--rm", "--mac-address", mac, IMAGE, *look)
    if "requires API version 1.44" in answer.err:
        pytest.skip("this CLI sends --mac-address to no engine of before 1.44")
    assert answer.out == f"{mac}\n"


@pytest.mark.parametrize("mode", ["none", "host", "bridge"])
def test_run_knows_the_network_modes(docker: Docker, mode: str) -> None:
    links = docker("run", "--rm", "--network", mode, IMAGE, "ls", "/sys/class/net").split()
    assert "lo" in links
    assert ("eth0" in links) == (mode == "bridge")


def test_run_shares_the_network_of_another_container(docker: Docker) -> None:
    docker("run", "-d", "--name", "cli-first", IMAGE, "sleep", "1000")
    look = ["ip", "-4", "-o", "addr", "show", "eth0"]
    shared = docker("run", "--rm", "--network", "container:cli-first", IMAGE, *look)
    assert shared == docker("exec", "cli-first", *look)


def test_run_of_what_is_not_there_fails_as_docker_does(docker: Docker) -> None:
    answer = docker.run("run", "--rm", IMAGE, "no-such-program")
    assert answer.status == 127
    assert 'exec: "no-such-program": executable file not found in $PATH' in answer.err
    answer = docker.run("run", "--rm", "--network", "no-such-network", IMAGE, "true")
    assert answer.status == 125
    assert "network no-such-network not found" in answer.err


def test_run_of_an_image_that_is_not_there_cannot_pull_it(docker: Docker) -> None:
    answer = docker.run("run", "--rm", "no-such-image", "true")
    assert answer.status == 125
    assert "Unable to find image 'no-such-image:latest' locally" in answer.err


# ------------------------------------------------------------------------------------- terminals


def test_a_terminal_is_interactive_and_has_its_size(docker: Docker) -> None:
    with Terminal(docker, "run", "--rm", "-it", IMAGE, "sh") as terminal:
        terminal.expect("# ")
        terminal.type("tty; echo got-$((40+2))\n")
        assert "/dev/pts/0" in terminal.expect("got-42")
        terminal.type("stty size\n")
        terminal.expect("24 80")
        terminal.type("exit 5\n")
        assert terminal.status() == 5


def test_a_resized_terminal_is_resized_inside(docker: Docker) -> None:
    with Terminal(docker, "run", "--rm", "-it", IMAGE, "sh") as terminal:
        terminal.type("trap 'stty size' WINCH; echo ready-$((1+1))\n")
        terminal.expect("ready-2")
        terminal.type("while ! stty size | grep 132; do sleep 0.1; done; echo done-$((2+2))\n")

        def resize() -> None:
            # the CLI listens for this a moment after it has shown the first output
            terminal.resize(40, 131)
            terminal.resize(40, 132)

        assert "40 132" in terminal.expect("done-4", nudge=resize)


def test_the_detach_keys_leave_the_container_running(docker: Docker) -> None:
    with Terminal(docker, "run", "-it", "--name", "cli-tty", IMAGE, "sh") as terminal:
        terminal.expect("# ")
        terminal.type("\x10\x11")
        assert terminal.status() == 0
    assert docker("inspect", "--format", "{{.State.Running}}", "cli-tty") == "true"
    with Terminal(docker, "attach", "cli-tty") as terminal:
        terminal.type("echo back-$((3+3))\n")
        terminal.expect("back-6")
        terminal.type("exit\n")
        assert terminal.status() == 0


def test_exec_on_a_terminal(docker: Docker) -> None:
    docker("run", "-d", "--name", "cli-exec", IMAGE, "sleep", "1000")
    with Terminal(docker, "exec", "-it", "cli-exec", "sh") as terminal:
        terminal.expect("# ")
        terminal.type("stty size; echo pid-$((7*6))\n")
        assert "24 80" in terminal.expect("pid-42")
        terminal.type("exit 3\n")
        assert terminal.status() == 3


def test_the_detach_keys_leave_an_exec_running(docker: Docker) -> None:
    docker("run", "-d", "--name", "cli-exec", IMAGE, "sleep", "1000")
    options = ["exec", "-it", "--detach-keys", "ctrl-x,x"]
    with Terminal(docker, *options, "cli-exec", "sh") as terminal:
        terminal.expect("# ")
        terminal.type("\x18x")
        assert terminal.status() == 1  # what the CLI makes of it, with any engine
    time.sleep(0.2)  # an end would take no longer
    assert docker("inspect", "--format", "{{len .ExecIDs}}", "cli-exec") == "1"


# ------------------------------------------------------------------------------------------ exec


def test_exec_prints_reads_and_fails(docker: Docker) -> None:
    docker("run", "-d", "--name", "cli-exec", IMAGE, "sleep", "1000")
    assert docker("exec", "cli-exec", "echo", "inside") == "inside"
    assert docker("exec", "-i", "cli-exec", "cat", stdin=b"typed") == "typed"
    assert docker("exec", "-e", "A=b", "-w", "/tmp", "cli-exec", "sh", "-c", "pwd; echo $A") == (
        "/tmp\nb"
    )
    assert docker.run("exec", "cli-exec", "sh", "-c", "exit 9").status == 9
    assert docker("exec", "-d", "cli-exec", "touch", "/tmp/detached") == ""
    until(
        "the detached exec has run",
        lambda: docker.run("exec", "cli-exec", "test", "-e", "/tmp/detached").status == 0,
    )


def test_exec_of_a_program_that_is_not_there(docker: Docker) -> None:
    docker("run", "-d", "--name", "cli-exec", IMAGE, "sleep", "1000")
    answer = docker.run("exec", "cli-exec", "no-such-program")
    assert answer.status in {126, 127}
    assert "executable file not found in $PATH" in answer.out + answer.err


def test_exec_in_a_stopped_container_is_refused(docker: Docker) -> None:
    container = docker("create", "--name", "cli-stopped", IMAGE, "true")
    answer = docker.run("exec", "cli-stopped", "true")
    assert answer.status == 1
    assert f"Container {container} is not running" in answer.err


# -------------------------------------------------------------------------------- the life cycle


def test_a_container_is_created_started_listed_stopped_and_removed(docker: Docker) -> None:
    container = docker("create", "--name", "cli-life", "--label", "a=b", IMAGE, "sleep", "1000")
    row = ["--no-trunc", "--format", "{{.ID}} {{.Names}} {{.State}} {{.Image}} {{.Command}}"]
    assert docker("ps", "-a", *row) == f'{container} cli-life created {IMAGE} "sleep 1000"'
    assert docker("start", "cli-life") == "cli-life"
    assert docker("ps", "--format", "{{.Names}}", "--filter", "label=a=b") == "cli-life"
    assert docker("ps", "--format", "{{.Status}}").startswith("Up ")
    assert docker("stop", "-t", "0", "cli-life") == "cli-life"
    assert docker("ps", "-q") == ""
    assert docker("ps", "-a", "--format", "{{.Status}}").startswith("Exited (137) ")
    assert docker("restart", "-t", "0", "cli-life") == "cli-life"
    assert docker("kill", "-s", "KILL", "cli-life") == "cli-life"
    assert docker("wait", "cli-life") == "137"
    assert docker("rename", "cli-life", "cli-renamed") == ""
    assert docker("rm", "cli-renamed") == "cli-renamed"
    assert docker("ps", "-aq") == ""


def test_start_attaches_to_the_container(docker: Docker) -> None:
    docker("create", "--name", "cli-attached", IMAGE, "sh", "-c", "echo once; exit 4")
    for _ in range(2):
        answer = docker.run("start", "-a", "cli-attached")
        assert (answer.status, answer.out) == (4, "once\n")


def test_start_feeds_its_input_to_the_process(docker: Docker) -> None:
    docker("create", "-i", "--name", "cli-fed", IMAGE, "cat")
    assert docker("start", "-ai", "cli-fed", stdin=b"food") == "food"


def test_a_running_container_is_not_removed_without_force(docker: Docker) -> None:
    container = docker("run", "-d", "--name", "cli-busy", IMAGE, "sleep", "1000")
    answer = docker.run("rm", "cli-busy")
    assert answer.status == 1
    assert f"You cannot remove a running container {container}" in answer.err
    assert docker("rm", "-f", "cli-busy") == "cli-busy"


def test_pause_and_unpause(docker: Docker) -> None:
    docker("run", "-d", "--name", "cli-paused", IMAGE, "sleep", "1000")
    docker("pause", "cli-paused")
    assert docker("ps", "--format", "{{.Status}}").endswith("(Paused)")
    assert "is paused" in docker.run("exec", "cli-paused", "true").err
    docker("unpause", "cli-paused")
    assert docker("inspect", "--format", "{{.State.Status}}", "cli-paused") == "running"


def test_inspect_knows_gos_templates(docker: Docker) -> None:
    container = docker("run", "-d", "--name", "cli-seen", "-e", "A=b", IMAGE, "sleep", "1000")
    template = (
        "{{.Id}} {{.Name}} {{.State.Running}} {{.HostConfig.NetworkMode}} "
        "{{len .NetworkSettings.Networks}} {{.NetworkSettings.Networks.bridge.IPPrefixLen}} "
        "{{json .Config.Cmd}} {{index .Config.Env 0}}"
    )
    printed = docker("inspect", "--format", template, "cli-seen")
    mode = printed.split()[3]
    assert mode in {"default", "bridge"}  # later CLIs say bridge
    assert printed == f'{container} /cli-seen true {mode} 1 16 ["sleep","1000"] A=b'


def test_what_is_nowhere_is_looked_for_everywhere(docker: Docker) -> None:
    answer = docker.run("inspect", "nope")
    assert (answer.status, answer.out) == (1, "[]\n")
    assert answer.err.lower().endswith("error: no such object: nope\n")
    assert docker("volume", "ls", "--quiet") == docker("plugin", "ls", "--quiet") == ""


def test_the_engine_names_itself(docker: Docker) -> None:
    assert docker("version", "--format", "{{.Server.APIVersion}}") == "1.41"
    assert docker("info", "--format", "{{.OSType}} {{.Swarm.LocalNodeState}}") == "linux inactive"


# ---------------------------------------------------------------------------------- logs, events


def test_the_log_drivers_keep_what_they_promise(docker: Docker) -> None:
    numbers = ["sh", "-c", "seq 1 100"]
    options = ["--log-opt", "max-size=1k", "--log-opt", "max-file=2"]
    docker("run", "--name", "cli-rotated", *options, IMAGE, *numbers)
    kept = docker("logs", "cli-rotated").split()
    assert kept == [str(number) for number in range(101 - len(kept), 101)]
    assert 13 < len(kept) < 50
    path = Path(docker("inspect", "--format", "{{.LogPath}}", "cli-rotated"))
    assert sorted(one.name for one in path.parent.glob("*-json.log*")) == [
        path.name,
        f"{path.name}.1",
    ]
    docker("run", "--name", "cli-local", "--log-driver", "local", IMAGE, *numbers)
    assert docker("logs", "--tail", "1", "cli-local") == "100"
    assert docker("run", "--name", "cli-none", "--log-driver", "none", IMAGE, "echo", "x") == "x"
    refusal = docker.run("logs", "cli-none").err
    assert "configured logging driver does not support reading" in refusal
    refusal = docker.run("run", "--log-opt", "max-size=x", IMAGE, "true").err
    assert "failed to initialize logging driver: invalid size: 'x'" in refusal


def test_logs_are_kept_counted_and_followed(docker: Docker) -> None:
    script = "echo err >&2; for i in 1 2 3; do echo line $i; done; sleep 1000"
    docker("run", "-d", "--name", "cli-logs", IMAGE, "sh", "-c", script)
    until("all is logged", lambda: "line 3" in docker("logs", "cli-logs"))
    assert docker.run("logs", "cli-logs").out == "line 1\nline 2\nline 3\n"
    until("both streams are logged", lambda: docker.run("logs", "cli-logs").err == "err\n")
    assert docker.run("logs", "-t", "cli-logs").out.split()[1:3] == ["line", "1"]
    assert docker.run("logs", "--since", "1h", "cli-logs").out.count("line") == 3
    assert docker.run("logs", "--until", "1h", "cli-logs").out == ""
    follower = docker.start("logs", "-f", "cli-logs")
    docker("kill", "cli-logs")
    out, _ = follower.communicate(timeout=WAIT_S)
    assert (follower.returncode, out) == (0, b"line 1\nline 2\nline 3\n")


def test_the_tail_of_a_log(docker: Docker) -> None:
    docker("run", "--name", "cli-tail", IMAGE, "seq", "5")
    assert docker("logs", "--tail", "2", "cli-tail") == "4\n5"
    assert docker("logs", "-n", "0", "cli-tail") == ""
    assert docker("logs", "--tail", "all", "cli-tail") == "1\n2\n3\n4\n5"


def test_a_log_is_followed_line_by_line(docker: Docker) -> None:
    docker("run", "-d", "-i", "--name", "cli-echo", IMAGE, "sh", "-c", "echo up; exec cat")
    follower = docker.start("logs", "-f", "cli-echo")
    assert follower.stdout is not None
    assert follower.stdout.readline() == b"up\n"
    docker("exec", "cli-echo", "sh", "-c", "echo down > /proc/1/fd/1")
    assert follower.stdout.readline() == b"down\n"
    follower.terminate()
    follower.communicate(timeout=WAIT_S)


def test_events_are_printed_as_they_happen(docker: Docker) -> None:
    since = f"{time.time():.9f}"
    watcher = docker.start("events", "--since", since, "--format", "{{.Type}} {{.Action}}")
    docker("run", "--rm", "--name", "cli-events", IMAGE, "true")
    wanted = [
        "container create",
        "container attach",
        "network connect",
        "container start",
        "container die",
        "network disconnect",
        "container destroy",
    ]
    seen: list[str] = []
    assert watcher.stdout is not None
    while "container destroy" not in seen:
        line = watcher.stdout.readline().decode().strip()
        assert line, f"the events ended after {seen}"
        seen.append(line)
    watcher.terminate()
    watcher.communicate(timeout=WAIT_S)
    assert [event for event in seen if event in wanted] == wanted


def test_past_events_end_by_themselves(docker: Docker) -> None:
    since = f"{time.time():.9f}"
    docker("create", "--name", "cli-past", IMAGE, "true")
    docker("create", "--name", "cli-other", IMAGE, "true")
    window = ["--since", since, "--until", f"{time.time():.9f}", "--filter", "container=cli-past"]
    names = docker("events", *window, "--format", "{{.Action}} {{.Actor.Attributes.name}}")
    assert names == "create cli-past"


# -------------------------------------------------------------------------------------- networks


def test_a_network_is_created_listed_inspected_and_removed(docker: Docker) -> None:
    options = ["--subnet", "10.124.0.0/16", "--gateway", "10.124.0.9", "--label", "a=b"]
    network = docker("network", "create", *options, "cli-net")
    row = ["--no-trunc", "--format", "{{.ID}} {{.Name}} {{.Driver}} {{.Scope}}"]
    assert docker("network", "ls", "--filter", "name=cli-net", *row) == (
        f"{network} cli-net bridge local"
    )
    template = "{{range .IPAM.Config}}{{.Subnet}} {{.Gateway}}{{end}} {{json .Labels}}"
    assert docker("network", "inspect", "--format", template, "cli-net") == (
        '10.124.0.0/16 10.124.0.9 {"a":"b"}'
    )
    assert docker("network", "rm", "cli-net") == "cli-net"
    answer = docker.run("network", "inspect", "cli-net")
    assert answer.status == 1
    assert "cli-net not found" in answer.err.replace(
        "No such network: cli-net", "cli-net not found"
    )


def test_the_predefined_networks_are_there_and_stay(docker: Docker) -> None:
    names = docker("network", "ls", "--format", "{{.Name}} {{.Driver}}").splitlines()
    assert sorted(names) == ["bridge bridge", "host host", "none null"]
    answer = docker.run("network", "rm", "bridge")
    assert answer.status == 1
    assert "bridge is a pre-defined network and cannot be removed" in answer.err


def test_a_container_is_connected_and_disconnected_while_it_runs(docker: Docker) -> None:
    docker("network", "create", "cli-net")
    docker("run", "-d", "--name", "cli-moved", IMAGE, "sleep", "1000")
    docker("network", "connect", "--alias", "moved", "cli-net", "cli-moved")
    assert docker("exec", "cli-moved", "ls", "/sys/class/net").split() == ["eth0", "eth1", "lo"]
    listed = json.loads(docker("network", "inspect", "cli-net"))[0]["Containers"]
    assert [end["Name"] for end in listed.values()] == ["cli-moved"]
    assert docker.run("network", "rm", "cli-net").status == 1
    docker("network", "disconnect", "cli-net", "cli-moved")
    assert docker("exec", "cli-moved", "ls", "/sys/class/net").split() == ["eth0", "lo"]


def test_containers_on_a_network_find_each_other_by_name(docker: Docker) -> None:
    docker("network", "create", "cli-net")
    docker("run", "-d", "--name", "cli-server", "--network", "cli-net", IMAGE, "sleep", "1000")
    ping = ["ping", "-c", "1", "-W", "5", "cli-server"]
    printed = docker("run", "--rm", "--network", "cli-net", IMAGE, *ping)
    assert "1 packets received" in printed


def test_unused_networks_are_pruned(docker: Docker) -> None:
    docker("network", "create", "cli-used")
    docker("network", "create", "cli-unused")
    docker("run", "-d", "--name", "cli-user", "--network", "cli-used", IMAGE, "sleep", "1000")
    assert docker("network", "prune", "-f").splitlines() == ["Deleted Networks:", "cli-unused"]


# ---------------------------------------------------------------------------------------- images


def test_an_image_is_imported_tagged_listed_and_removed(docker: Docker, tmp_path: Path) -> None:
    archive = tmp_path / "empty.tar"
    subprocess.run(["tar", "-cf", archive, "-T", "/dev/null"], check=True, timeout=WAIT_S)
    image = docker("import", str(archive), "cli-empty:one")
    assert image.startswith("sha256:")
    docker("tag", "cli-empty:one", "cli-empty:two")
    names = docker("images", "--format", "{{.Repository}}:{{.Tag}}", "cli-empty").splitlines()
    assert sorted(names) == ["cli-empty:one", "cli-empty:two"]
    assert docker("rmi", "cli-empty:one") == "Untagged: cli-empty:one"
    assert f"Deleted: {image}" in docker("rmi", "cli-empty:two").splitlines()
    assert docker.run("rmi", "cli-empty:two").status == 1


def test_an_archive_that_is_none_is_refused(docker: Docker) -> None:
    answer = docker.run("load", stdin=b"this is no archive")
    assert answer.status == 1
    answer = docker.run("import", "-", "BAD", stdin=b"")
    assert answer.status == 1
    assert "must be lowercase" in answer.err
