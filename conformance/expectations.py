"""Known deviations of the engines, as data: expectations/<family>.toml.

No entry means the row must pass. An entry means that it must fail on the versions it names, at the
assertion it names; a pass is then red, too, and so is a failure at another assertion. An entry
never covers a harness error.
"""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from conformance.versions import VersionError, matches, parse_condition, parse_version

EXPECTATIONS_DIR = Path(__file__).parent / "expectations"
# A family's versions that the file was written for; a newer one is held to the newest of them.
_MEASURED = "measured"
_KEYS = {"versions", "values", "expected", "fails_at", "reason", "link", "evidence", "since"}


class ExpectationError(Exception):
    """An expectation file is not well formed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """One known deviation of one family of engines.

    Attributes:
        behaviour: id of the row that fails.
        versions: PEP 440 specifier over the engine's own version; "" = all.
        values: the values of a parametrised row that fail, as pytest names them; empty = all.
        fails_at: what the assertion at which it fails is about, as the report's `reason` says it;
            several where it may be one or another.
        reason: why it fails, for a human.
        link: an issue, a commit or a page that shows it; or
        evidence: what was seen, where nothing public shows it.
        since: the day the entry was written.
    """

    behaviour: str
    versions: str
    values: tuple[str, ...] = ()
    fails_at: tuple[str, ...]
    reason: str
    link: str
    evidence: str
    since: date

    def to_json(self) -> dict[str, Any]:
        """Give the entry as it stands in the report."""
        return {
            "versions": self.versions,
            "values": list(self.values),
            "fails_at": list(self.fails_at),
            "reason": self.reason,
            "link": self.link,
            "evidence": self.evidence,
            "since": self.since.isoformat(),
        }


def load_expectations(family: str, *, folder: Path = EXPECTATIONS_DIR) -> list[Expectation]:
    """Read a family's file; a family without one has no known deviation.

    Raises:
        ExpectationError: the file is not TOML, or an entry breaks a rule.
    """
    found = []
    for behaviour, entries in _read_file(family, folder).items():
        where = f"{family}.toml"
        if behaviour == _MEASURED:
            continue
        if not isinstance(entries, list):
            raise ExpectationError(f'{where}: write [["{behaviour}"]], a list of entries')
        found += [_read_entry(where, behaviour, entry) for entry in entries]
    return found


def held_to_version(
    family: str, version: str, *, folder: Path = EXPECTATIONS_DIR
) -> tuple[str, str]:
    """Give the version whose expectations hold, and "" or the newest one that was measured.

    The second says that the engine is newer than anything that its file was written for.
    """
    measured = _read_file(family, folder).get(_MEASURED, [])
    newest = max(measured, key=parse_version, default=version)
    if parse_version(version) > parse_version(newest):
        return newest, newest
    return version, ""


def _read_file(family: str, folder: Path) -> dict[str, Any]:
    path = folder / f"{family}.toml"
    if not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as exc:
        raise ExpectationError(f"{path.name}: {exc}") from exc


def _read_entry(file: str, behaviour: str, entry: Any) -> Expectation:
    where = f"{file}: {behaviour}"
    if not isinstance(entry, dict):
        raise ExpectationError(f"{where}: an entry is a table")
    unknown = sorted(set(entry) - _KEYS)
    if unknown:
        raise ExpectationError(f"{where}: unknown key {', '.join(unknown)}")
    if entry.get("expected") != "fail":
        raise ExpectationError(f'{where}: expected = "fail" is all that an entry can expect')
    texts = {key: str(entry.get(key, "")).strip() for key in ("reason", "link", "evidence")}
    if not texts["reason"] or texts["reason"].upper().startswith("TODO"):
        raise ExpectationError(f"{where}: a reason is required")
    if not (texts["link"] or texts["evidence"]):
        raise ExpectationError(f"{where}: a link or evidence is required")
    fails_at = _read_words(where, "fails_at", entry)
    if not fails_at:
        raise ExpectationError(
            f"{where}: fails_at is required: what the failing assertion is about, as the report's "
            "reason says it"
        )
    if not isinstance(entry.get("since"), date):
        raise ExpectationError(f"{where}: since = YYYY-MM-DD is required")
    versions = str(entry.get("versions", ""))
    try:
        parse_condition(versions)
    except VersionError as exc:
        raise ExpectationError(f"{where}: {exc}") from exc
    return Expectation(
        behaviour=behaviour,
        versions=versions,
        values=_read_words(where, "values", entry),
        fails_at=fails_at,
        since=entry["since"],
        **texts,
    )


def _read_words(where: str, key: str, entry: dict[str, Any]) -> tuple[str, ...]:
    """Read a text, or a list of texts; none where the key is not there."""
    value = entry.get(key, [])
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(word, str) and word for word in words):
        raise ExpectationError(f"{where}: {key}: want a text or a list of texts")
    return tuple(words)


def find_expectation(
    expectations: Iterable[Expectation], *, behaviour: str, version: str, value: str = ""
) -> Expectation | None:
    """Give the first entry for a behaviour, or for a value of it, on a version of the engine."""
    return next(
        (
            entry
            for entry in expectations
            if entry.behaviour == behaviour
            and matches(entry.versions, version)
            and (not entry.values or value in entry.values)
        ),
        None,
    )


def lint_expectations(
    families: Iterable[str], behaviours: Iterable[str], *, folder: Path = EXPECTATIONS_DIR
) -> list[str]:
    """List what is wrong with the expectation files, one sentence each; empty = nothing."""
    known_families, known_ids = set(families), set(behaviours)
    complaints = []
    for path in sorted(folder.glob("*.toml")):
        if path.stem not in known_families:
            complaints.append(f"{path.name}: no engine in engines.toml is of this family")
        try:
            entries = load_expectations(path.stem, folder=folder)
        except ExpectationError as exc:
            complaints.append(str(exc))
            continue
        complaints += [
            f"{path.name}: {entry.behaviour}: no such behaviour"
            for entry in entries
            if entry.behaviour not in known_ids
        ]
        seen = [(entry.behaviour, entry.versions, entry.values) for entry in entries]
        complaints += [
            f"{path.name}: {behaviour}: two entries for versions {versions!r}"
            for behaviour, versions, _ in sorted({one for one in seen if seen.count(one) > 1})
        ]
    return complaints
