"""Modules in an import path of another process, found without importing anything."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from actorrt.machine.disk import OsDisk
from actorrt.node.code.sources import MAX_SOURCE_BYTES, find_module


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.py", "p/__init__.py", "p/q.py", "bare/r.py", "site-packages/lib.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"raise SystemExit({name!r})")  # it must not run
    return tmp_path


@pytest.mark.parametrize(
    ("name", "file", "is_package"),
    [("a", "a.py", False), ("p", "p/__init__.py", True), ("p.q", "p/q.py", False), ("bare.r", "bare/r.py", False)],
)
def test_a_module_is_found_with_its_source(folder: Path, name: str, file: str, *, is_package: bool) -> None:
    found = find_module(name, [str(folder)], OsDisk())
    assert found is not None
    assert (found.origin, found.source) == (str(folder / file), f"raise SystemExit({file!r})".encode())
    assert (found.is_package, found.is_installed) == (is_package, False)
    assert name not in sys.modules


def test_a_folder_without_init_is_a_package_without_a_file(folder: Path) -> None:
    found = find_module("bare", [str(folder)], OsDisk())
    assert found is not None
    assert (found.origin, found.source, found.is_package) == ("", None, True)


def test_the_first_entry_of_the_path_with_the_module_counts(folder: Path) -> None:
    found = find_module("a", [str(folder / "p"), str(folder)], OsDisk())
    assert found is not None
    assert found.origin == str(folder / "a.py")


def test_what_lies_among_installed_packages_is_marked(folder: Path) -> None:
    found = find_module("lib", [str(folder / "site-packages")], OsDisk())
    assert found is not None
    assert found.is_installed


@pytest.mark.parametrize("name", ["missing", "a.b", "p.missing"])
def test_a_module_that_is_not_there_is_none(folder: Path, name: str) -> None:
    assert find_module(name, [str(folder)], OsDisk()) is None


def test_a_source_that_is_too_long_stays(folder: Path) -> None:
    (folder / "a.py").write_bytes(b"#" * (MAX_SOURCE_BYTES + 1))
    found = find_module("a", [str(folder)], OsDisk())
    assert found is not None
    assert found.source is None
