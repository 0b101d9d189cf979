"""Vector environments, whose own code steps several environments as one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from actorrt.rl.environments.closing import close
from actorrt.rl.environments.env_failures import PROGRESS_STEPS, EnvFailures, OnEnvError
from actorrt.rl.environments.stepping import Step
from actorrt.rl.spaces.array_spaces import Array
from actorrt.rl.spaces.finite import first_bad_row
from actorrt.rl.spaces.gymnasium_spaces import from_gymnasium, spaces_of


class VectorEnvironments:
    """A vector environment of Gymnasium, for example in native code, with any of Gymnasium's autoreset modes.

    If it resets itself on the next step, that step ignores the action and returns the first observation of the next
    episode: the row is not valid. If it resets in the same step or not at all, every row is a transition. Such an
    environment has one seed for all of its episodes.

    If one of the environments fails, nothing is known about the others. So the vector is made anew as a whole, and all
    of its episodes end.

    Args:
        make: makes the vector environment.
        seed: of its episodes; a vector that is made anew gets the next number.
        on_error: whether a vector that fails is made anew, or its error is raised.

    Raises:
        ValueError: the vector environment does not say when it resets.
    """

    def __init__(self, make: Callable[[], Any], seed: int, on_error: OnEnvError = "truncate") -> None:
        self._failures = EnvFailures(make, on_error)
        (vector,) = self._failures.all_made()
        mode = vector.metadata.get("autoreset_mode")
        self._mode: str = getattr(mode, "value", mode)
        if self._mode not in ("NextStep", "SameStep", "Disabled"):
            raise ValueError(f"{vector} has autoreset mode {mode!r}, not one of gymnasium.vector.AutoresetMode")
        self._observation, _ = spaces_of(vector)
        self._action = from_gymnasium(vector.single_action_space)
        self.count: int = vector.num_envs
        self._vector = vector
        self._step_count = 0  # since the vector was made
        self._next_seed = seed
        self._seed: int | None = seed
        self._is_resetting = np.zeros(self.count, np.bool_)

    def reset(self) -> Any:
        """Begin a new episode in every environment and return its observations.

        Raises:
            Exception: the vector's own error, if it is broken.
        """
        while True:
            try:
                obs, _ = self._vector.reset(seed=self._seed)
            except Exception as error:  # of the user's environment
                self._replace(error)
                continue
            self._seed = None  # later resets continue the same random numbers
            self._is_resetting = np.zeros(self.count, np.bool_)
            return obs

    def step(self, actions: Array) -> Step:
        """Step every environment; in the step after an episode's end, an environment may reset itself instead.

        Raises:
            Exception: the vector's own error, if it is broken.
        """
        try:
            step = self._step(self._action.to_environment(actions))
        except Exception as error:  # of the user's environment
            none = np.zeros(self.count, np.bool_)
            step = Step(None, np.zeros(self.count), none, none, none, {})
            step.obs = self.refused(error, step)
        self._step_count += 1
        return step

    def _step(self, actions: Any) -> Step:
        obs, reward, terminated, truncated, info = self._vector.step(actions)
        valid = ~self._is_resetting
        truncated = truncated & ~terminated
        ended = terminated | truncated
        shown = info.get("final_obs") if self._mode == "SameStep" else obs
        final_obs = {k: self._one(shown, k) for k in np.flatnonzero(truncated).tolist()}
        if self._mode == "NextStep":
            self._is_resetting = ended
        elif self._mode == "Disabled" and ended.any():
            obs, _ = self._vector.reset(options={"reset_mask": ended})
        reward = self._rewards(reward)
        bad = first_bad_row(reward)
        if bad is not None:
            raise ValueError(f"a reward of environment {bad} is infinite or NaN: {reward[bad]}")
        return Step(obs, reward, terminated, truncated, valid, final_obs)

    def _rewards(self, given: Any) -> Array:
        """Return the rewards of a step as an array.

        Raises:
            ValueError: they are not one number for each environment.
        """
        try:
            rewards = np.asarray(given, np.float64)
        except (TypeError, ValueError):
            rewards = None
        if rewards is None or rewards.shape != (self.count,):
            raise ValueError(
                f"step() of {self._vector} returned the rewards {given!r}: return one number for each of its "
                f"{self.count} environments"
            )
        return rewards

    def refused(self, error: Exception, step: Step | None = None) -> Any:
        """Called when observations can't be learnt from, or a step failed: the vector is made anew.

        Args:
            error: what is wrong.
            step: the step that failed; None after a reset. It is corrected.

        Returns:
            The observations to act on next.

        Raises:
            Exception: `error`, if the vector is broken.
        """
        self._replace(error)
        if step is not None:
            none = np.zeros(self.count, np.bool_)
            step.reward, step.terminated, step.truncated, step.valid = np.zeros(self.count), none, none, none
            step.final_obs, step.failed = {}, list(range(self.count))
        return self.reset()

    def _replace(self, error: Exception) -> None:
        """Count a failure, and put a new vector in place of the one that failed."""
        has_progressed, self._step_count = self._step_count >= PROGRESS_STEPS, 0
        where = self.location()
        self._vector = self._failures.replaced(0, self._vector, error, where, has_progressed=has_progressed)
        self._next_seed += 1
        self._seed = self._next_seed

    def take_failures(self) -> tuple[str, ...]:
        """Return a description of each failure since the last call."""
        return self._failures.take()

    def _one(self, batch: Any, k: int) -> Any:
        """Return a copy of one observation of a batch, as a batch of one; a batch may be an array of objects."""
        if isinstance(batch, np.ndarray) and batch.dtype == np.object_:
            return self._observation.stack([batch[k]])
        return _row(batch, k)

    def location(self) -> str:
        """Describe the environments, which can't be told apart."""
        return f"one of {self.count} environments that are stepped as one"

    def state(self) -> dict[str, Any]:
        """Return no state: it can't be read from outside."""
        return {}

    def resume(self, state: dict[str, Any]) -> tuple[Any, Array]:
        """Begin new episodes; the earlier ones can't be replayed."""
        return self.reset(), np.zeros(self.count, np.bool_)

    def close(self) -> None:
        """Close the vector environment; one that can't be closed is dropped. Idempotent."""
        close(self._vector)


def _row(batch: Any, k: int) -> Any:
    """Return a copy of one row of a batch, as a batch of one."""
    if isinstance(batch, dict):
        return {name: _row(part, k) for name, part in batch.items()}
    return tuple(_row(part, k) for part in batch) if isinstance(batch, tuple) else batch[k : k + 1].copy()
