"""docs/firewall.md: the rules of a live daemon, with a table of the host's beside them.

    sudo python -m tests.kernel.firewall_page    writes the page anew

The engine runs in a network namespace of its own with some networks and containers. What nft lists
there is the page; `test_firewall_page.py` compares the two.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from conformance.image import build_archive
from tests.kernel.docker_cli import ROOT
from tests.kernel.own_engine import NETNS, Engine, own_engine

PAGE = ROOT / "docs" / "firewall.md"
IMAGE = "firewall-busybox:latest"
HOSTS_OWN = """
table inet mine {
  chain forward { type filter hook forward priority filter; policy accept;
    ip saddr 192.0.2.0/24 counter drop
  }
}
table ip nat {
  chain POSTROUTING { type nat hook postrouting priority srcnat; policy accept;
    ip daddr 198.51.100.0/24 masquerade
  }
}
"""
HEAD = """\
# The firewall

Generated from a live daemon by `sudo python -m tests.kernel.firewall_page`; do not edit. A test
compares this page with what nft lists (`tests/kernel/test_firewall_page.py`).

All rules are in one nftables table of the reference's own, `netinit`; a second instance in the same
network namespace has a table that is named after its data-root. Every change replaces what changed
in one transaction. No other table is read or written: the host's own rules are the same before and
after, and a dockerd beside it keeps its own. What another table drops stays dropped.
"""


@dataclass(frozen=True)
class Stage:
    """One state of the daemon, and what nft lists in it.

    Attributes:
        title: what was made, as a heading.
        commands: the docker commands that made it.
        rules: the table, without what changes from run to run.
    """

    title: str
    commands: tuple[str, ...]
    rules: str


STEPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("A daemon that has just started: the default network", ()),
    (
        "A user network",
        ("network create --subnet 10.77.1.0/24 -o com.docker.network.bridge.name=front front",),
    ),
    (
        "An internal network",
        (
            "network create --internal --subnet 10.77.2.0/24 "
            "-o com.docker.network.bridge.name=inner inner",
        ),
    ),
    (
        "A network whose containers may not reach each other",
        (
            "network create --subnet 10.77.3.0/24 -o com.docker.network.bridge.name=apart "
            "-o com.docker.network.bridge.enable_icc=false apart",
        ),
    ),
    (
        "A network with IPv6",
        (
            "network create --ipv6 --subnet 10.77.4.0/24 --subnet fd77:4::/64 "
            "-o com.docker.network.bridge.name=both both",
        ),
    ),
    (
        "A container that publishes ports",
        (
            "run -d --name web --network front --ip 10.77.1.9 -p 8080:80 "
            "-p 127.0.0.1:8443:443/tcp -p 5353:53/udp IMAGE sleep 600",
        ),
    ),
)


@contextmanager
def hosts_engine(folder: Path) -> Iterator[Engine]:
    """Yield an engine that is not started yet, in a namespace with rules of the host's own."""
    with own_engine(folder) as engine:
        nft("-f", "-", stdin=HOSTS_OWN)
        yield engine


def nft(*words: str, stdin: str | None = None) -> str:
    """Run nft in the engine's network namespace."""
    return subprocess.run(
        ["nsenter", f"--net=/run/netns/{NETNS}", "nft", *words],
        input=stdin, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip


def stages(engine: Engine) -> list[Stage]:
    """Start the engine, take the steps, and note the rules after each."""
    engine.start()
    engine.docker.run("import", "-", IMAGE, stdin=build_archive())
    found = []
    for title, commands in STEPS:
        for command in commands:
            engine.docker(*command.replace("IMAGE", IMAGE).split())
        found.append(Stage(title, commands, steady(nft("list", "table", "inet", "netinit"))))
    return found


def steady(rules: str) -> str:
    """Write what changes from run to run in one way: counters, the order of a set's elements."""
    rules = re.sub(r"packets \d+ bytes \d+", "packets N bytes N", rules)
    return re.sub(r"elements = \{([^}]*)\}", _sorted_elements, rules).strip()


def _sorted_elements(found: re.Match[str]) -> str:
    words = sorted(" ".join(one.split()) for one in found[1].split(","))
    return f"elements = {{ {', '.join(words)} }}"


def page(found: list[Stage]) -> str:
    """Write the page: the first state whole, of each other one what is new in it."""
    parts = [HEAD]
    shown: list[str] = []
    for stage in found:
        parts.append(f"\n## {stage.title}\n")
        if stage.commands:
            commands = (f"    docker {c.replace('IMAGE', 'busybox')}" for c in stage.commands)
            parts.append("\n{}\n".format("\n".join(commands)))
        lines = stage.rules.splitlines()
        new = new_lines(lines, shown) if shown else lines
        parts.append("\n```\n{}\n```\n".format("\n".join(line.expandtabs(4) for line in new)))
        shown = lines
    return "".join(parts)


def new_lines(lines: list[str], before: list[str]) -> list[str]:
    """Return the lines that were not there before, each under the chain or set that it is in."""
    known = Counter(before)
    header, found = "", []
    for line in lines:
        if line.endswith("{"):
            header = line
        known[line] -= 1
        if known[line] >= 0 or line.strip() == "}":
            continue
        if header and header != line:
            found.append(header)
            header = ""
        found.append(line)
    return found


def main() -> None:
    """Write the page anew."""
    with tempfile.TemporaryDirectory() as folder, hosts_engine(Path(folder)) as engine:
        PAGE.write_text(page(stages(engine)), encoding="utf-8")


if __name__ == "__main__":
    main()
