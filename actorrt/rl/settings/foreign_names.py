"""Pure: names of settings in other libraries: Stable-Baselines3, RL-Zoo, RLlib, CleanRL and Tianshou."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence

OURS: Mapping[str, Collection[str]] = {
    "steps": ("total_timesteps", "n_timesteps", "timesteps", "total_frames"),
    "environments": ("n_envs", "num_envs", "training_num"),
    "horizon": ("n_steps", "num_steps", "rollout_fragment_length", "rollout_length", "unroll_length"),
    "batch_steps": ("train_batch_size", "train_batch_size_per_learner", "frames_per_batch", "step_per_collect"),
    "minibatch_size": ("batch_size", "sgd_minibatch_size", "sub_batch_size"),
    "epochs": ("n_epochs", "num_epochs", "num_sgd_iter", "update_epochs", "repeat_per_collect"),
    "learning_rate": ("lr", "step_size", "stepsize", "sgd_stepsize"),
    "learning_rate_schedule": ("anneal_lr", "lr_schedule", "lr_scheduler", "lr_decay"),
    "gamma": ("discount", "discount_factor"),
    "gae_lambda": ("lambda_", "lam", "lmbda", "lambda", "use_gae"),
    "entropy_coefficient": ("ent_coef", "entropy_coeff", "entropy_coef", "entropy_coeff_schedule", "entropy_bonus"),
    "value_coefficient": ("vf_coef", "vf_loss_coeff", "value_coef", "value_loss_coef", "critic_coef", "critic_coeff"),
    "clip_range": ("clip_param", "clip_coef", "clip_epsilon", "eps_clip", "cliprange", "clip_ratio"),
    "clip_range_value": ("clip_range_vf", "vf_clip_param", "clip_vloss", "value_clip", "cliprange_value"),
    "target_kl": ("kl_target",),
    "max_grad_norm": ("grad_clip", "grad_norm", "max_gradient_norm"),
    "normalise_advantages": ("normalize_advantage", "normalize_advantages", "norm_adv", "advantage_normalization"),
    "normalise_observations": ("observation_filter", "norm_obs"),
    "normalise_rewards": ("reward_normalization", "norm_reward"),
    "optimiser": ("optimizer", "optimizer_class", "opt_type", "use_rms_prop"),
    "hidden": ("net_arch", "fcnet_hiddens", "hidden_sizes", "hidden_size", "layers", "head_fcnet_hiddens"),
    "value_hidden": ("vf_share_layers", "critic_hidden_sizes"),
    "activation": ("activation_fn", "fcnet_activation", "head_fcnet_activation"),
    "orthogonal": ("ortho_init", "orthogonal_init"),
    "log_std": ("log_std_init",),
    "network": ("model", "custom_model", "rl_module_spec", "features_extractor_class"),
    "backend": ("framework", "framework_str"),
    "learners": ("num_learners",),
    "max_lag": ("max_policy_lag", "broadcast_interval", "learner_queue_size"),
    "on_env_error": ("restart_failed_sub_environments",),
    "evaluate_every": ("eval_freq", "evaluation_interval"),
    "evaluation_env": ("eval_env", "evaluation_config"),
    "evaluation_deterministic": ("eval_deterministic", "deterministic_eval"),
    "evaluation_episodes": ("n_eval_episodes", "eval_episodes", "evaluation_duration"),
    "rho_limit": ("vtrace_clip_rho_threshold", "vtrace_clip_pg_rho_threshold", "rho_clip"),
    "directions": ("n_delta", "num_rollouts", "episodes_per_batch"),
    "best_directions": ("n_top", "rollouts_used"),
    "deviation": ("delta_std", "noise_stdev", "sigma"),
    "weight_decay": ("l2_coeff",),
    "replay_size": ("buffer_size", "replay_buffer_config", "replay_buffer_size", "buffer_capacity"),
    "learning_starts": ("num_steps_sampled_before_learning_starts", "start_timesteps", "warmup_steps"),
    "updates_per_step": ("gradient_steps", "training_intensity", "update_per_step", "utd_ratio", "replay_ratio"),
    "target_every": ("target_update_interval", "target_network_update_freq", "target_network_frequency"),
    "target_share": ("tau", "polyak"),
    "exploration_share": ("exploration_fraction",),
    "epsilon_start": ("exploration_initial_eps", "initial_epsilon", "start_e"),
    "epsilon_end": ("exploration_final_eps", "final_epsilon", "end_e"),
    "double": ("double_q", "is_double"),
    "prioritised": ("prioritized_replay", "prioritized"),
    "priority_exponent": ("prioritized_replay_alpha", "alpha"),
    "importance_exponent": ("prioritized_replay_beta", "beta"),
}
"""Settings of this library, and their names in other libraries."""

ELSEWHERE: Mapping[str, str] = {
    **dict.fromkeys(
        ("policy_kwargs", "model_config"),
        "hidden=, value_hidden=, activation=, orthogonal=, log_std=, optimiser= and network= shape the network and its "
        "learning",
    ),
    **dict.fromkeys(("normalize", "vec_normalize"), "give normalise_observations=True and normalise_rewards=True"),
    **dict.fromkeys(
        ("n_workers", "num_workers", "num_env_runners", "num_rollout_workers"),
        "simulators= says how many processes step environments",
    ),
    **dict.fromkeys(
        ("num_envs_per_worker", "num_envs_per_env_runner"), "environments= counts those of all simulators together"
    ),
    **dict.fromkeys(("num_minibatches", "n_minibatches"), "minibatch_size= says how large each is"),
    **dict.fromkeys(
        ("device", "cuda", "num_gpus", "num_gpus_per_learner"),
        "a network in torch (backend='torch') learns on the GPU where torch finds one",
    ),
    **dict.fromkeys(("env_config", "env_args"), "env_kwargs= has the arguments of gymnasium.make"),
    **dict.fromkeys(
        ("env_wrapper", "frame_stack", "vec_env_wrapper", "vec_env_cls", "monitor_wrapper", "clip_rewards"),
        "env= takes a function that makes an environment with its wrappers",
    ),
    **dict.fromkeys(
        ("restart_failed_env_runners", "ignore_env_runner_failures", "max_num_env_runner_restarts"),
        "simulators that fail are always restarted",
    ),
    **dict.fromkeys(("env_id", "env_name"), "the environment is the first argument"),
    "batch_mode": "fragments have horizon= steps, and episodes continue over them",
    "stop_return": "start(stop_return=...) takes it",
    **dict.fromkeys(("callback", "callbacks", "callbacks_class"), "start(callbacks=[...]) takes them"),
    "tensorboard_log": "start(callbacks=[rl.TensorBoardLog()]) writes what TensorBoard reads",
    **dict.fromkeys(
        ("track", "wandb_project_name", "wandb_entity"),
        "start(callbacks=[rl.WandbLog(project=...)]) sends metrics there",
    ),
    "capture_video": "run.video() films the best policy",
    **dict.fromkeys(("verbose", "progress_bar"), "start(show=...) says whether the run is shown"),
    **dict.fromkeys(
        ("log_interval", "tb_log_name", "logger_config"),
        "run.metrics has a row for each update, and callbacks log them",
    ),
    "stats_window_size": "return_mean is always the mean over the last 100 episodes",
    **dict.fromkeys(
        ("save_model", "upload_model", "exp_name", "local_dir"), "directory= says where the run writes its files"
    ),
    "reset_num_timesteps": "a resumed run counts on; policy= begins a run with a policy, and counts from 0",
    **dict.fromkeys(
        ("num_cpus_per_learner", "num_cpus_per_env_runner"),
        "each simulator reserves one CPU; learners= says how many learn",
    ),
    **dict.fromkeys(
        ("evaluation_num_env_runners", "evaluation_parallel_to_training", "test_num"),
        "one evaluator plays beside the training",
    ),
    "evaluation_duration_unit": "evaluation_episodes= counts whole episodes; evaluation_steps= bounds their steps",
    **dict.fromkeys(
        ("explore", "exploration_config"),
        "training always samples actions; evaluation_deterministic= says what evaluations do",
    ),
    **dict.fromkeys(
        ("clip_actions", "normalize_actions", "action_scaling", "action_bound_method"),
        "actions are clipped to the bounds of the environment's space",
    ),
    "shuffle_batch_per_epoch": "each epoch shuffles the batch",
    "grad_clip_by": "max_grad_norm= bounds the norm of the whole gradient",
    **dict.fromkeys(
        ("sample_timeout_s", "timeout_s_sampler"), "hang_timeout_s= replaces a simulator that is stuck in one step"
    ),
    **dict.fromkeys(("policy_class", "policies"), "hidden= and network= shape the one policy"),
    "zero_policy": "a linear policy begins with zeros",
    **dict.fromkeys(("population_size", "popsize"), "directions= counts pairs of episodes"),
    "return_proc_mode": "ES ranks returns, and ARS scales them by their deviation",
    "disable_env_checking": "environments are always checked",
    "torch_deterministic": "in deterministic order a seed determines the run",
    **dict.fromkeys(
        ("rms_prop_eps", "adam_eps", "optimizer_kwargs", "momentum", "epsilon"),
        "the constants of optimisers are fixed; optimiser= and learning_rate= can be set",
    ),
    "vtrace": "rl.APPO and rl.IMPALA always correct by V-trace, and rl.PPO never does",
    **dict.fromkeys(
        ("use_sde", "sde_sample_freq", "use_kl_loss", "kl_coeff", "use_critic", "dual_clip", "recompute_advantage"),
        "this library has no counterpart",
    ),
    **dict.fromkeys(
        ("rollout_buffer_class", "rollout_buffer_kwargs", "share_features_extractor", "squash_output"),
        "this library has no counterpart",
    ),
}
"""Settings of other libraries without a counterpart, and what to use instead."""

_OURS_BY_NAME = {foreign: own for own, names in OURS.items() for foreign in names}


def own_name(name: str) -> str:
    """Return this library's name of a setting; names that are not known from elsewhere stay as they are."""
    return _OURS_BY_NAME.get(name, name)


def hint(name: str, known: Collection[str], others: Sequence[str] = ()) -> str:
    """Suggest what to use in place of a setting that does not exist.

    Args:
        name: the unknown name.
        known: the names of existing settings.
        others: the other algorithms that have the setting.
    """
    own = own_name(name)
    if own in known:
        return f"it is called {own} here"
    if others:
        return (
            f"{in_words(others)} {'has' if len(others) == 1 else 'have'} it{'' if own == name else f', called {own}'}"
        )
    if name in ELSEWHERE:
        return ELSEWHERE[name]
    matches = difflib.get_close_matches(name, known, n=3)
    return f"did you mean {' or '.join(matches)}?" if matches else f"there are {', '.join(known)}"


def in_words(names: Sequence[str]) -> str:
    """Return names as an enumeration."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
