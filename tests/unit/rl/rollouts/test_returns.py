"""Advantages against slow, obvious code and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorrt.rl.rollouts.returns import generalised_advantages, next_values


def slow_advantages(reward, value, terminated, truncated, final_value, last_value, gamma, gae_lambda):
    """Sum the temporal-difference errors of each environment one by one, as the definition reads."""
    horizon, count = reward.shape
    advantage = np.zeros((horizon, count))
    for k in range(count):
        for t in range(horizon):
            weight = 1.0
            for later in range(t, horizon):
                if terminated[later, k]:
                    following = 0.0
                elif truncated[later, k]:
                    following = final_value[later, k]
                elif later + 1 < horizon:
                    following = value[later + 1, k]
                else:
                    following = last_value[k]
                advantage[t, k] += weight * (reward[later, k] + gamma * following - value[later, k])
                if terminated[later, k] or truncated[later, k]:
                    break
                weight *= gamma * gae_lambda
    return advantage


def fast_advantages(reward, value, terminated, truncated, final_value, last_value, gamma, gae_lambda):
    following = next_values(value, terminated, truncated, final_value, last_value)
    return generalised_advantages(reward, value, following, terminated | truncated, gamma=gamma, gae_lambda=gae_lambda)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("gamma", "gae_lambda"), [(0.98, 0.8), (1.0, 1.0), (0.99, 0.0), (0.0, 0.9)])
def test_advantages_equal_slow_sums_over_random_ends(seed, gamma, gae_lambda):
    rng = np.random.default_rng(seed)
    shape = (17, 3)
    reward, value, final_value = (rng.standard_normal(shape).astype(np.float32) for _ in range(3))
    terminated = rng.random(shape) < 0.15
    truncated = (rng.random(shape) < 0.15) & ~terminated
    last_value = rng.standard_normal(3).astype(np.float32)
    arguments = (reward, value, terminated, truncated, final_value, last_value, gamma, gae_lambda)
    np.testing.assert_allclose(fast_advantages(*arguments), slow_advantages(*arguments), rtol=1e-4, atol=1e-5)


@given(
    shape=st.tuples(st.integers(1, 6), st.integers(1, 3)),
    gamma=st.sampled_from([0.0, 0.5, 0.99, 1.0]),
    gae_lambda=st.sampled_from([0.0, 0.9, 1.0]),
    ends=st.sampled_from([0.0, 0.3, 0.9]),
    seed=st.integers(0, 999),
)
def test_advantages_equal_slow_sums_whatever_the_shape_and_where_an_end_is_both_kinds(
    shape, gamma, gae_lambda, ends, seed
):
    rng = np.random.default_rng(seed)
    reward, value, final_value = (rng.standard_normal(shape).astype(np.float32) for _ in range(3))
    terminated, truncated = rng.random(shape) < ends, rng.random(shape) < ends
    last_value = rng.standard_normal(shape[1]).astype(np.float32)
    arguments = (reward, value, terminated, truncated, final_value, last_value, gamma, gae_lambda)
    found = fast_advantages(*arguments)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, slow_advantages(*arguments), rtol=1e-4, atol=1e-5)


def slow_lambda_returns(reward, value, terminated, truncated, final_value, last_value, gamma, gae_lambda):
    """Weight the n-step returns of each start by (1 - lambda) lambda^(n - 1), the last by what is left."""
    horizon, count = reward.shape
    returns = np.zeros((horizon, count))
    for k in range(count):
        for t in range(horizon):
            n_step, collected, discount = [], 0.0, 1.0
            for later in range(t, horizon):
                collected += discount * reward[later, k]
                discount *= gamma
                following = value[later + 1, k] if later + 1 < horizon else last_value[k]
                if terminated[later, k]:
                    following = 0.0
                elif truncated[later, k]:
                    following = final_value[later, k]
                n_step.append(collected + discount * following)
                if terminated[later, k] or truncated[later, k]:
                    break
            weights = [(1.0 - gae_lambda) * gae_lambda**n for n in range(len(n_step) - 1)]
            weights.append(gae_lambda ** (len(n_step) - 1))
            returns[t, k] = np.dot(weights, n_step)
    return returns


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("gamma", "gae_lambda"), [(0.98, 0.8), (0.9, 1.0), (0.99, 0.0)])
def test_values_and_advantages_are_lambda_returns(seed, gamma, gae_lambda):
    rng = np.random.default_rng(seed)
    shape = (11, 2)
    reward, value, final_value = (rng.standard_normal(shape).astype(np.float32) for _ in range(3))
    terminated = rng.random(shape) < 0.15
    truncated = (rng.random(shape) < 0.15) & ~terminated
    last_value = rng.standard_normal(2).astype(np.float32)
    arguments = (reward, value, terminated, truncated, final_value, last_value, gamma, gae_lambda)
    np.testing.assert_allclose(
        value + fast_advantages(*arguments), slow_lambda_returns(*arguments), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("end", ["terminated", "truncated", "none"])
def test_lambda_one_with_zero_values_is_the_discounted_return(end):
    horizon, gamma = 5, 0.5
    zeros = np.zeros((horizon, 1), np.float32)
    flags = {"terminated": zeros.astype(bool), "truncated": zeros.astype(bool)}
    if end in flags:
        flags[end] = flags[end].copy()
        flags[end][-1] = True
    advantage = fast_advantages(
        np.ones_like(zeros),
        zeros,
        flags["terminated"],
        flags["truncated"],
        zeros + 8.0,
        np.array([4.0], np.float32),
        gamma,
        1.0,
    )
    after = {"terminated": 0.0, "truncated": 8.0, "none": 4.0}[end]
    discounted = sum(gamma**t for t in range(horizon)) + gamma**horizon * after
    assert advantage[0, 0] == pytest.approx(discounted)


def test_constant_value_of_an_endless_reward_has_no_advantage():
    gamma = 0.9
    value = np.full((6, 2), 1.0 / (1.0 - gamma), np.float32)
    never = np.zeros((6, 2), bool)
    advantage = fast_advantages(np.ones_like(value), value, never, never, value, value[0], gamma, 0.95)
    np.testing.assert_allclose(advantage, 0.0, atol=1e-5)


def test_nothing_passes_an_end_backwards():
    reward = np.array([[0.0], [0.0], [100.0]], np.float32)
    ended = np.array([[False], [True], [False]])
    zeros = np.zeros_like(reward)
    advantage = fast_advantages(reward, zeros, ended, zeros.astype(bool), zeros, zeros[0], 1.0, 1.0)
    assert advantage.tolist() == [[0.0], [0.0], [100.0]]
