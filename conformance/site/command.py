"""`python -m conformance site OUTDIR`: the evidence as a static site."""

from collections.abc import Iterable
from pathlib import Path

import click

from conformance.bugs import load_bugs
from conformance.registry import load_catalogue
from conformance.report.document import FILE_NAME, Document, DocumentError, read_document
from conformance.report.evidence import read_evidence
from conformance.report.merge import merge_documents
from conformance.site.build import write_site
from conformance.site.content import gather
from conformance.usage import Usage


@click.command()
@click.argument("outdir", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--report",
    "reports",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A run's report, or its folder: its engines are columns beside those of the evidence, or "
    "in the place of those of the same name. May be repeated.",
)
def site(outdir: Path, reports: tuple[Path, ...]) -> None:
    """Write the static site into OUTDIR; runs nothing.

    Pages for people, JSON for programs.

    It is made of the evidence in conformance/results/. Open OUTDIR/index.html, or publish the
    folder as it is.
    """
    try:
        content = gather(documents_of(reports), load_catalogue(), load_bugs())
        written = write_site(content, outdir)
    except (DocumentError, OSError) as exc:
        raise Usage(str(exc)) from exc
    size = sum(path.stat().st_size for path in written)
    pages = sum(path.suffix == ".html" for path in written)
    click.echo(f"{pages} pages, {size / 1e6:.1f} MB: {outdir / 'index.html'}")


def documents_of(reports: Iterable[Path]) -> Document:
    """Read the evidence, and reports whose columns come beside it or in its place.

    Raises:
        DocumentError: a file is no report, or two reports have the same engine.
    """
    paths = [path / FILE_NAME if path.is_dir() else path for path in reports]
    own = [read_document(path) for path in paths]
    names = {engine["name"] for document in own for engine in document["engines"]}
    evidence = read_evidence()
    kept = {
        **evidence,
        "engines": [one for one in evidence["engines"] if one["name"] not in names],
        "results": [one for one in evidence["results"] if one["engine"] not in names],
    }
    if not own:
        return evidence
    merged = merge_documents([kept, *own])
    places = [engine["name"] for engine in evidence["engines"]]
    merged["engines"].sort(
        key=lambda one: places.index(one["name"]) if one["name"] in places else len(places)
    )
    return merged
