"""Fixtures for the tests of processes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.unit.node.processes.fake_zygotes import World


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    world = World(monkeypatch)
    yield world
    await world.forker.close()
