"""The memory of workers that are lent with a limit: who is watched, and who is ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from actorrt.config import MIB
from actorrt.ids import PeerAddress
from actorrt.node.leases import memory_watch as memory_watch_module
from actorrt.node.leases.memory_watch import MemoryWatch
from actorrt.node.placement.jobs import Job, Worker, WorkerKind
from actorrt.scopes import Scope
from tests.unit.node.fakes import IDS, SETTING
from tests.unit.records import crashed

JOB = Job(IDS.job(), PeerAddress(IDS.peer(), "memory://driver"), SETTING)


class Watched:
    """Workers whose memory the test sets, and the limits of those that are lent."""

    def __init__(self) -> None:
        self.used: dict[int, int | None] = {}
        self.limits: dict[Worker, float] = {}
        self.killed: list[Worker] = []
        self.looks_count = 0
        self.scope = Scope("test", crashed)
        self.watch = MemoryWatch(self.scope, lambda: self.limits, self.killed.append)

    def private_bytes(self, pid: int) -> int | None:
        self.looks_count += 1
        return self.used[pid]

    def worker(self, used_bytes: int, limit_bytes: int | None, *, has_process: bool = True) -> Worker:
        worker = Worker(PeerAddress(IDS.peer(), "memory://worker"), WorkerKind.TASKS, JOB, "tasks-1", {})
        worker.pid, worker.process = len(self.used) + 1, object() if has_process else None
        self.used[worker.pid] = used_bytes
        if limit_bytes is not None:
            self.limits[worker] = limit_bytes
        self.watch.lent(worker)
        return worker

    async def looks(self, count: int = 2) -> None:
        """Wait until memory was looked at so many times more."""
        wanted = self.looks_count + count * len(self.limits)
        async with asyncio.timeout(5):
            while self.looks_count < wanted:
                await asyncio.sleep(0.001)


@pytest.fixture
async def watched(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watched]:
    watched = Watched()
    monkeypatch.setattr(memory_watch_module, "LOOK_EVERY_S", 0.001)
    monkeypatch.setattr(memory_watch_module, "private_bytes", watched.private_bytes)
    yield watched
    await watched.scope.close()


async def test_worker_that_uses_more_than_its_limit_beyond_what_it_had_is_ended_once(watched: Watched) -> None:
    modest, greedy = [watched.worker(100 * MIB, 10 * MIB) for _ in range(2)]
    watched.used |= {modest.pid or 0: 110 * MIB, greedy.pid or 0: 111 * MIB}
    async with asyncio.timeout(5):
        while not watched.killed:
            await asyncio.sleep(0.001)
    await watched.looks()
    assert watched.killed == [greedy]
    assert greedy.memory_excess == "its task used 11 MiB, and has reserved memory_bytes=10485760"


async def test_worker_without_limit_or_process_is_not_looked_at(watched: Watched) -> None:
    watched.worker(100 * MIB, None)
    watched.worker(100 * MIB, 1, has_process=False)
    assert (watched.looks_count, len(watched.scope._timers)) == (0, 0)


async def test_nothing_is_looked_at_when_no_worker_is_lent_with_a_limit_any_more(watched: Watched) -> None:
    worker = watched.worker(0, MIB)
    await watched.looks()
    watched.used[worker.pid or 0] = None  # it has just ended
    await watched.looks()
    watched.limits.clear()
    watched.watch.ended(worker.peer)
    async with asyncio.timeout(5):
        while watched.scope._timers:
            await asyncio.sleep(0.001)
    assert watched.killed == []
