"""What impact reads of a compose file, and of a plugin that answers badly."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from conformance.cli import main
from conformance.impact.compose import objects_of_compose
from conformance.impact.documents import as_part

UPGRADE = ("--from", "docker-20.10", "--to", "docker-28.5")


def test_compose_without_its_plugin_names_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    path = tmp_path / "compose.yml"
    path.write_text("services: {}")
    done = CliRunner().invoke(main, ["impact", "--compose", str(path), *UPGRADE])
    assert done.exit_code == 3
    assert "docker-compose-plugin" in done.output


def plugin(folder: Path, prints: str, code: int = 0, version: str = "v2.32") -> None:
    program = folder / "docker-compose"
    told = f"[ $1 = version ] && echo {version} && exit 0"
    program.write_text(f"#!/bin/sh\n{told}\nprintf '%s' '{prints}'\nexit {code}\n")
    program.chmod(0o755)


COMPOSE = {
    "networks": {"back": {"name": "shop_back", "ipam": {}, "internal": True}},
    "services": {
        "web": {
            "networks": {"back": {"aliases": ["shop"], "ipv4_address": "10.0.0.9"}},
            "ports": [{"target": 80, "published": "8080", "protocol": "tcp"}],
            "mac_address": "02:42:ac:00:00:01",
        },
        "side": {"network_mode": "service:web"},
    },
}


def test_compose_of_version_1_is_none(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    plugin(tmp_path, "{}", version="1.29.2")
    path = tmp_path / "compose.yml"
    path.write_text("services: {}")
    done = CliRunner().invoke(main, ["impact", "--compose", str(path), *UPGRADE])
    assert (done.exit_code, "docker-compose-plugin" in done.output) == (3, True)


@pytest.mark.parametrize("version", ["v2.32", "; exec sleep 60"])
def test_compose_that_hangs_is_one_clear_error(tmp_path, monkeypatch, version):
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    monkeypatch.setattr("conformance.impact.compose._TIMEOUT_S", 1)
    plugin(tmp_path, "'; exec sleep 60; '", version=version)
    path = tmp_path / "compose.yml"
    path.write_text("services: {}")
    done = CliRunner().invoke(main, ["impact", "--compose", str(path), *UPGRADE])
    assert (done.exit_code, "does not end within 1 seconds" in done.output) == (3, True)


def test_compose_is_read_as_what_is_made(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    plugin(tmp_path, json.dumps(COMPOSE))
    path = tmp_path / "compose.yml"
    path.write_text("x")
    done = CliRunner().invoke(main, ["impact", "--compose", str(path), *UPGRADE])
    assert done.exit_code == 1, done.output
    assert "it is on internal networks alone: its default route is gone" in done.output


def test_services_of_compose():
    (web, side), (back,) = objects_of_compose(as_part(COMPOSE, "compose.yml"))
    assert (web.mode, web.ports, web.mac) == (
        "shop_back",
        {"80/tcp": (("", "8080"),)},
        "02:42:ac:00:00:01",
    )
    assert (web.endpoints[0].network, web.endpoints[0].ipv4) == ("shop_back", "10.0.0.9")
    assert side.mode == "container:web"
    assert (back.name, back.is_internal) == ("shop_back", True)


@pytest.mark.parametrize(
    ("prints", "code", "said"),
    [("no such key", 15, "refuses it"), ("{", 0, "no JSON"), ('{"services":7}', 0, "an object")],
)
def test_compose_that_cannot_be_read(tmp_path, monkeypatch, prints, code, said):
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    plugin(tmp_path, prints, code)
    path = tmp_path / "compose.yml"
    path.write_text("x")
    done = CliRunner().invoke(main, ["impact", "--compose", str(path), *UPGRADE])
    assert (done.exit_code, said in done.output) == (3, True), done.output
