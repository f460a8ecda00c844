"""Where each page is. What is published here stays: every path is derived from an id or a name."""

import re

MATRIX = "matrix.html"
PODMAN = "podman.html"
PAIRS = "compare/index.html"
ABOUT = "about.html"
COMPAT = "compat.json"
RESULTS = "conformance.json"
SCHEMAS = {COMPAT: "schemas/compat.schema.json", RESULTS: "schemas/conformance.schema.json"}


def name_of(engine: str) -> str:
    """Give a column's name as a file and an anchor can be called; most are so already."""
    return re.sub(r"[^A-Za-z0-9.+_-]+", "-", engine).strip(".-") or "engine"


def behaviour_page(id: str) -> str:
    """Give the page of a behaviour, or of one of its older variants."""
    return f"behaviours/{id}.html"


def engine_page(engine: str) -> str:
    """Give the page of a column."""
    return f"engines/{name_of(engine)}.html"


def pair_page(first: str, second: str) -> str:
    """Give the page that tells what the second column does otherwise."""
    return f"compare/{name_of(first)}-to-{name_of(second)}.html"


def cell_link(id: str, engine: str) -> str:
    """Give the place that tells what a column does of a behaviour."""
    return f"{behaviour_page(id)}#{name_of(engine)}"
