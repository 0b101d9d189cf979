"""Environments of one process that are stepped one by one, with a seed for each episode."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from actorrt.rl.rollouts import environment_checks
from actorrt.rl.rollouts.stepping import SeedOf, Step
from actorrt.rl.spaces.array_spaces import Array
from actorrt.rl.spaces.gymnasium_spaces import spaces_of

REPLAY_LIMIT_STEPS = 100_000  # actions of longer episodes are not kept, so such an episode can't be replayed


class SeededEnvironments:
    """Environments of one process, each reset with its own seed for every episode.

    The actions of open episodes are kept, so that the episodes can be replayed: the state inside an environment can't
    be read.
    """

    def __init__(self, make: Callable[[], Any], count: int, seed_of: SeedOf) -> None:
        self.count = count
        self._environments = [make() for _ in range(count)]
        self._observation, self._action = spaces_of(self._environments[0])
        self._seed_of = seed_of
        self._episode = [0] * count
        self._seed = [0] * count
        self._actions: list[list[Any]] = [[] for _ in range(count)]
        self._length = [0] * count
        self._at = 0
        self._obs: list[Any] = [None] * count

    def reset(self) -> Any:
        """Begin a new episode in every environment and return the observations."""
        for k in range(self.count):
            self._obs[k] = self._begin_episode(k)
        return self._observation.stack(self._obs)

    def step(self, actions: Array) -> Step:
        """Step every environment. An environment whose episode ends begins the next at once, so every row is valid.

        Raises:
            ValueError: a reward is infinite or NaN.
            Exception: an environment's own error. `location` says in which environment, and at which step.
        """
        count = self.count
        reward = np.empty(count)
        terminated, truncated = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
        final_obs: dict[int, Any] = {}
        # Copies: a row that is kept for long would keep the rows of all environments in memory.
        rows = actions.tolist() if actions.ndim == 1 else [row.copy() for row in actions]
        choices = self._choices(actions)
        for k, environment in enumerate(self._environments):
            self._at = k
            self._record_action(k, rows[k])
            obs, gained, is_terminated, is_truncated = environment_checks.step(environment, choices[k])
            if not math.isfinite(gained):
                raise ValueError(f"a reward is infinite or NaN: {gained}")
            reward[k] = gained
            if is_terminated or is_truncated:
                terminated[k] = is_terminated
                truncated[k] = is_truncated and not is_terminated
                if truncated[k]:
                    final_obs[k] = self._observation.stack([obs])  # a copy: a reset may overwrite the observation
                obs = self._begin_episode(k)
            self._obs[k] = obs
        obs = self._observation.stack(self._obs)
        return Step(obs, reward, terminated, truncated, np.ones(count, np.bool_), final_obs)

    def _record_action(self, k: int, row: Any) -> None:
        self._length[k] += 1
        if self._length[k] <= REPLAY_LIMIT_STEPS:
            self._actions[k].append(row)
        else:
            self._actions[k] = []

    def _choices(self, actions: Array) -> list[Any]:
        """Return one action for each environment, in the environments' own form."""
        return self._action.unstack(self._action.to_environment(actions))

    def _begin_episode(self, k: int) -> Any:
        self._at, self._seed[k] = k, self._seed_of(k, self._episode[k])
        self._actions[k], self._length[k] = [], 0
        self._episode[k] += 1
        return environment_checks.reset(self._environments[k], self._seed[k])

    def location(self, index: int | None = None) -> str:
        """Describe an environment (by default the one stepped last): its number, step and episode's seed."""
        k = self._at if index is None else index
        return f"environment {k}, step {self._length[k]} of the episode with seed {self._seed[k]}"

    def state(self) -> dict[str, Any]:
        """Return the seeds and actions of the open episodes, as plain values and arrays."""
        return {
            "episode": list(self._episode),
            "seed": list(self._seed),
            "actions": [np.array(actions) for actions in self._actions],
            "obs": self._observation.encode(self._observation.stack(self._obs)),
        }

    def resume(self, state: dict[str, Any]) -> tuple[Any, Array]:
        """Replay open episodes up to where they were.

        Returns:
            The observations to act on next; and for each environment whether its observation is the one that `state`
            was given, (K,) bool. The other environments do not replay, and begin their next episode.
        """
        is_open = np.array([self._replay(k, state) for k in range(self.count)])
        encoded = self._observation.encode(self._observation.stack(self._obs))
        is_exact: Array = is_open & (encoded == state["obs"]).all(axis=1)
        for k in np.flatnonzero(~is_exact).tolist():
            self._obs[k] = self._begin_episode(k)
        return self._observation.stack(self._obs), is_exact

    def _replay(self, k: int, state: dict[str, Any]) -> bool:
        """Replay one open episode; return whether it is still open."""
        self._at, self._episode[k], self._seed[k] = k, state["episode"][k], state["seed"][k]
        self._obs[k] = environment_checks.reset(self._environments[k], self._seed[k])
        self._actions[k], self._length[k] = list(state["actions"][k]), 0
        for action in self._choices(state["actions"][k]) if self._actions[k] else ():
            self._length[k] += 1
            self._obs[k], _, is_terminated, is_truncated = environment_checks.step(self._environments[k], action)
            if is_terminated or is_truncated:
                return False
        return True

    def close(self) -> None:
        """Close every environment. Idempotent, as Gymnasium's `close` is."""
        for environment in self._environments:
            environment.close()
