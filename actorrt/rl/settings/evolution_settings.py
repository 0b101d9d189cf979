"""Pure: the settings that ARS and ES have in common, and the update rule that they make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from actorrt.rl.settings.algorithm_settings import AlgorithmSettings
from actorrt.rl.spaces.array_spaces import Array


class EvolutionRule(Protocol):
    """The algorithm's part of an update: how returns become a step."""

    def weigh(self, returns: Array) -> tuple[Array, dict[str, float]]: ...

    def move(self, parameters: Array, total: Array) -> Array: ...

    def state(self) -> dict[str, Any]: ...

    def resume(self, state: dict[str, Any]) -> None: ...


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

    def update_rule(self) -> EvolutionRule:
        """Make the update rule."""
        raise NotImplementedError
