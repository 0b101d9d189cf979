"""The side that asks, for the tests of spawns and lookups."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from actorrt.scopes import Scope
from tests.unit.actors.endpoint.asking import Asking
from tests.unit.records import crashed


@pytest.fixture
async def side() -> AsyncIterator[Asking]:
    scope = Scope("test", crashed)
    yield Asking(scope)
    await scope.close()
