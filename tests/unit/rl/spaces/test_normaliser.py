"""Moments merged by counts are those of all rows together; normalised observations and rewards follow from them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorrt.rl.environments.seeded_environments import SeededEnvironments
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.policies.numpy_policy import LinearPolicy, MlpPolicy
from actorrt.rl.rollouts.sampler import Sampler
from actorrt.rl.spaces.array_spaces import Box, Discrete
from actorrt.rl.spaces.normaliser import EPSILON, LIMIT, Moments, Normaliser, merged
from tests.unit.rl.counting import CountingEnv

SPEC = PolicySpec("", Box((1,), (0.0,), (1e6,)), Discrete(2), (8, 8))


@given(cuts=st.lists(st.integers(0, 50), max_size=5), seed=st.integers(0, 99))
def test_merged_moments_are_those_of_all_rows_however_they_were_split(cuts, seed):
    rows = np.random.default_rng(seed).normal(1e3, 3.0, (50, 3))
    whole = Moments.nothing(3)
    for part in np.split(rows, sorted(cuts)):
        whole = whole.merged(Moments.of(part))
    assert whole.count == 50
    np.testing.assert_allclose(whole.mean, rows.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(whole.deviation, rows.std(axis=0), rtol=1e-6)


@given(
    counts=st.lists(st.integers(0, 9), min_size=1, max_size=8),
    chance=st.randoms(use_true_random=False),
    seed=st.integers(0, 99),
)
def test_parts_merged_in_any_order_and_grouping_are_one_pass_over_all_rows(counts, chance, seed):
    rng = np.random.default_rng(seed)
    parts = [rng.normal(rng.uniform(-50.0, 50.0), 3.0, (count, 2)) for count in counts]
    moments = [Normaliser(Moments.of(part), Moments.of(part[:, :1])) for part in parts]
    while len(moments) > 1:
        first = moments.pop(chance.randrange(len(moments)))
        second = moments.pop(chance.randrange(len(moments)))
        moments.insert(chance.randrange(len(moments) + 1), first.merged(second))
    rows = np.concatenate(parts)
    for found, expected in ((moments[0].observations, rows), (moments[0].returns, rows[:, :1])):
        assert found.count == len(rows)
        if len(rows):
            np.testing.assert_allclose(found.mean, expected.mean(axis=0), rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(found.deviation, np.sqrt(expected.var(axis=0) + EPSILON), rtol=1e-9)


def test_normalised_rows_have_mean_0_and_deviation_1_within_the_limit():
    rows = np.random.default_rng(0).normal(50.0, 4.0, (1000, 2)).astype(np.float32)
    normaliser = Normaliser(Moments.of(rows))
    normalised = normaliser.normalise(rows)
    assert normalised.dtype == np.float32
    assert np.abs(normalised.mean(axis=0)).max() < 1e-3
    assert np.abs(normalised.std(axis=0) - 1.0).max() < 1e-3
    assert normaliser.normalise(np.array([[1e9, -1e9]], np.float32)).tolist() == [[LIMIT, -LIMIT]]


def test_normaliser_without_data_changes_nothing_within_the_limit():
    normaliser = Normaliser.nothing(2, observations=True, rewards=True)
    rows = np.array([[1.0, -2.0]], np.float32)
    assert normaliser.normalise(rows).tolist() == rows.tolist()
    assert normaliser.scale_rewards(rows).tolist() == rows.tolist()
    assert Normaliser.nothing(2, observations=False, rewards=False) is None


def test_rewards_are_divided_by_the_deviation_of_returns_and_keep_their_sign():
    normaliser = Normaliser(returns=Moments.of(np.array([[0.0], [8.0]])))
    assert normaliser.scale_rewards(np.array([-4.0, 2.0], np.float32)).tolist() == [-1.0, 0.5]


def test_parts_that_count_nothing_are_left_out_of_the_merge():
    first, second = Normaliser(Moments.of(np.ones((2, 1)))), Normaliser(Moments.of(np.zeros((2, 1))))
    assert merged([None, first, None, second]).observations.mean.tolist() == [0.5]
    assert merged([None]) is None


def test_arrays_rebuild_the_normaliser():
    normaliser = Normaliser(Moments.of(np.arange(6.0).reshape(3, 2)), None)
    again = Normaliser.from_arrays(normaliser.to_arrays())
    assert (again.observations.count, again.returns) == (3, None)
    assert again.observations.squares.tolist() == normaliser.observations.squares.tolist()
    assert Normaliser.from_arrays({}) is None


def test_policy_normalises_its_observations():
    spec = PolicySpec("", Box((2,), (-1.0, -1.0), (1.0, 1.0)), Discrete(2), ())
    policy = LinearPolicy(spec, np.array([1.0, 0.0, 0.0, 1.0], np.float32))
    assert policy([3.0, 2.0]) == 0
    policy.set_parameters(policy.parameters, 1, Normaliser(Moments(1, np.array([3.0, 0.0]), np.ones(2))))
    assert policy([3.0, 2.0]) == 1


def collect(normaliser, *, fragments=1, gamma=0.5):
    policy = MlpPolicy(SPEC)
    policy.init(0)
    policy.set_parameters(policy.parameters, 0, normaliser)
    environments = SeededEnvironments(lambda: CountingEnv(3, truncates=False), 1, lambda k, episode: episode)
    sampler = Sampler(environments, policy, 4, np.random.default_rng(0), gamma=gamma)
    return [sampler.collect() for _ in range(fragments)][-1]


def test_fragment_counts_raw_observations_and_discounted_returns():
    seen = collect(Normaliser.nothing(1, observations=True, rewards=True)).seen
    # Observations 0, 1, 2, and 0 of the next episode; rewards 1, 2, 3 and 1, discounted by a half each step.
    assert seen.observations.count == 4
    assert seen.observations.mean.tolist() == [0.75]
    returns = [1.0, 2.5, 4.25, 1.0]
    assert seen.returns.mean.tolist() == [pytest.approx(np.mean(returns))]
    assert seen.returns.deviation.tolist() == [pytest.approx(np.std(returns))]


def test_discounted_returns_continue_over_fragments():
    seen = collect(Normaliser.nothing(1, observations=False, rewards=True), fragments=2).seen
    assert seen.returns.mean.tolist() == [pytest.approx(np.mean([2.5, 4.25, 1.0, 2.5]))]
    assert seen.observations is None


def test_fragment_holds_normalised_observations_and_scaled_rewards():
    fragment = collect(
        Normaliser(Moments(10, np.array([1.0]), np.array([40.0])), Moments(2, np.zeros(1), np.full(1, 8.0)))
    )
    np.testing.assert_allclose(fragment.obs[:, 0, 0], [-0.5, 0.0, 0.5, -0.5], rtol=1e-5)
    np.testing.assert_allclose(fragment.reward[:, 0], [0.5, 1.0, 1.5, 0.5], rtol=1e-5)
    np.testing.assert_allclose(fragment.last_obs[:, 0], [0.0], atol=1e-6)
    assert fragment.episode_return.tolist() == [6.0]


def test_without_a_normaliser_nothing_is_counted():
    assert collect(None).seen is None
