"""A dockerd that is somebody else's: in a namespace and a folder of the test's own, full of things.

What the suite is pointed at with `--engine unix://...`, `tcp://...`; see test_external_engine.py.
"""

import json
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import docker
import docker.errors
import docker.types

from conformance.engines.processes import (
    descendants,
    kill_all,
    make_netns,
    processes_naming,
    remove_cgroups,
    remove_folder,
    remove_netns,
    run_tool,
    shim_sockets,
)
from conformance.image import REPOSITORY, build_archive
from conformance.observe.poll import wait_until
from conformance.subnets import IPV4_POOL, IPV6_POOL
from conformance.workbench import WAIT_FOR_EVER

GROUP = "nogroup"
# The first subnets that the suite would take: one is theirs, to one they have a route.
THEIR_SUBNET, THEIR_ROUTE = "10.213.0.0/24", "10.213.1.0/24"
THEIR_PART = IPv4Network("10.213.0.0/23")
SPARE_POOL = "198.18.0.0/15"


class Theirs:
    """The daemon, and everything that can be seen of it."""

    def __init__(self, folder: Path, netns: str) -> None:
        self.folder = folder
        self.netns = netns
        self.socket = folder / "docker.sock"
        self.address = f"unix://{self.socket}"
        self.client = docker.DockerClient(base_url=self.address, version="auto")
        self.pid = int((folder / "daemon.pid").read_text())

    def fill(self) -> None:
        """Make containers in every state, networks, images and a volume, as a user would."""
        api, archive = self.client.api, build_archive()
        for name, tag in (("theirs", "1"), (REPOSITORY, "theirs")):
            api.import_image_from_data(archive, repository=name, tag=tag)
        pool = docker.types.IPAMPool(subnet=THEIR_SUBNET)
        self.client.networks.create(
            "theirs", ipam=docker.types.IPAMConfig(pool_configs=[pool]), labels={"their": "own"}
        )
        self.client.networks.create("netinit-theirs-too", internal=True)
        run_tool(*self.inside("ip", "link", "add", "theirs0", "type", "bridge"))
        run_tool(*self.inside("ip", "link", "set", "theirs0", "up"))
        run_tool(*self.inside("ip", "route", "add", THEIR_ROUTE, "dev", "theirs0"))
        self.client.volumes.create("theirs")
        containers = self.client.containers

        def run(name: str, **options: Any) -> Any:
            return containers.run(
                "theirs:1", list(WAIT_FOR_EVER), name=name, detach=True, **options
            )

        run("running", ports={"80/tcp": 8080}, volumes=["theirs:/data"])
        run("joined", network_mode="container:running")
        run("host", network_mode="host")
        run("stopped", network="theirs").stop(timeout=5)
        run("paused", network="theirs").pause()
        containers.create("theirs:1", ["true"], name="netinit-created", labels={"netinit": "mine"})

    def inside(self, *command: str) -> list[str]:
        """Give a command line that runs in the daemon's network namespace."""
        return ["nsenter", f"--net=/run/netns/{self.netns}", *command]

    def seen(self) -> dict[str, str]:
        """Inspect everything: a document for each thing, as text, and the machine's part."""
        api = self.client.api
        documents: dict[str, Any] = {
            "daemon": {"pid": self.pid, "started": Path(f"/proc/{self.pid}/stat").stat().st_mtime},
            "counts": {
                key: api.info()[key] for key in ("Containers", "Images", "ContainersPaused")
            },
            "volumes": api.volumes(),
        }
        for listed in api.containers(all=True):
            documents[f"container {listed['Names'][0]}"] = api.inspect_container(listed["Id"])
        for listed in api.networks():
            documents[f"network {listed['Name']}"] = api.inspect_network(listed["Id"])
        for listed in api.images(all=True):
            documents[f"image {listed['Id']}"] = api.inspect_image(listed["Id"])
        texts = {name: json.dumps(entry, sort_keys=True) for name, entry in documents.items()}
        for words in ("ip -o link", "ip -o addr", "ip route show table all"):
            texts[words] = run_tool(*self.inside(*words.split()))
        texts["rules"] = run_tool(*self.inside("iptables-save"))
        return {name: _without_what_changes_by_itself(text) for name, text in texts.items()}

    def panics(self) -> list[str]:
        """Give the lines of the daemon's log that tell of a crash in it."""
        text = (self.folder / "log").read_text(encoding="utf-8", errors="replace")
        return [line for line in text.splitlines() if "panic" in line]

    def subnets_that_stay_taken(self) -> list[str]:
        """Ask for the suite's subnets as a few big ones; give those that the engine refuses.

        An engine may keep the subnet of a network that it refused, and shows that nowhere.
        """
        ipv4 = [[str(big)] for big in IPV4_POOL.address_exclude(THEIR_PART)]
        refused = []
        for number, subnets in enumerate([*ipv4, [SPARE_POOL, str(IPV6_POOL)]]):
            pools = [docker.types.IPAMPool(subnet=subnet) for subnet in subnets]
            try:
                made = self.client.networks.create(
                    f"netinit-asks-{number}",
                    enable_ipv6=len(pools) > 1,
                    ipam=docker.types.IPAMConfig(pool_configs=pools),
                )
            except docker.errors.APIError as exc:
                refused.append(f"{', '.join(subnets)}: {exc.explanation}")
            else:
                made.remove()
        return refused


def _without_what_changes_by_itself(text: str) -> str:
    """Leave out packet counts, dates, and the link-local addresses that the kernel gives late."""
    lines = (re.sub(r" \[\d+:\d+\]", "", line) for line in text.splitlines())
    return "\n".join(line for line in lines if not re.search(r"^#|fe80::|ff00::", line))


@contextmanager
def running_dockerd(**settings: Any) -> Iterator[Theirs]:
    """Run a dockerd; `settings` are keys of its daemon.json."""
    name = f"ni-ext-{secrets.token_hex(3)}"
    folder = Path("/tmp") / name
    folder.mkdir(mode=0o755)
    make_netns(name)
    hosts = [f"unix://{folder}/docker.sock", *settings.pop("hosts", [])]
    paths = {"data-root": "data", "exec-root": "exec", "pidfile": "daemon.pid"}
    document: dict[str, Any] = {key: str(folder / path) for key, path in paths.items()}
    document |= {"hosts": hosts, "group": GROUP, "cgroup-parent": name, **settings}
    (folder / "daemon.json").write_text(json.dumps(document))
    enter = ["nsenter", f"--net=/run/netns/{name}", "setpriv", "--pdeathsig", "TERM"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*enter, "dockerd", "--config-file", str(folder / "daemon.json")],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_until(
            "their dockerd to answer",
            lambda: (folder / "docker.sock").exists() and (folder / "daemon.pid").exists(),
            timeout_s=30,
        )
        theirs = Theirs(folder, name)
        yield theirs
        for container in theirs.client.containers.list(filters={"status": "paused"}):
            container.unpause()  # a frozen process does not die of SIGKILL
        theirs.client.close()
    finally:
        pids = descendants({process.pid, *processes_naming(folder)})
        sockets = shim_sockets(pids)
        kill_all(pids)
        process.wait(timeout=10)
        for path in sockets:
            path.unlink(missing_ok=True)
        remove_cgroups([name])
        remove_folder(folder)
        remove_netns(name)


def make_certificates(folder: Path) -> None:
    """Make a CA and certificates for 127.0.0.1 and a client, named as Docker's client does."""
    folder.mkdir()
    subject = ["-subj", "/CN=netinit test CA", "-days", "2", "-nodes", "-newkey", "rsa:2048"]
    usage = ["-addext", "keyUsage=critical,keyCertSign", "-addext", "subjectKeyIdentifier=hash"]
    _openssl(folder, "req", "-x509", *subject, *usage, "-keyout", "ca-key.pem", "-out", "ca.pem")
    for stem, extra in (("server", "subjectAltName=IP:127.0.0.1\n"), ("", "")):
        key, csr, cert = (f"{stem}{'-' * bool(stem)}{part}.pem" for part in ("key", "csr", "cert"))
        purpose = "serverAuth" if stem else "clientAuth"
        (folder / "ext").write_text(
            f"{extra}extendedKeyUsage={purpose}\nkeyUsage=digitalSignature\n"
            "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
        )
        names = ["-subj", f"/CN={stem or 'client'}", "-keyout", key, "-out", csr]
        _openssl(folder, "req", "-new", "-newkey", "rsa:2048", "-nodes", *names)
        signer = ["-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial", "-days", "2"]
        _openssl(folder, "x509", "-req", "-in", csr, *signer, "-extfile", "ext", "-out", cert)


def _openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=30)


def as_nobody(*, group: str = "") -> list[str]:
    """Give the words before a command that take all rights from it, but to read its own Python.

    This machine's Python may be in a folder of root's; the right to read reaches no socket.
    """
    keep = ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"]
    bounds = ["--bounding-set=-all,+dac_read_search"]
    groups = [f"--groups={group}"] if group else ["--clear-groups"]
    return ["setpriv", "--reuid=65533", "--regid=65533", *groups, *keep, *bounds]


def environment(**more: str) -> dict[str, str]:
    """Give an environment without anything that leads to another Docker or another CA."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("DOCKER_") and key not in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    }
    return {**kept, "NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1", **more}


def what_is_missing() -> str:
    """Say which program a foreign dockerd needs and this machine lacks; "" = none."""
    wanted = ("dockerd", "iptables-save", "openssl", "setpriv", "nsenter")
    missing = [name for name in wanted if shutil.which(name) is None]
    if os.geteuid() != 0:
        return "starting a dockerd needs root"
    return f"missing: {', '.join(missing)}" if missing else ""
