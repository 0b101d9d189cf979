"""The form in which several environments are stepped together, however they reset.

Every step says which rows are transitions (`valid`), and which observations truncated episodes ended with. Policies and
fragments do not depend on Gymnasium.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from actorrt.rl.spaces.array_spaces import Array

SeedOf = Callable[[int, int], int]
"""Returns the seed of an episode for the environment's index and the episode's number in it, from 0."""


@dataclass(eq=False)
class Step:
    """The result of one step of K environments.

    Attributes:
        obs: K observations to act on next, in the environment's own form; after an episode, the first of the next.
        reward: (K,) float64.
        terminated, truncated: (K,) bool; never both.
        valid: (K,) bool; False where the environment only reset itself and took no action, or failed.
        final_obs: by environment, the last observation of its truncated episode, as a batch of one.
        failed: the environments that failed in this step. The step is not a transition, since it has neither a reward
            nor a next observation; the episode ended as truncated before it, with the observation that was acted on.
    """

    obs: Any
    reward: Array
    terminated: Array
    truncated: Array
    valid: Array
    final_obs: dict[int, Any]
    failed: list[int] = field(default_factory=list)


class Environments(Protocol):
    """K environments stepped together. One that fails is made anew, and its episode ends (`env_failures`)."""

    count: int

    def reset(self) -> Any: ...

    def step(self, actions: Array) -> Step: ...

    def refused(self, error: Exception, step: Step | None = None) -> Any: ...

    def take_failures(self) -> tuple[str, ...]: ...

    def location(self) -> str: ...

    def state(self) -> dict[str, Any]: ...

    def resume(self, state: dict[str, Any]) -> tuple[Any, Array]: ...

    def close(self) -> None: ...
