"""Writes the site into a folder."""

from collections.abc import Iterator
from pathlib import Path

from conformance.report.document import DocumentError
from conformance.report.grid import part
from conformance.site import links
from conformance.site.compat import SCHEMAS_DIR, compat_of, to_text
from conformance.site.content import Content
from conformance.site.pages import TEMPLATES, Pages

# In a site's folder: the names of the files that the site made.
MARKER = ".netinit-site"
# What the browser is given beside the pages; the page of a run and of a comparison have it, too.
_SCRIPTS = ("theme.js", "matrix.js")
_STYLES = ("base.css", "matrix.css", "compared.css")


def files_of(content: Content) -> Iterator[tuple[str, str]]:
    """Give the path and the text of every file of the site."""
    yield from Pages(content)
    yield links.COMPAT, to_text(compat_of(content))
    yield links.RESULTS, to_text(content.document)
    for path in links.SCHEMAS.values():
        yield path, (SCHEMAS_DIR / Path(path).name).read_text(encoding="utf-8")
    for name in _SCRIPTS:
        yield f"assets/{name}", str(part(name))
    yield "assets/start.js", (TEMPLATES / "start.js").read_text(encoding="utf-8")
    yield "assets/pair.js", (TEMPLATES / "pair.js").read_text(encoding="utf-8")
    own = (TEMPLATES / "site.css").read_text(encoding="utf-8")
    yield "assets/site.css", "\n".join([*(str(part(name)) for name in _STYLES), own])


def write_site(content: Content, folder: Path) -> list[Path]:
    """Write every file; those of an earlier site in the same folder that are no more are removed.

    The marker names each file before it is written, so that a build that was killed can be built
    over, and nothing else in the folder is removed.

    Raises:
        DocumentError: the folder holds something else than a site.
    """
    marker = folder / MARKER
    if folder.exists() and any(folder.iterdir()) and not marker.is_file():
        raise DocumentError(f"{folder} is not empty and holds no site; name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    with marker.open("a", encoding="utf-8", buffering=1) as file:
        for name, text in files_of(content):
            print(name, file=file)
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            names.append(name)
    for name in sorted(set(marker.read_text(encoding="utf-8").splitlines()) - set(names)):
        path = folder / name
        if path.resolve().is_relative_to(folder.resolve()) and path.is_file():
            path.unlink()
    marker.write_text("".join(f"{name}\n" for name in sorted(names)), encoding="utf-8")
    return [folder / name for name in names]
