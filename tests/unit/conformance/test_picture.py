"""The matrix as a picture: what is drawn of each verdict, and how long."""

from xml.etree import ElementTree

from conformance.report.matrix import matrix_of
from conformance.report.picture import picture_svg
from tests.unit.conformance.made_reports import cell, known, report

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*cells, **names):
    document = report(*cells)
    for engine in document["engines"]:
        engine.update(names)
    return ElementTree.fromstring(picture_svg(matrix_of(document)))


def bars(root):
    return {
        group.findtext(f"{SVG}title"): [
            (rect.get("class"), float(rect.get("width"))) for rect in group.iter(f"{SVG}rect")
        ]
        for group in root.iter(f"{SVG}g")
    }


def test_bar_is_cut_by_verdict():
    root = drawn(
        cell("dns.a", "docker"),
        cell("dns.b", "docker"),
        cell("dns.c", "docker", "known", expectation=known("does not")),
        cell("dns.d", "docker", "n/a"),
        cell("life.a", "docker", "FAIL"),
    )
    assert bars(root) == {
        "dns: 2 pass, 1 known deviation, 1 not promised": [
            ("pass", 58),
            ("known", 29),
            ("apart", 29),
        ],
        "life: 1 new failure or error": [("red", 116)],
    }


def test_legend_names_the_colours_that_are_there():
    texts = [text.text for text in drawn(cell("a.b", "docker")).iter(f"{SVG}text")]
    assert "pass" in texts
    assert "known deviation" not in texts


def test_score_of_an_engine_stands_over_its_bars():
    cells = (cell("a.b", "docker"), cell("a.c", "docker", "FAIL"), cell("a.d", "docker", "n/a"))
    assert "1 of 2 pass" in [text.text for text in drawn(*cells).iter(f"{SVG}text")]


def test_text_of_an_engine_is_no_markup():
    version = "1.2</text><script>x()</script>"
    root = drawn(cell("a.b", "docker"), version=version)
    assert not list(root.iter(f"{SVG}script"))
    assert version in [text.text for text in root.iter(f"{SVG}text")]
