"""The evaluator over counting environments: weights, seeds of the episodes, and results."""

from __future__ import annotations

from typing import ClassVar

import pytest

from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.policies.factory import make_policy
from actorrt.rl.policies.weights import Weights
from actorrt.rl.roles.evaluator import Evaluator
from actorrt.rl.spaces.array_spaces import Box, Discrete
from tests.unit.rl.counting import CountingEnv
from tests.unit.rl.fakes import FakeRef

SPEC = PolicySpec("", Box((1,), (0.0,), (1e6,)), Discrete(2), (4,))
NEWEST = Weights(9, make_policy(SPEC).init(0))


class Watched(CountingEnv):
    """Notes which environments were made and closed, and the seeds of their episodes."""

    made: ClassVar[list[Watched]] = []
    is_closed = False

    def __init__(self):
        super().__init__(3, truncates=False)
        self.made.append(self)

    def close(self):
        self.is_closed = True


@pytest.fixture(autouse=True)
def no_environments(monkeypatch):
    monkeypatch.setattr(Watched, "made", [])


async def make_evaluator(seed=0):
    evaluator = Evaluator(SPEC, FakeRef("server", latest=NEWEST), seed, Watched)
    await evaluator.on_start()
    return evaluator


def seeds():
    return [environment.seeds for environment in Watched.made]


async def test_newest_policy_is_played_and_returned():
    evaluator = await make_evaluator()
    evaluation, weights = await evaluator.evaluate(0, episodes=2)
    assert weights is NEWEST
    assert evaluation.returns.tolist() == [6.0, 6.0]
    assert evaluation.mean == 6.0


async def test_given_weights_are_played_without_asking_for_others():
    evaluator = await make_evaluator()
    evaluation = await evaluator.play(0, Weights(2, NEWEST.parameters), episodes=1)
    assert evaluation.returns.tolist() == [6.0]
    assert evaluator._params.calls == []
    assert evaluator._policy.version == 2


async def test_episodes_follow_from_the_seed_and_the_number_of_the_evaluation():
    evaluator = await make_evaluator()
    for number in (0, 1, 0):
        await evaluator.play(number, NEWEST, episodes=1)
    ((first, second, again),) = seeds()
    assert first == again != second
    other = await make_evaluator(seed=1)
    await other.play(0, NEWEST, episodes=1)
    assert seeds()[1][0] != first


async def test_environments_are_kept_between_evaluations_and_closed_at_the_end():
    evaluator = await make_evaluator()
    for number in range(2):
        await evaluator.play(number, NEWEST, episodes=2)
    assert [environment.is_closed for environment in Watched.made] == [False, False]
    await evaluator.on_stop(None)
    assert [environment.is_closed for environment in Watched.made] == [True, True]


async def test_evaluation_of_no_episode_is_refused():
    evaluator = await make_evaluator()
    with pytest.raises(ValueError, match="episodes is at least 1: episodes=0"):
        await evaluator.play(0, NEWEST, episodes=0)


async def test_evaluator_keeps_to_its_limit_of_steps():
    evaluator = Evaluator(SPEC, FakeRef("server", latest=NEWEST), 0, Watched, 4)
    await evaluator.on_start()
    evaluation, _ = await evaluator.evaluate(0, episodes=2)
    assert (evaluation.returns.tolist(), evaluation.unfinished) == ([3.0, 3.0], 2)


async def test_evaluator_samples_actions_if_it_is_told_to(monkeypatch):
    sampled = []
    evaluator = Evaluator(SPEC, FakeRef("server", latest=NEWEST), 0, Watched, deterministic=False)
    act = evaluator._policy.act
    monkeypatch.setattr(
        evaluator._policy, "act", lambda features, rng: sampled.append(len(features)) or act(features, rng)
    )
    await evaluator.play(0, NEWEST, episodes=2)
    assert sampled == [2, 2, 2]
