"""A comparison as one HTML page: no other file, no network, no script, all text escaped.

The parts are macros in page/compared.html.j2, so that other pages can hold them, too.
"""

from functools import cache

import jinja2
from markupsafe import Markup

from conformance.report.comparison import Comparison
from conformance.report.grid import environment, part

_STYLES = ("base.css", "compared.css")


def render_comparison(found: Comparison) -> str:
    """Render a comparison."""
    return _template().render(found=found, style=Markup("\n").join(map(part, _STYLES)))


@cache
def _template() -> jinja2.Template:
    return environment().get_template("comparison.html.j2")
