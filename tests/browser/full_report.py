"""A report as large as a real run: every row on five engines, a few cells of every kind."""

import json
from pathlib import Path
from typing import Any

CATALOGUE = Path(__file__).parents[2] / "conformance" / "catalogue.json"
ENGINES = {
    "reference": "20.10.24+netinit",
    "docker-20.10": "20.10.24+dfsg1",
    "docker-26.1": "26.1.5+dfsg1",
    "docker-28.5": "28.5.2+dfsg3",
    "podman-5.8": "5.8.2",
}
MARKUP = "<img src=x onerror=alert(1)>"
# The cells that are no plain pass; the rows are real ones.
ODD: dict[tuple[str, str], dict[str, Any]] = {
    ("init.none.files", "docker-28.5"): {
        "verdict": "known",
        "reason": "the lines of the hosts file",
        "expected": '["127.0.0.1 localhost"]',
        "actual": "[]",
        "log": "logs/docker-28.5/init.none.files",
        "expectation": {
            "versions": ">=28.0",
            "reason": "writes the file when the sandbox is built",
            "link": "https://github.com/moby/moby/issues/1",
            "evidence": "",
            "since": "2026-11-24",
        },
    },
    ("init.none.only-loopback", "podman-5.8"): {
        "verdict": "FAIL",
        "reason": f"the links {MARKUP}",
        "expected": '["lo"]',
        "actual": MARKUP,
        "log": "logs/podman-5.8/init.none.only-loopback",
    },
    ("init.none.sandbox-pinned", "podman-5.8"): {"verdict": "unsupported", "reason": "no host"},
    ("init.none.ports-ignored", "docker-26.1"): {"verdict": "n/a", "reason": "not in 26.1"},
    ("init.user.partial-id-kept", "podman-5.8"): {"verdict": "non-strict", "reason": "SHOULD"},
    ("init.host.hosts-file", "podman-5.8"): {
        "verdict": "known",
        "reason": "a link that is no address of a page",
        "expectation": {"reason": "is what it is", "link": "javascript:alert(1)", "since": ""},
    },
}


def cell(behaviour: str, engine: str) -> dict[str, Any]:
    plain = {"verdict": "pass", "reason": "", "expected": "", "actual": "", "log": ""}
    odd = ODD.get((behaviour, engine), {})
    key = {"behaviour": behaviour, "engine": engine, "duration_s": 1.0, "expectation": None}
    return {**plain, **key, **odd}


def full_report() -> dict[str, Any]:
    """A run of every row on five engines."""
    rows = json.loads(CATALOGUE.read_text(encoding="utf-8"))
    assert {behaviour for behaviour, _ in ODD} <= {row["id"] for row in rows}
    engines = [
        {"name": name, "spec": name, "version": version, "packages": {"libnet": "1.2-3"}}
        for name, version in ENGINES.items()
    ]
    return {
        "schema_version": 1,
        "run": {
            "version": "0.1.0",
            "revision": "1234567",
            "started": "2026-11-24T13:00:00+00:00",
            "ended": "2026-11-24T13:05:00+00:00",
            "python": "3.11.7",
            "sdk": {"docker": "7.2.0"},
        },
        "host": {"kernel": "6.1.0", "distro": "Debian", "machine": "x86_64", "cgroup": "v2"},
        "engines": engines,
        "behaviours": rows,
        "results": [cell(row["id"], engine) for row in rows for engine in ENGINES],
    }
