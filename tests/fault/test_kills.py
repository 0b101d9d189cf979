"""Sixty processes killed at random under load: every call ends, everybody comes back, nothing is left."""

from __future__ import annotations

import pytest

from tests.fault.kills import kill_at_random
from tests.running import own_directory, runtime_directory

KILLS_COUNT = 60
FD_SLACK = 12  # links that are being opened or closed when they are counted; a leak of one a kill shows


@pytest.mark.timeout(150)
@pytest.mark.parametrize("seed", [1])
async def test_random_kills_end_in_values_or_typed_errors_and_leave_nothing(seed):
    with own_directory() as directory, runtime_directory(directory):
        outcome = await kill_at_random(KILLS_COUNT, seed)
    assert outcome.kinds.total() == KILLS_COUNT
    assert outcome.calls["value"] > KILLS_COUNT
    assert set(outcome.calls) <= {"value", "ActorUnavailableError", "ActorDiedError", "ObjectLostError"}
    assert outcome.zombies == []
    assert len(outcome.strangers) == 1  # the zygote
    assert outcome.driver_fds[1] <= outcome.driver_fds[0] + FD_SLACK
    assert outcome.node_fds[1] <= outcome.node_fds[0] + FD_SLACK


@pytest.mark.soak
@pytest.mark.timeout(150)
async def test_random_kills_leave_no_object_in_the_store():
    with own_directory() as directory, runtime_directory(directory):
        outcome = await kill_at_random(KILLS_COUNT, seed=1)
    assert outcome.objects_count == 0
