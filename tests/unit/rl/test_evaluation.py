"""Evaluation plays whole episodes, once each, on seeds of its own."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from actorrt.rl.environment import EVALUATION_KEY, describe, episode_seed
from actorrt.rl.evaluation import evaluate
from actorrt.rl.policy import MlpPolicy


def make_policy():
    policy = MlpPolicy(describe("CartPole-v1"))
    flat = policy.init(seed=1)
    flat[:] += 0.3 * np.random.default_rng(0).standard_normal(flat.shape).astype(np.float32)
    return policy


def slow_return(policy, seed):
    environment = gymnasium.make("CartPole-v1")
    obs, _ = environment.reset(seed=seed)
    total, is_over = 0.0, False
    while not is_over:
        obs, reward, terminated, truncated, _ = environment.step(policy(obs))
        total += float(reward)
        is_over = terminated or truncated
    environment.close()
    return total


def test_returns_are_those_of_episodes_played_one_by_one():
    policy = make_policy()
    result = evaluate(policy, "CartPole-v1", episodes=5, seed=3)
    alone = [slow_return(policy, episode_seed(3, EVALUATION_KEY, k, 0)) for k in range(5)]
    assert result.returns.tolist() == alone
    assert result.mean == np.mean(alone)
    assert result.std == np.std(alone)


def test_one_seed_gives_the_same_episodes_and_another_others():
    policy = make_policy()
    first, second, other = (evaluate(policy, episodes=6, seed=seed).returns.tolist() for seed in (1, 1, 2))
    assert first == second
    assert first != other


def test_no_episodes_are_refused():
    with pytest.raises(ValueError, match="at least 1 episode: episodes=0"):
        evaluate(make_policy(), episodes=0)
