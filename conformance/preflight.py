"""What a request to run rows must fulfil before any engine is started."""

import tempfile
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

from conformance.capabilities import PROBES
from conformance.engines.settings import PLAIN_NAME
from conformance.expectations import ExpectationError, load_expectations
from conformance.registry import Behaviour, is_selected

PROJECT = Path(__file__).parents[1]


class RequestError(Exception):
    """A request that cannot be met; the message says what is wrong with it."""


def select_rows(ids: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Give the ids that are meant; each pattern must mean one, so that no typo goes unseen.

    Args:
        ids: all that there are.
        patterns: ids, dotted prefixes or globs; none means all.

    Raises:
        RequestError: a pattern means nothing, and what may have been meant; or there are no ids.
    """
    if not ids:
        raise RequestError("the folder of behaviours has none")
    for pattern in patterns:
        if not any(is_selected(row, [pattern]) for row in ids):
            raise RequestError(f"no behaviour is selected by: {pattern}{_hint(ids, pattern)}")
    return [row for row in ids if is_selected(row, patterns)]


def _hint(ids: Iterable[str], pattern: str) -> str:
    parts = [row.split(".") for row in ids]
    names = {".".join(words[:count]) for words in parts for count in range(1, len(words) + 1)}
    near = get_close_matches(pattern, sorted(names), n=3, cutoff=0.75)
    return f"; did you mean {' or '.join(near)}?" if near else "; `list` shows them all"


def make_report_folder(folder: Path) -> None:
    """Make the report's folder, and see now and not after an hour that it can be written to.

    Raises:
        RequestError: it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"\n")
    except OSError as exc:
        raise RequestError(
            f"the report cannot be written to {folder}: {exc.strerror}; --report names another "
            "folder"
        ) from exc


def check_name(name: str) -> None:
    """See that a name of --keep is one: it becomes a folder's, and `clean` takes that away.

    Raises:
        RequestError: it is none.
    """
    if not PLAIN_NAME.fullmatch(name):
        raise RequestError(
            f"{name!r} cannot be the name of a run or of what is kept: want letters, digits, "
            "`_`, `.` and `-`, at most 40"
        )


def check_checkout(project: Path = PROJECT) -> None:
    """See that the suite runs from its own tree, for what is written into that tree.

    Raises:
        RequestError: it is installed, and there is no tree.
    """
    if not ((project / "pyproject.toml").is_file() and (project / "docs").is_dir()):
        raise RequestError(
            "this writes files of the project's own tree, and netinit is installed in "
            f"{project}, without it: run it in a checkout"
        )


def check_expectations(folder: Path) -> None:
    """Read every file of known deviations, whichever engine it is for.

    Raises:
        RequestError: one is not well formed.
    """
    for path in sorted(folder.glob("*.toml")):
        try:
            load_expectations(path.stem, folder=folder)
        except ExpectationError as exc:
            raise RequestError(f"{folder}: {exc}") from exc


def with_needs(
    catalogue: Sequence[Behaviour], ids: Sequence[str], *, needs: str | None, without: str | None
) -> list[str]:
    """Give the rows that need one capability and do not need another; None = any.

    Raises:
        RequestError: there is no such capability, or no such row.
    """
    for name in (needs, without):
        if name is not None and name not in PROBES:
            raise RequestError(
                f"no capability is called {name}; known: {', '.join(sorted(PROBES))}"
            )
    wanted = {
        row.id
        for row in catalogue
        if (needs is None or needs in row.needs) and without not in row.needs
    }
    found = [id for id in ids if id in wanted]
    if not found:
        raise RequestError(f"no row that is selected {_said(needs, without)}")
    return found


def files_of(catalogue: Sequence[Behaviour], ids: Iterable[str], folder: Path) -> list[Path]:
    """Give the files of a folder of behaviours that hold some of them."""
    wanted = set(ids)
    modules = {row.function.partition(":")[0] for row in catalogue if row.id in wanted}
    return [folder / f"{module.rpartition('.')[2]}.py" for module in sorted(modules)]


def _said(needs: str | None, without: str | None) -> str:
    words = [f"needs {needs}"] if needs else []
    return " and ".join([*words, f"does without {without}"] if without else words)
