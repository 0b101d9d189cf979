"""Evaluations beside the training, over a fake evaluator: when they begin, their results, and how failures count."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace

import numpy as np
import pytest

import actorrt as art
from actorrt.rl.environments.env_failures import UnplayableError
from actorrt.rl.foundation.failures import DEATHS_LIMIT, RAISES_LIMIT
from actorrt.rl.policies.weights import Weights
from actorrt.rl.records.run_record import RunRecord
from actorrt.rl.records.selection import Selection
from actorrt.rl.rollouts.evaluation import Evaluation
from actorrt.rl.runs.callbacks import Callback, Callbacks
from actorrt.rl.runs.evaluations import Evaluations
from tests.unit.rl.fakes import FakeRef, unavailable

RUN = SimpleNamespace(progress=None)
WEIGHTS = Weights(4, np.zeros(2, np.float32))


def result(value):
    return Evaluation(np.array([value, value]))


class Heard(Callback):
    """Notes which evaluations it was told of."""

    def __init__(self):
        self.evaluations = []

    def on_evaluation(self, run, steps, evaluation):
        self.evaluations.append((run, steps, evaluation.mean))


def make(evaluator, *, every=10, stop_return=None, newest=None, **more):
    record, heard, selection = RunRecord(), Heard(), Selection(every, stop_return)
    evaluations = Evaluations(evaluator, selection, record, Callbacks(RUN, [heard]), 3, newest, **more)
    return evaluations, record, selection, heard


async def test_cancelled_evaluation_is_forgotten():
    evaluator = FakeRef("evaluator")
    evaluations, record, selection, _ = make(evaluator)
    evaluations.cancel()
    record.steps = 10
    await evaluations.look()
    evaluations.cancel()
    evaluations.cancel()
    assert evaluator.open[0].is_cancelled
    await evaluations.look()
    assert (record.evaluations, selection.chosen) == ([], None)


async def test_evaluation_begins_when_it_is_due_and_is_taken_in_when_it_has_ended():
    evaluator = FakeRef("evaluator")
    evaluations, record, selection, heard = make(evaluator)
    await evaluations.look()
    assert evaluator.calls == []
    record.steps = 10
    await evaluations.look()
    record.steps = 15
    await evaluations.look()
    assert evaluator.calls == [("evaluate", 0, 3)]
    assert record.evaluations == []
    evaluator.open[0].set_value((result(7.0), WEIGHTS))
    await evaluations.look()
    assert record.evaluations == [(10, 7.0)]
    assert heard.evaluations == [(RUN, 10, 7.0)]
    assert selection.best.weights is WEIGHTS
    assert len(evaluator.calls) == 1


async def test_newest_weights_are_played_where_the_caller_has_them():
    evaluator = FakeRef("evaluator", play=result(7.0))
    evaluations, record, selection, _ = make(evaluator, newest=lambda: WEIGHTS)
    record.steps = 10
    await evaluations.look()
    await evaluations.look()
    assert evaluator.calls == [("play", 0, WEIGHTS, 3)]
    assert selection.best.weights is WEIGHTS


async def test_last_policy_is_evaluated_at_the_end_and_only_once():
    evaluator = FakeRef("evaluator", evaluate=(result(7.0), WEIGHTS))
    evaluations, record, _, _ = make(evaluator)
    record.steps = 4
    await evaluations.finish(None)
    await evaluations.finish(None)
    assert record.evaluations == [(4, 7.0)]
    assert evaluator.calls == [("evaluate", 0, 3)]


async def test_policy_that_seems_to_reach_the_return_is_played_again_on_other_episodes():
    evaluator = FakeRef("evaluator", evaluate=(result(7.0), WEIGHTS), play=result(6.5))
    evaluations, record, selection, _ = make(evaluator, stop_return=6.0)
    record.steps = 4
    await evaluations.finish(None)
    assert evaluator.calls == [("evaluate", 0, 3), ("play", 1, WEIGHTS, 3)]
    assert record.evaluations == [(4, 7.0), (4, 6.5)]
    assert selection.is_reached
    assert selection.best.score == 6.5


async def look_until_it_raises(evaluations, record):
    for record.steps in range(1, 100):
        await evaluations.look()


async def test_evaluator_that_dies_again_and_again_ends_the_run():
    evaluations, record, _, _ = make(FakeRef("evaluator", evaluate=unavailable("killed")), every=1)
    with pytest.raises(art.ActorDiedError, match=r"^the evaluator died 6 times in a row: .*killed"):
        await look_until_it_raises(evaluations, record)
    assert record.steps == DEATHS_LIMIT + 1


async def test_error_of_an_environment_is_logged_and_the_third_in_a_row_raised(caplog):
    error = ZeroDivisionError("in step")
    error.add_note("an evaluation, episode 2")
    evaluations, record, _, _ = make(FakeRef("evaluator", evaluate=error), every=1)
    with caplog.at_level(logging.WARNING), pytest.raises(ZeroDivisionError) as raised:
        await look_until_it_raises(evaluations, record)
    assert raised.value is error
    assert record.steps == RAISES_LIMIT + 1
    line = "an evaluation, episode 2: ZeroDivisionError: in step; the evaluation is skipped"
    assert [entry.getMessage() for entry in caplog.records] == [line] * 2


async def test_evaluations_of_episodes_that_can_not_be_played_are_skipped_and_told_once(caplog):
    evaluator = FakeRef("evaluator", evaluate=UnplayableError("an episode was played 20 times"))
    evaluations, record, selection, heard = make(evaluator, every=1)
    with caplog.at_level(logging.WARNING):
        for _ in range(3 * RAISES_LIMIT):
            record.steps += 1
            await evaluations.look()
    assert len(evaluator.calls) == 3 * RAISES_LIMIT
    assert (record.evaluations, selection.best, heard.evaluations) == ([], None, [])
    (told,) = caplog.records
    assert told.getMessage().startswith("UnplayableError: an episode was played 20 times; the evaluation is skipped. ")


async def test_first_error_of_an_environment_is_raised_where_the_limit_is_one():
    error = ZeroDivisionError("in step")
    evaluations, record, _, _ = make(FakeRef("evaluator", evaluate=error), every=1, raises_limit=1)
    with pytest.raises(ZeroDivisionError):
        await look_until_it_raises(evaluations, record)
    assert record.steps == 2


async def test_error_of_the_runtime_ends_the_run_at_once():
    evaluations, record, _, _ = make(FakeRef("evaluator", evaluate=art.ActorDiedError("stopped")))
    record.steps = 10
    await evaluations.look()
    with pytest.raises(art.ActorDiedError, match="stopped"):
        await evaluations.look()


# The end of a run


async def test_evaluation_that_does_not_end_is_given_up_and_a_policy_in_doubt_is_the_best(caplog):
    evaluator = FakeRef("evaluator", evaluate=(result(7.0), WEIGHTS))
    evaluations, record, selection, _ = make(evaluator, stop_return=6.0)
    record.steps = 4
    with caplog.at_level(logging.WARNING):
        await evaluations.finish(0.0)
    assert [call[0] for call in evaluator.calls] == ["evaluate", "play"]
    assert [reply.is_cancelled for reply in evaluator.open] == [True]
    line = "the evaluation of the last policy was given up: it did not end in time; the best one is that of an earlier"
    assert [entry.getMessage() for entry in caplog.records] == [f"{line} evaluation"]
    selection.give_up(None)
    assert (selection.best.score, selection.is_reached) == (7.0, False)


async def test_evaluation_under_way_is_not_waited_for_beyond_the_limit(caplog):
    evaluator = FakeRef("evaluator")
    evaluations, record, selection, _ = make(evaluator)
    record.steps = 10
    await evaluations.look()
    with caplog.at_level(logging.WARNING):
        await evaluations.finish(0.0)
    assert evaluator.calls == [("evaluate", 0, 3)]
    assert evaluator.open[0].is_cancelled
    assert selection.best is None
    assert caplog.records[0].getMessage().endswith("it did not end in time; it counts as the best one")


async def test_evaluation_that_ends_in_time_is_recorded():
    evaluator = FakeRef("evaluator")
    evaluations, record, _, _ = make(evaluator)
    record.steps = 4
    finishing = asyncio.create_task(evaluations.finish(60.0))
    await asyncio.sleep(0)
    evaluator.open[0].set_value((result(7.0), WEIGHTS))
    await finishing
    assert record.evaluations == [(4, 7.0)]


@pytest.mark.parametrize("wait_s", [None, 60.0])
async def test_wait_for_the_last_evaluation_can_be_cut_short(wait_s):
    evaluator = FakeRef("evaluator")
    evaluations, _, _, _ = make(evaluator)
    finishing = asyncio.create_task(evaluations.finish(wait_s))
    await asyncio.sleep(0)
    evaluations.hurry(0.0)
    await finishing
    assert evaluator.open[0].is_cancelled


async def test_wait_is_never_made_longer():
    evaluations, _, _, _ = make(FakeRef("evaluator"))
    finishing = asyncio.create_task(evaluations.finish(0.0))
    await asyncio.sleep(0)
    evaluations.hurry(60.0)
    async with asyncio.timeout(10.0):
        await finishing


@pytest.mark.parametrize(
    ("failure", "count", "why"),
    [
        (unavailable("killed"), DEATHS_LIMIT, "ActorDiedError: the evaluator died 6 times in a row: killed"),
        (ZeroDivisionError("in step"), RAISES_LIMIT, "ZeroDivisionError: in step"),
        (art.ActorDiedError("stopped"), 1, "ActorDiedError: stopped"),
        (UnplayableError("20 times"), 1, "UnplayableError: 20 times"),
    ],
)
async def test_evaluator_that_fails_does_not_fail_a_run_that_is_trained(caplog, failure, count, why):
    evaluator = FakeRef("evaluator", evaluate=failure)
    evaluations, record, selection, _ = make(evaluator)
    record.steps = 4
    with caplog.at_level(logging.WARNING):
        await evaluations.finish(60.0)
    assert len(evaluator.calls) == count
    assert selection.best is None
    line = caplog.records[-1].getMessage()
    assert line.startswith(f"the evaluation of the last policy was given up: {why}")
    assert line.endswith("; it counts as the best one")


async def test_first_error_of_an_environment_ends_even_a_trained_run_where_that_is_wanted():
    error = ZeroDivisionError("in step")
    record, evaluator = RunRecord(steps=4), FakeRef("evaluator", evaluate=error)
    evaluations = Evaluations(evaluator, Selection(10, None), record, Callbacks(RUN, []), 3, raises_limit=1)
    with pytest.raises(ZeroDivisionError):
        await evaluations.finish(60.0)


async def test_error_of_a_callback_is_no_failed_evaluation():
    evaluations, record, _, heard = make(FakeRef("evaluator", evaluate=(result(7.0), WEIGHTS)))
    record.steps = 4
    heard.on_evaluation = None  # is called, which raises
    with pytest.raises(TypeError, match="not callable"):
        await evaluations.finish(60.0)


async def test_nothing_is_evaluated_without_an_evaluator():
    evaluations, record, selection, _ = make(None, every=None)
    record.steps = 1_000
    await evaluations.look()
    await evaluations.finish(None)
    assert (record.evaluations, selection.count) == ([], 0)


async def test_episodes_that_were_cut_off_are_told_once(caplog):
    cut = Evaluation(np.array([7.0, 7.0]), unfinished=1)
    evaluator = FakeRef("evaluator", evaluate=(cut, WEIGHTS))
    evaluations, record, selection, _ = make(evaluator, every=1, stop_return=6.0)
    with caplog.at_level(logging.WARNING):
        for record.steps in (1, 2, 3):
            await evaluations.look()
    assert record.evaluations == [(1, 7.0), (2, 7.0)]
    assert (selection.is_reached, selection.in_doubt, selection.best.score) == (False, None, 7.0)
    line = "evaluation_steps cut off 1 of 2 episodes of an evaluation: their returns are those of the steps that were"
    assert [entry.getMessage() for entry in caplog.records] == [
        f"{line} played, and do not show that a policy reaches stop_return"
    ]
