"""Short-lived actors, objects and failures leave nothing behind that grows with their number."""

from __future__ import annotations

import pytest

from actorrt.config import MIB
from tests.fault.growth import Growth, grow
from tests.running import own_directory, runtime_directory

pytestmark = pytest.mark.alone

KINDS_COUNT = 15
ALLOWED = {"large value: ObjectStoreFullError", "publish: ObjectStoreFullError", "publish: LoopCannotWaitError"}


async def grown(seconds: float) -> Growth:
    with own_directory() as directory, runtime_directory(directory):
        growth = await grow(seconds, seed=3)
    assert set(growth.errors) <= ALLOWED
    assert set(growth.samples) == {"driver", "node", "zygote", "keeper", "shared"}
    return growth


async def test_every_operation_of_the_soak_ends_as_expected() -> None:
    growth = await grown(6.0)
    assert growth.operations.total() > KINDS_COUNT


@pytest.mark.soak
@pytest.mark.timeout(900)
async def test_ten_minutes_of_starts_ends_kills_and_full_stores_leave_memory_flat() -> None:
    growth = await grown(600.0)
    assert len(growth.operations) == KINDS_COUNT
    most = {name: 16 * MIB if name == "driver" else 4 * MIB for name in growth.samples}  # the driver holds arrays
    assert {name: size for name in most if (size := growth.growth_bytes(name)) > most[name]} == {}
