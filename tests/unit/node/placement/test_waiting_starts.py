"""Starts that wait for room: their order, their ends, and what the log says."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest

from actorrt.actors.authority.record import ActorRecord
from actorrt.errors import ActorStartError
from actorrt.node.placement import waiting_starts
from actorrt.node.placement.waiting_starts import WaitingStarts
from tests.unit.records import record_of


class Line:
    """Starts that wait, each for room of one kind; `free` has the kinds with room for one more."""

    def __init__(self) -> None:
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.waiting = WaitingStarts(self.after)
        self.free: list[str] = []
        self.tried: list[str] = []
        self.tasks: list[asyncio.Task[str]] = []

    def after(self, delay_s: float, callback: Callable[[], None]) -> Callable[[], None]:
        timer = delay_s, callback
        self.timers.append(timer)
        return lambda: self.timers.remove(timer)

    def start(self, name: str, kind: str) -> ActorRecord:
        record = record_of(None)
        record.order.class_name = name
        self.tasks.append(asyncio.ensure_future(self._start(record, name, kind)))
        return record

    async def _start(self, record: ActorRecord, name: str, kind: str) -> str:
        entry = self.waiting.enter(record, kind)
        try:
            while True:
                self.tried.append(name)
                if kind in self.free:
                    self.free.remove(kind)
                    return name
                await entry.next_turn(f"waits for {kind}")
        finally:
            entry.leave()

    async def settled(self) -> list[str]:
        for _ in range(10):
            await asyncio.sleep(0)
        self.waiting.check_invariants()
        tried, self.tried = self.tried, []
        return tried


@pytest.fixture
async def line() -> Line:
    return Line()


async def test_the_first_of_each_kind_tries_and_the_next_one_when_it_has_left(line: Line) -> None:
    for name, kind in (("a1", "a"), ("a2", "a"), ("b1", "b"), ("a3", "a")):
        line.start(name, kind)
    assert await line.settled() == ["a1", "a2", "b1", "a3"]
    line.waiting.changed()
    assert await line.settled() == ["a1", "b1"]
    line.free = ["a", "a"]
    line.waiting.changed()
    assert await line.settled() == ["a1", "b1", "a2", "a3"]
    assert [task.result() for task in line.tasks if task.done()] == ["a1", "a2"]
    line.free = ["a", "b"]
    line.waiting.changed()
    await asyncio.gather(*line.tasks)
    assert (len(line.waiting), line.timers) == (0, [])


async def test_a_wait_that_is_ended_leaves_its_line_and_the_next_one_tries(line: Line) -> None:
    first, second = line.start("first", "a"), line.start("second", "a")
    await line.settled()
    assert line.waiting.lacks(first.actor_id) == "waits for a"
    assert line.waiting.cancel(first, ActorStartError("no more"))
    assert await line.settled() == ["second"]
    with pytest.raises(ActorStartError, match="no more"):
        await line.tasks[0]
    assert [line.waiting.cancel(one, ActorStartError("")) for one in (first, second)] == [False, True]
    assert await line.settled() == []
    assert isinstance(line.tasks[1].exception(), ActorStartError)
    assert line.waiting.lacks(second.actor_id) == ""


async def test_the_log_names_a_start_that_waits_for_a_second(line: Line, caplog: pytest.LogCaptureFixture) -> None:
    record = line.start("Learner", "gpus")
    await line.settled()
    ((delay_s, say),) = line.timers
    with caplog.at_level(logging.WARNING):
        say()
    assert (delay_s, caplog.messages) == (1.0, [f"{record.label} waits for gpus"])
    line.waiting.cancel(record, ActorStartError("no more"))
    await asyncio.wait(line.tasks)


async def test_only_so_many_wait(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_starts, "MAX_WAITING_COUNT", 1)
    first = line.start("first", "a")
    await line.settled()
    second = line.start("second", "a")
    await line.settled()
    with pytest.raises(ActorStartError, match="1 other actors wait for room already; stop actors, or add a node"):
        await line.tasks[1]
    assert [line.waiting.cancel(one, ActorStartError("")) for one in (first, second)] == [True, False]
    await asyncio.wait(line.tasks)
