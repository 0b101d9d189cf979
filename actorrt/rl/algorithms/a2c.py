"""Advantage actor-critic (Mnih et al. 2016, algorithm S3, in its synchronous form): settings, presets and update rule.

The presets are RL-Zoo's (hyperparams/a2c.yml), without state-dependent exploration for continuous actions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from actorrt.rl.algorithms.algorithm import Algorithm
from actorrt.rl.algorithms.gradient_update import GradientUpdate
from actorrt.rl.networks.network import AnyNetwork
from actorrt.rl.networks.optimiser import FlatRMSProp
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.rollouts.trajectory import Fragment
from actorrt.rl.rollouts.transitions import Transitions, normalised, transitions
from actorrt.rl.settings.algorithm_settings import RolloutSettings, scheduled
from actorrt.rl.spaces.array_spaces import Array

NORMALISED = {"normalise_observations": True, "normalise_rewards": True}

SPREAD = {
    **NORMALISED,
    "horizon": 8,
    "gae_lambda": 0.9,
    "value_coefficient": 0.4,
    "learning_rate_schedule": "linear",
    "log_std": -2.0,
    "orthogonal": False,
}

MUJOCO = {**NORMALISED, "steps": 1_000_000, "environments": 1, "evaluate_every": 25_000}

PRESETS: dict[str, dict[str, Any]] = {
    "CartPole-v1": {"steps": 500_000, "environments": 8},
    "LunarLander-v3": {
        "steps": 200_000,
        "environments": 8,
        "gamma": 0.995,
        "learning_rate": 0.00083,
        "learning_rate_schedule": "linear",
        "entropy_coefficient": 1e-5,
    },
    "LunarLanderContinuous-v3": {**SPREAD, "steps": 5_000_000, "environments": 4, "learning_rate": 7e-4},
    "Pendulum-v1": {**SPREAD, "steps": 1_000_000, "environments": 8, "gamma": 0.9, "learning_rate": 7e-4},
    "BipedalWalker-v3": {**SPREAD, "steps": 5_000_000, "environments": 16, "learning_rate": 0.00096},
    "BipedalWalkerHardcore-v3": {
        **SPREAD,
        "steps": 200_000_000,
        "environments": 32,
        "learning_rate": 0.0008,
        "entropy_coefficient": 0.001,
        "evaluate_every": 1_000_000,
    },
    "MountainCarContinuous-v0": {
        **NORMALISED,
        "steps": 100_000,
        "environments": 4,
        "horizon": 100,
        "orthogonal": False,
    },
    "MountainCar-v0": {**NORMALISED, "steps": 1_000_000, "environments": 16},
    "Acrobot-v1": {**NORMALISED, "steps": 500_000, "environments": 16},
    **dict.fromkeys(("HalfCheetah-v5", "Ant-v5", "Hopper-v5", "Walker2d-v5"), MUJOCO),
    "Humanoid-v5": {**MUJOCO, "steps": 2_000_000},
    "Swimmer-v5": {**MUJOCO, "gamma": 0.9999},
}


@dataclass(frozen=True, kw_only=True)
class A2CSettings(RolloutSettings):
    """Settings of advantage actor-critic. The defaults are Stable-Baselines3's.

    Attributes:
        gae_lambda: weight of longer advantage estimates; with 1 they are n-step returns, as in the paper.
        normalise_advantages: whether to scale them to mean 0 and standard deviation 1 in each batch.
    """

    algorithm: ClassVar[str] = "A2C"
    presets: ClassVar[dict[str, dict[str, Any]]] = PRESETS

    horizon: int = 5
    learning_rate: float = 7e-4
    gae_lambda: float = 1.0
    normalise_advantages: bool = False
    evaluate_every: int = 10_000

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_share("gae_lambda")
        self._require_flags("normalise_advantages")

    def update_rule(self, spec: PolicySpec, parameters: Array, seed: int) -> A2CUpdate:
        """Make the update rule."""
        return A2CUpdate(self, spec, parameters)


class A2CUpdate(GradientUpdate):
    """Computes returns, then makes one step along the policy gradient, with the value loss and the entropy bonus."""

    optimiser_class = FlatRMSProp
    settings: A2CSettings

    def __call__(self, fragments: tuple[Fragment, ...], remaining: float) -> dict[str, float]:
        """Improve the policy.

        Args:
            fragments: fragments with at least one transition.
            remaining: share of the run that is still to come, 1 to 0, for the learning rate.

        Returns:
            Metrics of the batch before the update: `value_loss` and `entropy` (nats).
        """
        settings = self.settings
        metrics = actor_critic_gradient(self.network, fragments, settings, self.share)
        self.step(scheduled(settings.learning_rate, settings.learning_rate_schedule, remaining))
        return metrics


def actor_critic_gradient(
    network: AnyNetwork,
    fragments: tuple[Fragment, ...],
    settings: A2CSettings,
    share: Callable[[Transitions], Transitions] = lambda rows: rows,
) -> dict[str, float]:
    """Compute the gradient of fragments, or of a share of them, in the network; return the metrics."""
    rows = share(transitions(fragments, gamma=settings.gamma, gae_lambda=settings.gae_lambda))
    advantage = normalised(rows.advantage) if settings.normalise_advantages else rows.advantage
    return differentiate(network, rows, advantage, settings.value_coefficient, settings.entropy_coefficient)


def differentiate(
    network: AnyNetwork, rows: Transitions, advantage: Array, value_coefficient: float, entropy_coefficient: float
) -> dict[str, float]:
    """Compute the gradient of the actor-critic loss, which is minimised, in the network.

    The loss is the mean over rows of -advantage log pi + value_coefficient (V - target)^2 - entropy_coefficient H.

    Returns:
        `value_loss` and `entropy` (nats), before the update.
    """
    count = len(rows)
    outputs, value = network.forward(rows.obs)
    distribution = network.distribution(outputs)
    error = value - rows.target
    d_outputs = distribution.gradient(rows.action, advantage / -count, -entropy_coefficient / count)
    network.backward(d_outputs, error * (2.0 * value_coefficient / count))
    return {"value_loss": float(np.square(error).mean()), "entropy": float(distribution.entropy().mean())}


class A2C(Algorithm):
    """Trains a policy by advantage actor-critic; see `Algorithm` for the arguments."""

    settings_class = A2CSettings
