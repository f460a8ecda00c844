"""The table and the verdict of a run: everything here is computed from its measurements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.bars import make_bars
from benchmarks.cases import FLOOR_CASE, NETWORK_TITLES, Case, Figure
from benchmarks.figures import FEW_SAMPLES, Percentiles, Ratio, percentiles
from benchmarks.measure import Measurements
from benchmarks.ratios import ratio_between, ratio_to_wire, show_ms, show_ratio

NOISY_FLOOR_RATIO = 2.0
"""On an idle machine the floor's p95 is 1.3 times its p50; beyond this its neighbours were busy."""
RATIO_WIDTH = 19


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One case with its figures; a ratio is None where it would compare unlike things."""

    case: Case
    engine_label: str
    figures: Percentiles
    to_floor: Ratio | None
    to_docker: Ratio | None

    def to_wire(self) -> dict[str, Any]:
        """Return the row for the JSON; times in milliseconds."""
        return {
            "case": self.case.id,
            "figure": self.case.figure.name.lower(),
            "engine": self.engine_label,
            "network": self.case.network,
            "n": self.figures.n,
            "p50_ms": self.figures.p50 * 1000,
            "p95_ms": self.figures.p95 * 1000,
            "p99_ms": self.figures.p99 * 1000,
            "to_floor": ratio_to_wire(self.to_floor),
            "to_docker": ratio_to_wire(self.to_docker),
        }


def _counterpart(case: Case, docker: str) -> Case:
    """Return Docker's case that a case is compared with."""
    same_work = (Figure.IN_PROCESS, Figure.PEER)
    figure = Figure.METRIC if case.figure in same_work else case.figure
    return Case(figure, docker, case.network)


def make_rows(measurements: Measurements) -> tuple[Row, ...]:
    """Return a row for each case that has samples, in the order of the table."""
    rows = []
    docker = measurements.docker
    for case in measurements.plan:
        if case not in measurements.samples:
            continue
        # Whole starts and ends are mostly runtime, and a release is other work than the floor's.
        to_floor = case.figure not in {Figure.START, Figure.RELEASE, Figure.END}
        rows.append(
            Row(
                case=case,
                engine_label=measurements.label(case.engine),
                figures=percentiles(measurements.samples[case]),
                to_floor=ratio_between(measurements, case, FLOOR_CASE) if to_floor else None,
                to_docker=(
                    ratio_between(measurements, case, _counterpart(case, docker))
                    if docker
                    else None
                ),
            )
        )
    return tuple(rows)


def noise(measurements: Measurements) -> tuple[str, ...]:
    """Return why the numbers of this run are rough; empty on a quiet machine."""
    found = list(measurements.load.reasons)
    if FLOOR_CASE in measurements.samples:
        floor = percentiles(measurements.samples[FLOOR_CASE])
        if floor.p95 > NOISY_FLOOR_RATIO * floor.p50:
            found.append(f"the floor's p95 is {floor.p95 / floor.p50:.1f} x its p50")
    return tuple(found)


def render(measurements: Measurements, console: Console) -> None:
    """Print the table, what it was measured on, and the verdict as the last lines."""
    rows = make_rows(measurements)
    label_width = max((len(row.engine_label) for row in rows), default=0)
    for figure in Figure:
        block = [row for row in rows if row.case.figure is figure]
        if block:
            console.print(f"\n[bold]{figure.value}[/bold]", highlight=False)
            if figure.covers:
                console.print(figure.covers, highlight=False, markup=False, soft_wrap=True)
            console.print(_make_table(measurements, block, label_width))
    console.print()
    for line in _footnotes(measurements, rows):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _make_table(measurements: Measurements, rows: Sequence[Row], label_width: int) -> Table:
    """Return the rows of one figure; the widths are the same in every block."""
    docker = measurements.docker
    docker_label = measurements.label(docker) if docker else "Docker"
    network_width = max(len(title) for title in NETWORK_TITLES.values())
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("engine", width=label_width, no_wrap=True)
    table.add_column("network", width=network_width, no_wrap=True)
    table.add_column("n", justify="right", width=4)
    for name in ("p50 ms", "p95 ms", "p99 ms"):
        table.add_column(name, justify="right", width=8)
    table.add_column("x floor", justify="right", width=RATIO_WIDTH)
    table.add_column(f"x {docker_label}", justify="right", width=RATIO_WIDTH)
    for row in rows:
        table.add_row(*_cells(row))
    return table


def _cells(row: Row) -> Sequence[str]:
    figures = row.figures
    return (
        row.engine_label,
        NETWORK_TITLES[row.case.network],
        str(figures.n),
        show_ms(figures.p50),
        show_ms(figures.p95),
        show_ms(figures.p99) + ("*" if figures.n < FEW_SAMPLES else ""),
        show_ratio(row.to_floor),
        show_ratio(row.to_docker),
    )


def _footnotes(measurements: Measurements, rows: Sequence[Row]) -> list[str]:
    settings, load = measurements.settings, measurements.load
    programs = (*measurements.engines, *measurements.peers)
    engines = ", ".join(f"{info.label} = {info.version}" for info in programs)
    lines = [
        f"{engines}; {settings.rounds} rounds, seed {settings.seed}; "
        f"{load.cpus} CPUs, load average {load.load_average:.2f} before the run",
        "ratios are ratios of p50 with their 95 % interval; how to read them: docs/benchmarks.md",
    ]
    if any(row.figures.n < FEW_SAMPLES for row in rows):
        lines.append(f"* fewer than {FEW_SAMPLES} samples: p99 is close to the slowest one")
    reasons = noise(measurements)
    if reasons:
        lines.append(f"UNDER LOAD, the numbers are rough: {'; '.join(reasons)}")
    bars = make_bars(measurements)
    if bars:
        lines += [f"bar {bar}" for bar in bars]
    else:
        lines.append("bar not measured: it needs the reference")
    return lines
