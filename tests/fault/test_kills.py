"""Random kills of processes under load: every call ends, every actor restarts, nothing is left."""

from __future__ import annotations

import pytest

from tests.fault.kills import kill_at_random
from tests.running import own_directory, runtime_directory

FD_SLACK = 12  # links may be opening or closing during the count; a leak of one descriptor a kill would exceed this


@pytest.mark.timeout(300)
async def test_150_random_kills_end_in_values_or_typed_errors_and_leave_nothing():
    await assert_nothing_is_left_after(150)


@pytest.mark.soak
@pytest.mark.timeout(600)
async def test_1000_random_kills_leave_nothing():
    await assert_nothing_is_left_after(1000)


async def assert_nothing_is_left_after(kills_count):
    with own_directory() as directory, runtime_directory(directory):
        outcome = await kill_at_random(kills_count, seed=1)
    assert outcome.kinds.total() == kills_count
    assert outcome.calls["value"] > kills_count
    assert set(outcome.calls) <= {"value", "ActorUnavailableError", "ActorDiedError", "ObjectLostError"}
    assert outcome.zombies == []
    assert len(outcome.strangers) == 1  # the zygote
    assert outcome.driver_fds[1] <= outcome.driver_fds[0] + FD_SLACK
    assert outcome.node_fds[1] <= outcome.node_fds[0] + FD_SLACK
    assert (outcome.objects, outcome.used_bytes) == ([], 0)
