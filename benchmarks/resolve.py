"""Questions to the embedded DNS: how many a second, and how long an answer takes.

One container asks for another one's name over and over, with some clients at once, each of which
asks again as soon as it has its answer. The engines take turns, round by round; afterwards the
reference is asked once more with a crowd of other containers present.

    python -m benchmarks dns --crowd 500
"""

from __future__ import annotations

import enum
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from benchmarks.asker import CLIENTS, AnswerError
from benchmarks.cases import REFERENCE
from benchmarks.figures import percentile
from benchmarks.machine import load_before_run
from benchmarks.options import json_option, require_root, write_samples
from conformance.engines.base import Engine, EngineError
from conformance.engines.factory import make_engine
from conformance.engines.managed import FOLDER_PREFIX, WORKSPACE_ROOT
from conformance.engines.settings import SettingsError
from conformance.image import ensure_image

PEER = "bench-peer"
KINDS = ("udp", "tcp")
ROUNDS = 5
ROUND_S = 2.0
ASKER_TIMEOUT_S = 30
MIN_RATE = 1000.0
MAX_P99_S = 0.010


class ExitCode(enum.IntEnum):
    """What the command ends with."""

    OK = 0
    BAR_MISSED = 1
    ERROR = 2


@dataclass(slots=True)
class Asked:
    """What one engine answered over one protocol.

    Attributes:
        engine: its name; of the reference with a crowd, that too.
        kind: "udp" or "tcp".
        seconds: how long it was asked.
        latencies_s: of every question.
    """

    engine: str
    kind: str
    seconds: float = 0.0
    latencies_s: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Questions answered in a second."""
        return len(self.latencies_s) / self.seconds

    def is_within_the_bar(self) -> bool:
        """Return whether it is fast enough for a container that asks a lot."""
        return self.rate >= MIN_RATE and percentile(self.latencies_s, 99) < MAX_P99_S

    def to_wire(self) -> dict[str, Any]:
        """Return the figures for the JSON."""
        return {
            "engine": self.engine,
            "protocol": self.kind,
            "questions": len(self.latencies_s),
            "rate": self.rate,
            **{f"p{at}_s": percentile(self.latencies_s, at) for at in (50, 95, 99)},
        }


class Asker:
    """Two containers of an engine on a network: one asks, one is asked for."""

    def __init__(self, engine: Engine, run_id: str, cleanup: ExitStack) -> None:
        """Start the containers.

        Raises:
            EngineError: the engine's namespaces cannot be seen from here.
        """
        if engine.inside() is None:
            raise EngineError(f"{engine.name}: only an engine on this machine can be measured")
        self._client = engine.client()
        self._image = ensure_image(self._client)
        self._run_id = run_id
        self._cleanup = cleanup
        self._network = self._client.networks.create(f"netinit-bench-{run_id}", driver="bridge")
        cleanup.callback(self._network.remove)
        self._start(PEER)
        peer = self._client.api.inspect_container(PEER)
        self._address = peer["NetworkSettings"]["Networks"][self._network.name]["IPAddress"]
        asker = self._start("bench-asker")
        self._pid = self._client.api.inspect_container(asker)["State"]["Pid"]

    def add_crowd(self, count: int) -> None:
        """Start containers that do nothing."""
        for number in range(count):
            self._start(f"bench-crowd-{number}")

    def _start(self, name: str) -> str:
        container = self._client.containers.create(
            self._image, ["sleep", "86400"], name=name, network=self._network.name
        )
        # before the start, which takes its time and may be interrupted: the network is removed next
        self._cleanup.callback(container.remove, force=True)
        container.start()
        return str(container.id)

    def ask(self, asked: Asked, seconds: float) -> None:
        """Ask for a while, and note every answer.

        Raises:
            AnswerError: one did not come, or was wrong.
        """
        done = subprocess.run(
            [
                *("nsenter", f"--net=/proc/{self._pid}/ns/net"),
                *(sys.executable, "-m", "benchmarks.asker"),
                *(PEER, self._address, asked.kind, str(seconds)),
            ],
            stdout=subprocess.PIPE,
            text=True,
            timeout=seconds + ASKER_TIMEOUT_S,
            check=False,
        )
        said = json.loads(done.stdout or '{"error": "the asker ended without a word"}')
        if "error" in said:
            raise AnswerError(f"{asked.engine}: {said['error']}")
        asked.latencies_s += said["latencies"]
        asked.seconds += said["seconds"]


def measure(
    engines: Sequence[str], *, crowd: int, rounds: int, seconds: float, rng: random.Random
) -> list[Asked]:
    """Start the engines, ask them in turn, and take everything away again.

    Raises:
        EngineError, SettingsError: an engine could not be had.
        AnswerError: it answered wrongly, or not at all.
    """
    run_id = f"{random.SystemRandom().getrandbits(24):06x}"
    WORKSPACE_ROOT.mkdir(parents=True, exist_ok=True)
    with ExitStack() as cleanup:
        folder = tempfile.TemporaryDirectory(prefix=f"{FOLDER_PREFIX}dns-", dir=WORKSPACE_ROOT)
        workspace = Path(cleanup.enter_context(folder))
        askers = {}
        for spec in engines:
            engine = make_engine(spec, run_id=f"dns-{run_id}", workspace=workspace)
            cleanup.callback(engine.stop)
            engine.start()
            askers[spec] = Asker(engine, run_id, cleanup)
        found = [(askers[spec], Asked(spec, kind)) for spec in engines for kind in KINDS]
        for _ in range(rounds):
            for asker, asked in rng.sample(found, len(found)):
                asker.ask(asked, seconds)
        if crowd and REFERENCE in askers:
            askers[REFERENCE].add_crowd(crowd)
            crowded = [Asked(f"{REFERENCE}, {crowd} more containers", kind) for kind in KINDS]
            for _ in range(rounds):
                for asked in rng.sample(crowded, len(crowded)):
                    askers[REFERENCE].ask(asked, seconds)
            return [asked for _, asked in found] + crowded
        return [asked for _, asked in found]


def render(found: Sequence[Asked]) -> str:
    """Return the table as text; times in milliseconds."""
    lines = [f"{'':36} {'':4} {'questions/s':>12} {'p50 ms':>8} {'p95 ms':>8} {'p99 ms':>8}"]
    for asked in found:
        figures = " ".join(f"{percentile(asked.latencies_s, at) * 1e3:8.3f}" for at in (50, 95, 99))
        lines.append(f"{asked.engine:36} {asked.kind:4} {asked.rate:12.0f} {figures}")
    return "\n".join(lines)


@click.command()
@click.option(
    "--engine",
    "engines",
    multiple=True,
    default=(REFERENCE, "docker"),
    show_default=True,
    metavar="ENGINE",
    help="What to ask: a name of conformance/engines.toml; may be given more than once.",
)
@click.option(
    "--crowd",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Ask the reference once more with this many other containers present.",
)
@click.option("--rounds", type=click.IntRange(min=1), default=ROUNDS, show_default=True)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0.1),
    default=ROUND_S,
    show_default=True,
    help="How long an engine is asked over one protocol in a round.",
)
@json_option("Also write the figures to this file.")
@click.option("--check", is_flag=True, help="End with 1 if the reference misses a bar.")
def dns_command(
    *,
    engines: tuple[str, ...],
    crowd: int,
    rounds: int,
    seconds: float,
    json_path: Path | None,
    check: bool,
) -> None:
    """Measure the embedded DNS of each engine, over UDP and TCP.

    A container asks it for the name of another one.
    The bars of the reference: at least 1,000 questions a second from one container, with a p99
    below 10 ms.

    Exit codes: 0 measured (with --check: and every bar met), 1 a bar missed, 2 could not be
    measured or checked, 3 the command line makes no sense.
    """
    if len(set(engines)) != len(engines):
        raise click.UsageError("an --engine is given twice")
    require_root("this makes network namespaces")
    if check and REFERENCE not in engines:
        click.echo("error: nothing was checked: the bars are the reference's alone", err=True)
        sys.exit(ExitCode.ERROR)
    load = load_before_run()
    try:
        found = measure(
            engines, crowd=crowd, rounds=rounds, seconds=seconds, rng=random.SystemRandom()
        )
    except (AnswerError, EngineError, SettingsError) as error:
        click.echo(f"error: nothing was measured: {error}", err=True)
        sys.exit(ExitCode.ERROR)
    click.echo(render(found))
    write_samples(json_path, load, clients=CLIENTS, figures=[asked.to_wire() for asked in found])
    own = [asked for asked in found if asked.engine.startswith(REFERENCE)]
    if check and not all(asked.is_within_the_bar() for asked in own):
        sys.exit(ExitCode.BAR_MISSED)
