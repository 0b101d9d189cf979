"""Nested spaces of any kind: observations are flattened as Gymnasium does, and chosen actions are in the space."""

from __future__ import annotations

import json
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces as gym
from hypothesis import given, settings
from hypothesis import strategies as st

from actorrt.rl.environments.seeded_environments import SeededEnvironments
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.policies.numpy_policy import MlpPolicy
from actorrt.rl.rollouts.sampler import Sampler
from actorrt.rl.spaces.array_spaces import Box
from actorrt.rl.spaces.gymnasium_spaces import from_gymnasium
from actorrt.rl.spaces.leaves import deviation_count, output_count, row_shape
from actorrt.rl.spaces.sampling import most_likely, sample
from actorrt.rl.spaces.spaces import space_from_data

SHAPES = st.sampled_from([(), (1,), (3,), (2, 3), (1, 2, 2)])
BOUNDS = st.sampled_from([(-1.0, 1.0), (-0.1, 0.1), (-np.inf, np.inf), (0.0, np.inf), (-np.inf, 2.5), (0.3, 0.7)])
INTEGERS = st.sampled_from([np.uint8, np.int8, np.int16, np.int32, np.int64])


@st.composite
def indices(draw: Any) -> gym.MultiDiscrete:
    shape = draw(SHAPES.map(lambda shape: shape or (2,)))
    dtype = draw(st.sampled_from([np.int64, np.int32, np.int8]))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    return gym.MultiDiscrete(rng.integers(1, 5, shape), dtype=dtype, start=rng.integers(-3, 4, shape))


LEAVES = st.one_of(
    st.builds(lambda n, start: gym.Discrete(n, start=start), st.integers(1, 5), st.integers(-3, 3)),
    st.builds(
        lambda bounds, shape, dtype: gym.Box(*map(dtype, bounds), shape, dtype),
        BOUNDS,
        SHAPES,
        st.sampled_from([np.float32, np.float64, np.float16]),
    ),
    st.builds(lambda dtype, shape: gym.Box(np.iinfo(dtype).min, np.iinfo(dtype).max, shape, dtype), INTEGERS, SHAPES),
    st.builds(gym.MultiBinary, SHAPES.map(lambda shape: shape or (2,))),
    indices(),
)
ANY = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(gym.Tuple),
        st.dictionaries(st.sampled_from("abcd"), inner, min_size=1, max_size=3).map(gym.Dict),
    ),
    max_leaves=5,
)


@given(space=ANY, seed=st.integers(0, 99))
def test_features_are_gymnasiums_own_flattening(space: Any, seed: int) -> None:
    described = from_gymnasium(space)
    space.seed(seed)
    values = [space.sample() for _ in range(3)]
    features = described.encode(described.stack(values))
    assert features.shape == (3, described.feature_count)
    np.testing.assert_allclose(features, [gym.flatten(space, value) for value in values], rtol=1e-6)


@given(space=ANY, scale=st.sampled_from([0.0, 1.0, 1e4, 1e30]), seed=st.integers(0, 99))
def test_actions_from_any_network_output_are_in_the_space(space: Any, scale: float, seed: int) -> None:
    action = from_gymnasium(space)
    rng = np.random.default_rng(seed)
    outputs = (scale * rng.standard_normal((4, output_count(action)))).astype(np.float32)
    rows, logp = sample(action, outputs, np.zeros(deviation_count(action), np.float32), rng)
    assert rows.shape == (4, *row_shape(action))
    assert (logp.shape, logp.dtype) == ((4,), np.float32)
    for drawn in (rows, most_likely(action, outputs)):
        actions = action.unstack(action.to_environment(drawn))
        assert len(actions) == 4
        for each in actions:
            assert space.contains(each), each


@given(space=ANY)
def test_any_space_survives_as_json(space: Any) -> None:
    described = from_gymnasium(space)
    assert space_from_data(json.loads(json.dumps(described.to_data()))) == described


class AnyEnv(gymnasium.Env[Any, Any]):
    """Returns random observations of its space and accepts its actions; episodes have three steps."""

    def __init__(self, space: Any, seed: int) -> None:
        self.observation_space = self.action_space = space
        space.seed(seed)
        self._shown = [space.sample() for _ in range(4)]
        self._count = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self._count = 0
        return self._shown[0], {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action), action
        self._count += 1
        return self._shown[self._count], 1.0, False, self._count == 3, {}


@settings(max_examples=40)
@given(space=ANY, count=st.integers(1, 3), horizon=st.integers(1, 5), seed=st.integers(0, 9))
def test_fragments_of_any_space_and_shape_hold_the_observations(
    space: Any, count: int, horizon: int, seed: int
) -> None:
    spec = PolicySpec("", from_gymnasium(space), from_gymnasium(space), (4,))
    policy = MlpPolicy(spec)
    policy.init(seed)
    environments = SeededEnvironments(lambda: AnyEnv(space, seed), count, lambda k, episode: episode)
    fragment = Sampler(environments, policy, horizon, np.random.default_rng(seed)).collect()
    example = AnyEnv(space, seed)
    shown = spec.encode(spec.observation.stack(example._shown))
    for t in range(horizon):
        np.testing.assert_array_equal(fragment.obs[t], np.tile(shown[t % 3], (count, 1)))
    np.testing.assert_array_equal(fragment.final_obs, np.tile(shown[3], (horizon // 3 * count, 1)))
    assert fragment.action.shape == (horizon, count, *row_shape(spec.action))
    assert example.action_space.contains(policy(example._shown[0]))


@pytest.mark.parametrize(
    "space",
    [
        gym.OneOf((gym.Discrete(2), gym.Discrete(3))),
        gym.Sequence(gym.Discrete(2)),
        gym.Text(3),
        gym.Graph(gym.Discrete(2), None),
    ],
    ids=lambda space: type(space).__name__,
)
@pytest.mark.parametrize("within", [lambda space: space, lambda space: gym.Dict({"a": gym.Tuple((space,))})])
def test_spaces_without_a_fixed_number_of_values_are_named(space: Any, within: Any) -> None:
    with pytest.raises(ValueError, match=f"spaces of kind {type(space).__name__} are not supported: .*; use an env"):
        from_gymnasium(within(space))


@pytest.mark.parametrize(
    "space",
    [gym.Tuple(()), gym.Dict({}), gym.Box(0.0, 1.0, (2, 0)), gym.Dict({"a": gym.Discrete(2), "b": gym.Tuple(())})],
    ids=repr,
)
def test_spaces_that_hold_nothing_are_refused(space: Any) -> None:
    with pytest.raises(ValueError, match="has no values, so it can't be observed or chosen"):
        from_gymnasium(space)


def test_empty_part_of_a_space_is_accepted() -> None:
    space = gym.Dict({"empty": gym.Box(0.0, 1.0, (0,)), "place": gym.Box(0.0, 1.0, (2,))})
    described = from_gymnasium(space)
    assert described.encode(described.stack([space.sample()])).shape == (1, 2)


def test_spaces_of_a_users_own_class_are_those_they_derive_from() -> None:
    class Angle(gym.Box):
        """A subclass of a box, as users define them."""

    assert from_gymnasium(Angle(-1.0, 1.0, (1,))) == Box((1,), (-1.0,), (1.0,))


@pytest.mark.parametrize(
    ("space", "value"),
    [
        (gym.Discrete(3, start=1), 0),
        (gym.Discrete(3, start=1), 4),
        (gym.MultiDiscrete([2, 3]), [2, 0]),
        (gym.MultiDiscrete([2, 3]), [0, -1]),
    ],
)
def test_values_outside_their_space_are_not_taken_for_others(space: Any, value: Any) -> None:
    described = from_gymnasium(space)
    with pytest.raises(ValueError, match="the environment shows a value outside its space"):
        described.encode(described.stack([value]))
