"""Proximal policy optimisation (Schulman et al. 2017): settings, presets and update rule.

The mathematics is in `clipped_objective`. The presets are RL-Zoo's tuned values (github.com/DLR-RM/rl-baselines3-zoo,
hyperparams/ppo.yml; those for MuJoCo are of versions 2 and 4 there), with Stable-Baselines3's defaults for values that
RL-Zoo leaves out, so that results are comparable. State-dependent exploration, which RL-Zoo uses for Pendulum and
MountainCarContinuous, is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from actorrt.rl.algorithms.algorithm import Algorithm
from actorrt.rl.algorithms.clipped_objective import ClippedSettings, ClippedUpdate
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.rollouts.trajectory import Fragment
from actorrt.rl.rollouts.transitions import Transitions, transitions
from actorrt.rl.spaces.array_spaces import Array

NORMALISED = {"normalise_observations": True, "normalise_rewards": True}
WIDE = {"hidden": (256, 256), "activation": "relu", "orthogonal": False, "log_std": -2.0}
ONE = {**NORMALISED, "steps": 1_000_000, "environments": 1, "horizon": 512, "evaluate_every": 25_000}
LANDER = {
    "steps": 1_000_000,
    "environments": 16,
    "horizon": 1024,
    "gamma": 0.999,
    "gae_lambda": 0.98,
    "epochs": 4,
    "entropy_coefficient": 0.01,
    "evaluate_every": 50_000,
}

PRESETS: dict[str, dict[str, Any]] = {
    "CartPole-v1": {
        "steps": 100_000,
        "environments": 8,
        "horizon": 32,
        "minibatch_size": 256,
        "epochs": 20,
        "gamma": 0.98,
        "gae_lambda": 0.8,
        "learning_rate": 1e-3,
        "learning_rate_schedule": "linear",
        "clip_range": 0.2,
        "clip_schedule": "linear",
    },
    "Pendulum-v1": {
        "steps": 100_000,
        "environments": 4,
        "horizon": 1024,
        "gamma": 0.9,
        "learning_rate": 1e-3,
    },
    "MountainCarContinuous-v0": {
        **NORMALISED,
        "steps": 20_000,
        "environments": 1,
        "horizon": 8,
        "minibatch_size": 256,
        "gamma": 0.9999,
        "learning_rate": 7.77e-5,
        "entropy_coefficient": 0.00429,
        "clip_range": 0.1,
        "gae_lambda": 0.9,
        "max_grad_norm": 5.0,
        "value_coefficient": 0.19,
        "orthogonal": False,
        "log_std": -3.29,
    },
    "Acrobot-v1": {**NORMALISED, "environments": 16, "horizon": 256, "gae_lambda": 0.94, "epochs": 4},
    "MountainCar-v0": {**NORMALISED, "environments": 16, "horizon": 16, "gae_lambda": 0.98, "epochs": 4},
    "LunarLander-v3": LANDER,
    "LunarLanderContinuous-v3": LANDER,
    "BipedalWalker-v3": {
        **NORMALISED,
        "steps": 5_000_000,
        "environments": 32,
        "horizon": 2048,
        "gamma": 0.999,
        "clip_range": 0.18,
        "evaluate_every": 250_000,
    },
    "BipedalWalkerHardcore-v3": {
        **NORMALISED,
        "steps": 100_000_000,
        "environments": 16,
        "horizon": 2048,
        "learning_rate": 2.5e-4,
        "learning_rate_schedule": "linear",
        "clip_schedule": "linear",
        "entropy_coefficient": 0.001,
        "evaluate_every": 1_000_000,
    },
    "HalfCheetah-v5": {
        **ONE,
        **WIDE,
        "gamma": 0.98,
        "learning_rate": 2.0633e-5,
        "entropy_coefficient": 0.000401762,
        "clip_range": 0.1,
        "epochs": 20,
        "gae_lambda": 0.92,
        "max_grad_norm": 0.8,
        "value_coefficient": 0.58096,
    },
    "Hopper-v5": {
        **ONE,
        **WIDE,
        "minibatch_size": 32,
        "gamma": 0.999,
        "learning_rate": 9.80828e-5,
        "entropy_coefficient": 0.00229519,
        "epochs": 5,
        "gae_lambda": 0.99,
        "max_grad_norm": 0.7,
        "value_coefficient": 0.835671,
    },
    "Walker2d-v5": {
        **ONE,
        "minibatch_size": 32,
        "gamma": 0.99,
        "learning_rate": 5.05041e-5,
        "entropy_coefficient": 0.000585045,
        "clip_range": 0.1,
        "epochs": 20,
        "max_grad_norm": 1.0,
        "value_coefficient": 0.871923,
    },
    "Humanoid-v5": {
        **ONE,
        **WIDE,
        "steps": 10_000_000,
        "minibatch_size": 256,
        "gamma": 0.95,
        "learning_rate": 3.56987e-5,
        "entropy_coefficient": 0.00238306,
        "clip_range": 0.3,
        "epochs": 5,
        "gae_lambda": 0.9,
        "max_grad_norm": 2.0,
        "value_coefficient": 0.431892,
    },
    "HumanoidStandup-v5": {
        **ONE,
        **WIDE,
        "steps": 10_000_000,
        "minibatch_size": 32,
        "learning_rate": 2.55673e-5,
        "entropy_coefficient": 3.62109e-6,
        "clip_range": 0.3,
        "epochs": 20,
        "gae_lambda": 0.9,
        "max_grad_norm": 0.7,
        "value_coefficient": 0.430793,
    },
    "Reacher-v5": {
        **ONE,
        "minibatch_size": 32,
        "gamma": 0.9,
        "learning_rate": 1.04019e-4,
        "entropy_coefficient": 7.52585e-8,
        "clip_range": 0.3,
        "epochs": 5,
        "gae_lambda": 1.0,
        "max_grad_norm": 0.9,
        "value_coefficient": 0.950368,
    },
    "InvertedPendulum-v5": {
        **ONE,
        "horizon": 32,
        "gamma": 0.999,
        "learning_rate": 2.22425e-4,
        "entropy_coefficient": 1.37976e-7,
        "clip_range": 0.4,
        "epochs": 5,
        "gae_lambda": 0.9,
        "max_grad_norm": 0.3,
        "value_coefficient": 0.19816,
    },
    "InvertedDoublePendulum-v5": {
        **ONE,
        "horizon": 128,
        "minibatch_size": 512,
        "gamma": 0.98,
        "learning_rate": 1.55454e-4,
        "entropy_coefficient": 1.05057e-6,
        "clip_range": 0.4,
        "gae_lambda": 0.8,
        "value_coefficient": 0.695929,
    },
    "Ant-v5": {**ONE, "horizon": 2048},
    "Swimmer-v5": {
        **ONE,
        "environments": 4,
        "horizon": 1024,
        "minibatch_size": 256,
        "gamma": 0.9999,
        "learning_rate": 6e-4,
        "gae_lambda": 0.98,
    },
}


@dataclass(frozen=True, kw_only=True)
class PPOSettings(ClippedSettings):
    """Settings of proximal policy optimisation. The defaults are those of most libraries.

    Attributes:
        gae_lambda: weight of longer advantage estimates.
    """

    algorithm: ClassVar[str] = "PPO"
    presets: ClassVar[dict[str, dict[str, Any]]] = PRESETS

    gae_lambda: float = 0.95

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_share("gae_lambda")

    def update_rule(self, spec: PolicySpec, parameters: Array, seed: int) -> PPOUpdate:
        """Make the update rule."""
        return PPOUpdate(self, spec, parameters, seed)


class PPOUpdate(ClippedUpdate):
    """Improves the policy by the clipped objective, with generalised advantage estimates."""

    settings: PPOSettings

    def rows(self, fragments: tuple[Fragment, ...]) -> Transitions:
        """Compute advantages and value targets from the values that the acting policies estimated."""
        return transitions(fragments, gamma=self.settings.gamma, gae_lambda=self.settings.gae_lambda)


class PPO(Algorithm):
    """Trains a policy by proximal policy optimisation; see `Algorithm` for the arguments."""

    settings_class = PPOSettings
