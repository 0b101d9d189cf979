"""The learner over a fake update rule and a fake parameter server: publications, counts, refusals and snapshots."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from actorrt import rl
from actorrt.rl.policies.weights import Weights
from actorrt.rl.roles.learner import Learner
from actorrt.rl.spaces.normaliser import Moments, Normaliser
from tests.unit.rl.fakes import FakeRef
from tests.unit.rl.rollouts.test_fragment_collector import fragment

PARAMETERS = np.zeros(2, np.float32)


class AddOne:
    """An update rule that adds 1 to the parameters, and notes what it is given."""

    def __init__(self, spec, parameters, seed):
        self.made_from = spec, parameters, seed
        self.thread = threading.current_thread()
        self.flat, self.updates, self.taken = parameters.copy(), [], []

    def __call__(self, fragments, remaining):
        self.flat = self.flat + np.float32(1.0)
        self.updates.append((fragments, remaining))
        return {"loss": 0.5}

    def parameters(self):
        return self.flat.copy()

    def state(self):
        return {"updates": len(self.updates)}

    def resume(self, state):
        self.taken.append(state)


class Rules:
    """Settings that make update rules, and keep them."""

    def __init__(self, rule_class=AddOne):
        self.rule_class, self.made = rule_class, []

    def update_rule(self, spec, parameters, seed):
        self.made.append(self.rule_class(spec, parameters, seed))
        return self.made[-1]


def make_server(version=0):
    return FakeRef(latest=Weights(version, PARAMETERS), publish=None)


async def started(rules, server, **arguments):
    learner = Learner(rules, "spec", server, **{"steps": 16, "seed": 7, **arguments})
    learner.context = SimpleNamespace(incarnation=1)
    await learner.on_start()
    return learner


def batch(*fragments):
    return rl.Batch(fragments, (0,) * len(fragments))


async def test_rule_is_made_in_a_thread_from_the_newest_parameters():
    rules = Rules()
    learner = await started(rules, make_server())
    await learner.state()
    assert rules.made[0].made_from == ("spec", PARAMETERS, 7)
    assert rules.made[0].thread is not threading.current_thread()
    await learner.on_stop(None)


async def test_update_publishes_the_next_version_and_returns_its_metrics():
    server, rules = make_server(version=4), Rules()
    learner = await started(rules, server)
    metrics = await learner.update(batch(fragment(), fragment(1)))
    assert metrics.pop("learn_s") >= 0.0
    assert metrics == {"loss": 0.5, "policy_version": 5, "learnt_steps": 8}
    name, parameters, version, seen = server.calls[-1]
    assert (name, parameters.tolist(), version, seen) == ("publish", [1.0, 1.0], 5, None)


async def test_counts_of_the_batch_are_published_merged():
    server = make_server()
    learner = await started(Rules(), server)
    seen = Normaliser(Moments.of(np.ones((3, 1))))
    await learner.update(batch(replace(fragment(), seen=seen), replace(fragment(1), seen=seen)))
    assert server.calls[-1][3].observations.count == 6


class NoteThreads(AddOne):
    """Notes how many threads torch has when it learns."""

    def __call__(self, fragments, remaining):
        import torch

        self.threads = torch.get_num_threads()
        return super().__call__(fragments, remaining)


async def test_update_has_the_number_of_threads_although_the_rule_was_made_in_another_thread():
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    rules = Rules(NoteThreads)
    learner = await started(rules, make_server(), threads=3)
    try:
        await learner.state()
        torch.set_num_threads(1)  # as in a thread that OpenMP has not met
        await learner.update(batch(fragment()))
        assert rules.made[0].threads == 3
    finally:
        torch.set_num_threads(before)


async def test_schedules_follow_the_share_of_steps_that_is_left():
    rules = Rules()
    learner = await started(rules, make_server())
    for _ in range(6):
        await learner.update(batch(fragment()))
    assert [remaining for _, remaining in rules.made[0].updates] == [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    metrics = await learner.update(batch(fragment()), learnt_steps=8)
    assert rules.made[0].updates[-1][1] == 0.5
    assert metrics["learnt_steps"] == 12


async def test_batch_without_a_transition_is_refused_and_changes_nothing():
    server, rules = make_server(), Rules()
    learner = await started(rules, server)
    with pytest.raises(ValueError, match=r"^a batch holds at least one transition to learn from; this one holds none$"):
        await learner.update(batch(replace(fragment(), valid=np.zeros((4, 1), bool))))
    assert [call[0] for call in server.calls] == ["latest"]
    await learner.on_stop(None)


class Diverging(AddOne):
    def parameters(self):
        return np.array([np.nan, 1.0], np.float32)


async def test_parameters_that_are_no_numbers_are_not_published():
    server = make_server()
    learner = await started(Rules(Diverging), server)
    with pytest.raises(rl.DivergedError, match="the update to version 1"):
        await learner.update(batch(fragment()))
    assert [call[0] for call in server.calls] == ["latest"]


async def test_only_the_first_of_several_learners_publishes(monkeypatch):
    group = SimpleNamespace(close=lambda: None)
    monkeypatch.setattr(Learner, "_meet", lambda self, meeting: group)
    monkeypatch.setattr(AddOne, "join", lambda self, joined: self.taken.append(joined), raising=False)
    for rank in (0, 1):
        server, rules = make_server(), Rules()
        learner = await started(rules, server, rank=rank, count=2)
        await learner.update(batch(fragment()))
        assert rules.made[0].taken == [group]
        assert [call[0] for call in server.calls] == ["latest", "publish"][: 2 - rank]


async def test_next_incarnation_resumes_the_state_of_the_snapshot():
    rules = Rules()
    first = await started(rules, make_server())
    await first.update(batch(fragment()))
    second = Learner(rules, "spec", make_server(version=1), 16)
    second.context = SimpleNamespace(incarnation=2)
    second.restore(first.snapshot())
    await second.on_start()
    await second.state()
    assert rules.made[1].taken == [{"updates": 1}]


async def test_snapshot_is_empty_until_the_rule_is_made():
    may_be_made = threading.Event()

    class Slow(AddOne):
        def __init__(self, *arguments):
            may_be_made.wait()
            super().__init__(*arguments)

    learner = await started(Rules(Slow), make_server())
    assert learner.snapshot() is None
    may_be_made.set()
    assert await learner.state() == {"updates": 0}
    assert learner.snapshot() == {"updates": 0}


async def test_rule_is_made_though_a_call_that_waited_for_it_is_cancelled():
    may_be_made = threading.Event()

    class Slow(AddOne):
        def __init__(self, *arguments):
            may_be_made.wait()
            super().__init__(*arguments)

    learner = await started(Rules(Slow), make_server())
    waiting = asyncio.ensure_future(learner.update(batch(fragment())))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    may_be_made.set()
    assert await learner.state() == {"updates": 0}


async def test_learner_takes_over_another_ones_state():
    rules = Rules()
    learner = await started(rules, make_server())
    await learner.resume({"updates": 3})
    assert rules.made[0].taken == [{"updates": 3}]


def test_run_without_steps_is_refused():
    with pytest.raises(ValueError, match=r"^a run has at least 1 step: steps=0$"):
        Learner(Rules(), "spec", make_server(), 0)


async def test_stopping_waits_for_the_rule_and_leaves_the_group():
    closed, may_be_made = [], threading.Event()

    class Slow(AddOne):
        def __init__(self, *arguments):
            may_be_made.wait()
            super().__init__(*arguments)

    learner = await started(Rules(Slow), make_server())
    learner._group = SimpleNamespace(close=lambda: closed.append(learner._making.done()))
    asyncio.get_running_loop().call_soon(may_be_made.set)
    await learner.on_stop(None)
    assert closed == [True]
