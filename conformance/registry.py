"""The catalogue of behaviours: one declared sentence = one test function = one row.

`@behaviour` stands over every test function in conformance/behaviours. What it says is checked
when the module is imported, so a bad declaration cannot reach an engine.
"""

import importlib.util
import inspect
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar

from conformance.impact.setup import Predicate
from conformance.versions import VersionError, parse_condition

_PART = r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*"
_ID = re.compile(rf"{_PART}(?:\.{_PART}){{1,3}}")
_ENDS_WITH_NUMBER = re.compile(r"[.-]\d+$")
_LEVEL_WORD = re.compile(r"\b(MUST|SHOULD|MAY)\b")
_BUG = re.compile(r"[a-z]+(?:-[a-z]+)*(?:#[1-9]\d*|@\d+(?:\.\d+)*)")

# A row that uses one of these fixtures needs the capability behind it; the decorator adds it, so
# that nobody has to say it twice.
FIXTURE_NEEDS = {
    "host": "host-view",
    "sockets": "host-view",
    "ports": "host-view",
    "dns": "host-view",
    "dns_server": "host-view",
    "asker": "host-view",
    "outside": "host-view",
    "wire": "host-view",
    "metrics": "metrics",
    "own_daemon": "own-daemon",
    "refused_daemon": "own-daemon",
    "upgraded": "upgrade-from",
}


_Row = TypeVar("_Row", bound=Callable[..., None])


class RegistryError(Exception):
    """A behaviour was declared wrongly."""


class Level(StrEnum):
    """How much a statement demands, in the words of RFC 2119."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    MAY = "MAY"


class Tier(StrEnum):
    """How much a user loses when the behaviour is missing."""

    CORE = "core"
    """A sentence of the seed itself."""
    CONTRACT = "contract"
    """What users build on."""
    QUIRK = "quirk"
    """What an engine happens to do: an error's text, an order, a leftover."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """One observable promise of an engine.

    Attributes:
        id: dotted lower-case name; for ever: never reused, never renamed.
        statement: one sentence with MUST, SHOULD or MAY.
        source: where the promise is made: seed section, moby function and tag, or documentation.
        tier: how much a user loses when it is missing.
        docker: the Docker releases that promise it, as a PEP 440 specifier; "" = all.
        api: the API versions that expose it, as a PEP 440 specifier; "" = all.
        needs: the capabilities that the row needs, probed on each engine.
        replaces: ids of the rows that say what older releases do instead.
        bugs: what users reported and the row shows: `moby#46697` (an issue or a pull request), or
            `podman@4.4.0` (that release's notes). conformance/bugs/ describes each.
        function: the test, as `module:function`.
        concerns: tells which containers and networks a change of it concerns; None = nobody can
            tell from their documents.
    """

    id: str
    statement: str
    source: str
    tier: Tier = Tier.CONTRACT
    docker: str = ""
    api: str = ""
    needs: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    bugs: tuple[str, ...] = ()
    function: str = ""
    concerns: Predicate | None = None

    @property
    def level(self) -> Level:
        """The strongest word of the statement."""
        words = set(_LEVEL_WORD.findall(self.statement))
        return next(level for level in Level if level.value in words)

    @property
    def area(self) -> str:
        """What the row is grouped under: the id without its last part."""
        return self.id.rpartition(".")[0]

    def to_json(self) -> dict[str, Any]:
        """Give the row's entry in the catalogue and in the report."""
        return {
            "id": self.id,
            "statement": self.statement,
            "level": self.level.value,
            "tier": self.tier.value,
            "source": self.source,
            "docker": self.docker,
            "api": self.api,
            "needs": list(self.needs),
            "replaces": list(self.replaces),
            "bugs": list(self.bugs),
        }


def check_behaviour(row: Behaviour) -> None:
    """Refuse a row that is not well formed.

    Raises:
        RegistryError: saying which rule of the row's declaration is broken.
    """
    if not _ID.fullmatch(row.id):
        raise RegistryError(
            f"behaviour id {row.id!r}: want area.subject[.case], lower case with dashes, 2-4 parts"
        )
    if _ENDS_WITH_NUMBER.search(row.id):
        raise RegistryError(f"behaviour id {row.id!r}: ids are never numbered")
    if not _LEVEL_WORD.search(row.statement):
        raise RegistryError(f"behaviour {row.id}: the statement has no MUST, SHOULD or MAY")
    if not row.source.strip():
        raise RegistryError(f"behaviour {row.id}: the source is empty")
    for bug in row.bugs:
        if not _BUG.fullmatch(bug):
            raise RegistryError(f"behaviour {row.id}: bug {bug!r}: want moby#46697 or podman@4.4.0")
    for name, condition in (("docker", row.docker), ("api", row.api)):
        try:
            parse_condition(condition)
        except VersionError as exc:
            raise RegistryError(f"behaviour {row.id}: {name}: {exc}") from exc


class Registry:
    """All declared behaviours, by id."""

    def __init__(self) -> None:
        """Start with no behaviour."""
        self._rows: dict[str, Behaviour] = {}

    def behaviour(  # noqa: PLR0913 - each is a word of the declaration
        self,
        id: str,
        statement: str,
        *,
        source: str,
        tier: str = Tier.CONTRACT,
        docker: str = "",
        api: str = "",
        needs: Iterable[str] = (),
        replaces: Iterable[str] = (),
        bugs: Iterable[str] = (),
        concerns: Predicate | None = None,
    ) -> Callable[[_Row], _Row]:
        """Declare the behaviour that the decorated test function checks.

        Raises:
            RegistryError: the declaration breaks a rule, or the id is taken.
        """

        def declare(function: _Row) -> _Row:
            if tier not in set(Tier):
                raise RegistryError(f"behaviour {id}: tier {tier!r}: want one of {', '.join(Tier)}")
            fixtures = inspect.signature(function).parameters
            implied = {need for name, need in FIXTURE_NEEDS.items() if name in fixtures}
            row = Behaviour(
                id=id,
                statement=statement,
                source=source,
                tier=Tier(tier),
                docker=docker,
                api=api,
                needs=tuple(sorted(implied | set(needs))),
                replaces=tuple(replaces),
                bugs=tuple(bugs),
                function=f"{function.__module__}:{function.__qualname__}",
                concerns=concerns,
            )
            self.add(row)
            function.__dict__["__behaviour__"] = row
            return function

        return declare

    def add(self, row: Behaviour) -> None:
        """Take a row into the catalogue.

        Raises:
            RegistryError: the row breaks a rule, or its id is taken.
        """
        check_behaviour(row)
        if row.id in self._rows:
            taken = self._rows[row.id].function
            raise RegistryError(f"behaviour {row.id} is declared twice: {taken}, {row.function}")
        self._rows[row.id] = row

    def rows(self) -> list[Behaviour]:
        """List the behaviours, sorted by area and id."""
        return sorted(self._rows.values(), key=lambda row: (row.area, row.id))


catalogue = Registry()
behaviour = catalogue.behaviour


def behaviour_of(function: object) -> Behaviour | None:
    """Give what `@behaviour` declared over a test function, if it did."""
    found = getattr(function, "__behaviour__", None)
    return found if isinstance(found, Behaviour) else None


BEHAVIOURS_DIR = Path(__file__).parent / "behaviours"


def load_catalogue(folder: Path = BEHAVIOURS_DIR) -> list[Behaviour]:
    """Import every row of a folder and list what the folder declares.

    Needs no engine and starts nothing.
    """
    names = set()
    for path in sorted(folder.glob("test_*.py")):
        name = f"conformance.behaviours.{path.stem}"
        names.add(name)
        if name not in sys.modules:
            _import_from(path, name)
    return [row for row in catalogue.rows() if row.function.partition(":")[0] in names]


def _import_from(path: Path, name: str) -> None:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise RegistryError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


def is_selected(behaviour_id: str, patterns: Iterable[str]) -> bool:
    """Say whether an id is meant by one of the patterns: an id, a dotted prefix or a glob.

    No pattern at all means every behaviour.
    """
    chosen = tuple(patterns)
    return not chosen or any(
        fnmatchcase(behaviour_id, pattern) or behaviour_id.startswith(f"{pattern.rstrip('.')}.")
        for pattern in chosen
    )
