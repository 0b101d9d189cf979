"""Pure: names of settings in other libraries: Stable-Baselines3, RL-Zoo, RLlib, CleanRL and Tianshou."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping

OURS: Mapping[str, Collection[str]] = {
    "steps": ("total_timesteps", "n_timesteps", "timesteps"),
    "environments": ("n_envs", "num_envs"),
    "horizon": ("n_steps", "num_steps", "rollout_fragment_length", "rollout_length", "unroll_length"),
    "batch_steps": ("train_batch_size", "train_batch_size_per_learner"),
    "minibatch_size": ("batch_size", "sgd_minibatch_size"),
    "epochs": ("n_epochs", "num_epochs", "num_sgd_iter", "update_epochs"),
    "learning_rate": ("lr", "step_size"),
    "gamma": ("discount", "discount_factor"),
    "gae_lambda": ("lambda_", "lam", "lmbda"),
    "entropy_coefficient": ("ent_coef", "entropy_coeff", "entropy_coef"),
    "value_coefficient": ("vf_coef", "vf_loss_coeff", "value_coef", "value_loss_coef"),
    "clip_range": ("clip_param", "clip_coef", "clip_epsilon", "eps_clip", "cliprange"),
    "max_grad_norm": ("grad_clip", "grad_norm", "max_gradient_norm"),
    "normalise_advantages": ("normalize_advantage", "normalize_advantages", "norm_adv", "advantage_normalization"),
    "hidden": ("net_arch", "fcnet_hiddens", "hidden_sizes", "hidden_size", "layers"),
    "activation": ("activation_fn", "fcnet_activation"),
    "orthogonal": ("ortho_init", "orthogonal_init"),
    "log_std": ("log_std_init",),
    "network": ("policy", "model", "features_extractor_class"),
    "learners": ("num_learners",),
    "evaluate_every": ("eval_freq", "evaluation_interval"),
    "evaluation_episodes": ("n_eval_episodes", "eval_episodes", "evaluation_duration"),
    "rho_limit": ("vtrace_clip_rho_threshold",),
    "c_limit": ("vtrace_clip_pg_rho_threshold",),
    "directions": ("n_delta", "num_rollouts"),
    "best_directions": ("n_top", "rollouts_used"),
    "deviation": ("delta_std", "noise_stdev", "sigma"),
    "weight_decay": ("l2_coeff",),
}
"""Settings of this library, and their names in other libraries."""

ELSEWHERE: Mapping[str, str] = {
    **dict.fromkeys(
        ("policy_kwargs", "model_config"), "hidden=, activation=, orthogonal=, log_std= and network= shape the network"
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
    **dict.fromkeys(("anneal_lr", "lr_schedule", "lr_decay"), "give learning_rate_schedule='linear'"),
    "device": "a network in torch (backend='torch') learns on the GPU where torch finds one",
    "stop_return": "start(stop_return=...) takes it",
    "callback": "start(callbacks=[...]) takes them",
    "callbacks": "start(callbacks=[...]) takes them",
    "tensorboard_log": "start(callbacks=[rl.TensorBoardLog()]) writes what TensorBoard reads",
    "verbose": "start(show=...) says whether the run is shown",
    **dict.fromkeys(
        ("target_kl", "clip_range_vf", "clip_vloss", "vf_clip_param", "use_sde", "sde_sample_freq", "kl_coeff"),
        "this library has no counterpart",
    ),
}
"""Settings of other libraries without a counterpart, and what to use instead."""

_OURS_BY_NAME = {foreign: own for own, names in OURS.items() for foreign in names}


def hint(name: str, known: Collection[str]) -> str:
    """Suggest what to use in place of a setting that does not exist.

    Args:
        name: the unknown name.
        known: the names of existing settings.
    """
    own = _OURS_BY_NAME.get(name)
    if own in known:
        return f"it is called {own} here"
    if name in ELSEWHERE:
        return ELSEWHERE[name]
    matches = difflib.get_close_matches(name, known, n=3)
    return f"did you mean {' or '.join(matches)}?" if matches else f"there are {', '.join(known)}"
