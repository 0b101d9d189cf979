"""Advantage actor-critic (Mnih et al. 2016, algorithm S3, in its synchronous form): settings and update.

The loss is in `actor_critic`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from actorrt.rl.algorithms.actor_critic import actor_critic_gradient
from actorrt.rl.algorithms.algorithm import Algorithm
from actorrt.rl.algorithms.gradient_update import GradientUpdate
from actorrt.rl.networks.optimiser import OptimiserKind
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.presets.a2c import PRESETS
from actorrt.rl.rollouts.trajectory import Fragment
from actorrt.rl.rollouts.transitions import normalised, transitions
from actorrt.rl.settings.actor_critic_settings import ActorCriticSettings
from actorrt.rl.settings.schedules import scheduled
from actorrt.rl.spaces.array_spaces import Array


@dataclass(frozen=True, kw_only=True)
class A2CSettings(ActorCriticSettings):
    """Settings of advantage actor-critic. The defaults are Stable-Baselines3's.

    Attributes:
        gae_lambda: weight of longer advantage estimates; with 1 they are n-step returns, as in the paper.
        normalise_advantages: whether to scale them to mean 0 and standard deviation 1 in each batch.
    """

    algorithm: ClassVar[str] = "A2C"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = PRESETS

    horizon: int = 5
    optimiser: OptimiserKind = "rmsprop"
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

    settings: A2CSettings

    def __call__(self, fragments: tuple[Fragment, ...], remaining: float) -> dict[str, float]:
        """Improve the policy.

        Args:
            fragments: fragments with at least one transition.
            remaining: share of the run that is still to come, 1 to 0, for the learning rate.

        Returns:
            The metrics of `actor_critic_gradient`, `learning_rate`, and `gradient_norm`, before the gradient was
            clipped.
        """
        settings = self.settings
        rows = self.share(transitions(fragments, gamma=settings.gamma, gae_lambda=settings.gae_lambda))
        advantage = normalised(rows.advantage) if settings.normalise_advantages else rows.advantage
        metrics = actor_critic_gradient(
            self.network, rows, advantage, settings.value_coefficient, settings.entropy_coefficient
        )
        learning_rate = scheduled(settings.learning_rate, settings.learning_rate_schedule, remaining)
        norm = self.step(learning_rate)
        return metrics | {"learning_rate": learning_rate, "gradient_norm": norm}


class A2C(Algorithm):
    """Trains a policy by advantage actor-critic; see `Algorithm` for the arguments."""

    settings_class = A2CSettings
