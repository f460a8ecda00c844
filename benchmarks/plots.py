"""The plots of the page: SVG as text, in the colour of the page's own text, light or dark."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping, Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

WIDTH_IN, HEIGHT_IN = 9.0, 3.8
LEGEND_COLUMNS = 3
_INK = "#010203"
"""Stands for the colour of the page's text, which the page knows and a plot does not."""

# Okabe and Ito's colours, which colour-blind readers can tell apart, without their black and
# yellow: one of the two is lost on every page that can be light or dark.
_FIXED_COLOURS = {"reference": "#0072b2", "floor": "#8c8c8c"}
_COLOURS = ("#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
_DASHES = ("solid", "dashed", "dashdot", "dotted")

mpl.use("svg")
mpl.rcParams.update(
    {
        "svg.fonttype": "none",
        "svg.hashsalt": "netinit",  # the same samples give the same bytes
        "font.family": "sans-serif",
        "font.size": 9,
        "text.color": _INK,
        "axes.labelcolor": _INK,
        "axes.edgecolor": _INK,
        "axes.linewidth": 0.6,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "xtick.color": _INK,
        "ytick.color": _INK,
        "grid.color": _INK,
        "grid.alpha": 0.15,
        "legend.frameon": False,
    }
)


def ecdf(series: Mapping[str, Sequence[float]], *, title: str) -> str:
    """Return the share of samples that took at most so long, one line per label, log x.

    Args:
        series: samples in seconds, by label; one that is not positive is left out.
        title: what a screen reader says of the plot.
    """
    figure, axes = _canvas()
    for label, (colour, dashes) in _styles(series).items():
        milliseconds = [sample * 1000 for sample in series[label] if sample > 0]
        axes.ecdf(milliseconds, label=label, color=colour, linestyle=dashes, linewidth=1.6)
    axes.set_xscale("log")
    _plain_numbers(axes)
    axes.set_xlabel("milliseconds")
    axes.set_ylabel("share of the samples")
    return _to_svg(figure, title)


def growth(series: Mapping[str, Mapping[int, Sequence[float]]], *, title: str, axis: str) -> str:
    """Return the median and the middle half of the samples against how much was there already.

    Args:
        series: for each label the samples in seconds, by how many sandboxes (networks) there were.
        title: what a screen reader says of the plot.
        axis: what is counted.
    """
    figure, axes = _canvas()
    for label, (colour, dashes) in _styles(series).items():
        by_size = series[label]
        sizes = sorted(by_size)
        low, middle, high = (
            [_quantile(by_size[size], share) * 1000 for size in sizes]
            for share in (0.25, 0.5, 0.75)
        )
        axes.plot(sizes, middle, label=label, color=colour, linestyle=dashes, marker="o")
        axes.fill_between(sizes, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    _plain_numbers(axes)
    axes.set_xlabel(axis)
    axes.set_ylabel("milliseconds")
    return _to_svg(figure, title)


def history(
    labels: Sequence[str],
    ratios: Sequence[tuple[float, float, float]],
    *,
    control: Sequence[tuple[float, float, float]],
    steps: Sequence[int],
    title: str,
) -> str:
    """Return ratios of revisions in their order, with the control and dashed lines at steps.

    Args:
        labels: of the revisions.
        ratios: value and both ends of its interval.
        control: likewise, of what has the ratio 1.
        steps: indices of revisions from which on the level was another one.
        title: what a screen reader says of the plot.
    """
    figure, axes = _canvas()
    places = range(len(labels))
    for label, series, colour in (
        ("control", control, _FIXED_COLOURS["floor"]),
        ("revision", ratios, _FIXED_COLOURS["reference"]),
    ):
        middle, low, high = zip(*series, strict=True)
        axes.fill_between(places, low, high, color=colour, alpha=0.2, linewidth=0)
        axes.plot(places, middle, label=label, color=colour, marker="o", markersize=3)
    for index in steps:
        axes.axvline(index - 0.5, color=_COLOURS[0], linestyle="dashed", linewidth=1.2)
    axes.set_xticks(places, labels, rotation=90)
    axes.set_ylabel("ratio to the anchor")
    return _to_svg(figure, title)


def _styles(labels: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return a colour and a dash pattern for each label; ours and the floor always have theirs."""
    styles = {}
    number = 0
    for label in labels:
        if label in _FIXED_COLOURS:
            styles[label] = (_FIXED_COLOURS[label], "solid")
            continue
        dashes = _DASHES[number // len(_COLOURS) % len(_DASHES)]
        styles[label] = (_COLOURS[number % len(_COLOURS)], dashes)
        number += 1
    return styles


def _quantile(samples: Sequence[float], share: float) -> float:
    ordered = sorted(samples)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def _canvas() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN), layout="constrained")
    axes = figure.add_subplot()
    axes.grid(visible=True, which="both", linewidth=0.6)
    return figure, axes


def _plain_numbers(axes: Axes) -> None:
    """Write 0.5, 20 and 1,000 on a logarithmic axis, where 10^3 is the custom."""
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _position: f"{value:,g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _to_svg(figure: Figure, title: str) -> str:
    """Return the picture with a legend and without its XML head: an element of a page."""
    # above and at the left, where a narrow screen shows it without scrolling
    figure.legend(loc="outside upper left", ncols=LEGEND_COLUMNS)
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True, metadata={"Title": title, "Date": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :].replace(_INK, "currentColor")
    # The page decides how wide it is; the ids of one plot must not be another's.
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r'\1 role="img"', svg, count=1)
    prefix = re.sub(r"\W+", "-", title.lower())
    return re.sub(r'(\bid="|url\(#|href="#)', rf"\1{prefix}-", svg)
