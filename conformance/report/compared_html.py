"""A comparison as one HTML page: no other file, no network, no script, all text escaped.

The parts are macros in page/compared.html.j2, so that other pages can hold them, too.
"""

from conformance.report.compare import Comparison
from conformance.report.html import page_part, page_templates


def render_comparison(found: Comparison) -> str:
    """Render a comparison."""
    style = page_part("page.css") + page_part("compared.css")
    return page_templates().get_template("comparison.html.j2").render(found=found, style=style)
