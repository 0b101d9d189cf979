"""V-trace against the paper's sums and closed forms, and the gradients of A2C and IMPALA against torch's own."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from actorrt.rl.algorithms.a2c import A2CSettings, A2CUpdate
from actorrt.rl.algorithms.actor_critic import actor_critic_gradient
from actorrt.rl.algorithms.appo import APPOSettings
from actorrt.rl.algorithms.impala import IMPALASettings
from actorrt.rl.networks.network import Network
from actorrt.rl.rollouts.returns import generalised_advantages, next_values, vtrace
from actorrt.rl.rollouts.transitions import corrected_transitions, transitions
from tests.unit.rl.algorithms.test_ppo import (
    CATEGORICAL,
    COUNTING,
    GAUSSIAN,
    counted_fragment,
    make_policy,
    make_rows,
)


def random_columns(seed, shape=(13, 3)):
    rng = np.random.default_rng(seed)
    reward, value, final_value, log_ratio = (rng.standard_normal(shape).astype(np.float32) for _ in range(4))
    terminated = rng.random(shape) < 0.15
    truncated = (rng.random(shape) < 0.15) & ~terminated
    last_value = rng.standard_normal(shape[1]).astype(np.float32)
    following = next_values(value, terminated, truncated, final_value, last_value)
    return reward, value, following, terminated | truncated, log_ratio


def slow_vtrace(reward, value, following, ended, log_ratio, gamma, rho_limit, c_limit):
    """Sum equation 1 of Espeholt et al. (2018) term by term, for each start anew."""
    horizon, count = reward.shape
    target, advantage = np.zeros(reward.shape), np.zeros(reward.shape)
    for k in range(count):
        for s in range(horizon):
            target[s, k] = value[s, k]
            for t in range(s, horizon):
                product = np.prod([min(c_limit, np.exp(log_ratio[i, k])) for i in range(s, t)])
                rho = min(rho_limit, np.exp(log_ratio[t, k]))
                difference = rho * (reward[t, k] + gamma * following[t, k] - value[t, k])
                target[s, k] += gamma ** (t - s) * product * difference
                if ended[t, k]:
                    break
        for s in range(horizon):
            is_last = s == horizon - 1 or ended[s, k]
            beyond = following[s, k] if is_last else target[s + 1, k]
            advantage[s, k] = reward[s, k] + gamma * beyond - value[s, k]
    return target, advantage


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("gamma", "rho_limit", "c_limit"), [(0.99, 1.0, 1.0), (0.9, 2.0, 0.5), (1.0, 3.7, 2.2)])
def test_vtrace_equals_slow_sums_over_random_ends(seed, gamma, rho_limit, c_limit):
    columns = random_columns(seed)
    fast = vtrace(*columns, gamma=gamma, rho_limit=rho_limit, c_limit=c_limit)
    for got, expected in zip(fast, slow_vtrace(*columns, gamma, rho_limit, c_limit), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


def test_vtrace_of_the_acting_policy_is_the_n_step_return():
    reward, value, following, ended, _ = random_columns(7)
    target, advantage = vtrace(reward, value, following, ended, np.zeros_like(reward), gamma=0.95)
    expected = generalised_advantages(reward, value, following, ended, gamma=0.95, gae_lambda=1.0)
    np.testing.assert_allclose(target - value, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(advantage, expected, rtol=1e-4, atol=1e-5)


def test_vtrace_of_actions_that_are_certain_now_stays_within_its_limits():
    reward, value, following, ended, _ = random_columns(9)
    certain, likelier = (
        vtrace(reward, value, following, ended, np.full_like(reward, log_ratio), gamma=0.95) for log_ratio in (1e4, 1.0)
    )
    for got, expected in zip(certain, likelier, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_vtrace_of_impossible_actions_keeps_the_values():
    reward, value, following, ended, _ = random_columns(8)
    target, _ = vtrace(reward, value, following, ended, np.full_like(reward, -np.inf), gamma=0.95)
    np.testing.assert_array_equal(target, value)


@pytest.mark.parametrize("truncates", [False, True])
@pytest.mark.parametrize("native", [False, True])
def test_corrected_transitions_of_the_acting_policy_are_the_plain_ones(truncates, native):
    policy, fragment = counted_fragment(truncates=truncates, native=native)
    network = Network(COUNTING, policy.parameters)
    rows, rho = corrected_transitions(network, (fragment, fragment), gamma=0.9, rho_limit=1.0, c_limit=1.0)
    plain = transitions((fragment, fragment), gamma=0.9, gae_lambda=1.0)
    for name in ("obs", "action", "logp", "advantage", "target"):
        np.testing.assert_allclose(getattr(rows, name), getattr(plain, name), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(rho, np.ones(len(rows)), rtol=1e-4)


@pytest.mark.parametrize("entropy_coefficient", [0.0, 0.1])
@pytest.mark.parametrize("spec", [CATEGORICAL, GAUSSIAN])
def test_actor_critic_gradient_equals_torchs(spec, entropy_coefficient):
    policy = make_policy(spec)
    rows, network = make_rows(policy), Network(spec, policy.parameters)
    metrics = actor_critic_gradient(network, rows, rows.advantage, 0.5, entropy_coefficient)

    moved = Network(spec, policy.parameters)
    numeric, step = [], 1e-3
    for index in np.random.default_rng(0).choice(len(moved.flat), 40, replace=False):
        losses = []
        for sign in (1.0, -1.0):
            moved.flat[:] = network.flat
            moved.flat[index] += sign * step
            losses.append(actor_critic_loss(moved, rows, 0.5, entropy_coefficient))
        numeric.append((index, (losses[0] - losses[1]) / (2 * step)))
    for index, slope in numeric:
        assert float(network.gradient[index]) == pytest.approx(slope, rel=0.05, abs=2e-3)
    assert metrics["entropy"] > 0.0


def actor_critic_loss(network, rows, value_coefficient, entropy_coefficient):
    """The loss in double precision where it matters, for differences to be exact enough."""
    outputs, value = network.forward(rows.obs)
    distribution = network.distribution(outputs)
    policy_loss = -(distribution.log_probability(rows.action) * rows.advantage).mean(dtype=np.float64)
    value_loss = np.square(value.astype(np.float64) - rows.target).mean()
    entropy = distribution.entropy().mean(dtype=np.float64)
    return float(policy_loss + value_coefficient * value_loss - entropy_coefficient * entropy)


@pytest.mark.parametrize(
    "settings", [A2CSettings(hidden=(8, 8)), IMPALASettings(hidden=(8, 8)), APPOSettings(hidden=(8, 8))]
)
def test_rule_continues_exactly_from_the_state_of_another(settings):
    policy, fragment = counted_fragment()
    first = settings.update_rule(COUNTING, policy.parameters, 0)
    first((fragment,), 1.0)
    second = settings.update_rule(COUNTING, first.parameters(), 1)
    second.resume(first.state())
    for _ in range(3):
        first((fragment,), 0.5)
        second((fragment,), 0.5)
    assert (first.parameters() == second.parameters()).all()


def test_first_rmsprop_step_has_the_length_that_its_decay_gives():
    policy, fragment = counted_fragment()
    update = A2CUpdate(A2CSettings(hidden=(8, 8), learning_rate=1e-3, max_grad_norm=1e9), COUNTING, policy.parameters)
    update((fragment,), 1.0)
    moved = np.abs(update.parameters() - policy.parameters)
    # gradient / sqrt(0.01 gradient^2) is 10, wherever the gradient is much larger than epsilon.
    assert moved.max() == pytest.approx(1e-2, rel=1e-2)
