"""The form in which several environments are stepped together, however they reset: `Step`, and who takes it.

Every step says which rows are transitions (`valid`), and which observations truncated episodes ended with. Policies and
fragments do not depend on Gymnasium.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from actorrt.rl.spaces.array_spaces import Array

SeedOf = Callable[[int, int], int]
"""Returns the seed of an episode for the environment's index and the episode's number in it, from 0."""


@dataclass(frozen=True, eq=False)
class Step:
    """The result of one step of K environments.

    Attributes:
        obs: K observations to act on next, in the environment's own form; after an episode, the first of the next.
        reward: (K,) float64.
        terminated, truncated: (K,) bool; never both.
        valid: (K,) bool; False where the environment only reset itself and took no action.
        final_obs: by environment, the last observation of its truncated episode, as a batch of one.
    """

    obs: Any
    reward: Array
    terminated: Array
    truncated: Array
    valid: Array
    final_obs: dict[int, Any]


class Environments(Protocol):
    """K environments stepped together."""

    count: int

    def reset(self) -> Any: ...

    def step(self, actions: Array) -> Step: ...

    def location(self, index: int | None = None) -> str: ...

    def state(self) -> dict[str, Any]: ...

    def resume(self, state: dict[str, Any]) -> tuple[Any, Array]: ...

    def close(self) -> None: ...
