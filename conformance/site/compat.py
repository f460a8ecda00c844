"""compat.json: each behaviour with its variants, and what each release of each engine does of it.

Made for programs, after the form of browser-compat-data: `behaviours.ID.support.FAMILY` is a list
with an entry per release that was measured. schemas/compat.schema.json describes it.
"""

import json
from pathlib import Path
from typing import Any

from conformance.registry import Behaviour
from conformance.report.matrix import Column
from conformance.site.content import Content, Entry, Told, title_of
from conformance.site.links import behaviour_page
from conformance.site.sources import source_of
from conformance.verdicts import Verdict

SCHEMA_VERSION = 1
SCHEMAS_DIR = Path(__file__).parent / "schemas"


def compat_of(content: Content) -> dict[str, Any]:
    """Give the document."""
    run = content.document["run"]
    return {
        "schema_version": SCHEMA_VERSION,
        "suite": {"version": run.get("version", ""), "revision": run.get("revision", "")},
        "engines": {one.name: _engine(content, one) for one in content.matrix.columns},
        "behaviours": {entry.id: _behaviour(content, entry) for entry in content.entries},
        "older_ids": {
            row.id: entry.id for entry in content.entries for row in entry.group.variants[:-1]
        },
    }


def to_text(document: dict[str, Any]) -> str:
    """Write JSON as it is published: sorted, one value a line."""
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _engine(content: Content, column: Column) -> dict[str, Any]:
    run = column.facts.get("run") or content.document["run"]
    return {
        "title": title_of(column),
        "family": family_of(column),
        "version": column.version,
        "held_to_docker": str(column.facts.get("promises", "")),
        "packages": dict(column.facts.get("packages", {})),
        "measured": run["started"][:10],
        "capabilities": sorted(column.facts.get("capabilities", ())),
    }


def family_of(column: Column) -> str:
    """Give the family of a column; that of an engine that never came up is its name."""
    return str(column.facts.get("family") or column.name)


def _behaviour(content: Content, entry: Entry) -> dict[str, Any]:
    support: dict[str, list[dict[str, Any]]] = {}
    for column, seen in zip(content.matrix.columns, entry.seen, strict=True):
        if seen.verdict is not None:
            said = {"engine": column.name, "version": column.version, **_support(seen.worst)}
            support.setdefault(family_of(column), []).append(said)
    return {
        "area": entry.area,
        "tier": entry.tier.value,
        "page": behaviour_page(entry.id),
        "variants": [_variant(row) for row in entry.group.variants],
        "bugs": list(entry.bugs),
        "support": support,
    }


def _variant(row: Behaviour) -> dict[str, Any]:
    source = source_of(row)
    return {
        "id": row.id,
        "statement": row.statement,
        "level": row.level.value,
        "tier": row.tier.value,
        "docker": row.docker,
        "api": row.api,
        "needs": list(row.needs),
        "source": row.source,
        "test": f"{source.path}::{source.function}" if source else "",
    }


def _support(told: Told) -> dict[str, Any]:
    """Say what one release does; `supported` is null where it was not asked or not seen."""
    verdict = told.cell.verdict
    was_seen = verdict is not None and verdict.was_executed and verdict is not Verdict.ERROR
    is_promised = verdict is not None and verdict.is_promised
    said: dict[str, Any] = {
        "variant": told.row.id if is_promised else None,
        "verdict": verdict.value if verdict else None,
        "supported": verdict.has_passed if was_seen and verdict is not None else None,
    }
    if told.cell.why:
        said["reason"] = told.cell.why
    return said
