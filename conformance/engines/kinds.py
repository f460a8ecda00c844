"""Kinds of engines: ways of having one. Each is an entry point of the group `netinit.engines`.

A package that is installed beside the suite adds a kind without a fork:

    [project.entry-points."netinit.engines"]
    acme = "acme_engines:KIND"

`acme_engines.KIND` is an `EngineKind`; then `--engine acme:ARGUMENT` is an engine of this kind. The
suite's own kinds are found and loaded by the same way. They are named here as well as in
pyproject.toml, because a checkout on PYTHONPATH and a copy on another machine are not installed.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

from conformance.engines.base import Engine
from conformance.engines.settings import EngineSettings, SettingsError

GROUP = "netinit.engines"
OWN_KINDS = {
    name: EntryPoint(name, f"conformance.engines.{module}:KIND", GROUP)
    for name, module in (
        ("reference", "reference"),
        ("dockerd", "dockerd"),
        ("podman", "podman"),
        ("image", "container"),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineKind:
    """A way of having an engine.

    Attributes:
        settings_of: reads what follows the colon in `--engine KIND:ARGUMENT`. It starts nothing,
            and raises SettingsError for what can never be an argument.
        make: makes an engine that is not started, from its settings and the keywords `run_id`,
            `slot`, `workspace`, `config` and `keep` of `ManagedEngine`. The engine has what
            `conformance.engines.base.Engine` asks for.
    """

    settings_of: Callable[[str], EngineSettings]
    make: Callable[..., Engine]


@dataclass(frozen=True, slots=True)
class FoundKind:
    """A kind, its name, and the package that it comes from; "" = the suite itself."""

    name: str
    kind: EngineKind
    package: str = ""

    @contextmanager
    def blamed(self) -> Iterator[None]:
        """Let an error within name the package of somebody else.

        Raises:
            SettingsError: the package's part failed.
        """
        if not self.package:
            yield
            return
        try:
            yield
        except Exception as exc:
            raise SettingsError(self.blame(exc)) from exc

    def blame(self, exc: Exception) -> str:
        """Say what went wrong in somebody else's kind, and whose it is."""
        return f"the engine kind {self.name!r} of the package {self.package} failed: {said(exc)}"

    def check(self, engine: Engine) -> Engine:
        """Give the engine back, if it has all that the suite asks an engine for.

        Raises:
            SettingsError: naming what it lacks.
        """
        wanted = sorted(name for name in vars(Engine) if not name.startswith("_"))
        lacking = [name for name in wanted if not hasattr(engine, name)]
        if lacking:
            raise SettingsError(
                f"the engine kind {self.name!r} of the package {self.package} makes a "
                f"{type(engine).__name__}, which is no engine: it has no {', '.join(lacking)}"
            )
        return engine


def said(exc: Exception) -> str:
    """Give an error's own words, with its type where they are few."""
    words = str(exc).strip()
    return words if isinstance(exc, SettingsError) else f"{type(exc).__name__}: {words}"


def kind_names() -> list[str]:
    """Name every kind that can be had here: the suite's own, then those of other packages."""
    others = {entry.name for entry in entry_points(group=GROUP)} - OWN_KINDS.keys()
    return [*OWN_KINDS, *sorted(others)]


def find_kind(name: str) -> FoundKind:
    """Load a kind. No package takes a name of the suite's own.

    Raises:
        SettingsError: there is none, two packages offer it, or it cannot be loaded; naming them.
    """
    entry, package = OWN_KINDS.get(name), ""
    if entry is None:
        offered = {_package_of(one): one for one in entry_points(group=GROUP, name=name)}
        if not offered:
            raise SettingsError(
                f"no kind of engine is called {name!r}; known: {', '.join(kind_names())}"
            )
        if len(offered) > 1:
            raise SettingsError(
                f"the engine kind {name!r} is offered by several packages: "
                f"{', '.join(sorted(offered))}; remove all but one"
            )
        package, entry = next(iter(offered.items()))
    return FoundKind(name, _load(entry, package), package)


def _load(entry: EntryPoint, package: str) -> EngineKind:
    """Load what an entry point names.

    Raises:
        SettingsError: it is not there, or is no kind.
    """
    whose = f"the engine kind {entry.name!r} of the package {package}"
    try:
        loaded = entry.load()
    except Exception as exc:
        if not package:
            raise  # a defect of ours
        raise SettingsError(f"{whose} cannot be loaded: {said(exc)}") from exc
    if not isinstance(loaded, EngineKind):
        raise SettingsError(f"{whose}: {entry.value} is a {type(loaded).__name__}, no EngineKind")
    return loaded


def _package_of(entry: EntryPoint) -> str:
    if entry.dist is None:
        return "(unknown)"
    return f"{entry.dist.name} {entry.dist.version}"
