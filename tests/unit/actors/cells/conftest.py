"""A host of fakes for the tests of cells."""

from __future__ import annotations

import pytest

from tests.unit.actors.cells.stage import Stage


@pytest.fixture
async def stage():
    stage = Stage()
    yield stage
    await stage.close()
