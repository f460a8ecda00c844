"""The engines of one worker process: started when the first row needs them, stopped at the end."""

import contextlib
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any

import docker

from conformance.capabilities import probe_capabilities
from conformance.engines.base import Engine, EngineError, EngineVersion
from conformance.engines.cleanup import part_beside_others, record_external, remove_labelled
from conformance.engines.external import ExternalEngine
from conformance.engines.factory import blame, make_engine, slot_of
from conformance.engines.managed import ManagedEngine
from conformance.engines.roots import read_marker
from conformance.engines.settings import load_settings
from conformance.expectations import (
    EXPECTATIONS_DIR,
    Expectation,
    held_to_version,
    load_expectations,
)
from conformance.image import ensure_image
from conformance.leaks import Snapshot
from conformance.subnets import PARTS, SubnetAllocator, routed_subnets, taken_subnets
from conformance.upgrade import Upgrade
from conformance.upgraded import Upgraded, pass_through
from conformance.versions import VersionError, docker_release, major_minor, release_of_api

# How long an engine that let a row wait in vain may take for a ping.
ANSWER_TIMEOUT_S = 15.0


@dataclass(slots=True, kw_only=True)
class StartedEngine:
    """An engine that answers, and what was found out about it.

    Attributes:
        engine: the engine.
        column: its name in the matrix, such as `docker-20.10`.
        version: its own version.
        held_to: the version whose expectations hold: its own, or the newest that was measured.
        api: the newest API version that it speaks.
        promises: the Docker release whose promises hold for it.
        capabilities: what the probes found.
        expectations: the known deviations of its family.
        subnets: subnets that overlap nothing it has.
        facts: its entry in the report.
        leaked: what rows left on it so far.
        state: what was on it after the last row; None = not known.
    """

    engine: Engine
    column: str
    version: str
    held_to: str
    api: str
    promises: str
    capabilities: frozenset[str]
    expectations: tuple[Expectation, ...]
    subnets: SubnetAllocator
    facts: dict[str, Any]
    leaked: list[str] = field(default_factory=list)
    state: Snapshot | None = None


class EnginePool:
    """Starts engines on demand; one shared engine per spec and throw-away ones beside it."""

    def __init__(
        self,
        *,
        run_id: str,
        workspace: Path,
        keep: str = "",
        instance: str = "",
        expectations: Path = EXPECTATIONS_DIR,
        host: dict[str, Any] | None = None,
    ) -> None:
        """Begin with no engine.

        Args:
            run_id: begins the names of what is made on this machine.
            workspace: the run's folder.
            keep: a name under which the shared engines stay up between runs; "" = they do not.
            instance: tells this pool's engines from those of another one in the same run.
            expectations: folder of the known deviations.
            host: what the report says of the machine, where it is not the report's own.
        """
        self._host = host
        self._run_id = run_id
        self._workspace = workspace
        self._keep = keep
        self._instance = f"-{instance}" if instance else ""
        self._expectations = expectations
        self._shared: dict[str, StartedEngine] = {}
        self._failed: dict[str, str] = {}
        self._doubts: dict[str, str] = {}
        self._silent: dict[str, str] = {}
        self._lent: list[Engine] = []
        self._upgraded: dict[str, Upgraded] = {}
        self._external: list[tuple[ExternalEngine, Path]] = []
        self._slots = 0

    def shared(self, spec: str) -> StartedEngine:
        """Give the engine that all rows share, started.

        Raises:
            EngineError: it did not come up; the same error again for every later row.
        """
        if spec in self._failed:
            raise EngineError(self._failed[spec])
        if spec not in self._shared:
            part = 0
            engine = make_engine(
                spec,
                run_id=self._run_id,
                workspace=self._workspace,
                slot=f"{slot_of(spec)}{self._instance}",
                keep=self._keep,
            )
            if isinstance(engine, ExternalEngine):
                record = record_external(self._workspace, engine, self._run_id)
                self._external.append((engine, record))
                part = part_beside_others(record) % PARTS
            try:
                engine.start()
                subnets = _subnets_on(engine, part)
                image_of = "" if engine.is_managed else self._run_id
                image = ensure_image(engine.client(), run_id=image_of)
                if engine.is_managed:
                    _break_in(engine.client(), image)
                self._shared[spec] = _describe(engine, spec, self._expectations, subnets)
                if self._host is not None:
                    self._shared[spec].facts["host"] = self._host
            except Exception as exc:
                self._failed[spec] = f"{spec}: {blame(spec, exc)}"
                engine.stop()
                raise EngineError(self._failed[spec]) from exc
        return self._shared[spec]

    def doubt(self, spec: str, row: str) -> None:
        """Note that a row ended in an error: the engine may have died of it."""
        self._doubts[spec] = row

    def check_answers(self, spec: str) -> None:
        """Ask an engine that is in doubt for a sign of life, once; without one no row waits for it.

        Raises:
            EngineError: it gave none; the same error again for every later row.
        """
        if spec in self._silent:
            raise EngineError(self._silent[spec])
        row = self._doubts.pop(spec, "")
        if row and not answers(self._shared[spec].engine):
            self._silent[spec] = f"{spec} does not answer any more, since {row}"
            raise EngineError(self._silent[spec])

    def lend_own(self, spec: str, config: dict[str, Any]) -> Engine:
        """Start a daemon that one row may kill and configure as it likes."""
        self._slots += 1
        engine = make_engine(
            spec,
            run_id=self._run_id,
            workspace=self._workspace,
            slot=f"{slot_of(spec)}{self._instance}-own{self._slots}",
            config=config,
        )
        try:
            engine.start()
        except EngineError:
            raise
        except Exception as exc:
            raise EngineError(f"{spec}: {blame(spec, exc)}") from exc
        self._lent.append(engine)
        return engine

    def take_back(self, engine: Engine) -> None:
        """End a lent daemon and take away all that is left of it."""
        self._lent.remove(engine)
        engine.stop()

    def upgraded(self, spec: str) -> Upgraded:
        """Give an engine that took over what older releases made, for all rows that look at it.

        It takes some ten seconds for each release that the state passes through.

        Raises:
            EngineError: an engine of the path did not come up; the same error again for every
                later row.
        """
        key = f"{spec} after an upgrade"
        if key in self._failed:
            raise EngineError(self._failed[key])
        if spec not in self._upgraded:

            def make(name: str) -> ManagedEngine:
                engine = make_engine(
                    name,
                    run_id=self._run_id,
                    workspace=self._workspace,
                    slot=f"{spec}{self._instance}-up",
                )
                if not isinstance(engine, ManagedEngine):
                    raise EngineError(f"{name} is not the suite's to start")
                return engine

            upgrade = Upgrade(make, run_id=self._run_id)
            try:
                path = [*load_settings()[spec].upgrades_from, spec]
                self._upgraded[spec] = pass_through(upgrade, path)
            except Exception as exc:
                self._failed[key] = f"{key}: {exc}"
                upgrade.end()
                raise EngineError(self._failed[key]) from exc
        return self._upgraded[spec]

    def stop_all(self) -> list[str]:
        """Stop every engine; go on past failures and give them as sentences."""
        upgraded = [one.upgrade.engine for one in self._upgraded.values()]
        engines = [*self._lent, *upgraded, *(one.engine for one in self._shared.values())]
        # Before the others: one of them may hold these in containers of its own.
        complaints = _stop([engine for engine in engines if engine.is_managed])
        complaints += self._clean_external()
        complaints += _stop([engine for engine in engines if not engine.is_managed])
        self._lent, self._upgraded, self._shared = [], {}, {}
        # not there, not empty, or the runner's to take away
        with contextlib.suppress(OSError):
            self._workspace.rmdir()
        return complaints

    def _clean_external(self) -> list[str]:
        """Remove what rows left on engines of somebody else, and then the records of it."""
        complaints = []
        for engine, record in self._external:
            try:
                remove_labelled(engine, self._run_id)
                record.unlink(missing_ok=True)
            except Exception as exc:  # noqa: BLE001 - the record stays, so that `clean` can go on
                complaints.append(f"{engine.name} could not be cleaned: {exc}")
        self._external = []
        return complaints


def _stop(engines: Iterable[Engine]) -> list[str]:
    """Stop engines; go on past failures and give them as sentences."""
    complaints = []
    for engine in engines:
        try:
            engine.stop()
        except Exception as exc:  # noqa: BLE001 - the others must be stopped all the same
            complaints.append(f"{engine.name} could not be stopped: {exc}")
    return complaints


def answers(engine: Engine, *, timeout_s: float = ANSWER_TIMEOUT_S) -> bool:
    """Say whether an engine says anything at all to a ping within some seconds."""
    try:
        with engine.connect() as connection:
            connection.settimeout(timeout_s)
            connection.sendall(b"GET /_ping HTTP/1.0\r\nHost: engine\r\n\r\n")
            return bool(connection.recv(1))
    except (OSError, EngineError):
        return False


def _break_in(client: docker.DockerClient, image: str) -> None:
    """Run one container and take it away, so that no row is the first.

    Engines make tables, chains and modules with the first container that needs them, and keep
    them: without this the first row would seem to leave them behind.
    """
    container = client.containers.create(image, ["true"])
    container.start()
    container.wait(timeout=30)
    container.remove(force=True)


def _describe(
    engine: Engine, spec: str, expectations: Path, subnets: SubnetAllocator
) -> StartedEngine:
    version = engine.version()
    capabilities = probe_capabilities(engine)
    column = column_name(engine, version.version)
    promises = promised_release(engine, version)
    release = docker_release(version.version, version.api_max)
    held_to, newest_known = held_to_version(engine.family, release, folder=expectations)
    facts: dict[str, Any] = {
        "name": column,
        "spec": spec,
        **({"origin": engine.origin} if engine.origin else {}),
        "family": engine.family,
        "version": version.version,
        "api_min": version.api_min,
        "api_max": version.api_max,
        "promises": promises,
        "newer_than_known": newest_known,
        "packages": _package_versions(engine, spec),
        "start_command": [_without_path(word) for word in engine.start_command],
        "capabilities": sorted(capabilities),
    }
    return StartedEngine(
        engine=engine,
        column=column,
        version=version.version,
        held_to=held_to,
        api=version.api_max,
        promises=promises,
        capabilities=capabilities,
        expectations=tuple(load_expectations(engine.family, folder=expectations)),
        subnets=subnets,
        facts=facts,
    )


def _subnets_on(engine: Engine, part: int) -> SubnetAllocator:
    """Prepare the handing out of subnets; an engine of somebody else has other users."""
    if engine.is_managed:
        return SubnetAllocator(_taken_by(engine))
    return SubnetAllocator((), taken_now=lambda: _taken_by(engine), part=part)


def promised_release(engine: Engine, version: EngineVersion) -> str:
    """Give the Docker release whose promises hold: the engine's profile, or what itself says.

    Of an engine that is no Docker the API says it.
    """
    if engine.profile:
        return engine.profile
    if engine.family == "docker":
        return docker_release(version.version, version.api_max)
    return release_of_api(version.api_max)


def _taken_by(engine: Engine) -> list[IPv4Network | IPv6Network]:
    taken = taken_subnets(engine.client())
    for folder in engine.proc_nets if isinstance(engine, ExternalEngine) else ():
        taken += routed_subnets(folder)
    return taken


def column_name(engine: Engine, version: str) -> str:
    """Name an engine's column: `reference`, `docker-20.10`, `docker-28.5-built-1a2b3c`.

    One that was not started from engines.toml never has the name of a recorded column.
    """
    if engine.family == "refimpl":
        return f"reference-{engine.origin}" if engine.origin else engine.name
    try:
        short = major_minor(version)
    except VersionError:
        short = re.sub(r"[^A-Za-z0-9]+", "-", version)[:20].strip("-") or "unknown"
    return "-".join(word for word in (engine.family, short, engine.origin) if word)


def _without_path(word: str) -> str:
    """Shorten the paths in a command, so that two machines' reports can be compared."""
    scheme, separator, rest = word.rpartition("://")
    return f"{scheme}{separator}{Path(rest).name}" if rest.startswith("/") else word


def _package_versions(engine: Engine, spec: str) -> dict[str, str]:
    """Give the exact versions of an engine's packages, of its tree or of this machine."""
    settings = load_settings().get(spec)
    if settings is None or not settings.packages:
        return {}
    if isinstance(engine, ManagedEngine) and engine.tree is not None:
        versions = read_marker(spec).get("versions", {})
        return {name: versions[name] for name in settings.packages if name in versions}
    if shutil.which("dpkg-query") is None:
        return {}
    done = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${Version}\n", *settings.packages],
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    pairs = (line.split(" ", 1) for line in done.stdout.splitlines())
    return {package: version for package, version in pairs if version}
