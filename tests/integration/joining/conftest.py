"""An entry node, and the state directory of a node that is to join by it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from actorrt.cluster.security.state_directory import StateDirectory
from tests.integration.joining.entry_node import EntryNode, entry_node, state_directory


@pytest.fixture
async def entry(tmp_path: Path) -> AsyncIterator[EntryNode]:
    async with entry_node(tmp_path / "entry") as node:
        yield node


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[StateDirectory]:
    directory = state_directory(tmp_path / "newcomer")
    yield directory
    directory.close()
