"""Names of other libraries' settings lead to hints with the names here."""

from __future__ import annotations

import dataclasses

import pytest

from actorrt.rl.algorithms.a2c import A2CSettings
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
        ("clip_range_vf", "clip_range_value"),
        ("kl_target", "target_kl"),
        ("optimizer_class", "optimiser"),
        ("lambda_", "gae_lambda"),
        ("framework", "backend"),
        ("anneal_lr", "learning_rate_schedule"),
    ],
)
def test_name_of_another_library_is_answered_with_ours(foreign, own):
    with pytest.raises(ValueError, match=rf"PPO has no setting '{foreign}'; it is called {own} here"):
        PPOSettings.preset("CartPole-v1", **{foreign: 1})


def test_hint_for_a_foreign_setting_without_a_counterpart():
    with pytest.raises(
        ValueError, match=r"no setting 'policy_kwargs'; hidden=, value_hidden=, activation=, orthogonal=,"
    ):
        PPOSettings.preset("", policy_kwargs={})
    with pytest.raises(
        ValueError, match=r"no setting 'device'; a network in torch \(backend='torch'\) learns on the GPU"
    ):
        PPOSettings.preset("", device="cuda")


@pytest.mark.parametrize(
    ("settings_class", "name", "hint"),
    [
        (ARSSettings, "n_epochs", "APPO and PPO have it, called epochs"),
        (ARSSettings, "horizon", "A2C, A3C, APPO, DQN, IMPALA and PPO have it"),
        (A2CSettings, "clip_range", "APPO and PPO have it"),
        (A2CSettings, "best_directions", "ARS has it"),
        (PPOSettings, "vtrace_clip_pg_rho_threshold", "APPO and IMPALA have it, called rho_limit"),
    ],
)
def test_setting_of_other_algorithms_is_answered_with_their_names(settings_class, name, hint):
    with pytest.raises(ValueError, match=rf"^{settings_class.algorithm} has no setting '{name}'; {hint}$"):
        settings_class.preset("", **{name: 1})


def test_names_of_ours_are_settings_and_foreign_ones_are_not():
    settings = {field.name for kind in ALGORITHMS.values() for field in dataclasses.fields(kind.settings_class)}
    foreign = [name for names in OURS.values() for name in names] + list(ELSEWHERE)
    assert set(OURS) <= settings
    assert settings.isdisjoint(foreign)
    assert len(foreign) == len(set(foreign))


# The arguments of PPO and A2C in Stable-Baselines3 2.9, and of CleanRL's ppo.py, that have another name or none here.
STABLE_BASELINES = (
    *("n_steps", "batch_size", "n_epochs", "clip_range_vf", "normalize_advantage", "ent_coef", "vf_coef", "use_sde"),
    *("sde_sample_freq", "rollout_buffer_class", "rollout_buffer_kwargs", "stats_window_size", "tensorboard_log"),
    *("policy_kwargs", "verbose", "device", "rms_prop_eps", "use_rms_prop"),
)
CLEANRL = (
    *("exp_name", "torch_deterministic", "cuda", "track", "wandb_project_name", "wandb_entity", "capture_video"),
    *("env_id", "total_timesteps", "num_envs", "num_steps", "anneal_lr", "num_minibatches", "update_epochs"),
    *("norm_adv", "clip_coef", "clip_vloss", "ent_coef", "vf_coef"),
)
# Arguments of RLlib's AlgorithmConfig and PPOConfig (2.60).
RLLIB = (
    *("train_batch_size", "train_batch_size_per_learner", "num_epochs", "lr", "grad_clip", "use_critic", "use_gae"),
    *("lambda_", "use_kl_loss", "kl_coeff", "kl_target", "vf_loss_coeff", "entropy_coeff", "clip_param"),
    *("vf_clip_param", "num_env_runners", "num_envs_per_env_runner", "rollout_fragment_length", "batch_mode"),
    *("num_learners", "num_gpus_per_learner", "framework", "evaluation_interval", "evaluation_duration", "env_config"),
    *("restart_failed_sub_environments", "restart_failed_env_runners", "model_config", "observation_filter"),
)


@pytest.mark.parametrize("name", sorted({*STABLE_BASELINES, *CLEANRL, *RLLIB}))
def test_every_argument_of_another_library_leads_to_a_hint(name):
    with pytest.raises(ValueError, match=rf"PPO has no setting '{name}'; (?!there are|did you mean)"):
        PPOSettings.preset("", **{name: 1})
