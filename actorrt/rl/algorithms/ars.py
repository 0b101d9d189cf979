"""Augmented random search (Mania, Guy and Recht 2018): settings, presets and update rule.

The package `evolution` plays the episodes. The presets are RL-Zoo's (hyperparams/ars.yml).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from actorrt.rl.algorithms.algorithm import Algorithm
from actorrt.rl.evolution.loop import EvolutionLoop
from actorrt.rl.settings.algorithm_settings import AlgorithmSettings
from actorrt.rl.spaces.array_spaces import Array

NORMALISED = {"normalise_observations": True}

SMALL_NETWORK = {**NORMALISED, "hidden": (16,), "activation": "relu", "orthogonal": False}

PENDULUM = {
    **SMALL_NETWORK,
    "steps": 2_000_000,
    "learning_rate": 0.018,
    "directions": 4,
    "best_directions": 1,
    "deviation": 0.1,
    "evaluate_every": 50_000,
}

BIPEDAL_WALKER = {
    **SMALL_NETWORK,
    "steps": 100_000_000,
    "directions": 64,
    "best_directions": 32,
    "deviation": 0.0075,
    "alive_bonus_offset": 0.1,
    "evaluate_every": 1_000_000,
}

PRESETS: dict[str, dict[str, Any]] = {
    "CartPole-v1": {"steps": 50_000, "directions": 2},
    "Pendulum-v1": PENDULUM,
    "LunarLander-v3": {**PENDULUM, "directions": 6},
    "LunarLanderContinuous-v3": PENDULUM,
    "Acrobot-v1": {**PENDULUM, "steps": 500_000},
    "MountainCar-v0": {**PENDULUM, "steps": 500_000, "directions": 8},
    "MountainCarContinuous-v0": {**PENDULUM, "steps": 500_000, "deviation": 0.2},
    "BipedalWalker-v3": BIPEDAL_WALKER,
    "BipedalWalkerHardcore-v3": {**BIPEDAL_WALKER, "steps": 500_000_000},
    "Swimmer-v5": {
        "steps": 2_000_000,
        "learning_rate": 0.02,
        "deviation": 0.01,  # too small to see a way off the plateau that some runs get to; 0.1 is not
        "directions": 1,
        "evaluate_every": 100_000,
    },
    "Hopper-v5": {
        **NORMALISED,
        "steps": 7_000_000,
        "learning_rate": 0.01,
        "deviation": 0.025,
        "directions": 8,
        "best_directions": 4,
        "alive_bonus_offset": 1.0,
        "evaluate_every": 200_000,
    },
    "Walker2d-v5": {
        **NORMALISED,
        "steps": 75_000_000,
        "learning_rate": 0.03,
        "deviation": 0.025,
        "directions": 40,
        "best_directions": 30,
        "alive_bonus_offset": 1.0,
        "evaluate_every": 1_000_000,
    },
    "Ant-v5": {
        **NORMALISED,
        "steps": 75_000_000,
        "learning_rate": 0.015,
        "deviation": 0.025,
        "directions": 60,
        "best_directions": 20,
        "alive_bonus_offset": 1.0,
        "evaluate_every": 1_000_000,
    },
    "HalfCheetah-v5": {
        **NORMALISED,
        "steps": 12_500_000,
        "learning_rate": 0.02,
        "deviation": 0.03,
        "directions": 32,
        "best_directions": 4,
        "evaluate_every": 500_000,
    },
    "Humanoid-v5": {
        **NORMALISED,
        "steps": 250_000_000,
        "learning_rate": 0.02,
        "deviation": 0.0075,
        "directions": 256,
        "alive_bonus_offset": 5.0,
        "evaluate_every": 5_000_000,
    },
}


@dataclass(frozen=True, kw_only=True)
class EvolutionSettings(AlgorithmSettings):
    """Settings of the algorithms that learn from whole episodes.

    Attributes:
        directions: number of directions of an update, each explored with both signs.
        deviation: standard deviation of the perturbation of each parameter.
        learning_rate: of the step.
        alive_bonus_offset: subtracted from the reward of each step, for updates only. If an environment rewards staying
            alive, this keeps the policy from learning nothing else.
    """

    directions: int = 8
    deviation: float = 0.05
    learning_rate: float = 0.02
    alive_bonus_offset: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_at_least_1("directions")
        self._require_positive("deviation", "learning_rate")
        self._require_numbers("alive_bonus_offset")
        if self.normalise_rewards:
            raise ValueError("normalise_rewards: whole episodes are compared, so that rewards need no scale")


@dataclass(frozen=True, kw_only=True)
class ARSSettings(EvolutionSettings):
    """Settings of augmented random search; version 2 of the paper if observations are normalised.

    Attributes:
        best_directions: number of directions that count: those with the largest return of either sign; None takes all.
    """

    algorithm: ClassVar[str] = "ARS"
    presets: ClassVar[dict[str, dict[str, Any]]] = PRESETS

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
