"""Explorers: simulators that play whole episodes with perturbed parameters, for the evolutionary algorithms.

A work item is a number: direction `number // 2` of an update, added to the parameters or subtracted from them. Every
process generates the direction from its number. Both episodes of a direction have the same seed, which removes most of
the chance from their difference; any explorer may play either of them.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from actorrt.rl.environments import environment_checks
from actorrt.rl.environments.closing import close
from actorrt.rl.environments.env_failures import PROGRESS_STEPS, EnvFailures, OnEnvError, Replays
from actorrt.rl.environments.making import EnvMaker, make_environment, own_environment
from actorrt.rl.environments.seeds import episode_seed
from actorrt.rl.evolution.aggregation import Term, sum_of_sums, sum_of_terms
from actorrt.rl.evolution.explorer_pool import ShareResult
from actorrt.rl.evolution.perturbation import direction
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.policies.factory import make_policy
from actorrt.rl.policies.weights import Weights
from actorrt.rl.roles.env_stepper import EnvStepper
from actorrt.rl.roles.simulator import ALIVE_PERIOD_S
from actorrt.rl.spaces.array_spaces import Array
from actorrt.rl.spaces.normaliser import Moments, Normaliser

EPISODE_KEY = 1_000_005  # spawn keys of the episodes' seeds begin with it


class Episode(NamedTuple):
    """The result of one work item.

    Attributes:
        total: undiscounted return.
        length: in steps.
        seen: counts of the observations, for the normaliser; None if nothing is normalised.
        play_s: duration of the episode.
        failures: a description of each failure of the environment, after which the episode was played again.
    """

    total: float
    length: int
    seen: Normaliser | None
    play_s: float
    failures: tuple[str, ...] = ()


class Explorer(EnvStepper):
    """Plays work items, and adds up directions.

    Args:
        policy: spec of the policy, with the environment's id.
        deviation: standard deviation of the perturbation of each parameter.
        seed: seed of the run.
        index: index of this simulator in the run.
        env: a function that makes the environment, if the spec has no id.
        on_env_error: what an environment that fails costs: `"truncate"` its episode, which is played again with the
            same seed, so that the result does not depend on failures; `"fail"` this incarnation.
    """

    def __init__(
        self,
        policy: PolicySpec,
        deviation: float,
        seed: int = 0,
        index: int = 0,
        env: EnvMaker | None = None,
        on_env_error: OnEnvError = "truncate",
    ) -> None:
        self._policy = make_policy(policy)
        self._deviation, self._seed, self._index = deviation, seed, index
        self._env = env or own_environment(policy)
        self._failures = EnvFailures(lambda: make_environment(self._env), on_env_error)
        self._step_count = 0
        self._has_ended_one = False  # whether an episode has ended since the last failure

    async def on_start(self) -> None:
        """Make the environment, which imports Gymnasium."""
        self._environment: Any = self._make(lambda: self._failures.all_made()[0])
        self._title = f"simulator {self._index}, incarnation {self.context.incarnation}, environment 0"
        self._source = self._index, self.context.incarnation, os.getpid()

    async def explore(self, weights: Weights, iteration: int, numbers: Sequence[int]) -> ShareResult:
        """Play an episode for each work item.

        Args:
            weights: the weights to perturb; large ones are sent as a ref.
            iteration: number of the update.
            numbers: numbers of the work items.

        Returns:
            An `Episode` for each item.

        Raises:
            Exception: the environment's own error, if it is broken or `on_env_error="fail"`; a note says where. This
                simulator fails and is restarted.
        """
        return ShareResult(
            [await self._explore(weights, iteration, *divmod(number, 2)) for number in numbers], self._source
        )

    def add_up(self, leaves: Sequence[Sequence[Term]], iteration: int) -> ShareResult:
        """Return the sums of leaves of `aggregation`'s tree."""
        count = len(self._policy.parameters)
        return ShareResult([sum_of_terms(leaf, self._seed, iteration, count) for leaf in leaves], self._source)

    def add(self, nodes: Sequence[Sequence[Array]]) -> ShareResult:
        """Return the sums of inner nodes of `aggregation`'s tree."""
        return ShareResult([sum_of_sums(node) for node in nodes], self._source)

    async def _explore(self, weights: Weights, iteration: int, number: int, is_taken_away: int) -> Episode:
        step = self._deviation * direction(self._seed, iteration, number, len(weights.parameters))
        parameters = weights.parameters - step if is_taken_away else weights.parameters + step
        self._policy.set_parameters(parameters, weights.version, weights.normaliser)
        seed = episode_seed(self._seed, EPISODE_KEY, iteration, number)
        self._step_count = 0
        with self._playing(lambda: self._location(seed)):
            self._require_made()
            return await self._play_to_the_end(seed)

    async def _play_to_the_end(self, seed: int) -> Episode:
        """Play one episode; play it from its start again, in a new environment, if the environment fails."""
        replays = Replays()
        while True:
            try:
                episode = await self._play(seed)
                break
            except Exception as error:  # of the user's environment
                replays.broke(self._step_count, error, self._location(seed))
                self._replace(error, seed)
        self._has_ended_one = True
        return episode._replace(failures=self._failures.take())

    def _replace(self, error: Exception, seed: int) -> None:
        """Count a failure of the environment, and put a new one in its place.

        Raises:
            Exception: `error`, if the environment is broken.
        """
        has_progressed = self._has_ended_one or self._step_count >= PROGRESS_STEPS
        self._has_ended_one = False
        self._environment = self._failures.replaced(
            0, self._environment, error, self._location(seed), has_progressed=has_progressed
        )

    def _location(self, seed: int) -> str:
        return f"{self._title}, step {self._step_count} of the episode with seed {seed}"

    async def _play(self, seed: int) -> Episode:
        """Play one episode, with a sign of life now and then: only one step that takes for ever is a hang."""
        policy, space, total, encoded = self._policy, self._policy.spec, 0.0, []
        began_at = alive_at = time.monotonic()
        self._step_count = 0
        obs = environment_checks.reset(self._environment, seed)
        is_over = False
        while not is_over:
            self._step_count += 1
            encoded.append(space.encode(space.observation.stack([obs])))
            actions = space.action.to_environment(policy.best_actions(policy.normalise(encoded[-1])))
            (action,) = space.action.unstack(actions)
            obs, reward, is_terminated, is_truncated = environment_checks.step(self._environment, action)
            total += float(reward)
            is_over = bool(is_terminated or is_truncated)
            if time.monotonic() >= alive_at + ALIVE_PERIOD_S:
                await asyncio.sleep(0)
                alive_at = time.monotonic()
        seen = None
        if policy.normaliser is not None:
            seen = Normaliser(Moments.of(space.rows.observed_numbers(np.concatenate(encoded))))
        return Episode(total, self._step_count, seen, time.monotonic() - began_at)

    async def on_stop(self, reason: Any) -> None:
        """Close the environment."""
        if self._environment is not None:
            close(self._environment)
