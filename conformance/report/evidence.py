"""The evidence: one file per engine version, committed as it was made.

A file is a report of its own, of one engine, without what differs from run to run although
nothing changed: durations, log folders, ids. So that two of them can be compared line by line, and
any of them rendered. The table in README.md, its picture docs/matrix.svg and the pages
docs/matrix.md and docs/regressions.md are made from them; a unit test fails when they differ.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from conformance.bugs import load_bugs
from conformance.registry import Behaviour
from conformance.report.document import Document, DocumentError, read_document, write_document
from conformance.report.markdown import (
    areas_table,
    deviations,
    engines_table,
    legend,
    rows_table,
    tiers_legend,
)
from conformance.report.matrix import matrix_of
from conformance.report.merge import merge_documents
from conformance.report.picture import picture_svg
from conformance.report.regressions import regressions_markdown
from conformance.steady import steady
from conformance.verdicts import Verdict
from conformance.versions import VersionError, major_minor, parse_version

PROJECT = Path(__file__).parents[2]
RESULTS_DIR = PROJECT / "conformance" / "results"
BEGIN, END = "<!-- matrix: begin -->", "<!-- matrix: end -->"
_VOLATILE = ("duration_s", "log")


def split_report(document: Document, known_rows: Iterable[str]) -> dict[str, Document]:
    """Make a report into one document per engine, keyed by the name of its file.

    Raises:
        DocumentError: the report is no evidence: an error of the harness, a part of the rows, an
            engine of no known version, or one that is not in engines.toml.
    """
    if unfinished := document["run"].get("unfinished"):
        raise DocumentError(f"evidence is a run of every row; this one ended before: {unfinished}")
    ids = {row["id"] for row in document["behaviours"]}
    missing = sorted(set(known_rows) - ids)
    if missing:
        raise DocumentError(
            f"evidence is a run of every row; {len(missing)} are not in it: {missing[0]} ..."
        )
    strange = [engine["name"] for engine in document["engines"] if engine.get("origin")]
    if strange:
        raise DocumentError(f"evidence is of engines in engines.toml; {strange[0]} is not")
    errors = [r for r in document["results"] if Verdict(r["verdict"]) is Verdict.ERROR]
    if errors:
        first = f"{errors[0]['behaviour']} on {errors[0]['engine']}"
        raise DocumentError(f"an error of the harness is no evidence: {first}")
    return {
        evidence_name(engine): {
            **document,
            "engines": [engine],
            "results": [
                {key: value for key, value in steady(result).items() if key not in _VOLATILE}
                for result in document["results"]
                if result["engine"] == engine["name"]
            ],
        }
        for engine in document["engines"]
    }


def evidence_name(engine: Document) -> str:
    """Give the file's name: `docker-20.10.24+dfsg1.json` for the column `docker-20.10`.

    Raises:
        DocumentError: the engine's version is not known.
    """
    name, version = engine["name"], engine.get("version", "")
    try:
        short = major_minor(version)
    except VersionError as exc:
        raise DocumentError(f"{name} has no version: it never came up") from exc
    stem = f"{name.removesuffix(f'-{short}')}-{version}"
    return re.sub(r"[^A-Za-z0-9.+~-]+", "-", stem) + ".json"


def write_evidence(
    documents: Iterable[Document], known_rows: Iterable[str], folder: Path = RESULTS_DIR
) -> list[Path]:
    """Write the evidence of some reports; give the files.

    Raises:
        DocumentError: one of the reports is no evidence; nothing is written then.
    """
    rows = list(known_rows)
    files: dict[str, Document] = {}
    for document in documents:
        files |= split_report(document, rows)
    for name, document in files.items():
        write_document(document, folder / name)
    return [folder / name for name in sorted(files)]


def read_evidence(folder: Path = RESULTS_DIR) -> Document:
    """Read what is committed: of each engine its newest version, all in one report.

    Raises:
        DocumentError: there is none, or a file is not a report.
    """
    newest = newest_evidence(folder)
    if not newest:
        raise DocumentError(f"no evidence in {folder}")
    return merge_documents(sorted(newest.values(), key=_place))


def newest_evidence(folder: Path = RESULTS_DIR) -> dict[str, Document]:
    """Read what is committed: of each engine the document of its newest version, by its column.

    Raises:
        DocumentError: a file is not a report.
    """
    newest: dict[str, Document] = {}
    for path in sorted(folder.glob("*.json")):
        document = read_document(path)
        name = document["engines"][0]["name"]
        if name not in newest or _age(document) > _age(newest[name]):
            newest[name] = document
    return newest


def _age(document: Document) -> tuple[object, str]:
    return parse_version(document["engines"][0]["version"]), document["run"]["started"]


def _place(document: Document) -> tuple[str, object]:
    """Order the columns: the reference first, then by family and version."""
    engine = document["engines"][0]
    family = engine.get("family", "")
    return "" if family == "refimpl" else family, parse_version(engine["version"])


def readme_matrix(document: Document) -> str:
    """Give the part of README.md between the markers."""
    matrix = matrix_of(document)
    deviating = sum(row.has_deviation for row in matrix.rows)
    lines = [
        *engines_table(matrix),
        "",
        tiers_legend(),
        legend(matrix),
        "",
        f"On {deviating} of the {len(matrix.rows)} rows at least one engine deviates: which one, "
        "since when and why is in [the matrix](docs/matrix.md).",
    ]
    return "\n".join(lines)


def page_markdown(document: Document) -> str:
    """Give docs/matrix.md: every row, and the reason of every deviation."""
    matrix = matrix_of(document)
    lines = [
        "# The matrix",
        "",
        "Generated by `python -m conformance evidence` from `conformance/results/`; do not edit.",
        "What the symbols mean and how a page that can be filtered is made:",
        "[Reading the results](reading-the-results.md).",
        "",
        *engines_table(matrix),
        "",
        tiers_legend(),
        legend(matrix),
        "",
        *areas_table(matrix),
    ]
    for area in matrix.areas:
        lines += ["", f"## {area.name}", "", *rows_table(area.rows, matrix)]
    return "\n".join([*lines, "", *deviations(matrix)]).rstrip() + "\n"


def replace_between(text: str, content: str) -> str:
    """Put content between the markers.

    Raises:
        DocumentError: the text does not have both markers, once each and in order.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise DocumentError(f"the text needs one {BEGIN} and, after it, one {END}")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{content}\n\n{END}{tail}"


def pages(
    document: Document, rows: Iterable[Behaviour], project: Path = PROJECT
) -> dict[Path, str]:
    """Give what is made of evidence: each file of a project, with its whole text.

    Raises:
        DocumentError: its README lacks the markers.
    """
    readme = project / "README.md"
    return {
        readme: replace_between(readme.read_text(encoding="utf-8"), readme_matrix(document)),
        project / "docs" / "matrix.md": page_markdown(document),
        project / "docs" / "matrix.svg": picture_svg(matrix_of(document)),
        project / "docs" / "regressions.md": regressions_markdown(document, load_bugs(), rows),
    }


def write_pages(
    document: Document, rows: Iterable[Behaviour], project: Path = PROJECT
) -> list[Path]:
    """Write what is made of evidence anew; give the paths."""
    found = pages(document, rows, project)
    for path, content in found.items():
        path.write_text(content, encoding="utf-8")
    return list(found)
