"""The tasks that messages are handled in: who borrows them, and what is cancelled with them."""

from __future__ import annotations

import asyncio

import pytest

from actorrt.actors.running.runner import resumed
from actorrt.actors.running.runners import PARKED_COUNT, STEP_COUNT, Runners
from actorrt.completion import Completion
from actorrt.scopes import Scope
from tests.unit.records import crashed


class Transport:
    """Counts how often it was told to hold what is sent."""

    def __init__(self):
        self.held_count = 0

    def hold(self):
        self.held_count += 1

    def release(self):
        self.held_count -= 1


class Job:
    """Work for a runner: so many coroutines, one after the other.

    Attributes:
        tasks: in which tasks it was worked at.
        log: what happened.
    """

    def __init__(self, *coroutines, log=None):
        self.coroutines = list(coroutines)
        self.tasks = []
        self.log = [] if log is None else log

    def work(self, runner):
        self.tasks.append(asyncio.current_task())
        while self.coroutines:
            coroutine = self.coroutines.pop(0)
            try:
                waited_for = coroutine.send(None)
            except StopIteration as end:
                self.log.append(end.value)
                continue
            if waited_for is runner:
                runner.hold(self, "a message", coroutine)
                return runner
            return self._run(coroutine, waited_for)
        return None

    async def _run(self, coroutine, waited_for):
        try:
            self.log.append(await resumed(coroutine, waited_for))
        except asyncio.CancelledError:
            self.log.append("cancelled")

    def work_on(self, runner):
        self.log.append("work on")
        return self.work(runner)

    def resume(self, runner):
        _, coroutine = runner.take()
        self.coroutines.insert(0, coroutine)
        return self.work(runner)

    def taken_over(self, runner):
        _, coroutine = runner.take()
        return self._run(coroutine, asyncio.get_running_loop().create_future())

    def runner_left(self):
        self.log.append("left")


async def settled():
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
async def scope():
    scope = Scope("test", crashed)
    yield scope
    await scope.close()


@pytest.fixture
async def runners(scope):
    return Runners(scope, Transport())


async def value(of):
    return of


async def after_a_turn(of):
    await asyncio.sleep(0)
    return of


async def test_work_runs_in_a_later_step_and_in_the_task_of_a_runner(runners):
    job = Job(value(1), value(2))
    runners.schedule(job)
    assert job.log == []
    await settled()
    assert job.log == [1, 2]
    (task,) = job.tasks
    assert task.get_name() == "test/runner"


async def test_runner_is_used_again_and_parked_between(runners):
    first, second = Job(value(1)), Job(value(2))
    runners.schedule(first)
    await settled()
    assert runners.statistics() == {"ready": 0, "parked": 1}
    runners.schedule(second)
    await settled()
    assert first.tasks == second.tasks


async def test_what_waits_for_the_loop_is_driven_by_the_runners_task_and_the_work_goes_on(runners):
    job = Job(after_a_turn(1), value(2))
    runners.schedule(job)
    await settled()
    assert job.log == [1, "work on", 2]


async def test_work_of_others_goes_on_while_one_waits(runners):
    gate = Completion()
    log = []
    runners.schedule(Job(waits_for(gate), log=log))
    runners.schedule(Job(value("another"), log=log))
    await settled()
    assert log == ["another"]
    gate.set_value(None)
    await settled()
    assert log[:2] == ["another", "opened"]


async def waits_for(gate):
    await gate
    return "opened"


async def test_drained_handles_what_arrived_at_once(runners):
    job = Job(value(1))
    runners.schedule(Job())
    await settled()  # there is a runner now
    runners.drain_begins()
    runners.schedule(job)
    assert job.log == []
    asyncio.get_running_loop().call_soon(runners.drained)
    await asyncio.sleep(0)
    assert job.log == [1]


async def test_what_is_sent_in_a_step_leaves_with_its_end(scope):
    transport = Transport()
    runners = Runners(scope, transport)
    held = []

    class Looking(Job):
        def work(self, runner):
            held.append(transport.held_count)
            return super().work(runner)

    runners.schedule(Looking(value(1)))
    await settled()
    assert (held, transport.held_count) == ([1], 0)


async def test_step_goes_on_with_a_little_of_what_becomes_ready_in_it(runners):
    log = []

    class Endless(Job):
        def work(self, runner):
            log.append(len(log))
            if len(log) < 100:
                runners.schedule(self)
            return

    runners.schedule(Job())
    await settled()
    runners.schedule(Endless())
    await asyncio.sleep(0)
    assert len(log) == STEP_COUNT
    await settled()
    assert len(log) == 100


async def test_no_more_runners_stay_than_may_be_parked(runners):
    gate = asyncio.Event()

    async def wait():
        await gate.wait()

    for _ in range(PARKED_COUNT + 5):
        runners.schedule(Job(wait()))
    while runners.statistics()["ready"]:
        await settled()
    gate.set()
    await settled()
    assert runners.statistics() == {"ready": 0, "parked": PARKED_COUNT}


async def test_cancellation_of_a_runners_task_strikes_the_coroutine_that_it_drives(runners):
    job = Job(waits_on_the_loop(), value(2))
    runners.schedule(job)
    await settled()
    (task,) = job.tasks
    task.cancel()
    await settled()
    assert job.log == ["cancelled", "work on", 2]


async def waits_on_the_loop():
    await asyncio.Event().wait()


async def test_forked_child_handles_nothing_more(runners):
    job = Job(value(1))
    runners.schedule(job)
    task = asyncio.current_task()
    runners.abandon_after_fork()
    task.uncancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.sleep(0)
    await settled()
    assert (job.log, runners.statistics()["ready"]) == ([], 0)
    job.coroutines[0].close()
