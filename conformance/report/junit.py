"""The report as JUnit XML, one <testsuite> per engine, for CI systems.

pass = a bare case; known, non-strict, unsupported, n/a = skipped with the reason; FAIL and FIXED
= failure; error = error.
"""

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from conformance.report.document import Document
from conformance.verdicts import Verdict

# XML 1.0 has no way to write these.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def write_junit(document: Document, path: Path) -> None:
    """Write a report as JUnit XML."""
    path.write_text(junit_text(document), encoding="utf-8")


def junit_text(document: Document) -> str:
    """Give a report as JUnit XML."""
    tree = junit_tree(document)
    ET.indent(tree)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(tree, encoding="unicode")


def junit_tree(document: Document) -> ET.Element:
    """Give the XML of a report."""
    rows = {row["id"]: row for row in document["behaviours"]}
    root = ET.Element("testsuites", name="netinit conformance")
    for engine in document["engines"]:
        results = [r for r in document["results"] if r["engine"] == engine["name"]]
        verdicts = [Verdict(result["verdict"]) for result in results]
        suite = ET.SubElement(
            root,
            "testsuite",
            name=engine["name"],
            tests=str(len(results)),
            failures=str(sum(v in (Verdict.FAIL, Verdict.FIXED) for v in verdicts)),
            errors=str(verdicts.count(Verdict.ERROR)),
            skipped=str(sum(not v.is_red and v is not Verdict.PASS for v in verdicts)),
            time=f"{sum(result.get('duration_s', 0) for result in results):.3f}",
            timestamp=document["run"]["started"],
        )
        for result in results:
            _add_case(suite, result, rows[result["behaviour"]])
    for element in root.iter():
        element.text = _clean(element.text or "")
        element.attrib |= {key: _clean(value) for key, value in element.attrib.items()}
    return root


def _add_case(suite: ET.Element, result: dict[str, Any], row: dict[str, Any]) -> None:
    case = ET.SubElement(
        suite,
        "testcase",
        classname=result["engine"],
        name=result["behaviour"],
        time=f"{result.get('duration_s', 0):.3f}",
    )
    properties = ET.SubElement(case, "properties")
    facts = {
        "behaviour": result["behaviour"],
        "engine": result["engine"],
        "verdict": result["verdict"],
        "statement": row.get("statement", ""),
        "source": row.get("source", ""),
    }
    for name, value in facts.items():
        ET.SubElement(properties, "property", name=name, value=value)
    verdict = Verdict(result["verdict"])
    if verdict is Verdict.PASS:
        return
    tag = {Verdict.FAIL: "failure", Verdict.FIXED: "failure", Verdict.ERROR: "error"}
    reason = result.get("reason") or (result.get("expectation") or {}).get("reason", "")
    element = ET.SubElement(case, tag.get(verdict, "skipped"), message=f"{verdict.value}: {reason}")
    parts = [(label, result.get(label.lower())) for label in ("Expected", "Actual", "log")]
    element.text = "\n".join(f"{label}: {text}" for label, text in parts if text)


def _clean(text: str) -> str:
    return _NOT_XML.sub("?", text)
