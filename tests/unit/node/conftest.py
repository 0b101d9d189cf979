"""Directories of nodes, for the tests of what is kept there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from actorrt.node.daemon.node_directory import NodeDirectory


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "rt"
    monkeypatch.setenv("ACTORRT_RUNTIME_DIR", str(path))
    return path


@pytest.fixture
def nodes(directory: Path) -> Iterator[list[NodeDirectory]]:
    made: list[NodeDirectory] = []
    yield made
    for place in made:
        place.remove()
