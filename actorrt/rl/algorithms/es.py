"""Evolution strategies (Salimans et al. 2017): settings and update.

The package `evolution` plays the episodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from actorrt.rl.algorithms.algorithm import Algorithm
from actorrt.rl.evolution.loop import EvolutionLoop
from actorrt.rl.presets.es import PRESETS
from actorrt.rl.settings.evolution_settings import EvolutionSettings
from actorrt.rl.spaces.array_spaces import Array

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


@dataclass(frozen=True, kw_only=True)
class ESSettings(EvolutionSettings):
    """Settings of evolution strategies.

    Attributes:
        weight_decay: share of the parameters that is added to the gradient, which pulls them towards zero.
    """

    algorithm: ClassVar[str] = "ES"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = PRESETS

    directions: int = 32
    deviation: float = 0.02
    learning_rate: float = 0.01
    weight_decay: float = 0.005
    normalise_observations: bool = True
    evaluate_every: int = 10_000

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_at_least_0("weight_decay")

    def update_rule(self) -> ESUpdate:
        """Make the update rule."""
        return ESUpdate(self)


class ESUpdate:
    """Algorithm 1 of the paper with its section 2.1: antithetic directions, ranks in place of returns, Adam."""

    def __init__(self, settings: ESSettings) -> None:
        self.settings = settings
        self._first_moment = self._second_moment = np.zeros(0)
        self._step_count = 0

    def weigh(self, returns: Array) -> tuple[Array, dict[str, float]]:
        """Compute the weights of directions.

        Args:
            returns: returns with each direction added and subtracted, (directions, 2).

        Returns:
            Each direction's weight in the sum for `move`, such that the sum is the gradient; and the metric
            `return_deviation`, over all episodes.
        """
        ranks = centred_ranks(returns)
        weights = (ranks[:, 0] - ranks[:, 1]) / (returns.size * self.settings.deviation)
        return weights, {"return_deviation": float(returns.std())}

    def move(self, parameters: Array, total: Array) -> Array:
        """Return the new flat vector: moved up the gradient."""
        settings = self.settings
        step = self._adam(settings.weight_decay * parameters - total)
        moved: Array = (parameters - settings.learning_rate * step).astype(np.float32)
        return moved

    def _adam(self, gradient: Array) -> Array:
        """Return Adam's step (Kingma and Ba 2015) for a gradient and a learning rate of 1.

        Not `FlatAdam`: sums of directions are float64, and so are the moments, since the sum of many noisy returns is
        small beside its parts; and no gradient is clipped.
        """
        if self._step_count == 0:
            self._first_moment, self._second_moment = np.zeros(gradient.shape), np.zeros(gradient.shape)
        self._step_count += 1
        self._first_moment = BETA_1 * self._first_moment + (1.0 - BETA_1) * gradient
        self._second_moment = BETA_2 * self._second_moment + (1.0 - BETA_2) * np.square(gradient)
        mean = self._first_moment / (1.0 - BETA_1**self._step_count)
        spread = np.sqrt(self._second_moment / (1.0 - BETA_2**self._step_count))
        step: Array = mean / (spread + EPSILON)
        return step

    def state(self) -> dict[str, Any]:
        """Return the state that another rule needs to continue from the parameters."""
        moments = {"first_moment": self._first_moment, "second_moment": self._second_moment}
        return {**moments, "step_count": self._step_count}

    def resume(self, state: dict[str, Any]) -> None:
        """Take over another rule's `state`."""
        self._first_moment, self._second_moment = state["first_moment"], state["second_moment"]
        self._step_count = state["step_count"]


def centred_ranks(returns: Array) -> Array:
    """Return the ranks of returns, spread evenly from -0.5 to 0.5; equal returns get their mean rank."""
    _, index, counts = np.unique(returns.ravel(), return_inverse=True, return_counts=True)
    first = np.cumsum(counts) - counts
    ranks = (first + (counts - 1) / 2.0)[index].reshape(returns.shape)
    return ranks / max(1, returns.size - 1) - 0.5


class ES(Algorithm):
    """Trains a policy by evolution strategies; see `Algorithm` for the arguments."""

    settings_class = ESSettings
    loop_class = EvolutionLoop
