"""Proximal policy optimisation (Schulman et al. 2017), as users start it: settings, presets and the algorithm's face.

Its mathematics is in `ppo_update`. The presets are RL-Zoo's tuned values
(github.com/DLR-RM/rl-baselines3-zoo, hyperparams/ppo.yml), so that results compare; where RL-Zoo needs what is not
here, CleanRL's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from actorrt.rl.algorithm import Algorithm
from actorrt.rl.settings import RolloutSettings, Schedule

if TYPE_CHECKING:
    from actorrt.rl.policy import PolicySpec
    from actorrt.rl.ppo_update import PPOUpdate
    from actorrt.rl.spaces import Array

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
NORMALISED = {"normalise_observations": True, "normalise_rewards": True}
MUJOCO = {  # CleanRL's: RL-Zoo's take other activations and wider networks
    **NORMALISED,
    "steps": 1_000_000,
    "environments": 2,
    "horizon": 1024,
    "learning_rate_schedule": "linear",
    "evaluate_every": 25_000,
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
    "Pendulum-v1": {  # without state-dependent exploration, which RL-Zoo adds
        "steps": 100_000,
        "environments": 4,
        "horizon": 1024,
        "gamma": 0.9,
        "learning_rate": 1e-3,
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
    **{f"{name}-v5": MUJOCO for name in ("HalfCheetah", "Hopper", "Walker2d", "Ant", "Humanoid", "Reacher")},
    "Swimmer-v5": {**MUJOCO, "gamma": 0.9999},
}


@dataclass(frozen=True, kw_only=True)
class ClippedSettings(RolloutSettings):
    """Settings of the algorithms with PPO's clipped objective.

    Attributes:
        minibatch_size: transitions a gradient step learns from.
        epochs: passes over each batch.
        clip_range: how far the probability ratio may move, at the start.
        clip_schedule: whether it shrinks to 0 over the run.
        normalise_advantages: to mean 0 and deviation 1 in each minibatch.
    """

    minibatch_size: int = 64
    epochs: int = 10
    clip_range: float = 0.2
    clip_schedule: Schedule = "constant"
    normalise_advantages: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_at_least_1("minibatch_size", "epochs")


@dataclass(frozen=True, kw_only=True)
class PPOSettings(ClippedSettings):
    """How proximal policy optimisation learns. The defaults are those that most libraries share.

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
        """Make what improves the policy; imports torch."""
        from actorrt.rl.ppo_update import PPOUpdate

        return PPOUpdate(self, spec, parameters, seed)


class PPO(Algorithm):
    """Trains a policy by proximal policy optimisation; see `Algorithm` for what all algorithms take."""

    settings_class = PPOSettings
