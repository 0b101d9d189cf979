"""The life of every run's loop, over a fake supervisor: its end, its cause, its progress and its checkpoints."""

from __future__ import annotations

import asyncio
import errno
import math
from types import SimpleNamespace

import pytest

import actorrt as art
from actorrt.reasons import ExitKind
from actorrt.rl.algorithms.a2c import A2CSettings
from actorrt.rl.foundation.failures import DEATHS_LIMIT
from actorrt.rl.records import checkpoint
from actorrt.rl.runs import loop as loop_module
from actorrt.rl.runs.loop import RunLoop
from tests.unit.rl.fakes import Clock, FakeRef, FakeReply
from tests.unit.rl.runs.running import WEIGHTS, FakeSupervisor, make_loop, make_plan

COUNTS = {"simulators_alive": 2, "simulators_restarted": 0}


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(loop_module, "time", SimpleNamespace(monotonic=clock))
    return clock


@pytest.fixture
def down(monkeypatch):
    """The monitor of the supervisor."""
    down = FakeReply()
    monkeypatch.setattr(art, "monitor", lambda ref: down)
    return down


def make(train, tmp_path, **more):
    class Trained(RunLoop):
        supervisor_options = {"max_concurrency": 3}  # noqa: RUF012  # as loops declare theirs

        async def _train(self, supervisor):
            await train(self, supervisor)

    supervisor = FakeSupervisor()
    return supervisor, *make_loop(Trained, make_plan(**more), supervisor, tmp_path)


async def test_supervisor_is_started_for_the_plan_and_stopped_at_the_end(down, tmp_path):
    trained = []

    async def train(loop, supervisor):
        trained.append(supervisor)

    supervisor, loop, _ = make(train, tmp_path)
    await loop.run(lambda: False)
    assert supervisor.spawned == [(loop._plan, {"max_concurrency": 3})]
    assert trained == [supervisor.ref]
    assert supervisor.ref.calls == [("stop",)]
    assert down.is_cancelled


KILLED = art.ActorStartError("simulator-0 did not start", reason=art.ExitReason(ExitKind.KILLED, "SIGKILL"))


async def run_with_failed_starts(failures, tmp_path):
    async def train(loop, supervisor):
        pass

    class Trained(RunLoop):
        _train = train

    supervisor = FakeSupervisor(*failures)
    loop, _ = make_loop(Trained, make_plan(), supervisor, tmp_path)
    try:
        await loop.run(lambda: False)
    finally:
        assert len(supervisor.spawned) == min(len(failures) + 1, DEATHS_LIMIT)


async def test_roles_are_started_again_if_a_process_ends_in_its_first_start(down, tmp_path, caplog):
    await run_with_failed_starts([KILLED], tmp_path)
    assert "the roles of the run are started again: simulator-0 did not start" in caplog.text


async def test_processes_that_end_in_their_first_starts_again_and_again_end_the_run(tmp_path):
    text = r"^a role that was starting died 6 times in a row: simulator-0 did not start$"
    with pytest.raises(art.ActorDiedError, match=text):
        await run_with_failed_starts([KILLED] * DEATHS_LIMIT, tmp_path)


async def test_error_in_the_first_start_of_a_role_ends_the_run(tmp_path):
    _, loop, _ = make(None, tmp_path)
    loop.supervisor_class = FakeSupervisor(art.ActorStartError("no such world"))
    with pytest.raises(art.ActorStartError, match="no such world"):
        await loop.run(lambda: False)


async def test_supervisor_is_stopped_when_training_raises(down, tmp_path):
    async def train(loop, supervisor):
        raise ZeroDivisionError("in step")

    supervisor, loop, _ = make(train, tmp_path)
    with pytest.raises(ZeroDivisionError, match="in step"):
        await loop.run(lambda: False)
    assert supervisor.ref.calls == [("stop",)]


async def test_end_of_the_supervisor_is_raised_in_place_of_its_consequences(down, tmp_path):
    consequence = art.ActorDiedError("simulator 0 is gone")
    down.set_value(art.Down(FakeRef(), art.ExitReason(ExitKind.CRASHED), incarnation=1))

    async def train(loop, supervisor):
        raise consequence

    _, loop, _ = make(train, tmp_path)
    with pytest.raises(art.ActorDiedError, match="the supervisor of the run is gone: crashed") as raised:
        await loop.run(lambda: False)
    assert raised.value.__cause__ is consequence


async def test_lost_node_is_told_though_the_supervisor_can_not_be_stopped(down, tmp_path):
    lost = art.ActorDiedError("the node is gone", reason=art.ExitReason(ExitKind.NODE_LOST))
    down.set_error(lost)

    async def train(loop, supervisor):
        raise art.RuntimeStateError("no runtime")

    supervisor, loop, _ = make(train, tmp_path)
    supervisor.ref._answers["stop"] = art.RuntimeStateError("no runtime")
    with pytest.raises(art.ActorDiedError) as raised:
        await loop.run(lambda: False)
    assert raised.value is lost


async def test_each_update_becomes_a_row_and_is_told_to_callbacks(clock, down, tmp_path):
    async def train(loop, supervisor):
        loop._begin_work()
        for number, returned in enumerate((10.0, 20.0), start=1):
            clock.now += 2.0
            loop._record.steps += 100
            loop._record.episode_returns.append(returned)
            await loop._report({"loss": 0.5 / number}, COUNTS, ((0, 1, 77),), policy_lag=0.25)

    _, loop, told = make(train, tmp_path, steps=1_000)
    await loop.run(lambda: False)
    first, second = told.progress
    assert (first.update, first.steps, first.total_steps, first.seconds, first.return_mean) == (
        1,
        100,
        1_000,
        2.0,
        10.0,
    )
    assert (second.update, second.steps, second.seconds, second.return_mean) == (2, 200, 4.0, 15.0)
    assert (second.policy_lag, second.trained_on, second.metrics) == (0.25, ((0, 1, 77),), {"loss": 0.25})
    assert (second.simulators, second.simulators_alive, second.evaluation) == (2, 2, None)
    assert [(row["update"], row["steps"]) for row in loop._record.rows] == [(1, 100), (2, 200)]
    assert told.events == ["update", "update"]


async def test_steps_per_second_are_those_of_the_last_three_seconds(clock, down, tmp_path):
    async def train(loop, supervisor):
        loop._begin_work()
        for steps in (0, 100, 200, 300, 1_300):
            clock.now += 1.0
            loop._record.steps = steps
            await loop._report({}, COUNTS, ())

    _, loop, told = make(train, tmp_path)
    await loop.run(lambda: False)
    assert [progress.steps_per_s for progress in told.progress] == [0.0, 50.0, pytest.approx(200 / 3), 100.0, 400.0]


async def test_restarts_are_told_once_each(down, tmp_path):
    async def train(loop, supervisor):
        loop._begin_work()
        for restarts in (0, 1, 1, 2):
            await loop._report({}, {**COUNTS, "simulators_restarted": restarts}, ())

    _, loop, told = make(train, tmp_path)
    await loop.run(lambda: False)
    assert told.events == ["update", "update", "restart", "update", "update", "restart"]


async def test_run_is_over_when_its_steps_are_used_up_or_it_is_told_to_end(down, tmp_path):
    should_end, over = [False], []

    async def train(loop, supervisor):
        for loop._record.steps, should_end[0] in ((15, False), (16, False), (0, True)):
            over.append(loop._is_over())

    _, loop, _ = make(train, tmp_path)
    await loop.run(lambda: should_end[0])
    assert over == [False, True, True]


async def test_checkpoint_is_due_after_its_period(clock, down, tmp_path):
    due = []

    async def train(loop, supervisor):
        for clock.now in (29.9, 30.0):
            due.append(loop._is_checkpoint_due())

    _, loop, _ = make(train, tmp_path)
    await loop.run(lambda: False)
    assert due == [False, True]


async def test_checkpoint_between_updates_that_can_not_be_written_is_told_once_and_the_last_one_is_an_error(
    down, tmp_path, monkeypatch, caplog
):
    def refuse(directory, tree):
        raise OSError(errno.ENOSPC, "No space left on device")

    async def train(loop, supervisor):
        monkeypatch.setattr(checkpoint, "save", refuse)
        await loop._write({}, may_fail=True)
        await loop._write({}, may_fail=True)
        await loop._write({})

    _, loop, told = make(train, tmp_path)
    with pytest.raises(OSError, match=r"the checkpoint can't be written \(No space left on device\): '.*checkpoint'"):
        await loop.run(lambda: False)
    assert caplog.text.count("the run goes on without a new checkpoint") == 1
    assert told.events == []


async def test_checkpoint_is_written_and_told(down, tmp_path):
    async def train(loop, supervisor):
        await loop._write({"record": 1})

    _, loop, told = make(train, tmp_path)
    await loop.run(lambda: False)
    assert checkpoint.load(str(tmp_path)) == {"record": 1}
    assert told.events == ["checkpoint"]


@pytest.mark.parametrize(
    ("steps", "best", "is_reached", "is_told", "waits"),
    [
        (8, None, False, True, [("finish", 5.0)]),
        (8, "best", False, True, []),
        (16, "best", False, False, [("finish", 30.0)]),
        (16, "best", False, True, [("finish", 5.0)]),
        (8, "best", True, True, [("finish", 5.0)]),
    ],
)
async def test_paused_run_with_a_best_policy_is_not_evaluated(down, tmp_path, steps, best, is_reached, is_told, waits):
    evaluations = FakeRef(finish=None)

    async def train(loop, supervisor):
        loop._record.steps = steps
        loop._selection = SimpleNamespace(chosen=best, is_reached=is_reached, give_up=lambda newest: None)
        loop._evaluations = evaluations
        await loop._finish()

    _, loop, _ = make(train, tmp_path)
    await loop.run(lambda: is_told)
    assert evaluations.calls == [*waits, ("cancel",)]


@pytest.mark.parametrize(("wait_s", "waits"), [(None, 5.0), (1.0, 1.0)])
async def test_run_that_is_told_to_end_waits_for_evaluations_no_longer_than_else(down, tmp_path, wait_s, waits):
    evaluations = FakeRef(finish=None)

    async def train(loop, supervisor):
        loop._evaluations = evaluations
        await loop._finish()

    _, loop, _ = make(train, tmp_path, settings=A2CSettings(evaluation_wait_s=wait_s))
    await loop.run(lambda: True)
    assert evaluations.calls == [("finish", waits), ("cancel",)]


async def test_newest_policy_is_the_best_if_none_was_evaluated_by_the_end(down, tmp_path):
    async def train(loop, supervisor):
        loop._note_newest(WEIGHTS)
        assert loop._selection.chosen is None
        loop._evaluations = FakeRef(finish=None)
        await loop._finish()

    _, loop, _ = make(train, tmp_path)
    await loop.run(lambda: False)
    assert loop._selection.chosen is WEIGHTS
    assert loop._selection.state()["best"] is None  # a resumed run evaluates


@pytest.mark.parametrize("has_saved", [True, False])
async def test_policy_of_the_last_checkpoint_is_the_best_of_a_run_that_is_cut_off(has_saved, down, tmp_path):
    later, evaluations = WEIGHTS._replace(version=4), FakeRef(cancel=None)

    async def train(loop, supervisor):
        loop._note_newest(loop._plan.weights)
        if has_saved:
            loop._note_newest(later)
        loop._evaluations = SimpleNamespace(cancel=lambda: evaluations.cancel())
        raise asyncio.CancelledError

    _, loop, _ = make(train, tmp_path)
    with pytest.raises(asyncio.CancelledError):
        await loop.run(lambda: False)
    assert loop._selection.chosen is (later if has_saved else None)
    assert evaluations.calls == [("cancel",)]


async def test_newest_policy_is_the_best_at_once_without_evaluations(down, tmp_path):
    later, chosen = WEIGHTS._replace(version=4), []

    async def train(loop, supervisor):
        await loop._prepare_evaluations(supervisor)
        chosen.append(loop._selection.chosen)
        loop._note_newest(later)
        chosen.append(loop._selection.chosen)
        await loop._finish()

    supervisor, loop, _ = make(train, tmp_path, settings=A2CSettings(evaluate_every=None))
    await loop.run(lambda: False)
    assert chosen == [WEIGHTS, later]
    assert supervisor.ref.calls == [("stop",)]  # no evaluator was asked for


def test_run_that_is_told_to_end_before_its_evaluator_is_known_goes_on(tmp_path):
    async def told():
        _, loop, _ = make(None, tmp_path)
        loop.hurry()

    asyncio.run(told())


def test_loop_keeps_its_simulators_unless_it_says_otherwise(tmp_path):
    _, loop, _ = make(None, tmp_path)
    with pytest.raises(
        ValueError, match=r"^A2C can't change the number of its simulators during a run; ARS and ES can$"
    ):
        loop.resize(3)


async def test_return_before_the_first_episode_is_no_number(down, tmp_path):
    async def train(loop, supervisor):
        loop._begin_work()
        await loop._report({}, COUNTS, ())

    _, loop, told = make(train, tmp_path)
    await loop.run(lambda: False)
    assert math.isnan(told.progress[0].return_mean)
