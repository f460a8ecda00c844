"""Goal: whatever root in a container does, the engine goes on and says what is wrong.

Method: the reference as a user starts it, driven by the docker CLI.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest

from tests.kernel.docker_cli import IMAGE, Docker, installed_clis, load_image, reference

CLIS = installed_clis()
pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it makes namespaces"),
    pytest.mark.skipif(not CLIS, reason="no docker CLI on this machine"),
]
HUGE = "9" * 5000


@pytest.fixture(scope="module")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Docker]:
    with reference(tmp_path_factory.mktemp("hostile")) as host:
        docker = Docker(CLIS[0], host)
        load_image(docker)
        yield docker


@pytest.fixture
def container(docker: Docker) -> Iterator[str]:
    docker("network", "create", "user")
    docker("run", "-d", "--name", "hostile", "--network", "user", IMAGE, "sleep", "1000")
    yield "hostile"
    docker("rm", "-f", "hostile")
    docker("network", "rm", "user")


def test_a_number_of_5000_digits_in_passwd_stops_neither_exec_nor_start(docker, container) -> None:
    line = f"x:x:{HUGE}:0::/:/"
    docker("exec", container, "sh", "-c", f"echo {line} >> /etc/passwd")
    assert docker("exec", container, "id", "-u") == "0"
    refused = docker.run("exec", "-u", "x", container, "id")
    assert "uids and gids must be in range 0-2147483647" in refused.err + refused.out
    docker("restart", "-t", "0", container)
    assert docker("exec", container, "id", "-u") == "0"


@pytest.mark.parametrize("name", ["passwd", "group"])
def test_a_pipe_for_passwd_or_group_is_named_at_once(docker, container, name) -> None:
    docker("exec", container, "sh", "-c", f"rm -f /etc/{name}; mkfifo /etc/{name}")
    text = f"the container's /etc/{name} is not a regular file"
    refused = docker.run("exec", container, "id")
    assert (refused.status, text in refused.err + refused.out) == (126, True)
    refused = docker.run("restart", "-t", "0", container)
    assert (refused.status, text in refused.err) == (1, True)
    (inspected,) = json.loads(docker("inspect", container))
    assert inspected["State"]["Running"] is False
    assert text in inspected["State"]["Error"]


def test_a_hosts_file_of_100_gb_is_given_up_and_the_container_ends(docker, container) -> None:
    docker("exec", container, "truncate", "-s", "107374182400", "/etc/hosts")
    refused = docker.run("network", "connect", "bridge", container)
    assert (refused.status, "hosts is larger than 1048576 bytes" in refused.err) == (1, True)
    docker("network", "disconnect", "user", container)
    docker("stop", "-t", "0", container)
    docker("start", container)
    assert len(docker("exec", container, "cat", "/etc/hosts")) < 1000


@pytest.mark.parametrize(
    ("options", "is_allowed"),
    [
        ([], False),
        (["--security-opt", "seccomp=unconfined"], True),
        (["--privileged"], True),
        (["--cap-add", "SYS_ADMIN"], True),
        (["--security-opt", "no-new-privileges", "--security-opt", "apparmor=x"], False),
    ],
    ids=str,
)
def test_who_may_make_namespaces(docker, options, is_allowed) -> None:
    command = ("unshare", "-U", "-n", "-r", "id", "-u")
    done = docker.run("run", "--rm", "--network", "none", *options, IMAGE, *command)
    assert (done.out == "0\n", "Operation not permitted" in done.err) == (
        is_allowed,
        not is_allowed,
    )


def test_a_profile_that_cannot_be_read_is_refused_at_the_start(docker, tmp_path) -> None:
    (tmp_path / "p.json").write_text('{"syscalls": [5]}')
    option = f"seccomp={tmp_path}/p.json"
    docker(
        "create", "--name", "profile", "--network", "none", "--security-opt", option, IMAGE, "true"
    )
    try:
        refused = docker.run("start", "profile")
        assert (refused.status, "Decoding seccomp profile failed: " in refused.err) == (1, True)
    finally:
        docker("rm", "-f", "profile")


def test_a_security_option_that_docker_does_not_know_is_refused_at_create(docker) -> None:
    refused = docker.run("create", "--security-opt", "label=x", "--security-opt", "foo=x", IMAGE)
    assert (refused.status, 'invalid --security-opt 2: "foo=x"' in refused.err) == (1, True)
    assert docker("ps", "-aq") == ""


def test_a_directory_to_mount_is_made_when_it_is_missing(docker, tmp_path) -> None:
    source = tmp_path / "not" / "there"
    command = ("run", "--rm", "--network", "none", "-v")
    docker(*command, f"{source}:/x", IMAGE, "touch", "/x/made")
    assert (source / "made").exists()
    refused = docker.run(*command, "/proc/nothere:/x", IMAGE, "true")
    text = "error while creating mount source path '/proc/nothere': mkdir /proc/nothere: no such"
    assert (refused.status != 0, text in refused.err) == (True, True)


def test_info_says_that_containers_are_filtered(docker) -> None:
    options = docker("info", "--format", "{{json .SecurityOptions}}")
    assert json.loads(options) == ["name=seccomp,profile=default"]
