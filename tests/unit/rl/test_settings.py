"""Settings name what is wrong with them, and presets are RL-Zoo's."""

from __future__ import annotations

import pytest

from actorrt.rl.ppo import PPOSettings


def test_cartpole_preset_is_rl_zoos():
    settings = PPOSettings.preset("CartPole-v1")
    assert (settings.environments, settings.horizon, settings.minibatch_size, settings.epochs) == (8, 32, 256, 20)
    assert (settings.gamma, settings.gae_lambda, settings.entropy_coefficient) == (0.98, 0.8, 0.0)
    assert (settings.learning_rate, settings.learning_rate_schedule) == (1e-3, "linear")
    assert (settings.clip_range, settings.clip_schedule) == (0.2, "linear")


def test_overrides_win_over_the_preset():
    assert PPOSettings.preset("CartPole-v1", horizon=64).horizon == 64
    assert PPOSettings.preset("CartPole-v1", horizon=64).epochs == 20


def test_unknown_setting_is_named_with_close_matches():
    with pytest.raises(ValueError, match="PPO has no setting 'learning_rat'; did you mean learning_rate"):
        PPOSettings.preset("CartPole-v1", learning_rat=1)


@pytest.mark.parametrize(
    ("override", "message"),
    [({"epochs": 0}, "epochs is at least 1: epochs=0"), ({"gamma": 1.5}, "gamma is between 0 and 1: gamma=1.5")],
)
def test_senseless_values_are_refused(override, message):
    with pytest.raises(ValueError, match=message):
        PPOSettings.preset("CartPole-v1", **override)
