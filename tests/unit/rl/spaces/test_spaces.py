"""Actions and observations of several parts, and masks; properties of all spaces are in `property/test_spaces`."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces as gym
from gymnasium.vector import SyncVectorEnv

from actorrt.rl.environments.description import describe
from actorrt.rl.environments.making import MaskedByInfo
from actorrt.rl.environments.seeded_environments import SeededEnvironments
from actorrt.rl.environments.vector_environments import VectorEnvironments
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.policies.numpy_policy import LinearPolicy, MlpPolicy
from actorrt.rl.rollouts.sampler import Sampler
from actorrt.rl.spaces.array_spaces import Box, Discrete
from actorrt.rl.spaces.gymnasium_spaces import from_gymnasium, spaces_of
from actorrt.rl.spaces.sampling import sample
from actorrt.rl.spaces.spaces import Masked

DICT = gym.Dict({"turn": gym.Discrete(2), "bits": gym.MultiBinary(3), "hands": gym.Tuple([gym.Discrete(2)] * 2)})


def test_log_probabilities_add_up_over_the_parts():
    action = from_gymnasium(gym.Tuple((gym.Discrete(2), gym.MultiBinary(1), gym.Box(-1, 1, (1,)))))
    outputs = np.tile(np.array([[np.log(3.0), 0.0, np.log(4.0), 0.5]], np.float32), (4_000, 1))
    rows, logp = sample(action, outputs, np.array([0.2], np.float32), np.random.default_rng(0))
    first = np.where(rows[:, 0] == 0, 0.75, 0.25)
    second = np.where(rows[:, 1] == 1, 0.8, 0.2)
    std = np.exp(0.2)
    third = np.exp(-0.5 * ((rows[:, 2] - 0.5) / std) ** 2) / (std * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(np.exp(logp), first * second * third, rtol=1e-4)
    np.testing.assert_allclose(rows.mean(axis=0), [0.25, 0.8, 0.5], atol=0.06)


def test_decoded_features_have_the_parts_shapes():
    described = from_gymnasium(DICT)
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
    from actorrt.rl.spaces.normaliser import Moments, Normaliser

    policy = MlpPolicy(spec, normaliser=Normaliser(Moments(4, np.full(2, 3.0), np.full(2, 16.0))))
    features = policy.normalise(np.array([[5.0, 3.0, 0.0, 1.0, 0.0]], np.float32))
    np.testing.assert_allclose(features, [[1.0, 0.0, 0.0, 1.0, 0.0]], atol=1e-5)


def test_masks_that_fit_no_action_are_refused():
    with pytest.raises(ValueError, match=r"a mask of 2 entries does not fit actions of Box"):
        spaces_of(MaskedByInfo(lambda: MaskedEnv(gym.Box(-1.0, 1.0, (2,))))())


class PairEnv(MaskedEnv):
    """Takes two indices as a tuple, of which a tuple of masks allows one each."""

    def __init__(self):
        super().__init__(gym.Tuple((gym.Discrete(2), gym.Discrete(3))))

    def _shown(self):
        self._allowed = (int(self.np_random.integers(2)), int(self.np_random.integers(3)))
        masks = tuple(
            (np.arange(n) == allowed).astype(np.int8) for n, allowed in zip((2, 3), self._allowed, strict=True)
        )
        return np.zeros(2, np.float32), {"action_mask": masks}


class ShownPairEnv(PairEnv):
    """Shows its masks with its observations."""

    def __init__(self):
        super().__init__()
        masks = gym.Tuple((gym.MultiBinary(2), gym.MultiBinary(3)))
        self.observation_space = gym.Dict({"action_mask": masks, "place": self.observation_space})

    def _shown(self):
        place, info = super()._shown()
        return {"place": place, **info}, {}


@pytest.mark.parametrize("make", [MaskedByInfo(PairEnv), ShownPairEnv, "native"])
def test_masks_of_several_parts_hold_for_each(make):
    if make == "native":
        environments = VectorEnvironments(lambda: SyncVectorEnv([ShownPairEnv] * 2, autoreset_mode="Disabled"), seed=0)
        make = ShownPairEnv
    else:
        environments = SeededEnvironments(make, 2, lambda k, e: e)
    policy = MlpPolicy(describe(make, (8, 8)))
    policy.init(0)
    fragment = Sampler(environments, policy, 20, np.random.default_rng(0)).collect()  # which asserts what is taken
    np.testing.assert_allclose(fragment.logp, 0.0, atol=1e-6)
    assert (fragment.obs[..., 2:].sum(axis=-1) == 2).all()


def test_features_of_masked_images_stay_bytes():
    spec = PolicySpec(
        "", Masked(Box((5, 5, 1), (0.0,) * 25, (255.0,) * 25, "uint8"), 2, "image"), Discrete(2), network="cnn"
    )
    shown = {"image": np.full((3, 5, 5, 1), 200, np.uint8), "action_mask": np.ones((3, 2), np.int8)}
    features = spec.encode(shown)
    assert (features.dtype, features.shape) == (np.uint8, (3, 25 + 2 * 4))
    assert spec.rows.numbers(features).tolist() == [[1.0, 1.0]] * 3


class EndsWithoutMaskEnv(MaskedEnv):
    """Gives no mask at the end of an episode."""

    def step(self, action):
        obs, reward, terminated, _, info = super().step(action)
        return obs, reward, terminated, self._count == 5, {} if self._count == 5 else info


def test_mask_may_be_missing_where_an_episode_ends():
    made = MaskedByInfo(EndsWithoutMaskEnv)
    policy = MlpPolicy(describe(made, (8, 8)))
    policy.init(0)
    fragment = Sampler(SeededEnvironments(made, 1, lambda k, e: e), policy, 12, np.random.default_rng(0)).collect()
    assert fragment.truncated.sum() == 2
    assert fragment.final_obs[:, 2:].tolist() == [[1.0, 1.0, 1.0]] * 2
    np.testing.assert_allclose(fragment.logp, 0.0, atol=1e-6)


def test_environment_without_a_mask_is_told_so():
    environment = MaskedByInfo("CartPole-v1")()
    with pytest.raises(KeyError, match="gives no 'action_mask' in its info"):
        environment.reset(seed=0)


def test_composite_actions_replay_from_a_samplers_state():
    class Composite(MaskedEnv):
        def step(self, action):
            self._count += 1
            return np.array([action["turn"], action["hands"][1]], np.float32), 1.0, False, self._count == 30, {}

    def make():
        environment = Composite(DICT)
        environment.observation_space = gym.Box(-2.0, 2.0, (2,), np.float32)
        return environment

    spec = PolicySpec("", *spaces_of(make()), (8, 8))
    policy = MlpPolicy(spec)
    policy.init(0)

    def sampler():
        return Sampler(SeededEnvironments(make, 2, lambda k, e: e), policy, 7, np.random.default_rng(0))

    first = sampler()
    first.collect()
    second = sampler()
    assert second.resume(first.state())
    ours, theirs = first.collect(), second.collect()
    assert (ours.action == theirs.action).all()
    assert (ours.obs == theirs.obs).all()
