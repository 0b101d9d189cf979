"""No modules of the library import each other in a circle, imports for type checkers and inside functions included."""

from __future__ import annotations

import ast
from pathlib import Path

import actorrt.rl

PACKAGE = Path(actorrt.rl.__file__).parent
MODULES = {
    ".".join(("actorrt", "rl", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def imports(module: str) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if name in MODULES else str(node.module) for name in names}
    return found & set(MODULES) - {"actorrt.rl"}


def test_no_modules_import_each_other_in_a_circle() -> None:
    remaining = {module: imports(module) for module in MODULES if module != "actorrt.rl"}
    while free := {module for module, needed in remaining.items() if not needed & set(remaining)}:
        for module in free:
            del remaining[module]
    assert sorted(remaining) == []
