"""Back-pressure from end to end: senders at full rate need bounded memory and do not delay other actors."""

from __future__ import annotations

import pytest

from actorrt.config import DEFAULT_MAILBOX_MESSAGES, MIB
from tests.fault.flood import TAKE_S, TAKEN_TOGETHER, Outcome, flood
from tests.running import own_directory, runtime_directory

pytestmark = pytest.mark.alone

SHARE = DEFAULT_MAILBOX_MESSAGES // 2  # each sender's share of the mailbox
PROCESSES = {"driver", "node", "zygote", "consumer", "teller", "asker"}


async def flooded(seconds: float, warm_up_s: float) -> Outcome:
    with own_directory() as directory, runtime_directory(directory):
        outcome = await flood(seconds, warm_up_s)
    assert set(outcome.memory_bytes) == PROCESSES
    assert 0 < outcome.taken_count < seconds * TAKEN_TOGETHER / TAKE_S
    assert outcome.sent_count >= outcome.taken_count
    assert outcome.queued_count > SHARE / 2  # the teller uses its whole share
    return outcome


async def test_ten_seconds_at_full_rate_against_a_slow_consumer_stay_bounded() -> None:
    outcome = await flooded(10.0, warm_up_s=4.0)
    assert {name: outcome.growth_bytes(name) for name in PROCESSES if outcome.growth_bytes(name) > 4 * MIB} == {}
    assert max(outcome.ping_s(origin, 0.99) for origin in outcome.pings_s) < 0.3


@pytest.mark.soak
@pytest.mark.timeout(120)
async def test_minute_at_full_rate_keeps_memory_flat_and_a_ping_fast() -> None:
    outcome = await flooded(60.0, warm_up_s=10.0)
    rates = {name: outcome.bytes_per_minute(name) for name in PROCESSES}
    assert {name: rate for name, rate in rates.items() if rate > 1e6} == {}
    assert max(outcome.ping_s(origin, 0.99) for origin in outcome.pings_s) < 0.1
