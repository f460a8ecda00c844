"""What a history says: steps as a table on the terminal, and one HTML page with the plots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup

from benchmarks import plots
from benchmarks.history.lines import Anchor, Line
from benchmarks.history.series import Series, control_misses, control_of, make_series
from benchmarks.history.steps import MIN_POINTS, Step, find_steps
from benchmarks.report import TEMPLATES

HTML_NAME = "history.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one series says.

    Attributes:
        series: the measured ratios.
        steps: where they changed.
        false_alarms: steps found in the control, which has none.
        control_misses: how many of the control's 99 % intervals leave 1 out.
    """

    series: Series
    steps: Sequence[Step]
    false_alarms: Sequence[Step]
    control_misses: int

    @property
    def summary(self) -> str:
        """Its points, its steps and how far the control agrees, in a sentence."""
        points = len(self.series.points)
        control = (
            f"the control's interval leaves 1 out {self.control_misses} of {points} times, "
            f"steps in the control: {len(self.false_alarms)}"
        )
        if points < MIN_POINTS:
            return f"{points} points, too few for a step (it takes {MIN_POINTS}); {control}"
        return f"{points} points, steps: {len(self.steps)}; {control}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the history says of one anchor.

    Attributes:
        anchor: which.
        findings: one per series.
        failed: lines of what could not be measured.
    """

    anchor: Anchor
    findings: Sequence[Finding]
    failed: Sequence[Line]

    def to_text(self) -> str:
        """Return it for a terminal."""
        text = [f"anchor {self.anchor.revision[:12]} since {self.anchor.since}"]
        text += [
            f"not measured: {line.revision[:12]} {line.subject}: {line.failure}"
            for line in self.failed
        ]
        if not self.findings:
            text.append("nothing was measured against this anchor yet")
        for finding in self.findings:
            text += ["", f"{finding.series.title} ({finding.series.cpu})", f"  {finding.summary}"]
            text += [f"  {describe_step(step)}" for step in finding.steps]
        return "\n".join(text)


def describe_step(step: Step) -> str:
    """Return a step as a row of a table."""
    change = step.after / step.before - 1
    return (
        f"{step.revision[:12]}  {step.before:.3f} -> {step.after:.3f} ({change:+.1%})  "
        f"p = {step.p:.0e}  {step.subject}"
    )


def make_report(lines: Sequence[Line], anchor: Anchor) -> Report:
    """Find the steps of everything that was measured against an anchor."""
    of_anchor = [line for line in lines if line.anchor == anchor.revision]
    return Report(
        anchor=anchor,
        findings=[
            Finding(
                series=series,
                steps=find_steps(series),
                false_alarms=find_steps(control_of(series)),
                control_misses=control_misses(series),
            )
            for series in make_series(of_anchor, anchor.revision)
        ],
        failed=[line for line in of_anchor if line.failure],
    )


def write_page(report: Report, folder: Path) -> Path:
    """Write the page into a folder, which is made if need be: one file, no script, no network."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=jinja2.select_autoescape(["html", "html.j2"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template(f"{HTML_NAME}.j2").render(
        report=report, sections=[(finding, draw(finding)) for finding in report.findings]
    )
    path = folder / HTML_NAME
    path.write_text(text, encoding="utf-8")
    return path


def draw(finding: Finding) -> Markup:
    """Return the plot of a series: ratios with their 99 % band, the control's in grey, steps."""
    points = finding.series.points
    svg = plots.history(
        [point.line.revision[:7] for point in points],
        [(each.ratio.value, each.ratio.low, each.ratio.high) for each in points],
        control=[(each.control.value, each.control.low, each.control.high) for each in points],
        steps=[step.index for step in finding.steps],
        title=f"{finding.series.title} {finding.series.cpu}",
    )
    return Markup(svg)  # noqa: S704 - our own picture
