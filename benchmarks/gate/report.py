"""What a job of the gate prints and keeps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.gate.job import Report
from benchmarks.gate.rates import Rate
from benchmarks.gate.rule import Judgement, Verdict

WORDS = {
    Verdict.PASS: "PASS: +10 % is excluded",
    Verdict.FAIL: "FAIL: red twice",
    Verdict.INCONCLUSIVE: "INCONCLUSIVE: +10 % is not excluded; the machine is too busy to tell",
}


def to_wire(report: Report) -> dict[str, Any]:
    """Return a report as JSON."""
    return {
        "base": report.base,
        "head": report.head,
        "unchanged": report.unchanged,
        "verdict": report.verdict.value,
        "seconds": round(report.seconds, 1),
        "cases": [
            {
                "case": outcome.case.id,
                "verdict": outcome.verdict.value,
                "measurements": [asdict(judgement) for judgement in outcome.measurements],
            }
            for outcome in report.outcomes
        ],
        "controls": [{"case": case.id, **asdict(judgement)} for case, judgement in report.controls],
    }


def describe(report: Report) -> str:
    """Return a report as text: one line per measurement."""
    lines = [f"base {report.base}, head {report.head}: ratio head/base [99 % interval]"]
    if report.unchanged:
        lines.append("unchanged: both have the same refimpl; only the control was measured")
    for outcome in report.outcomes:
        for number, judgement in enumerate(outcome.measurements):
            label = outcome.case.id if number == 0 else "  measured again"
            lines.append(_line(label, judgement))
        lines.append(f"    {WORDS[outcome.verdict]}")
    for case, judgement in report.controls:
        lines.append(_line(f"control {case.id}", judgement))
    lines.append(f"verdict: {report.verdict.value}, after {report.seconds:.0f} s")
    return "\n".join(lines)


def _line(label: str, judgement: Judgement) -> str:
    cpu, wall, idle = judgement.cpu, judgement.wall, judgement.idle
    return (
        f"{label:<27} {judgement.pairs:>4} pairs  "
        f"CPU {cpu.value:.3f} [{cpu.low:.3f} {cpu.high:.3f}] p {judgement.cpu_p:.2g}  "
        f"p10 {wall.value:.3f} [{wall.low:.3f} {wall.high:.3f}]"
        + ("" if idle is None else f"  wait {idle.value:+.1%} [{idle.low:+.1%} {idle.high:+.1%}]")
        + (f"  RED: {'; '.join(judgement.reasons)}" if judgement.red else "")
    )


class ControlLogError(Exception):
    """The log of the controls cannot be used, so that there is no rate of false alarms."""


def log_controls(report: Report, path: Path, *, machine: Mapping[str, Any]) -> Rate:
    """Append this job's controls to the log and return the false-alarm rate of all of them.

    Raises:
        ControlLogError: the log cannot be written, or a line of it cannot be read.
    """
    entries = [
        {
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "base": report.base,
            "case": case.id,
            "red": judgement.red,
            "pairs": judgement.pairs,
            "cpu": round(judgement.cpu.value, 4),
            "wall": round(judgement.wall.value, 4),
            "machine": dict(machine),
        }
        for case, judgement in report.controls
    ]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        earlier = path.read_bytes() if path.exists() else b""
        with path.open("a", encoding="utf-8") as log:
            if earlier and not earlier.endswith(b"\n"):
                log.write("\n")  # a torn line is not to spoil ours as well
            log.writelines(json.dumps(entry) + "\n" for entry in entries)
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise ControlLogError(f"no rate of false alarms: {error}") from error
    reds = [_is_red(line, f"{path}, line {number}") for number, line in enumerate(lines, start=1)]
    return Rate.of(sum(reds), len(reds))


def _is_red(line: bytes, where: str) -> bool:
    try:
        entry = json.loads(line)
    except ValueError as error:
        raise ControlLogError(f"no rate of false alarms: {where}: {error}") from error
    red = entry.get("red") if isinstance(entry, dict) else None
    if not isinstance(red, bool):
        raise ControlLogError(f"no rate of false alarms: {where}: not the entry of a control")
    return red
