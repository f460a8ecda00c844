"""The matrix on the terminal: rows grouped by area, every red cell, then each engine's score."""

from collections import Counter
from typing import Any

from rich.console import Console
from rich.text import Text

from conformance.capabilities import PROBES
from conformance.program import counted
from conformance.registry import Tier
from conformance.report.controls import without_controls
from conformance.report.document import INTERRUPTED, Document
from conformance.report.matrix import rerun_command
from conformance.report.missing import missing_capabilities_of
from conformance.report.score import engine_scores
from conformance.report.symbols import SYMBOLS, Symbol
from conformance.verdicts import ExitCode, Verdict, exit_code


def verdicts_of(document: Document) -> list[Verdict]:
    """Give every verdict of a report."""
    return [Verdict(result["verdict"]) for result in document["results"]]


def code_of(document: Document) -> ExitCode:
    """Give the exit code that a report stands for."""
    if document["run"].get("unfinished") == INTERRUPTED:
        return ExitCode.INTERRUPTED
    return exit_code(verdicts_of(document))


def print_report(
    document: Document,
    console: Console,
    *,
    is_ascii: bool = False,
    is_quiet: bool = False,
    report_folder: str = "",
) -> ExitCode:
    """Print matrix, red cells and scores; the last line is the exit code.

    Args:
        document: the report.
        console: where to print.
        is_ascii: draw the matrix in plain letters.
        is_quiet: print no matrix.
        report_folder: begins the paths of logs.

    Returns:
        The exit code that the report stands for.
    """
    is_ascii = is_ascii or not _can_show_symbols(console)
    cells = {(result["behaviour"], result["engine"]): result for result in document["results"]}
    engines = [engine["name"] for engine in document["engines"]]
    if not is_quiet:
        _print_matrix(document, cells, engines, console, is_ascii)
    rows = {row["id"]: row for row in document["behaviours"]}
    red = [result for result in document["results"] if Verdict(result["verdict"]).is_red]
    alike = Counter(map(_error_of, red))
    for result in red:
        error = _error_of(result)
        if error is not None and error not in alike:
            continue
        spec = next(e["spec"] for e in document["engines"] if e["name"] == result["engine"])
        _print_red_cell(result, rows[result["behaviour"]], spec, report_folder, console)
        others = alike.pop(error) - 1 if error is not None else 0
        if others:
            console.print(Text(f"  the same:  {others} more on {result['engine']}"), soft_wrap=True)
    code = code_of(document)
    console.print()
    sign = _mark(SYMBOLS[Verdict.UNSUPPORTED], is_ascii)
    for line in missing_lines(document):
        console.print(Text(f"{sign} {line}"), soft_wrap=True)
    if unfinished := document["run"].get("unfinished", ""):
        left = len(rows) * len(engines) - len(cells)
        said = counted(left, "cell was", "cells were")
        console.print(Text(without_controls(f"{unfinished}: {said} not run")), soft_wrap=True)
    for line in score_lines(document):
        console.print(Text(line), soft_wrap=True)
    console.print(Text(f"exit {int(code)}"), soft_wrap=True)
    return code


def _error_of(result: dict[str, Any]) -> tuple[str, str] | None:
    """Give what makes two errors one: a dead engine or Ctrl-C is told once, not once per row."""
    is_error = Verdict(result["verdict"]) is Verdict.ERROR
    return (result["engine"], result.get("reason", "")) if is_error else None


def _can_show_symbols(console: Console) -> bool:
    try:
        "".join(symbol.symbol for symbol in SYMBOLS.values()).encode(console.encoding)
    except UnicodeEncodeError:
        return False
    return True


def _mark(symbol: Symbol, is_ascii: bool) -> str:
    return symbol.ascii if is_ascii else symbol.symbol


def _print_matrix(
    document: Document,
    cells: dict[tuple[str, str], dict[str, Any]],
    engines: list[str],
    console: Console,
    is_ascii: bool,
) -> None:
    was_run = {row for row, _ in cells}
    ids = [row["id"] for row in document["behaviours"] if row["id"] in was_run]
    first = max([len(row) for row in ids], default=0)
    widths = [max(len(engine) + 2, 5) for engine in engines]
    head = "".join(engine.rjust(width) for engine, width in zip(engines, widths, strict=True))
    console.print()
    console.print(Text(" " * first + head, style="bold"), soft_wrap=True)
    area = ""
    for row in sorted(ids, key=lambda behaviour: (_area(behaviour), behaviour)):
        if area and _area(row) != area:
            console.print()
        area = _area(row)
        line = Text(row.ljust(first))
        for engine, width in zip(engines, widths, strict=True):
            cell = cells.get((row, engine))
            if cell is None:  # not run
                line.append(" " * width)
                continue
            symbol = SYMBOLS[Verdict(cell["verdict"])]
            line.append(_mark(symbol, is_ascii).rjust(width), style=symbol.style)
        console.print(line, soft_wrap=True)
    legend = "  ".join(f"{_mark(s, is_ascii)} {s.meaning}" for s in SYMBOLS.values())
    console.print(Text(legend, style="dim"), soft_wrap=True)


def _area(behaviour: str) -> str:
    return behaviour.rpartition(".")[0]


def _print_red_cell(
    result: dict[str, Any], row: dict[str, Any], spec: str, folder: str, console: Console
) -> None:
    symbol = SYMBOLS[Verdict(result["verdict"])]
    lines = [
        ("", f"{result['verdict']}: {result['behaviour']} on {result['engine']}", symbol.style),
        ("statement", row.get("statement", ""), ""),
        ("source", row.get("source", ""), ""),
        ("reason", result.get("reason"), ""),
        ("Expected", result.get("expected"), ""),
        ("Actual", result.get("actual"), ""),
        ("log", f"{folder}/{result['log']}" if result.get("log") else "", ""),
        ("rerun", rerun_command(spec, result["behaviour"]), ""),
    ]
    console.print()
    for label, text, style in lines:
        if text:
            prefix = f"  {label + ':':<11}" if label else ""
            indented = without_controls(text).replace("\n", "\n" + " " * len(prefix))
            console.print(Text(prefix + indented, style=style), soft_wrap=True)


def missing_lines(document: Document) -> list[str]:
    """Say in one line per capability who lacked it, in how many rows, and how to get it."""
    lines = []
    for one in missing_capabilities_of(document):
        counts = ", ".join(f"{rows} on {engine}" for engine, rows in sorted(one.rows.items()))
        remedy = PROBES[one.name].remedy if one.name in PROBES else ""
        meaning = f" ({one.meaning})" if one.meaning else ""
        lines.append(f"{one.name}{meaning} is missing; rows not run: {counts}. {remedy}".rstrip())
    return lines


def score_lines(document: Document) -> list[str]:
    """Say in one line per engine what passes of what it promises, by tier, then all the rest."""
    scores = engine_scores(document)
    lines = [["", *Tier]]
    for engine in document["engines"]:
        name = engine["name"]
        lines.append([name, *(str(scores[name][tier]) for tier in Tier)])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    shown = [
        "  ".join([first.ljust(widths[0]), *map(str.rjust, rest, widths[1:])])
        for first, *rest in lines
    ]
    rests = ["", *(_rest_of(engine, document) for engine in document["engines"])]
    return [f"{line}  {rest}".rstrip() for line, rest in zip(shown, rests, strict=True)]


def _rest_of(engine: dict[str, Any], document: Document) -> str:
    """Count what did not pass, and say to what an engine that is too new is held."""
    counts = Counter(
        Verdict(result["verdict"])
        for result in document["results"]
        if result["engine"] == engine["name"]
    )
    parts = [
        f"{counts[verdict]} {verdict.value}"
        for verdict in SYMBOLS
        if counts[verdict] and verdict is not Verdict.PASS
    ]
    known = engine.get("newer_than_known", "")
    newer = f"(NEWER than {known}, to whose deviations it is held)" if known else ""
    return " ".join(part for part in (", ".join(parts), newer) if part)
