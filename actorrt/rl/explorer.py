"""Explorers: simulators that play whole episodes with perturbed parameters, for the evolutionary algorithms.

A work item is two numbers; the direction follows from them on either side. It is played both ways on the same
episode, which takes most of the episode's luck out of the difference.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

import actorrt as art
from actorrt.rl.normaliser import Moments, Normaliser
from actorrt.rl.perturbation import direction
from actorrt.rl.policy import FlatPolicy, PolicySpec, Weights, make_policy
from actorrt.rl.simulator import ALIVE_PERIOD_S
from actorrt.rl.spaces import Array

if TYPE_CHECKING:
    from actorrt.rl.environment import Maker

EPISODE_KEY = 1_000_005  # spawn keys of the episodes' seeds begin with it


@dataclass(frozen=True, eq=False)
class Exploration:
    """What came of one direction.

    Attributes:
        number: which direction of its iteration it is.
        returns: undiscounted returns with the direction added and taken away, (2,) float64.
        lengths: of the two episodes, in steps, (2,) int64.
        seen: counts of the observations, for the normaliser; None where nothing is normalised.
        source: simulator, incarnation and process id that played it.
        collect_s: how long playing took.
    """

    number: int
    returns: Array
    lengths: Array
    seen: Normaliser | None
    source: tuple[int, int, int]
    collect_s: float = 0.0


class Explorer(art.Actor):
    """Plays work items.

    Args:
        policy: what the policy looks like; it names the environment.
        deviation: length of a step in each direction, as standard deviation.
        seed: seed of the run.
        index: which simulator of the run this is.
        env: a function that makes the environment, where the policy does not name it.
    """

    def __init__(
        self, policy: PolicySpec, deviation: float, seed: int = 0, index: int = 0, env: Maker | None = None
    ) -> None:
        self._policy = make_policy(policy)
        self._deviation, self._seed, self._index = deviation, seed, index
        self._env = env or policy.env_id

    async def on_start(self) -> None:
        """Make the environment, which imports Gymnasium."""
        from actorrt.rl.environment import make_environment

        self._environment = make_environment(self._env)

    async def explore(self, weights: Weights, iteration: int, number: int) -> Exploration:
        """Play one episode with a direction added to the parameters, and again with it taken away.

        Args:
            weights: what to perturb; a ref of them where there are many.
            iteration: number of the update that this is for.
            number: which of its directions.

        Raises:
            Exception: what the environment raises; a note says where. This simulator fails and is restarted.
        """
        from actorrt.rl.environment import episode_seed

        began_at = time.perf_counter()
        step = self._deviation * direction(self._seed, iteration, number, len(weights.parameters))
        seed = episode_seed(self._seed, EPISODE_KEY, iteration, number)
        played = []
        for parameters in (weights.parameters + step, weights.parameters - step):
            self._policy.set_parameters(parameters, weights.version, weights.normaliser)
            self._step_count = 0
            try:
                played.append(await self._play(self._policy, seed))
            except Exception as error:  # the environment's: this message ends, and the next finds another incarnation
                where = f"simulator {self._index}, incarnation {self.context.incarnation}, environment 0"
                error.add_note(f"{where}, step {self._step_count} of the episode with seed {seed}")
                self.context.ref.fail.tell(f"{type(error).__name__}: {error}")
                raise
        totals, lengths, encoded = zip(*played, strict=True)
        counts = weights.normaliser is not None
        return Exploration(
            number,
            np.array(totals, np.float64),
            np.array(lengths, np.int64),
            Normaliser(
                Moments.of(
                    np.concatenate([rows for each in encoded for rows in each])[:, : self._policy.spec.input_count]
                )
            )
            if counts
            else None,
            (self._index, self.context.incarnation, os.getpid()),
            time.perf_counter() - began_at,
        )

    async def _play(self, policy: FlatPolicy, seed: int) -> tuple[float, int, list[Array]]:
        """Play one episode; return its return, its length and what was seen, encoded.

        There is a sign of life now and then: only one step that takes for ever is a hang.
        """
        space, total, encoded, alive_at = policy.spec, 0.0, [], time.monotonic()
        obs, _ = self._environment.reset(seed=seed)
        is_over = False
        while not is_over:
            self._step_count += 1
            encoded.append(space.encode(space.observation.stack([obs])))
            action = space.action.to_environment(policy.best_actions(policy.normalise(encoded[-1])))[0]
            obs, reward, is_terminated, is_truncated, _ = self._environment.step(action)
            total += float(reward)
            is_over = bool(is_terminated or is_truncated)
            if time.monotonic() >= alive_at + ALIVE_PERIOD_S:
                await asyncio.sleep(0)
                alive_at = time.monotonic()
        return total, len(encoded), encoded

    def fail(self, why: str) -> None:
        """Fail; told rather than asked, it is the end of this incarnation.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError(why)

    async def on_stop(self, reason: Any) -> None:
        """Close the environment."""
        self._environment.close()
