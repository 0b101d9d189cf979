"""Rows of observations: images as bytes, all else as numbers, of which only those outside of masks are normalised."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces as gym

from actorrt.rl.environments.seeded_environments import SeededEnvironments
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.policies.policy import FlatPolicy
from actorrt.rl.rollouts.sampler import Sampler
from actorrt.rl.spaces.gymnasium_spaces import from_gymnasium
from actorrt.rl.spaces.normaliser import LIMIT, Moments, Normaliser
from actorrt.rl.spaces.row_layout import RowLayout
from actorrt.rl.spaces.spaces import Masked

SPACE = gym.Dict(
    {
        "camera": gym.Box(0, 255, (6, 7, 3), np.uint8),
        "joints": gym.Box(-np.inf, np.inf, (2, 2), np.float64),
        "more": gym.Tuple((gym.Discrete(3, start=-1), gym.Box(0, 255, (1, 5, 5), np.uint8))),
    }
)
PIXELS, NUMBERS = 6 * 7 * 3 + 25, 4 + 3


class LookingEnv(gymnasium.Env[Any, Any]):
    """Shows random observations; episodes have four steps."""

    observation_space = SPACE
    action_space = gym.Discrete(2)

    def _shown(self) -> Any:
        return {
            "camera": self.np_random.integers(256, size=(6, 7, 3)).astype(np.uint8),
            "joints": 5.0 + self.np_random.standard_normal((2, 2)),
            "more": (int(self.np_random.integers(-1, 2)), np.full((1, 5, 5), 7, np.uint8)),
        }

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._count = 0
        return self._shown(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._count += 1
        return self._shown(), 1.0, False, self._count == 4, {}


class BlindPolicy(FlatPolicy):
    """Keeps the rows that it acts on."""

    architecture = "blind"

    def _parameter_count(self) -> int:
        return 1

    def set_parameters(self, parameters: Any, version: int, normaliser: Normaliser | None = None) -> None:
        self.parameters, self.version, self.normaliser = parameters, version, normaliser

    def act(self, features: Any, rng: Any) -> Any:
        return np.zeros(len(features), np.int64), np.zeros(len(features)), np.zeros(len(features))

    def values(self, features: Any) -> Any:
        return np.zeros(len(features))


def test_an_image_is_a_byte_for_each_pixel_and_all_else_four_bytes():
    space = from_gymnasium(SPACE)
    layout = RowLayout.of(Masked(space, 2), with_pixels=True)
    assert (layout.dtype, layout.width) == (np.uint8, PIXELS + 4 * (NUMBERS + 2))
    plain = RowLayout.of(Masked(space, 2), with_pixels=False)
    assert (plain.dtype, plain.width) == (np.float32, PIXELS + NUMBERS + 2)
    board = RowLayout.of(from_gymnasium(gym.Box(0, 1, (4, 4), np.uint8)), with_pixels=True)
    assert (board.dtype, board.width) == (np.float32, 16)  # two dimensions are no image


@pytest.mark.parametrize("with_mask", [False, True])
def test_rows_hold_all_features(with_mask):
    observation = from_gymnasium(SPACE)
    shown = [LookingEnv().reset(seed=seed)[0] for seed in range(3)]
    if with_mask:
        observation = Masked(observation, 2)
        shown = [{**each, "action_mask": [seed % 2, 1]} for seed, each in enumerate(shown)]
    batch = observation.stack(shown)
    layout = RowLayout.of(observation, with_pixels=True)
    rows = layout.encode(observation, batch)
    features, numbers = observation.encode(batch), layout.numbers(rows)
    for part, is_pixels, columns in layout.parts:
        found = (rows if is_pixels else numbers)[:, columns]
        np.testing.assert_array_equal(found, features[:, part.columns])
        assert found.dtype == (np.uint8 if is_pixels else np.float32)
    assert layout.observed_numbers(rows).shape == (3, NUMBERS)
    if with_mask:
        assert numbers[:, NUMBERS:].tolist() == [[0.0, 1.0], [1.0, 1.0], [0.0, 1.0]]
    changed = layout.changed(rows, lambda numbers: 2.0 * numbers)
    np.testing.assert_array_equal(changed[:, :PIXELS], rows[:, :PIXELS])
    np.testing.assert_array_equal(layout.numbers(changed)[:, :NUMBERS], 2.0 * numbers[:, :NUMBERS])
    np.testing.assert_array_equal(layout.numbers(changed)[:, NUMBERS:], numbers[:, NUMBERS:])


def test_fragments_of_images_inside_a_dict_are_bytes_and_their_numbers_are_normalised():
    spec = PolicySpec("", from_gymnasium(SPACE), from_gymnasium(gym.Discrete(2)), network="cnn")
    policy = BlindPolicy(spec, np.zeros(1), normaliser=Normaliser(Moments(4, np.full(NUMBERS, 5.0), np.full(7, 4.0))))
    environments = SeededEnvironments(LookingEnv, 3, lambda k, episode: 10 * k + episode)
    fragment = Sampler(environments, policy, 16, np.random.default_rng(0)).collect()
    assert (fragment.obs.dtype, fragment.obs.nbytes) == (np.uint8, 16 * 3 * (PIXELS + 4 * NUMBERS))
    assert fragment.final_obs.shape == (12, PIXELS + 4 * NUMBERS)
    rows = fragment.obs.reshape(48, -1)
    first = LookingEnv().reset(seed=0)[0]
    assert rows[0, : 6 * 7 * 3].tolist() == first["camera"].ravel().tolist()
    numbers = spec.rows.numbers(rows)
    np.testing.assert_allclose(numbers[0, :4], first["joints"].ravel() - 5.0, rtol=1e-4, atol=1e-5)
    assert np.abs(numbers).max() <= LIMIT
    decoded = spec.decode(fragment.obs)
    assert (decoded["camera"].shape, decoded["camera"].dtype) == ((48, 6, 7, 3), np.float32)
    assert decoded["camera"][0].tolist() == first["camera"].tolist()
    np.testing.assert_allclose(decoded["joints"][0], first["joints"] - 5.0, rtol=1e-4, atol=1e-5)
    assert (decoded["more"][1] == 7.0).all()
    assert fragment.seen is not None
    assert (fragment.seen.observations.count, len(fragment.seen.observations.mean)) == (48, NUMBERS)
    np.testing.assert_allclose(fragment.seen.observations.mean[:4], 5.0, atol=0.6)
    np.testing.assert_allclose(fragment.seen.observations.mean[4:].sum(), 1.0, rtol=1e-6)


@pytest.mark.parametrize(("pixel", "dtype"), [(0.5, np.float32), (256, np.int64), (-1, np.int64), (np.nan, np.float64)])
@pytest.mark.parametrize("network", ["cnn", "mlp"])
def test_values_that_are_no_pixels_are_refused(pixel, dtype, network):
    image = from_gymnasium(gym.Box(0, 255, (5, 5, 1), np.uint8))
    spec = PolicySpec("", image, from_gymnasium(gym.Discrete(2)), network=network)
    with pytest.raises(ValueError, match="are no whole numbers from 0 to 255"):
        spec.encode(np.full((1, 5, 5, 1), pixel, dtype))
    assert spec.encode(np.full((1, 5, 5, 1), 255, np.int64)).tolist() == [[255] * 25]


def test_numbers_beside_an_image_that_are_not_finite_are_refused():
    spec = PolicySpec("", from_gymnasium(SPACE), from_gymnasium(gym.Discrete(2)), network="cnn")
    shown = LookingEnv().reset(seed=0)[0]
    shown["joints"][1, 1] = np.nan
    with pytest.raises(ValueError, match="an observation is infinite or NaN"):
        spec.encode(spec.observation.stack([shown]))
