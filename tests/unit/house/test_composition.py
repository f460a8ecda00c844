"""The daemon is composed: its imports are few floors without a circle, and no part inherits."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
CHAIN_MAX = 7
"""Files in the longest chain of imports inside the daemon; it was 15."""
NOT_PARTS = {"Protocol", "Exception", "OSError", "str", "Enum", "IntEnum", "NamedTuple"}
"""What a class may inherit from: nothing that has a part's state."""


def modules(package: str) -> dict[str, ast.Module]:
    """Return the modules of a package below refimpl, by their dotted names."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): ast.parse(path.read_text())
        for path in (ROOT / "refimpl" / package).rglob("*.py")
        if path.name != "__init__.py"
    }


def imports(tree: ast.Module, known: frozenset[str]) -> set[str]:
    """Return what a module imports of the known ones, for type checking or in a function too."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found & known


def longest_chain(package: str) -> tuple[str, ...]:
    """Return the longest chain of imports inside a package; a circle is an AssertionError."""
    trees = modules(package)
    known = frozenset(trees)
    graph = {name: imports(tree, known) - {name} for name, tree in trees.items()}
    under_way: list[str] = []

    @functools.cache
    def chain(name: str) -> tuple[str, ...]:
        assert name not in under_way, f"a circle: {under_way} and {name} again"
        under_way.append(name)
        below = max((chain(one) for one in sorted(graph[name])), key=len, default=())
        under_way.pop()
        return (name, *below)

    return max((chain(name) for name in sorted(graph)), key=len)


def test_the_daemons_chain_of_imports_is_short_and_has_no_circle():
    chain = longest_chain("daemon")
    assert len(chain) <= CHAIN_MAX, " > ".join(chain)


def test_libnetwork_has_no_circle():
    assert longest_chain("libnetwork")


def test_no_class_of_the_daemon_inherits_from_another_part():
    heirs = [
        f"{module}.{node.name}({ast.unparse(base)})"
        for module, tree in modules("daemon").items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for base in node.bases
        if ast.unparse(base).partition("[")[0] not in NOT_PARTS
        and not ast.unparse(base).endswith(("Backend", "Error", "Parameter", "Failure"))
    ]
    assert heirs == []
