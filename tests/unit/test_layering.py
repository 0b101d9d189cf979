"""The rules of the design for whole modules: the layers and packages that they import, purity, docstrings, sizes.

Imports inside functions and imports for type checking count too: a layer that names another depends on it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import actorrt

PACKAGE = Path(__file__).parents[2] / "actorrt"
MODULES = {
    ".".join(("actorrt", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
FOUNDATION = {
    *(
        "errors",
        "ids",
        "machine",
        "config",
        "reasons",
        "scopes",
        "completion",
        "defects",
        "forks",
        "texts",
        "interrupts",
    ),
    *("invariants", "background"),
}
MAY_IMPORT = {
    "foundation": {"foundation"},
    "transport": {"transport", "foundation"},
    "store": {"store", "foundation"},
    "protocol": {"protocol", "foundation"},
    "actors": {"actors", "protocol", "transport", "store", "foundation"},
    "tasks": {"tasks", "actors", "protocol", "transport", "store", "foundation"},
    "cluster": {"cluster", "actors", "protocol", "transport", "foundation"},
    "node": {"node", "cluster", "tasks", "actors", "protocol", "transport", "store", "foundation"},
    "testing": {"testing", "node", "cluster", "actors", "protocol", "transport", "store", "foundation"},
    "cli": {"cli", "bench", "rl", "node", "actors", "protocol", "transport", "store", "foundation", "api"},
    "bench": {"bench", "rl", "node", "actors", "protocol", "transport", "store", "foundation", "api"},
    "rl": {"rl", "api"},
    "api": {"node", "actors", "protocol", "transport", "store", "foundation", "rl", "tasks"},
}
PACKAGES = {
    "actors": (
        *("policy", "wire", "refs", "authority", "calling", "running", "cells", "hosting", "endpoint", "api"),
        *("supervisors",),
    ),
    "store": ("wire", "memory", "table", "server", "values", "connection", "client"),
    "node": (
        "code",
        "processes",
        "objects",
        "worker",
        "placement",
        "leases",
        "guests",
        "clustering",
        "listing",
        "daemon",
        "driver",
        "inspect",
    ),
    "transport": ("frames", "links", "memory", "unix", "zeromq", "composite"),
    "cluster": ("control", "membership", "security", "peers", "joining"),
    "protocol": ("cluster",),
    "bench": ("measuring", "rows"),
    "testing": ("virtual", "shells", "world"),
    "tasks": ("policy", "submitting", "working", "api"),
    "rl": (
        *("foundation", "spaces", "networks", "policies", "environments", "rollouts", "replay"),
        *("settings", "presets", "roles", "records", "views", "runs", "evolution", "algorithms", "cli"),
    ),
}
"""The packages of a layer, the lowest first. A package imports itself and those before it."""
MODULES_OF_A_PACKAGE = 15
IMPURE = {
    *("asyncio", "concurrent", "ctypes", "datetime", "fcntl", "glob", "io", "logging", "mmap", "multiprocessing"),
    *("os", "pathlib", "random", "secrets", "select", "selectors", "shutil", "signal", "socket", "sqlite3"),
    *("subprocess", "sys", "tempfile", "threading", "time", "uuid", "uvloop", "zmq"),
}
IMPURE_FOUNDATION = {
    *(
        "actorrt.machine.clock",
        "actorrt.scopes",
        "actorrt.completion",
        "actorrt.defects",
        "actorrt.forks",
        "actorrt.machine.threads",
    ),
    *("actorrt.machine.disk", "actorrt.machine.surroundings"),
}
TASK_MAKERS = {"create_task", "ensure_future", "run_coroutine_threadsafe", "TaskGroup"}
DAEMONS_STORE_PACKAGES = ("wire", "memory", "table", "server")
"""The packages of the store that the daemon imports; they lie below `values`."""
NEVER_UNPICKLES = (
    "actorrt.cli",
    "actorrt.node.daemon.boot",
    "actorrt.node.daemon.daemon",
    "actorrt.node.processes.forker",
    *(module for module in MODULES if module.startswith(tuple(f"actorrt.store.{p}." for p in DAEMONS_STORE_PACKAGES))),
    *(module for module in MODULES if module.startswith("actorrt.cluster.")),
)


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(), str(MODULES[module]))


def layer(module: str) -> str:
    """Return the layer of a module: its top folder, "foundation", or "api" for `actorrt` itself."""
    parts = module.split(".")
    if len(parts) == 1:
        return "api"
    return "foundation" if parts[1] in FOUNDATION else parts[1]


@cache
def imports(module: str) -> tuple[tuple[str, int], ...]:
    return tuple(_imports(module, ast.walk(tree(module))))


def _imports(module: str, nodes: Iterator[ast.AST]) -> Iterator[tuple[str, int]]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno}: a relative import hides its layer"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in MODULES else str(node.module), node.lineno


def pure_modules() -> list[str]:
    return [module for module in MODULES if (ast.get_docstring(tree(module)) or "").startswith("Pure:")]


def test_modules_import_only_their_own_layer_and_those_below() -> None:
    wrong = [
        f"{module}:{line}: {layer(module)} imports {imported}, of layer {layer(imported)}"
        for module in MODULES
        for imported, line in imports(module)
        if imported.split(".")[0] == "actorrt" and layer(imported) not in MAY_IMPORT[layer(module)]
    ]
    assert wrong == []


@pytest.mark.parametrize("package", ["rl"])
def test_packages_above_the_actors_use_only_public_names(package: str) -> None:
    public = {*actorrt.__all__, package}
    wrong = [
        f"{module}:{node.lineno}: {alias.name} is not public"
        for module in MODULES
        if layer(module) == package
        for node in ast.walk(tree(module))
        if isinstance(node, ast.ImportFrom) and node.module == "actorrt"
        for alias in node.names
        if alias.name not in public
    ]
    assert wrong == []


def height(module: str) -> int | None:
    """Return the place of a module's package in its layer; None if it lies beside the packages."""
    parts = module.split(".")
    packages = PACKAGES.get(layer(module), ())
    return packages.index(parts[2]) if len(parts) > 2 and parts[2] in packages else None


@pytest.mark.parametrize("name", PACKAGES)
def test_packages_of_a_layer_import_only_their_own_and_those_below(name: str) -> None:
    assert {path.parent.name for path in (PACKAGE / name).glob("*/__init__.py")} == set(PACKAGES[name])
    wrong = [
        f"{module}:{line}: imports {imported}, of a package above"
        for module in MODULES
        if layer(module) == name
        for imported, line in imports(module)
        if layer(imported) == name
        if (own := height(module)) is not None and (other := height(imported)) is not None and other > own
    ]
    assert wrong == []


def test_calling_and_hosting_import_nothing_of_each_other() -> None:
    sides = [{"actorrt.actors.calling"}, {f"actorrt.actors.{name}" for name in ("running", "cells", "hosting")}]
    wrong = [
        f"{module}:{line}: imports {imported}"
        for own, other in (sides, sides[::-1])
        for module in MODULES
        if module.rpartition(".")[0] in own
        for imported, line in imports(module)
        if any(imported == package or imported.startswith(f"{package}.") for package in other)
    ]
    assert wrong == []


@pytest.mark.parametrize("name", PACKAGES)
def test_no_package_has_too_many_modules(name: str) -> None:
    folders = [PACKAGE / name, *(PACKAGE / name / package for package in PACKAGES[name])]
    counts = {folder.name: len([path for path in folder.glob("*.py") if path.stem != "__init__"]) for folder in folders}
    assert {folder: count for folder, count in counts.items() if count > MODULES_OF_A_PACKAGE} == {}


def test_supervision_and_options_are_declared_pure() -> None:
    expected = {f"actorrt.actors.policy.{name}" for name in ("supervision", "options", "childspec")}
    assert expected <= set(pure_modules())


@pytest.mark.parametrize("module", pure_modules())
def test_pure_module_imports_no_clock_randomness_io_or_asyncio(module: str) -> None:
    wrong = [
        f"{module}:{line}: {imported}"
        for imported, line in imports(module)
        if imported.split(".")[0] in IMPURE or imported in IMPURE_FOUNDATION
    ]
    wrong += [
        f"{module}:{node.lineno}: {node.value.id}.random"
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Attribute) and node.attr == "random" and isinstance(node.value, ast.Name)
        if node.value.id in ("np", "numpy")
    ]
    assert wrong == []


def test_only_scopes_make_tasks() -> None:
    wrong = [
        f"{module}:{node.lineno}"
        for module in MODULES
        if module != "actorrt.scopes"
        for node in ast.walk(tree(module))
        if getattr(node, "attr", getattr(node, "id", None)) in TASK_MAKERS
    ]
    assert wrong == []


@pytest.mark.parametrize("module", NEVER_UNPICKLES)
def test_modules_that_read_foreign_bytes_never_import_pickle(module: str) -> None:
    if module not in MODULES:
        pytest.skip(f"there is no {module} yet")
    assert [name for name, _ in imports(module) if name in ("pickle", "cloudpickle")] == []


def test_every_folder_of_modules_is_a_package_and_so_installed() -> None:
    folders = {path.parent for path in MODULES.values()}
    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []


def test_every_module_has_a_docstring() -> None:
    assert [module for module in MODULES if not ast.get_docstring(tree(module))] == []


def test_no_function_is_longer_than_60_lines() -> None:
    wrong = [
        f"{module}:{node.lineno}: {node.name} has {node.end_lineno - node.lineno + 1}"
        for module in MODULES
        for node in ast.walk(tree(module))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if node.end_lineno is not None and node.end_lineno - node.lineno >= 60
    ]
    assert wrong == []


def test_no_module_is_longer_than_450_lines() -> None:
    lengths = {module: len(path.read_text().splitlines()) for module, path in MODULES.items()}
    assert {module: length for module, length in lengths.items() if length > 450} == {}
