"""A call that waits long is reported once, with the reason. In these tests 0.4 s take the place of ten seconds."""

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
    """Holds its callers until a file exists."""

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
    """A runtime that reports slow calls after `REPORT_AFTER_S`."""
    runtime.endpoint.slow_calls.report_after_s = REPORT_AFTER_S
    return runtime


@pytest.fixture
def reports(caplog):
    """A function that returns the reports so far."""
    caplog.set_level(logging.WARNING, slow_calls.__name__)
    return lambda: [r.getMessage() for r in caplog.records if r.name == slow_calls.__name__]


async def wait_for_reports(reports, count):
    """Wait until there are `count` reports, and return them."""
    while len(reports()) < count:
        await asyncio.sleep(0.01)  # a timer makes them, so there is nothing to await
    return reports()


def check_that_no_more_follow(runtime, reports, count):
    """Check that there are `count` reports, and that further looks at the calls begin no other."""
    for _ in range(4 * slow_calls.LOOKS_COUNT):
        runtime.endpoint.slow_calls.look()
    assert [task for task in asyncio.all_tasks() if task.get_name() == "explain a call"] == []
    assert len(reports()) == count


async def test_call_that_runs_long_is_reported_once_with_its_running_time(runtime, reports, key):
    slow = await Slow.spawn(str(key))
    holding = slow.hold()
    (report,) = await wait_for_reports(reports, 1)
    assert report.startswith("Slow-")
    assert ".hold() has waited for over 0.4 s: running since " in report
    check_that_no_more_follow(runtime, reports, 1)
    key.touch()
    await holding


async def test_queued_calls_are_reported_with_the_calls_ahead_and_the_running_method(runtime, reports, key):
    slow = await Slow.spawn(str(key))
    replies = [slow.hold(), *[slow.note() for _ in range(3)]]
    found = await wait_for_reports(reports, 4)
    words = [report.split(": ")[1] for report in found]
    assert words[0].startswith("running since ")
    assert words[1].startswith("next in line; hold() is in hand since ")
    assert [report.split(";")[0] for report in words[2:]] == ["behind 1 others", "behind 2 others"]
    key.touch()
    await art.gather(*replies)
    check_that_no_more_follow(runtime, reports, 4)


async def test_report_of_many_waiting_calls_gives_their_count(runtime, reports, key):
    slow = await Slow.spawn(str(key))
    replies = [slow.hold() for _ in range(42)]
    found = await wait_for_reports(reports, slow_calls.REPORTS_AT_ONCE + 1)
    assert "37 more calls have waited for over 0.4 s" in found
    key.touch()
    await art.gather(*replies)


async def test_report_of_a_call_that_waits_for_room_says_so(runtime, reports, key):
    slow = await Slow.options(mailbox_messages=1).spawn(str(key))
    holding = slow.hold()
    queued = [slow.note() for _ in range(63)]
    await art.wait([holding], timeout_s=REPORT_AFTER_S / 2)
    waits = [slow.note() for _ in range(3)]
    found = await wait_for_reports(reports, slow_calls.REPORTS_AT_ONCE + 1 + len(waits))
    assert any(
        "note() has waited for over 0.4 s: behind 2 others that wait here: the actor's mailbox is full" in report
        for report in found
    )
    key.touch()
    await art.gather(holding, *queued, *waits)


async def test_report_of_a_call_to_a_restarting_actor_gives_the_reason_of_its_end(node_runtime, reports, key):
    node_runtime.endpoint.slow_calls.report_after_s = REPORT_AFTER_S
    backoff = art.Backoff(first_s=30, max_s=60, jitter=0)
    slow = await Slow.options(isolation="process", restart="permanent", backoff=backoff).spawn(str(key), True)
    with pytest.raises(art.ActorUnavailableError):
        await slow.die()
    waiting = slow.note()
    (report,) = await wait_for_reports(reports, 1)
    assert ".note() has waited for over 0.4 s: being restarted (" in report
    waiting.cancel()


async def test_stream_that_is_read_is_not_reported_and_a_stalled_stream_is_reported(runtime, reports, key):
    slow = await Slow.spawn(str(key))
    items = aiter(slow.numbers(4))
    for n in range(4):
        assert await anext(items) == n
        await asyncio.sleep(REPORT_AFTER_S)  # a slow reader
    assert reports() == []
    end = asyncio.ensure_future(anext(items, "end"))  # the wait that is reported; awaited below
    (report,) = await wait_for_reports(reports, 1)
    assert ".numbers() has waited for an item for over 0.4 s: running since " in report
    check_that_no_more_follow(runtime, reports, 1)
    key.touch()
    assert await end == "end"


async def test_call_that_ends_in_time_is_not_reported(runtime, reports, key):
    slow = await Slow.spawn(str(key))
    assert await slow.note() == "noted"
    check_that_no_more_follow(runtime, reports, 0)
