"""Plant one defect after another in a copy of the reference; every one must turn a test red.

A test that cannot fail proves nothing. `ci/mutants/*.toml` lists defects: small edits of the
reference, each with the behaviours (or unit tests) that must notice it. A defect is *killed* when
every one of them fails on the edited copy, and has *survived* when one passes.

Defects that make the same edits share a copy and an engine on it, and each of their rows is
judged on its own. After a row that left something behind or ended in an error, the rows that are
left get a new engine: a defect is never killed by what another row did to the engine.

Before anything is planted the same tests run against the unchanged reference: a test that is red
already would kill every defect and prove nothing.

    python ci/mutants/run.py                        all defects
    python ci/mutants/run.py init.container         those whose name starts so
    python ci/mutants/run.py --draw 120             at most so many, by a seed that it prints
    python ci/mutants/run.py --draw 120 --touched-by HEAD~
                                                    first those that the change since HEAD~ touches
    python ci/mutants/run.py --list

Exit: 0 all killed, 1 one survived, 2 a defect no longer fits the source or a test was red before.
"""

from __future__ import annotations

import argparse
import ast
import compileall
import concurrent.futures
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.engines.cleanup import sweep
from conformance.preflight import files_of
from conformance.registry import Behaviour, load_catalogue
from conformance.report.document import FILE_NAME, DocumentError, read_document
from conformance.runner import RunRequest, pytest_command

ROOT = Path(__file__).resolve().parents[2]
TABLES = Path(__file__).resolve().parent
PACKAGES = ("refimpl", "conformance", "tests")
PYTEST_RED = 1
TIMEOUT_S = 300
# So many rows share an engine at most, so that one defect's many rows are shared by the cores.
ROWS_PER_ENGINE = 12
# How the reason of a row begins that left something on its engine (conformance/leaks.py).
LEFT_BEHIND = "what the row left behind"
# What a row says of a defect that it sees; a sentence with SHOULD or MAY is not red then.
NOTICED = frozenset({"FAIL", "FIXED", "non-strict"})
KILLED, SURVIVED, BROKEN = "killed", "SURVIVED", "BROKEN"

Edit = tuple[str, str, str]


class Misfit(Exception):
    """A defect that the tables describe wrongly, or that the source has outgrown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One defect: replace `find` by `replace` in `file`; `rows` or `tests` must notice.

    Attributes:
        name: the behaviour whose test is on trial, with a suffix after a colon for a second one;
            or the reported bug that is planted, as `moby-46697` (conformance/bugs/), likewise.
        edits: (file, find, replace); each `find` must occur exactly once in its file.
        rows: ids of behaviours; every one must be red.
        tests: node ids, run by pytest, which must fail.
    """

    name: str
    edits: tuple[Edit, ...]
    rows: tuple[str, ...]
    tests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a test said: `pass`, `FAIL` or whatever else became of it, and why."""

    verdict: str
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Tests that run on one copy: rows on one engine, or one call of pytest."""

    edits: tuple[Edit, ...]
    rows: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()


def load(tables: Sequence[Path]) -> list[Mutant]:
    """Read the tables; a name may stand once.

    Raises:
        Misfit: an entry lacks an edit or a test.
    """
    mutants: dict[str, Mutant] = {}
    for table in tables:
        for mutant in read(table.read_text()):
            if mutant.name in mutants:
                raise Misfit(f"{table.name}: {mutant.name} stands twice")
            mutants[mutant.name] = mutant
    return list(mutants.values())


def read(text: str) -> list[Mutant]:
    """Read one table."""
    return [
        Mutant(
            name=name,
            edits=tuple(
                (edit["file"], edit["find"], edit["replace"])
                for edit in entry.get("edits", [entry])
            ),
            rows=tuple(entry.get("rows", () if "tests" in entry else (name.split(":")[0],))),
            tests=tuple(entry.get("tests", ())),
        )
        for name, entry in tomllib.loads(text).items()
    ]


def compiled_copy(target: Path) -> None:
    """Copy what the tests need, and compile it once for all copies that are made of it.

    What the tests before the first defect compile stays here, too.
    """
    skip = shutil.ignore_patterns(".mypy_cache", ".pytest_cache")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, target / package, ignore=skip)
    shutil.copy(ROOT / "pyproject.toml", target)
    compileall.compile_dir(target / "refimpl", quiet=2, workers=0)


def plant(edits: Iterable[Edit], tree: Path) -> None:
    """Make the edits of one defect in a copy.

    Raises:
        Misfit: the source no longer says what the defect replaces, or says it twice, or what comes
            of it is not Python.
    """
    sources: dict[str, str] = {}
    for file, find, replace in edits:
        source = sources.get(file) or (tree / file).read_text()
        if source.count(find) != 1:
            raise Misfit(f"{file} has the text to replace {source.count(find)} times: {find}")
        sources[file] = source.replace(find, replace)
    for file, source in sources.items():
        if file.endswith(".py"):
            try:
                ast.parse(source)
            except SyntaxError as error:
                raise Misfit(f"{file} is not Python after the edit: {error}") from error
        (tree / file).write_text(source)


def run(command: list[str], tree: Path, timeout_s: float) -> tuple[int, str]:
    """Run a command on a copy; a hang is ended (with all that it started) and counts as red."""
    environment = os.environ | {"PYTHONPATH": str(tree)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    with subprocess.Popen(
        command,
        cwd=tree,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGINT)  # the suite removes its engines on Ctrl-C
            output, _ = process.communicate(timeout=60)
            return PYTEST_RED, f"{output}\nended after {timeout_s} s"
        return process.returncode, output


class Bench:
    """Runs batches of tests, each on its own copy of the reference."""

    def __init__(self, source: Path, catalogue: Sequence[Behaviour]) -> None:
        """Know the tree that is copied, and where each row stands."""
        self._source = source
        self._catalogue = catalogue

    def try_batch(self, batch: Batch) -> dict[str, Finding]:
        """Plant a batch's defect in a copy and run its tests; give what each said.

        Raises:
            Misfit: the defect does not fit the source.
        """
        if not batch.edits:
            return self._run(batch, self._source)
        with tempfile.TemporaryDirectory(prefix="netinit-mutant-") as folder:
            tree = Path(folder, "tree")
            shutil.copytree(self._source, tree)
            plant(batch.edits, tree)
            return self._run(batch, tree)

    def _run(self, batch: Batch, tree: Path) -> dict[str, Finding]:
        return self._run_tests(batch.tests, tree) | self._run_rows(batch.rows, tree)

    def _run_tests(self, tests: Sequence[str], tree: Path) -> dict[str, Finding]:
        """Run tests in one call, and each by itself unless all of them pass."""
        if not tests:
            return {}
        pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
        code, output = run(pytest, tree, TIMEOUT_S)
        if code and len(tests) > 1:
            return {test: self._run_tests([test], tree)[test] for test in tests}
        verdict = {0: "pass", PYTEST_RED: "FAIL"}.get(code, "error")
        return dict.fromkeys(tests, Finding(verdict, output))

    def _run_rows(self, rows: Sequence[str], tree: Path) -> dict[str, Finding]:
        """Run rows on one engine, or on a new one for those after a row that spoilt it."""
        found: dict[str, Finding] = {}
        while left := [row for row in rows if row not in found]:
            results, output = self._run_engine(left, tree)
            for result in results:
                found[result["behaviour"]] = Finding(result["verdict"], f"{result}\n{output}")
                if is_spoilt_by(result):
                    break
            else:
                return found
        return found

    def _run_engine(self, rows: Sequence[str], tree: Path) -> tuple[list[dict[str, Any]], str]:
        run_id, behaviours = secrets.token_hex(3), tree / "conformance" / "behaviours"
        request = RunRequest(
            rows=rows,
            engines=["reference"],
            report=tree / "reports" / run_id,
            behaviours=behaviours,
            expectations=tree / "conformance" / "expectations",
            files=files_of(self._catalogue, rows, behaviours),
        )
        try:
            _, output = run(pytest_command(request, run_id), tree, TIMEOUT_S + 30 * len(rows))
        finally:
            sweep(run_id, is_forced=True)
        try:
            results = read_document(request.report / FILE_NAME)["results"]
        except DocumentError as error:
            output = f"{output}\n{error}"
            results = [
                {"behaviour": row, "verdict": "error", "reason": "no report"} for row in rows
            ]
        # in the order in which they ran
        order = {row.id: number for number, row in enumerate(sorted_as_run(self._catalogue))}
        return sorted(results, key=lambda result: order[result["behaviour"]]), output


def sorted_as_run(catalogue: Iterable[Behaviour]) -> list[Behaviour]:
    """Give rows in the order in which the suite runs them on one engine."""
    return sorted(catalogue, key=lambda row: row.id)


def is_spoilt_by(result: dict[str, Any]) -> bool:
    """Say whether a row's result lets one doubt what later rows say on the same engine."""
    return result["verdict"] == "error" or str(result["reason"]).startswith(LEFT_BEHIND)


def group(mutants: Iterable[Mutant]) -> list[Batch]:
    """Put the tests of equal defects together; the longest first, so that no core waits."""
    rows: dict[tuple[Edit, ...], dict[str, None]] = {}
    batches = []
    for mutant in mutants:
        rows.setdefault(mutant.edits, {}).update(dict.fromkeys(mutant.rows))
        if mutant.tests:
            batches.append(Batch(edits=mutant.edits, tests=mutant.tests))
    for edits, names in rows.items():
        batches += split(edits, sorted(names))
    return sorted(batches, key=lambda batch: -len(batch.rows))


def split(edits: tuple[Edit, ...], rows: Sequence[str]) -> list[Batch]:
    """Give the rows of one defect as batches of a size that one engine may have."""
    return [
        Batch(edits=edits, rows=tuple(rows[start : start + ROWS_PER_ENGINE]))
        for start in range(0, len(rows), ROWS_PER_ENGINE)
    ]


def verdict_on(mutant: Mutant, found: dict[str, Finding]) -> tuple[str, str] | None:
    """Judge a defect by what its tests said; nothing while one has not said anything.

    Returns:
        "killed", "SURVIVED" or "BROKEN" (a test ended in an error of its own), and the output
        that decided.
    """
    if any(test not in found for test in (*mutant.rows, *mutant.tests)):
        return None
    for test in (*mutant.rows, *mutant.tests):
        finding = found[test]
        if finding.verdict not in NOTICED:
            return (BROKEN if finding.verdict == "error" else SURVIVED), finding.text
    return KILLED, ""


def red_before(mutants: Sequence[Mutant], bench: Bench, jobs: int) -> str:
    """Run every test once against the unchanged tree; return what those said that do not pass."""
    rows = sorted({row for mutant in mutants for row in mutant.rows})
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    share = max(1, -(-len(rows) // jobs))
    batches = [
        *(Batch(edits=(), rows=tuple(rows[at : at + share])) for at in range(0, len(rows), share)),
        Batch(edits=(), tests=tuple(tests)),
    ]
    with ThreadPoolExecutor(jobs) as pool:
        every = [item for found in pool.map(bench.try_batch, batches) for item in found.items()]
    return "\n".join(f"{name}: {one.text}" for name, one in every if one.verdict != "pass")


def judge(mutants: Sequence[Mutant], bench: Bench, jobs: int, say: Callable[[str], None]) -> int:
    """Try all defects, `jobs` copies at a time, and report each; return the exit code."""
    verdicts: dict[str, str] = {}
    found: dict[tuple[Edit, ...], dict[str, Finding]] = {}
    with ThreadPoolExecutor(jobs) as pool:
        running = {pool.submit(bench.try_batch, batch): batch for batch in group(mutants)}
        for future in _as_completed(running, pool):
            batch = running[future]
            try:
                results = future.result()
            except Misfit as misfit:
                results = dict.fromkeys((*batch.rows, *batch.tests), Finding("error", str(misfit)))
            known = found.setdefault(batch.edits, {})
            known.update(results)
            for mutant in mutants:
                if mutant.edits != batch.edits or mutant.name in verdicts:
                    continue
                if verdict := verdict_on(mutant, known):
                    verdicts[mutant.name] = verdict[0]
                    say(f"[{len(verdicts)}/{len(mutants)}] {verdict[0]:8} {mutant.name}")
                    if verdict[1]:
                        say(verdict[1])
    killed = list(verdicts.values()).count(KILLED)
    say(f"mutants: {killed} of {len(mutants)} killed")
    if BROKEN in verdicts.values():
        return 2
    return 0 if killed == len(mutants) else 1


def _as_completed(
    running: Iterable[Future[dict[str, Finding]]], pool: ThreadPoolExecutor
) -> Iterator[Future[dict[str, Finding]]]:
    """Yield what is done; on Ctrl-C nothing more begins, and what runs is waited for."""
    try:
        yield from concurrent.futures.as_completed(running)
    except KeyboardInterrupt:
        pool.shutdown(wait=False, cancel_futures=True)
        raise


def draw(
    mutants: Sequence[Mutant], most: int, seed: str, first: Iterable[str] = ()
) -> list[Mutant]:
    """Choose some at random, in the order of the tables; the same ones for the same seed.

    Args:
        mutants: what there is.
        most: how many at most.
        seed: another one chooses others.
        first: names of those that come before all others.
    """
    dice = random.Random(seed)  # noqa: S311 - no secret
    wanted = set(first)
    shuffled = dice.sample(list(mutants), len(mutants))
    shuffled.sort(key=lambda mutant: mutant.name not in wanted)
    chosen = {mutant.name for mutant in shuffled[:most]}
    return [mutant for mutant in mutants if mutant.name in chosen]


def git(*words: str) -> str | None:
    """Ask git about this clone; None = it does not know."""
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else None


def touched_by(revision: str, mutants: Iterable[Mutant], rows: Sequence[Behaviour]) -> list[str]:
    """Name the defects that the change since a revision, committed or not, has to do with.

    Those whose edited file, whose row's or whose test's file it touches, and those that it adds or
    edits itself. None in a clone that lacks the revision, such as a shallow one.
    """
    listed = git("diff", "--name-only", revision, "--")
    if listed is None:
        return []
    files = set(listed.splitlines())
    file_of = {
        row.id: f"conformance/behaviours/{row.function.partition(':')[0].rpartition('.')[2]}.py"
        for row in rows
    }
    tables = [path for path in files if path.startswith("ci/mutants/") and path.endswith(".toml")]
    new = {mutant for path in tables if (ROOT / path).exists() for mutant in load([ROOT / path])}
    new -= {one for path in tables for one in read(git("show", f"{revision}:{path}") or "")}
    return [
        mutant.name
        for mutant in mutants
        if mutant in new
        or any(file in files for file, _, _ in mutant.edits)
        or any(file_of.get(row) in files for row in mutant.rows)
        or any(test.partition("::")[0] in files for test in mutant.tests)
    ]


def main() -> int:
    """Read the command line and run; see the module's docstring for the exit codes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("select", nargs="*", help="beginnings of names; none means all")
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    parser.add_argument("--draw", type=int, metavar="N", help="at most N of them, at random")
    parser.add_argument("--seed", help="for --draw; the commit that is checked out by default")
    parser.add_argument(
        "--touched-by",
        metavar="REV",
        help="for --draw: first those that the change since REV touches, if this clone has REV",
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="copies at a time")
    options = parser.parse_args()
    try:
        mutants = load(sorted(TABLES.glob("*.toml")))
    except (Misfit, KeyError, tomllib.TOMLDecodeError) as error:
        print(f"ci/mutants: {error!r}")
        return 2
    rows = load_catalogue()
    if options.select:
        mutants = [mutant for mutant in mutants if mutant.name.startswith(tuple(options.select))]
    if options.draw is not None:
        # another commit tries other defects
        seed = options.seed or (git("rev-parse", "HEAD") or "no revision").strip()
        first = touched_by(options.touched_by, mutants, rows) if options.touched_by else []
        every, mutants = len(mutants), draw(mutants, options.draw, seed, first)
        print(
            f"mutants: {len(mutants)} of {every}, drawn by --seed {seed}; "
            f"first {len(first)} that the change touches",
            flush=True,
        )
    if options.list:
        print("\n".join(mutant.name for mutant in mutants))
        return 0
    if not mutants:
        print("ci/mutants: no defect has such a name")
        return 2
    with tempfile.TemporaryDirectory(prefix="netinit-mutants-") as folder:
        compiled_copy(Path(folder))
        bench = Bench(Path(folder), rows)
        if output := red_before(mutants, bench, options.jobs):
            print(output, "\nci/mutants: red before anything was planted", sep="")
            return 2
        return judge(mutants, bench, options.jobs, lambda line: print(line, flush=True))


if __name__ == "__main__":
    sys.exit(main())
