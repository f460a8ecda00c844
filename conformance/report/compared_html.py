"""A comparison as one HTML page: no other file, no network, no script, all text escaped.

The parts are macros in page/compared.html.j2, so that other pages can hold them, too.
"""

from functools import cache
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from conformance.bugs import url_of
from conformance.report.comparison import Comparison

_PAGE = Path(__file__).parent / "page"


def render_comparison(found: Comparison) -> str:
    """Render a comparison."""
    style = (_PAGE / "compared.css").read_text(encoding="utf-8")
    return _template().render(found=found, style=Markup(style))  # noqa: S704 - our own style


def _with_code(text: str) -> Markup:
    """Escape a sentence, and set as code what it has between back-ticks."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    code = Markup("<code>{}</code>")
    return Markup("").join(
        code.format(part) if index % 2 else escape(part) for index, part in enumerate(parts)
    )


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_PAGE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["with_code"] = _with_code
    environment.globals["bug_url"] = url_of
    return environment.get_template("comparison.html.j2")
