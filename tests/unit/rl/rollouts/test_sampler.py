"""Fragments compared with steps counted by hand: over ends of episodes, autoresets and fragment boundaries."""

from __future__ import annotations

import dataclasses

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from actorrt.rl.environments.making import make_environment
from actorrt.rl.environments.seeded_environments import SeededEnvironments
from actorrt.rl.environments.seeds import episode_seed
from actorrt.rl.environments.vector_environments import VectorEnvironments
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.policies.numpy_policy import MlpPolicy
from actorrt.rl.rollouts.sampler import Sampler
from actorrt.rl.rollouts.trajectory import Fragment
from actorrt.rl.spaces.array_spaces import Box, Discrete
from actorrt.rl.spaces.normaliser import Moments, Normaliser
from tests.unit.rl.counting import CountingEnv

COUNTING = PolicySpec("", Box((1,), (0.0,), (1e6,)), Discrete(2), (8, 8))


def make_policy():
    policy = MlpPolicy(COUNTING)
    policy.init(seed=3)
    return policy


def seeded(length, count=1, *, truncates):
    return SeededEnvironments(lambda: CountingEnv(length, truncates=truncates), count, lambda k, episode: episode)


def next_step_vector(length, *, truncates):
    vector = SyncVectorEnv([lambda: CountingEnv(length, truncates=truncates)], autoreset_mode=AutoresetMode.NEXT_STEP)
    return VectorEnvironments(lambda: vector, seed=0)


def make_sampler(environments, horizon):
    return Sampler(environments, make_policy(), horizon, np.random.default_rng(0))


def test_seeded_environments_record_every_step_as_a_transition():
    fragment = make_sampler(seeded(3, truncates=False), 7).collect()
    assert fragment.obs[:, 0, 0].tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert fragment.reward[:, 0].tolist() == [1, 2, 3, 1, 2, 3, 1]
    assert fragment.terminated[:, 0].tolist() == [False, False, True, False, False, True, False]
    assert not fragment.truncated.any()
    assert fragment.valid.all()
    assert fragment.step_count == 7
    assert fragment.episode_return.tolist() == [6.0, 6.0]
    assert fragment.episode_length.tolist() == [3, 3]


def test_autoreset_steps_are_masked_and_not_counted():
    fragment = make_sampler(next_step_vector(3, truncates=False), 8).collect()
    assert fragment.obs[:, 0, 0].tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    assert fragment.valid[:, 0].tolist() == [True, True, True, False, True, True, True, False]
    assert fragment.step_count == 6
    assert fragment.obs[fragment.valid][:, 0].tolist() == [0, 1, 2, 0, 1, 2]
    assert fragment.reward[fragment.valid].tolist() == [1, 2, 3, 1, 2, 3]
    assert fragment.episode_return.tolist() == [6.0, 6.0]
    assert fragment.episode_length.tolist() == [3, 3]


def test_an_end_in_the_last_row_masks_the_first_row_of_the_next_fragment():
    sampler = make_sampler(next_step_vector(3, truncates=False), 3)
    assert sampler.collect().valid[:, 0].tolist() == [True, True, True]
    second = sampler.collect()
    assert second.valid[:, 0].tolist() == [False, True, True]
    assert second.obs[:, 0, 0].tolist() == [3, 0, 1]


@pytest.mark.parametrize("make", [seeded, next_step_vector])
def test_truncation_keeps_the_observation_that_the_episode_ended_with(make):
    policy = make_policy()
    fragment = make_sampler(make(3, truncates=True), 3).collect()
    assert fragment.final_step.tolist() == [[2, 0]]
    assert fragment.final_obs.tolist() == [[3.0]]
    expected = policy.values(np.array([[3.0]], np.float32))
    np.testing.assert_allclose(fragment.final_value, expected, rtol=1e-6)
    np.testing.assert_allclose(fragment.dense_final_value(), [[0.0], [0.0], [expected[0]]], rtol=1e-6)


def test_termination_needs_no_final_observation():
    fragment = make_sampler(seeded(3, truncates=False), 6).collect()
    assert fragment.final_step.shape == (0, 2)
    assert fragment.final_obs.shape == (0, 1)
    assert fragment.final_value.shape == (0,)


def test_terminated_wins_where_an_environment_says_both():
    class Both(CountingEnv):
        def step(self, action):
            obs, reward, *_ = super().step(action)
            return obs, reward, True, True, {}

    fragment = make_sampler(SeededEnvironments(lambda: Both(9, truncates=False), 1, lambda k, e: 0), 2).collect()
    assert fragment.terminated.all()
    assert not fragment.truncated.any()


def test_logp_and_value_are_those_of_the_policy_that_acted():
    fragment = make_sampler(seeded(50, count=2, truncates=False), 5).collect()
    policy = make_policy()
    rows = fragment.obs.reshape(-1, 1)
    np.testing.assert_allclose(fragment.value.ravel(), policy.values(rows), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(fragment.last_value, policy.values(np.array([[5.0], [5.0]], np.float32)), rtol=1e-4)
    assert (fragment.logp < 0).all()


@pytest.mark.parametrize("count", [1, 3, 5])
def test_fragment_may_end_before_its_horizon(count):
    policy = make_policy()
    policy.normaliser = Normaliser(Moments.nothing(1), Moments.nothing(1))
    sampler = Sampler(seeded(2, truncates=True), policy, 6, np.random.default_rng(0))
    collection = sampler.begin()
    for _ in range(count):
        collection.step(*policy.act(collection.features, np.random.default_rng(0)))
    fragment = collection.finish(policy.values(collection.unvalued()))
    for name in ("obs", "action", "reward", "terminated", "truncated", "valid", "logp", "value"):
        assert len(getattr(fragment, name)) == count, name
    assert fragment.obs.ravel().tolist() == [0, 1, 0, 1, 0][:count]
    assert fragment.last_obs.ravel().tolist() == [count % 2]
    assert fragment.final_step.tolist() == [[1, 0], [3, 0]][: count // 2]
    assert fragment.seen.observations.count == fragment.seen.returns.count == count
    assert sampler.collect().obs.ravel().tolist() == [(count + i) % 2 for i in range(6)]


def test_fragments_carry_their_source_and_count_on():
    sampler = Sampler(
        seeded(9, truncates=False), make_policy(), 2, np.random.default_rng(0), simulator=4, incarnation=2
    )
    assert [sampler.collect().key for _ in range(3)] == [(4, 2, 0), (4, 2, 1), (4, 2, 2)]


def test_every_episode_has_the_seed_of_its_environment_and_number():
    made = []

    def make():
        made.append(CountingEnv(2, truncates=False))
        return made[-1]

    environments = SeededEnvironments(make, 2, lambda k, episode: 100 * k + episode)
    make_sampler(environments, 4).collect()
    assert [environment.seeds for environment in made] == [[0, 1, 2], [100, 101, 102]]


def test_fragments_survive_as_data():
    policy = make_policy()
    policy.normaliser = Normaliser(Moments.nothing(1), Moments.nothing(1))
    fragment = Sampler(seeded(3, truncates=True), policy, 5, np.random.default_rng(0)).collect()
    again = Fragment.from_data(fragment.to_data())
    for field in dataclasses.fields(Fragment):
        if field.name != "seen":
            np.testing.assert_array_equal(getattr(again, field.name), getattr(fragment, field.name))
    assert again.seen.observations.count == again.seen.returns.count == 5


def test_episode_seeds_differ_by_every_part_of_their_key():
    keys = [(0, 1, 0, 0), (1, 1, 0, 0), (0, 2, 0, 0), (0, 1, 1, 0), (0, 1, 0, 1)]
    seeds = [episode_seed(7, *key) for key in keys] + [episode_seed(8, *keys[0])]
    assert len(set(seeds)) == len(seeds)
    assert seeds[0] == episode_seed(7, *keys[0])


def test_native_and_seeded_cartpole_step_alike():
    """The native environment is told the single one's state, as their reset draws differ."""
    vector = gymnasium.make_vec("CartPole-v1", num_envs=2, vectorization_mode="vector_entry_point")
    environments = VectorEnvironments(lambda: vector, seed=5)
    start = environments.reset()
    singles = [make_environment("CartPole-v1") for _ in range(2)]
    for single, state in zip(singles, vector.state.T, strict=True):
        single.reset(seed=0)
        single.unwrapped.state = np.array(state)
    assert start.shape == (2, 4)
    for _ in range(12):
        step = environments.step(np.array([1, 0]))
        alone = [single.step(action) for single, action in zip(singles, (1, 0), strict=True)]
        np.testing.assert_allclose(step.obs, [obs for obs, *_ in alone], rtol=1e-5, atol=1e-6)
        assert step.terminated.tolist() == [terminated for _, _, terminated, *_ in alone]
        if step.terminated.any():
            break
    environments.close()


@pytest.mark.parametrize(
    ("env_id", "message"),
    [
        ("CartPol-v1", "there is no environment 'CartPol-v1'; did you mean CartPole-v1"),
        ("CartPole-v99", "there is no environment 'CartPole-v99'; did you mean CartPole-v"),
        ("zzzzzzzz", "there is no environment 'zzzzzzzz'; `gymnasium.pprint_registry"),
        ("nowhere/CartPole-v1", "there is no environment 'nowhere/CartPole-v1'"),
        ("no_such_module:CartPole-v1", "there is no environment 'no_such_module:CartPole-v1'"),
        ("CartPole v1", "there is no environment 'CartPole v1'"),
    ],
)
def test_unknown_environments_are_named_with_close_matches(env_id, message):
    with pytest.raises(ValueError) as caught:
        make_environment(env_id)
    assert str(caught.value).startswith(message)
