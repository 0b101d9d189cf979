"""Every space as observation, against Gymnasium's own flattening, and as action, drawn and given back."""

from __future__ import annotations

import json

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces as gym

from actorrt.rl import spaces
from actorrt.rl.environment import MaskedByInfo, SeededEnvironments, describe
from actorrt.rl.policy import LinearPolicy, MlpPolicy, PolicySpec
from actorrt.rl.sampler import Sampler
from actorrt.rl.sampling import most_likely, sample
from actorrt.rl.spaces import Masked

SPACES = {
    "discrete": gym.Discrete(4, start=-1),
    "box": gym.Box(-1.0, 1.0, (2, 3), np.float32),
    "integers": gym.Box(0, 9, (2,), np.int32),
    "multi_discrete": gym.MultiDiscrete([[2, 3], [4, 2]]),
    "multi_discrete_from": gym.MultiDiscrete([3, 2], start=[1, -1]),
    "multi_binary": gym.MultiBinary((2, 2)),
    "tuple": gym.Tuple((gym.Discrete(3), gym.Box(0.0, 1.0, (2,), np.float32))),
    "dict": gym.Dict({"turn": gym.Discrete(2), "bits": gym.MultiBinary(3), "hands": gym.Tuple([gym.Discrete(2)] * 2)}),
}


@pytest.mark.parametrize("name", SPACES)
def test_features_are_those_of_gymnasium(name):
    space = SPACES[name]
    described = spaces.from_gymnasium(space)
    space.seed(0)
    values = [space.sample() for _ in range(5)]
    features = described.encode(described.stack(values))
    assert features.dtype == np.float32
    assert features.shape == (5, described.feature_count)
    np.testing.assert_allclose(features, [gym.flatten(space, value) for value in values])


@pytest.mark.parametrize("name", SPACES)
def test_drawn_actions_are_in_the_space(name):
    space = SPACES[name]
    action = spaces.from_gymnasium(space)
    outputs = np.random.default_rng(0).standard_normal((50, spaces.output_count(action))).astype(np.float32)
    log_std = np.zeros(spaces.deviation_count(action), np.float32)
    rows, logp = sample(action, outputs, log_std, np.random.default_rng(1))
    assert rows.shape == (50, *spaces.row_shape(action))
    assert rows.dtype == spaces.row_dtype(action)
    assert np.isfinite(logp).all()
    for drawn in (rows, most_likely(action, outputs)):
        for each in action.to_environment(drawn):
            assert space.contains(each), each


@pytest.mark.parametrize("name", SPACES)
def test_spaces_survive_as_json(name):
    described = spaces.from_gymnasium(SPACES[name])
    assert spaces.from_data(json.loads(json.dumps(described.to_data()))) == described


def test_log_probabilities_add_up_over_the_parts():
    action = spaces.from_gymnasium(gym.Tuple((gym.Discrete(2), gym.MultiBinary(1), gym.Box(-1, 1, (1,)))))
    outputs = np.tile(np.array([[np.log(3.0), 0.0, np.log(4.0), 0.5]], np.float32), (4_000, 1))
    rows, logp = sample(action, outputs, np.array([0.2], np.float32), np.random.default_rng(0))
    first = np.where(rows[:, 0] == 0, 0.75, 0.25)
    second = np.where(rows[:, 1] == 1, 0.8, 0.2)
    std = np.exp(0.2)
    third = np.exp(-0.5 * ((rows[:, 2] - 0.5) / std) ** 2) / (std * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(np.exp(logp), first * second * third, rtol=1e-4)
    np.testing.assert_allclose(rows.mean(axis=0), [0.25, 0.8, 0.5], atol=0.06)


def test_decoded_features_have_the_parts_shapes():
    described = spaces.from_gymnasium(SPACES["dict"])
    decoded = described.decode(np.zeros((5, described.feature_count)))
    assert {name: np.shape(part) for name, part in decoded.items() if name != "hands"} == {
        "turn": (5, 2),
        "bits": (5, 3),
    }
    assert [part.shape for part in decoded["hands"]] == [(5, 2), (5, 2)]


class MaskedEnv(gymnasium.Env):
    """Allows one action of three at each step, and says so in its info; pays 1 for it."""

    def __init__(self, action_space=None):
        self.observation_space = gym.Box(-1.0, 1.0, (2,), np.float32)
        self.action_space = action_space or gym.Discrete(3)

    def _shown(self):
        self._allowed = int(self.np_random.integers(3))
        mask = np.zeros(3, np.int8)
        mask[self._allowed] = 1
        return np.zeros(2, np.float32), {"action_mask": mask}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._count = 0
        return self._shown()

    def step(self, action):
        assert action == self._allowed
        self._count += 1
        obs, info = self._shown()
        return obs, 1.0, False, self._count == 5, info


@pytest.mark.parametrize("kind", [MlpPolicy, LinearPolicy])
def test_masked_actions_are_never_taken(kind):
    made = MaskedByInfo(MaskedEnv)
    spec = describe(made, (8, 8) if kind is MlpPolicy else ())
    assert isinstance(spec.observation, Masked)
    assert (spec.mask_count, spec.input_count) == (3, 2)
    policy = kind(spec)
    policy.init(0)
    environment = made()
    obs, _ = environment.reset(seed=0)
    for _ in range(4):
        obs, *_ = environment.step(policy(obs))
    if kind is MlpPolicy:
        fragment = Sampler(SeededEnvironments(made, 2, lambda k, e: e), policy, 20, np.random.default_rng(0)).collect()
        assert fragment.obs.shape == (20, 2, 5)
        np.testing.assert_allclose(fragment.logp, 0.0, atol=1e-6)


def test_normaliser_leaves_masks_alone():
    spec = describe(MaskedByInfo(MaskedEnv), (8, 8))
    from actorrt.rl.normaliser import Moments, Normaliser

    policy = MlpPolicy(spec, normaliser=Normaliser(Moments(4, np.full(2, 3.0), np.full(2, 16.0))))
    features = policy.normalise(np.array([[5.0, 3.0, 0.0, 1.0, 0.0]], np.float32))
    np.testing.assert_allclose(features, [[1.0, 0.0, 0.0, 1.0, 0.0]], atol=1e-5)


def test_masks_that_fit_no_action_are_refused():
    with pytest.raises(ValueError, match=r"a mask of 2 entries does not fit actions of Box"):
        spaces.of_environment(MaskedByInfo(lambda: MaskedEnv(gym.Box(-1.0, 1.0, (2,))))())


def test_environment_without_a_mask_is_told_so():
    environment = MaskedByInfo("CartPole-v1")()
    with pytest.raises(KeyError, match="gives no 'action_mask' in its info"):
        environment.reset(seed=0)


def test_policies_of_environments_without_fixed_sizes_are_refused():
    with pytest.raises(ValueError, match="spaces of kind Sequence are not supported"):
        spaces.from_gymnasium(gym.Tuple([gym.Sequence(gym.Discrete(2))]))


def test_composite_actions_replay_from_a_samplers_state():
    class Composite(MaskedEnv):
        def step(self, action):
            self._count += 1
            return np.array([action["turn"], action["hands"][1]], np.float32), 1.0, False, self._count == 30, {}

    def make():
        environment = Composite(SPACES["dict"])
        environment.observation_space = gym.Box(-2.0, 2.0, (2,), np.float32)
        return environment

    spec = PolicySpec("", *spaces.of_environment(make()), (8, 8))
    policy = MlpPolicy(spec)
    policy.init(0)

    def sampler():
        return Sampler(SeededEnvironments(make, 2, lambda k, e: e), policy, 7, np.random.default_rng(0))

    first = sampler()
    first.collect()
    second = sampler()
    assert second.go_on(first.state())
    ours, theirs = first.collect(), second.collect()
    assert (ours.action == theirs.action).all()
    assert (ours.obs == theirs.obs).all()
