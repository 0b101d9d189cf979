"""Augmented random search (Mania, Guy and Recht 2018): settings and update.

The package `evolution` plays the episodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from actorrt.rl.algorithms.algorithm import Algorithm
from actorrt.rl.evolution.loop import EvolutionLoop
from actorrt.rl.presets.ars import PRESETS
from actorrt.rl.settings.evolution_settings import EvolutionSettings
from actorrt.rl.spaces.array_spaces import Array


@dataclass(frozen=True, kw_only=True)
class ARSSettings(EvolutionSettings):
    """Settings of augmented random search; version 2 of the paper if observations are normalised.

    Attributes:
        best_directions: number of directions that count: those with the largest return of either sign; None takes all.
    """

    algorithm: ClassVar[str] = "ARS"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = PRESETS

    hidden: tuple[int, ...] = ()
    best_directions: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.best_directions is not None:
            self._require_at_least_1("best_directions")
        if self.best_directions is not None and not 1 <= self.best_directions <= self.directions:
            raise ValueError(
                f"best_directions is between 1 and directions={self.directions}: best_directions={self.best_directions}"
            )

    def update_rule(self) -> ARSUpdate:
        """Make the update rule."""
        return ARSUpdate(self)


class ARSUpdate:
    """The paper's algorithm 2, lines 6 and 7.

    Returns are scaled by their sample deviation, as in SB3-Contrib, for which RL-Zoo's learning rates were found. The
    authors' own code takes the deviation of the population, which is the same for many directions; for a single
    direction it makes steps 1.4 times as long.
    """

    def __init__(self, settings: ARSSettings) -> None:
        self.settings = settings

    def weigh(self, returns: Array) -> tuple[Array, dict[str, float]]:
        """Compute the weights of directions.

        Args:
            returns: returns with each direction added and subtracted, (directions, 2).

        Returns:
            Each direction's weight in the sum for `move`; and the metric `return_deviation`, over the episodes that
            counted.
        """
        best = np.argsort(-returns.max(axis=1), kind="stable")[: self.settings.best_directions]
        deviation = float(returns[best].std(ddof=1))
        weights = np.zeros(len(returns))
        weights[best] = (returns[best, 0] - returns[best, 1]) / (len(best) * (deviation or 1.0))
        return weights, {"return_deviation": deviation}

    def move(self, parameters: Array, total: Array) -> Array:
        """Return the new flat vector: moved along the weighted sum of the directions."""
        moved: Array = (parameters + self.settings.learning_rate * total).astype(np.float32)
        return moved

    def state(self) -> dict[str, Any]:
        """Return an empty state: there is nothing but the parameters."""
        return {}

    def resume(self, state: dict[str, Any]) -> None:
        """Take over an empty state."""


class ARS(Algorithm):
    """Trains a policy by augmented random search; see `Algorithm` for the arguments."""

    settings_class = ARSSettings
    loop_class = EvolutionLoop
