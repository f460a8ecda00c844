"""Plant one defect after another in a copy of the reference; every one must turn a test red.

A test that cannot fail proves nothing. `ci/mutants/*.toml` lists defects: small edits of the
reference, each with the behaviours (or unit tests) that must notice it. For each defect this
program copies the tree, makes the edit, runs just those tests against the copy, and calls the
defect *killed* when they fail and *survived* when they pass.

Before anything is planted the same tests run against the unchanged tree: a test that is red
already would kill every defect and prove nothing.

    python ci/mutants/run.py                        all defects
    python ci/mutants/run.py init.container         those whose name starts so
    python ci/mutants/run.py --draw 120             at most so many, by a seed that it prints
    python ci/mutants/run.py --list

Exit: 0 all killed, 1 one survived, 2 a defect no longer fits the source or a test was red before.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLES = Path(__file__).resolve().parent
PACKAGES = ("refimpl", "conformance", "tests")
CONFORMANCE_RED = 1  # `python -m conformance`: a row failed; 2 would be a broken harness
PYTEST_RED = 1
TIMEOUT_S = 300


class Misfit(Exception):
    """A defect that the tables describe wrongly, or that the source has outgrown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One defect: replace `find` by `replace` in `file`; `rows` or `tests` must notice.

    Attributes:
        name: the behaviour whose test is on trial, with a suffix after a colon for a second one;
            or the reported bug that is planted, as `moby-46697` (conformance/bugs/), likewise.
        edits: (file, find, replace); each `find` must occur exactly once in its file.
        rows: ids of behaviours, run by `python -m conformance run`.
        tests: node ids, run by pytest.
    """

    name: str
    edits: tuple[tuple[str, str, str], ...]
    rows: tuple[str, ...]
    tests: tuple[str, ...]

    def commands(self, reports: Path) -> list[tuple[list[str], int]]:
        """Return the commands that must fail, each with the exit code that means a red test."""
        commands: list[tuple[list[str], int]] = []
        if self.rows:
            run = [sys.executable, "-m", "conformance", "run", "--engine", "reference"]
            commands.append(([*run, "--report", str(reports), *self.rows], CONFORMANCE_RED))
        if self.tests:
            pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
            commands.append(([*pytest, *self.tests], PYTEST_RED))
        return commands


def load(tables: Sequence[Path]) -> list[Mutant]:
    """Read the tables; a name may stand once.

    Raises:
        Misfit: an entry lacks an edit or a test.
    """
    mutants: dict[str, Mutant] = {}
    for table in tables:
        for name, entry in tomllib.loads(table.read_text()).items():
            edits = entry.get("edits", [entry])
            mutant = Mutant(
                name=name,
                edits=tuple((edit["file"], edit["find"], edit["replace"]) for edit in edits),
                rows=tuple(entry.get("rows", () if "tests" in entry else (name.split(":")[0],))),
                tests=tuple(entry.get("tests", ())),
            )
            if name in mutants:
                raise Misfit(f"{table.name}: {name} stands twice")
            mutants[name] = mutant
    return list(mutants.values())


def copy_tree(target: Path) -> None:
    """Copy what the tests need, and nothing that they produce."""
    skip = shutil.ignore_patterns("__pycache__", ".mypy_cache", "*.pyc", ".pytest_cache")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, target / package, ignore=skip)
    shutil.copy(ROOT / "pyproject.toml", target)


def plant(mutant: Mutant, tree: Path) -> None:
    """Make the edits of one defect in a copy.

    Raises:
        Misfit: the source no longer says what the defect replaces, or says it twice.
    """
    for file, find, replace in mutant.edits:
        source = (tree / file).read_text()
        if source.count(find) != 1:
            raise Misfit(
                f"{mutant.name}: {file} has the text to replace {source.count(find)} times"
            )
        (tree / file).write_text(source.replace(find, replace))


def run(command: list[str], tree: Path) -> tuple[int, str]:
    """Run a command on a copy; a hang is ended (with all that it started) and counts as red."""
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
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
            output, _ = process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGINT)  # the suite removes its engines on Ctrl-C
            output, _ = process.communicate(timeout=60)
            return CONFORMANCE_RED, f"{output}\nended after {TIMEOUT_S} s"
        return process.returncode, output


def try_mutant(mutant: Mutant) -> tuple[str, str]:
    """Plant one defect and run its tests.

    Returns:
        "killed", "SURVIVED" or "BROKEN" (the tests ended in an error of their own), and the
        output of the command that decided.
    """
    with tempfile.TemporaryDirectory(prefix="netinit-mutant-") as folder:
        tree = Path(folder)
        copy_tree(tree)
        plant(mutant, tree)
        for command, red in mutant.commands(tree / "reports"):
            code, output = run(command, tree)
            if code != red:
                return ("SURVIVED" if code == 0 else "BROKEN"), output
    return "killed", ""


def red_before(mutants: Sequence[Mutant]) -> str:
    """Run every test once against the unchanged tree; return the output when one is red."""
    whole = Mutant(
        name="unchanged",
        edits=(),
        rows=tuple(sorted({row for mutant in mutants for row in mutant.rows})),
        tests=tuple(sorted({test for mutant in mutants for test in mutant.tests})),
    )
    with tempfile.TemporaryDirectory(prefix="netinit-mutant-") as folder:
        tree = Path(folder)
        copy_tree(tree)
        for command, _ in whole.commands(tree / "reports"):
            code, output = run(command, tree)
            if code != 0:
                return output
    return ""


def judge(mutants: Sequence[Mutant], jobs: int, say: Callable[[str], None]) -> int:
    """Try all defects, `jobs` at a time, and report each; return the exit code."""
    verdicts: dict[str, int] = {}
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        running = {pool.submit(try_mutant, mutant): mutant for mutant in mutants}
        for done, future in enumerate(concurrent.futures.as_completed(running), start=1):
            try:
                verdict, output = future.result()
            except Misfit as misfit:
                verdict, output = "BROKEN", str(misfit)
            verdicts[verdict] = verdicts.get(verdict, 0) + 1
            say(f"[{done}/{len(mutants)}] {verdict:8} {running[future].name}")
            if verdict != "killed":
                say(output)
    killed = verdicts.get("killed", 0)
    say(f"mutants: {killed} of {len(mutants)} killed")
    if verdicts.get("BROKEN"):
        return 2
    return 0 if killed == len(mutants) else 1


def draw(mutants: list[Mutant], most: int, seed: str) -> list[Mutant]:
    """Choose some at random, in the order of the tables; the same ones for the same seed."""
    if len(mutants) <= most:
        return mutants
    chosen = set(random.Random(seed).sample(range(len(mutants)), most))  # noqa: S311 - no secret
    return [mutant for number, mutant in enumerate(mutants) if number in chosen]


def revision() -> str:
    """Return the commit that is checked out, as a seed: another change tries other defects."""
    done = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "no revision"


def main() -> int:
    """Read the command line and run; see the module's docstring for the exit codes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("select", nargs="*", help="beginnings of names; none means all")
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    parser.add_argument("--draw", type=int, metavar="N", help="at most N of them, at random")
    parser.add_argument("--seed", help="for --draw; the commit that is checked out by default")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="defects at a time")
    options = parser.parse_args()
    try:
        mutants = load(sorted(TABLES.glob("*.toml")))
    except (Misfit, KeyError, tomllib.TOMLDecodeError) as error:
        print(f"ci/mutants: {error!r}")
        return 2
    if options.select:
        mutants = [mutant for mutant in mutants if mutant.name.startswith(tuple(options.select))]
    if options.draw is not None:
        seed = options.seed or revision()
        every, mutants = len(mutants), draw(mutants, options.draw, seed)
        print(f"mutants: {len(mutants)} of {every}, drawn by --seed {seed}", flush=True)
    if options.list:
        print("\n".join(mutant.name for mutant in mutants))
        return 0
    if not mutants:
        print("ci/mutants: no defect has such a name")
        return 2
    if output := red_before(mutants):
        print(output, "\nci/mutants: red before anything was planted", sep="")
        return 2
    return judge(mutants, options.jobs, lambda line: print(line, flush=True))


if __name__ == "__main__":
    sys.exit(main())
