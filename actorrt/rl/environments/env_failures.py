"""Replaces environments that fail, and tells one that fails now and then from one that is broken.

An environment fails if its `step` or `reset` raises, or returns NaN, infinity, or values outside its space. After a
failure nothing that it returns can be trusted, so it is closed and made anew. The failures of one environment are in a
row if there was no progress between them: it took fewer than `PROGRESS_STEPS` steps, and ended no episode by itself. So
the number of steps in a fragment does not matter. An environment that raises with a probability of 0.001 in each step
has five failures in a row once in 100 million failures. One that raises in the fifth step of every episode is broken
after 15 steps, and after 25 steps if it has worked before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from actorrt.rl.environments.closing import close

OnEnvError = Literal["truncate", "fail"]
"""What a failure of an environment ends: `"truncate"` its episode, `"fail"` the run."""

FAILURES_LIMIT = 5  # so many failures of one environment in a row mean that it is broken
FIRST_FAILURES_LIMIT = 3  # likewise for an environment that has never made progress
PROGRESS_STEPS = 10
REPLAYS_LIMIT = 20  # an episode is unplayable if it broke so often in a row and got no further
SHOWN_CHARACTERS = 500  # of an error's text; it travels with every fragment


class UnplayableError(Exception):
    """An episode broke in every replay, so no whole episode is known. The environment may work for shorter ones."""


class Replays:
    """Counts the replays of one episode that has to be whole; it is replayed from its start whenever it breaks.

    Replays are in a row if none of them got `PROGRESS_STEPS` further than all before. An environment that can't be
    repeated breaks in another step each time, and one that can breaks in the same.
    """

    def __init__(self) -> None:
        self._furthest = 0
        self._in_a_row = 0

    def broke(self, length: int, error: Exception, where: str) -> None:
        """Count an attempt that broke.

        Args:
            length: steps of the attempt.
            error: what the environment raised, or what is wrong with the values that it returned.
            where: names the environment, the step and the episode.

        Raises:
            UnplayableError: the episode broke too often without getting further; its cause is `error`.
        """
        if length >= self._furthest + PROGRESS_STEPS:
            self._furthest, self._in_a_row = length, 0
        self._in_a_row += 1
        if self._in_a_row >= REPLAYS_LIMIT:
            raise UnplayableError(
                f"an episode was played {self._in_a_row} times and broke each time, after at most {self._furthest} "
                f"steps; at last in {where}: {type(error).__name__}: {error!s:.{SHOWN_CHARACTERS}}. Shorter episodes "
                "may break less often"
            ) from error


class EnvFailures:
    """Counts the failures of `count` environments, and replaces those that failed.

    Args:
        make: makes an environment.
        on_error: whether failures cost an episode, up to the limit in a row, or are errors at once.
        count: number of environments.
    """

    def __init__(self, make: Callable[[], Any], on_error: OnEnvError = "truncate", count: int = 1) -> None:
        self._make = make
        self._on_error = on_error
        self._limits = [FIRST_FAILURES_LIMIT] * count
        self._in_a_row = [0] * count
        self._told: list[str] = []

    def replaced(self, k: int, environment: Any, error: Exception, where: str, *, has_progressed: bool) -> Any:
        """Count a failure, close the environment, and make another one. Making it may fail, too, and is tried again.

        Args:
            k: index of the environment.
            environment: the environment that failed.
            error: what it raised, or what is wrong with the values that it returned.
            where: names the environment, the step and the episode.
            has_progressed: whether it took `PROGRESS_STEPS` steps, or ended an episode, since its last failure.

        Raises:
            Exception: `error`, or the error of making it, if the environment is broken.
        """
        if self._on_error == "fail":
            raise error
        if has_progressed:
            self._in_a_row[k], self._limits[k] = 0, FAILURES_LIMIT
        self._count(k, error, where)
        close(environment)
        return self.made(k, where)

    def made(self, k: int, where: str) -> Any:
        """Make an environment. Failures to make it count as its other failures do, and it is tried again.

        Args:
            k: index of the environment.
            where: names the environment.

        Raises:
            Exception: the error of making it, if the environment is broken.
        """
        while True:
            try:
                return self._make()
            except Exception as error:  # of the user's environment
                if self._on_error == "fail":
                    raise
                self._count(k, error, where)

    def all_made(self) -> list[Any]:
        """Make an environment for each index; if one can't be made, those before it are closed.

        Raises:
            Exception: as from `made`.
        """
        made: list[Any] = []
        try:
            for k in range(len(self._limits)):
                made.append(self.made(k, f"environment {k}, which could not be made"))
        except BaseException:
            for environment in made:
                close(environment)
            raise
        return made

    def _count(self, k: int, error: Exception, where: str) -> None:
        self._in_a_row[k] += 1
        self._told.append(f"{where}: {type(error).__name__}: {error!s:.{SHOWN_CHARACTERS}}")
        if self._in_a_row[k] >= self._limits[k]:
            raise error

    def take(self) -> tuple[str, ...]:
        """Return a description of each failure since the last call."""
        told, self._told = tuple(self._told), []
        return told
