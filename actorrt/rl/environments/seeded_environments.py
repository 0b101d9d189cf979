"""Environments of one process that are stepped one by one, with a seed for each episode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from actorrt.rl.environments import environment_checks
from actorrt.rl.environments.closing import close
from actorrt.rl.environments.env_failures import PROGRESS_STEPS, EnvFailures, OnEnvError
from actorrt.rl.environments.stepping import SeedOf, Step
from actorrt.rl.spaces.array_spaces import Array
from actorrt.rl.spaces.finite import is_finite
from actorrt.rl.spaces.gymnasium_spaces import spaces_of

REPLAY_LIMIT_STEPS = 100_000  # actions of longer episodes are not kept, so such an episode can't be replayed


class SeededEnvironments:
    """Environments of one process, each reset with its own seed for every episode.

    The actions of open episodes are kept, so that the episodes can be replayed: the state inside an environment can't
    be read.

    Args:
        make: makes an environment.
        count: number of environments.
        seed_of: seeds of the episodes.
        on_error: whether an environment that fails is made anew and begins its next episode, or its error is raised.
    """

    def __init__(self, make: Callable[[], Any], count: int, seed_of: SeedOf, on_error: OnEnvError = "truncate") -> None:
        self.count = count
        self._failures = EnvFailures(make, on_error, count)
        self._environments = self._failures.all_made()
        self._observation, self._action = spaces_of(self._environments[0])
        self._seed_of = seed_of
        self._failed_episode = [0] * count  # the number of the episode in which each environment failed last
        self._episode = [0] * count
        self._seed = [0] * count
        self._actions: list[list[Any]] = [[] for _ in range(count)]
        self._length = [0] * count
        self._at = 0
        self._obs: list[Any] = [None] * count

    def reset(self) -> Any:
        """Begin a new episode in every environment and return the observations.

        Raises:
            Exception: an environment's own error, if the environment is broken.
        """
        for k in range(self.count):
            self._obs[k] = self._begin_episode(k)
        return self._stacked()

    def step(self, actions: Array) -> Step:
        """Step every environment. An environment whose episode ends begins the next at once.

        So every row is valid, except those of environments that fail.

        Raises:
            Exception: an environment's own error, if the environment is broken. `location` says in which environment,
                and at which step.
        """
        count = self.count
        reward = np.empty(count)
        terminated, truncated = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
        step = Step(None, reward, terminated, truncated, np.ones(count, np.bool_), {})
        # Copies: a row that is kept for long would keep the rows of all environments in memory.
        rows = actions.tolist() if actions.ndim == 1 else [row.copy() for row in actions]
        choices = self._choices(actions)
        for k, environment in enumerate(self._environments):
            self._at = k
            self._record_action(k, rows[k])
            try:
                obs, gained, is_terminated, is_truncated = environment_checks.step(environment, choices[k])
                if is_truncated and not is_terminated:
                    step.final_obs[k] = self._checked(obs)
            except Exception as error:  # of the user's environment
                self._lose(k, error, step)
                continue
            reward[k] = gained
            if is_terminated or is_truncated:
                terminated[k] = is_terminated
                truncated[k] = is_truncated and not is_terminated
                obs = self._begin_episode(k)
            self._obs[k] = obs
        step.obs = self._stacked(step)
        return step

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
        """Begin the next episode of an environment, and return its first observation.

        An environment that fails is made anew, until an episode has begun.

        Raises:
            Exception: the environment's own error, if the environment is broken.
        """
        while True:
            self._at, self._seed[k] = k, self._seed_of(k, self._episode[k])
            self._actions[k], self._length[k] = [], 0
            self._episode[k] += 1
            try:
                return environment_checks.reset(self._environments[k], self._seed[k])
            except Exception as error:  # of the user's environment
                self._replace(k, error)

    def _replace(self, k: int, error: Exception) -> None:
        """Count a failure of an environment, and put a new one in its place.

        Raises:
            Exception: `error`, or the error that making the new environment raised, if the environment is broken.
        """
        has_progressed = self._length[k] >= PROGRESS_STEPS or self._episode[k] > self._failed_episode[k] + 1
        self._failed_episode[k] = self._episode[k]
        environments, where = self._environments, self.location()
        environments[k] = self._failures.replaced(k, environments[k], error, where, has_progressed=has_progressed)

    def _lose(self, k: int, error: Exception, step: Step) -> None:
        """Replace an environment that failed in a step: its row is no transition, and its next episode begins."""
        self._replace(k, error)
        step.reward[k], step.terminated[k], step.truncated[k], step.valid[k] = 0.0, False, False, False
        step.final_obs.pop(k, None)
        step.failed.append(k)
        self._obs[k] = self._begin_episode(k)

    def _stacked(self, step: Step | None = None) -> Any:
        """Return the observations to act on next as a batch; environments whose observations do not fit have failed."""
        try:
            return self._observation.stack(self._obs)
        except ValueError as error:
            return self.refused(error, step)

    def _checked(self, obs: Any) -> Any:
        """Return a copy of one observation, as a batch of one.

        Raises:
            ValueError: it is not in its space, or infinite or NaN.
        """
        batch = self._observation.stack([obs])
        encoded = self._observation.encode(batch)
        if not is_finite(encoded):
            raise ValueError(f"an observation is infinite or NaN: {encoded[0]}")
        return batch

    def refused(self, error: Exception, step: Step | None = None) -> Any:
        """Called when observations can't be learnt from: the environments that returned them have failed.

        Args:
            error: what is wrong with them.
            step: the step that returned them; None after a reset. It is corrected.

        Returns:
            The observations to act on next.

        Raises:
            Exception: `error`, if none of the observations is the cause; or an environment is broken.
        """
        is_found = False
        for k in range(self.count):
            is_in_step = step is not None and not (step.terminated[k] or step.truncated[k] or k in step.failed)
            while True:
                self._at = k
                try:
                    self._checked(self._obs[k])
                    break
                except Exception as bad:
                    is_found = True
                    if step is not None and is_in_step:
                        self._lose(k, bad, step)
                        is_in_step = False
                    else:  # the first observation of an episode
                        self._replace(k, bad)
                        self._obs[k] = self._begin_episode(k)
        if not is_found:
            raise error
        return self._observation.stack(self._obs)

    def take_failures(self) -> tuple[str, ...]:
        """Return a description of each failure since the last call."""
        return self._failures.take()

    def location(self) -> str:
        """Describe the environment that was stepped or reset last: its number, step and episode's seed."""
        k = self._at
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
            was given, (K,) bool. The other environments do not replay, or failed meanwhile, and begin their next
            episode.

        Raises:
            Exception: an environment's own error, if the environment is broken.
        """
        is_exact = np.array([self._replay(k, state) for k in range(self.count)])
        for k in np.flatnonzero(~is_exact).tolist():
            self._obs[k] = self._begin_episode(k)
        return self._stacked(), is_exact

    def _replay(self, k: int, state: dict[str, Any]) -> bool:
        """Replay one open episode; return whether it is open, and shows the observation that it showed."""
        self._at, self._episode[k], self._seed[k] = k, state["episode"][k], state["seed"][k]
        self._actions[k], self._length[k] = list(state["actions"][k]), 0
        try:
            self._obs[k] = environment_checks.reset(self._environments[k], self._seed[k])
            for action in self._choices(state["actions"][k]) if self._actions[k] else ():
                self._length[k] += 1
                self._obs[k], _, is_terminated, is_truncated = environment_checks.step(self._environments[k], action)
                if is_terminated or is_truncated:
                    return False
            encoded = self._observation.encode(self._checked(self._obs[k]))
        except Exception as error:  # of the user's environment
            self._replace(k, error)
            return False
        return bool((encoded[0] == state["obs"][k]).all())

    def close(self) -> None:
        """Close every environment; one that can't be closed is dropped. Idempotent, as Gymnasium's `close` is."""
        for environment in self._environments:
            close(environment)
