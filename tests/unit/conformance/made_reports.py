"""Reports made by hand, as small as a test needs them."""

from typing import Any


def cell(behaviour: str, engine: str, verdict: str = "pass", **more: Any) -> dict[str, Any]:
    plain = {"reason": "", "expected": "", "actual": "", "log": "", "expectation": None}
    key = {"behaviour": behaviour, "engine": engine, "verdict": verdict, "duration_s": 1.0}
    return {**plain, **key, **more}


def report(*cells: dict[str, Any], **run: str) -> dict[str, Any]:
    """Give a report of these cells."""
    ids = sorted({result["behaviour"] for result in cells})
    engines = list(dict.fromkeys(result["engine"] for result in cells))
    facts = {"started": "2026-11-24T13:00:00+00:00", "ended": "2026-11-24T13:01:00+00:00"}
    return {
        "schema_version": 1,
        "run": {"version": "0.1.0", "revision": "abc", **facts, **run},
        "host": {"kernel": "6.1", "distro": "Debian"},
        "engines": [{"name": e, "spec": e, "version": "1.2"} for e in engines],
        "behaviours": [{"id": i, "statement": f"It MUST {i}.", "level": "MUST"} for i in ids],
        "results": list(cells),
    }


def known(reason: str, link: str = "https://example.org/1") -> dict[str, str]:
    return {"reason": reason, "link": link, "since": "2026-11-24", "versions": ">=1"}
