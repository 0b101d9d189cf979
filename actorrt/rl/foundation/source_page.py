"""Joins functions and classes of several modules to one page of code that runs.

The page is made of their real sources, so it can't differ from them. It imports whatever they use and it does not have.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Collection, Iterator, Sequence
from types import ModuleType
from typing import Any

SECTION = re.compile(r"\s*(Args|Attributes|Raises|Returns):$")
WIDTH = 120


def joined(title: str, parts: Sequence[Any], ending: str, left_out: Collection[str] = ()) -> str:
    """Return the page.

    Args:
        title: docstring of the page.
        parts: functions and classes, in order.
        ending: the last lines, which may use the parts.
        left_out: methods that the page does not need.
    """
    sources = [shortened(textwrap.dedent(inspect.getsource(part)), left_out) for part in parts]
    own = {part.__name__ for part in parts}
    imported = {
        line
        for part, source in zip(parts, sources, strict=True)
        for line in imports(inspect.getmodule(part), source, own)
    }
    head = f'"""{title}"""\n\nfrom __future__ import annotations\n\n' + "\n".join(sorted_imports(imported))
    return "\n\n\n".join([head, *sources, ending]) + "\n"


def shortened(source: str, left_out: Collection[str]) -> str:
    """Return the source of a function or class without some methods, and without the lists of its docstrings."""
    lines, gone = source.rstrip().split("\n"), set[int]()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if node.name in left_out:
            gone |= set(range(_first(node) - 2, node.end_lineno or 0))  # with the empty line above
        elif ast.get_docstring(node) is not None:
            gone |= set(_lists(lines, node.body[0]))
    kept = [line for number, line in enumerate(lines) if number not in gone]
    return re.sub(r'("""[^\n]+)\n\s*"""', r'\1"""', "\n".join(kept)).strip()


def _first(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> int:
    """Return the number of the first line of a definition, its decorators included."""
    return min((each.lineno for each in node.decorator_list), default=node.lineno)


def _lists(lines: list[str], docstring: ast.stmt) -> Iterator[int]:
    """Yield the indices of the lines of a docstring from its first list on, without its closing line."""
    start, end = docstring.lineno - 1, (docstring.end_lineno or docstring.lineno) - 1
    for number in range(start, end):
        if SECTION.match(lines[number]):
            yield from range(number - 1, end)  # with the empty line above
            return


def imports(module: ModuleType | None, source: str, own: Collection[str]) -> Iterator[str]:
    """Yield import statements for the names of a module that a source uses, except those of the page's `own` parts."""
    assert module is not None
    statements = dict(_import_statements(module))
    used = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
    for name in sorted(used - set(own)):
        if name in statements:
            yield statements[name]
        elif name in vars(module) and not name.startswith("__"):
            yield f"from {module.__name__} import {name}"


def _import_statements(module: ModuleType) -> Iterator[tuple[str, str]]:
    """Yield the names that a module imports, with the statement for each; not those for type checking alone."""
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            place = f"from {node.module} import " if isinstance(node, ast.ImportFrom) else "import "
            for alias in node.names:
                yield alias.asname or alias.name, place + ast.unparse(alias)


def sorted_imports(statements: Collection[str]) -> list[str]:
    """Return import statements in order, one for each module: Python's own, other packages, and this project."""
    groups: dict[int, list[str]] = {0: [], 1: [], 2: []}
    names: dict[str, list[str]] = {}
    for statement in sorted(statements):
        module, _, name = statement.removeprefix("from ").partition(" import ")
        names.setdefault(module, []).append(name)
    for module, given in sorted(names.items(), key=lambda item: item[0].removeprefix("import ")):
        line = module if given == [""] else f"from {module} import {', '.join(given)}"
        if len(line) > WIDTH:
            line = f"from {module} import (\n    " + ",\n    ".join(given) + ",\n)"
        package = module.removeprefix("import ").split(" ")[0].split(".")[0]
        groups[0 if package in sys.stdlib_module_names else 2 if package == "actorrt" else 1].append(line)
    in_groups = (sorted(group, key=lambda line: line.startswith("from ")) for group in groups.values() if group)
    return "\n\n".join("\n".join(group) for group in in_groups).split("\n")
