"""Names of other libraries' settings lead to hints with the names here."""

from __future__ import annotations

import dataclasses

import pytest

from actorrt.rl.algorithms.ars import ARSSettings
from actorrt.rl.algorithms.catalogue import ALGORITHMS
from actorrt.rl.algorithms.ppo import PPOSettings
from actorrt.rl.settings.foreign_names import ELSEWHERE, OURS


@pytest.mark.parametrize(
    ("foreign", "own"),
    [
        ("n_steps", "horizon"),
        ("ent_coef", "entropy_coefficient"),
        ("vf_coef", "value_coefficient"),
        ("lr", "learning_rate"),
        ("n_envs", "environments"),
        ("n_epochs", "epochs"),
        ("net_arch", "hidden"),
        ("batch_size", "minibatch_size"),
        ("train_batch_size", "batch_steps"),
        ("clip_param", "clip_range"),
        ("total_timesteps", "steps"),
    ],
)
def test_name_of_another_library_is_answered_with_ours(foreign, own):
    with pytest.raises(ValueError, match=rf"PPO has no setting '{foreign}'; it is called {own} here"):
        PPOSettings.preset("CartPole-v1", **{foreign: 1})


def test_hint_for_a_foreign_setting_without_a_counterpart():
    with pytest.raises(
        ValueError, match=r"no setting 'policy_kwargs'; hidden=, activation=, orthogonal=, log_std= and"
    ):
        PPOSettings.preset("", policy_kwargs={})
    with pytest.raises(
        ValueError, match=r"no setting 'device'; a network in torch \(backend='torch'\) learns on the GPU"
    ):
        PPOSettings.preset("", device="cuda")


def test_setting_that_an_algorithm_does_not_have_is_not_recommended():
    with pytest.raises(ValueError, match=r"ARS has no setting 'n_epochs'; there are steps, hidden, "):
        ARSSettings.preset("", n_epochs=1)


def test_names_of_ours_are_settings_and_foreign_ones_are_not():
    settings = {field.name for kind in ALGORITHMS.values() for field in dataclasses.fields(kind.settings_class)}
    foreign = [name for names in OURS.values() for name in names] + list(ELSEWHERE)
    assert set(OURS) <= settings
    assert settings.isdisjoint(foreign)
    assert len(foreign) == len(set(foreign))
