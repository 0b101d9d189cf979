"""A call that waits long is reported once, with what it waits for. Ten seconds are half a second here."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from pathlib import Path

import pytest

import actorrt as art
from actorrt.actors.calling import slow_calls

REPORT_AFTER_S = 0.4


class Slow(art.Actor):
    """Holds whoever calls until a file is there."""

    def __init__(self, key, late_start=False):
        self.key = Path(key)
        if late_start and self.key.with_suffix(".died").exists():
            raise ValueError("not yet")

    async def hold(self):
        while not self.key.exists():
            await asyncio.sleep(0.005)

    def note(self):
        return "noted"

    async def numbers(self, count):
        for n in range(count):
            yield n
        await self.hold()

    def die(self):
        self.key.with_suffix(".died").touch()
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def key(tmp_path):
    """A file that does not exist yet."""
    return tmp_path / "key"


@pytest.fixture
def runtime(runtime):
    """A runtime that reports early."""
    runtime.endpoint.slow_calls.report_after_s = REPORT_AFTER_S
    return runtime


@pytest.fixture
def reports(caplog):
    """The reports so far."""
    caplog.set_level(logging.WARNING, slow_calls.__name__)
    return lambda: [r.getMessage() for r in caplog.records if r.name == slow_calls.__name__]


async def come(reports, count):
    """Return the reports when there are so many."""
    while len(reports()) < count:
        await asyncio.sleep(0.01)  # they come from a timer, not from anything that can be awaited
    return reports()


def check_that_no_more_come(runtime, reports, count):
    """Check that there are so many reports, and that more looks at the calls begin none."""
    for _ in range(4 * slow_calls.LOOKS_COUNT):
        runtime.endpoint.slow_calls.look()
    assert [task for task in asyncio.all_tasks() if task.get_name() == "explain a call"] == []
    assert len(reports()) == count


async def test_call_that_runs_long_is_reported_once_with_since_when(runtime, reports, key):
    slow = await Slow.spawn(str(key))
    holding = slow.hold()
    (report,) = await come(reports, 1)
    assert report.startswith("Slow-")
    assert ".hold() has waited for over 0.4 s: running since " in report
    check_that_no_more_come(runtime, reports, 1)
    key.touch()
    await holding


async def test_queued_calls_are_reported_with_how_many_are_ahead_and_what_is_in_hand(runtime, reports, key):
    slow = await Slow.spawn(str(key))
    replies = [slow.hold(), *[slow.note() for _ in range(3)]]
    found = await come(reports, 4)
    words = [report.split(": ")[1] for report in found]
    assert words[0].startswith("running since ")
    assert words[1].startswith("next in line; hold() is in hand since ")
    assert [report.split(";")[0] for report in words[2:]] == ["behind 1 others", "behind 2 others"]
    key.touch()
    await art.gather(*replies)
    check_that_no_more_come(runtime, reports, 4)


async def test_many_that_wait_are_counted(runtime, reports, key):
    slow = await Slow.spawn(str(key))
    replies = [slow.hold() for _ in range(42)]
    found = await come(reports, slow_calls.REPORTS_AT_ONCE + 1)
    assert "37 more calls have waited for over 0.4 s" in found
    key.touch()
    await art.gather(*replies)


async def test_call_that_waits_for_room_says_so(runtime, reports, key):
    slow = await Slow.options(mailbox_messages=1).spawn(str(key))
    holding = slow.hold()
    queued = [slow.note() for _ in range(63)]
    await art.wait([holding], timeout_s=REPORT_AFTER_S / 2)
    waits = [slow.note() for _ in range(3)]
    found = await come(reports, slow_calls.REPORTS_AT_ONCE + 1 + len(waits))
    assert any(
        "note() has waited for over 0.4 s: behind 2 others that wait here: the actor's mailbox is full" in report
        for report in found
    )
    key.touch()
    await art.gather(holding, *queued, *waits)


async def test_call_to_an_actor_that_is_being_restarted_says_so_and_why_it_ended(node_runtime, reports, key):
    node_runtime.endpoint.slow_calls.report_after_s = REPORT_AFTER_S
    backoff = art.Backoff(first_s=30, max_s=60, jitter=0)
    slow = await Slow.options(isolation="process", restart="permanent", backoff=backoff).spawn(str(key), True)
    with pytest.raises(art.ActorUnavailableError):
        await slow.die()
    waiting = slow.note()
    (report,) = await come(reports, 1)
    assert ".note() has waited for over 0.4 s: being restarted (" in report
    waiting.cancel()


async def test_stream_that_is_read_on_is_not_reported_and_one_that_stands_still_is(runtime, reports, key):
    slow = await Slow.spawn(str(key))
    items = aiter(slow.numbers(4))
    for n in range(4):
        assert await anext(items) == n
        await asyncio.sleep(REPORT_AFTER_S)  # a reader that takes its time
    assert reports() == []
    end = asyncio.ensure_future(anext(items, "end"))  # waits for what is reported; awaited below
    (report,) = await come(reports, 1)
    assert ".numbers() has waited for an item for over 0.4 s: running since " in report
    check_that_no_more_come(runtime, reports, 1)
    key.touch()
    assert await end == "end"


async def test_call_that_ends_in_time_is_not_reported(runtime, reports, key):
    slow = await Slow.spawn(str(key))
    assert await slow.note() == "noted"
    check_that_no_more_come(runtime, reports, 0)
