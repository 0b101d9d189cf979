"""A run that learns from whole episodes: work items for any number of simulators, which may join and leave.

Every update sends out its directions with both signs, and takes the results in order of completion. The algorithm's
update rule turns returns into a weight for each direction. The weighted sum is added up by the simulators if it is
large. Since directions and episodes follow from numbers, and sums have a fixed order, a seed determines the run,
whichever simulator plays an item or dies.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

import actorrt as art
from actorrt.rl.evolution.aggregation import weighted_sum
from actorrt.rl.evolution.explorer import Episode, Explorer
from actorrt.rl.evolution.explorer_pool import ExplorerPool
from actorrt.rl.policies.weights import Weights
from actorrt.rl.runs.loop import PAUSE_WAIT_S, RunLoop
from actorrt.rl.runs.role_supervisor import RoleSupervisor, imported_to_act
from actorrt.rl.settings.evolution_settings import EvolutionSettings
from actorrt.rl.spaces.finite import require_finite
from actorrt.rl.spaces.normaliser import merged

logger = logging.getLogger(__name__)

STARTS_AT_ONCE = 64  # several simulators can start at the same time
RIDES_BYTES = 32_768  # smaller weights are sent in each message; larger ones are put into the store once


class Evolution(RoleSupervisor[EvolutionSettings]):
    """Supervises the roles of one run."""

    def _own_roles(self) -> Iterator[art.Child]:
        """Yield no roles: the pool starts simulators later, and the loop itself learns."""
        return iter(())


class EvolutionLoop(RunLoop[EvolutionSettings]):
    """Explores directions, and moves the parameters along their weighted sum; see `RunLoop` for the arguments."""

    supervisor_class = Evolution
    supervisor_options: ClassVar[dict[str, Any]] = {"max_concurrency": STARTS_AT_ONCE}

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        limit = self._plan.settings.raises_limit
        self._pool = ExplorerPool(self._plan.simulators, self._start, self._stop, raises_limit=limit)
        self._env_failure_count = 0
        self._weights = self._plan.weights
        self._exploring: asyncio.Timeout | None = None  # of the episodes of an update, while they are played

    def newest(self) -> Weights:
        """Return the newest weights, which this loop makes itself."""
        return self._weights

    async def _train(self, supervisor: Any) -> None:
        plan = self._plan
        self._supervisor = supervisor
        self._server = await supervisor.child("parameters")
        await self._prepare_evaluations(supervisor, newest=lambda: self._weights)
        self._rule = plan.settings.update_rule()
        if plan.checkpoint is not None:
            self._rule.resume(plan.checkpoint["learner"])
        self._begin_work()
        try:
            while not self._is_over():
                await self._improve()
                await self._evaluations.look()
                if self._is_checkpoint_due():
                    await self._save(may_fail=True)
            await self._save()
            await self._finish()
        except Exception:
            await self._save(may_fail=True)  # the loop has the whole state, whichever role failed
            raise
        finally:
            self._pool.cancel()
        await self._save()

    def resize(self, simulators: int) -> None:
        """Change the number of simulators; new ones join as soon as they have started."""
        self._pool.resize(simulators)

    @property
    def _simulator_count(self) -> int:
        return len(self._pool)

    def _start(self, index: int) -> Any:
        plan = self._plan
        arguments = (
            plan.policy,
            plan.settings.deviation,
            plan.seed,
            index,
            plan.environment,
            plan.settings.on_env_error,
        )
        options: dict[str, Any] = {"cpus": 1, "hang_timeout_s": plan.settings.hang_timeout_s}
        options |= {"preload": imported_to_act(plan.policy)}
        return self._supervisor.start_child(art.Child(Explorer, *arguments, id=f"simulator-{index}", **options))

    def _stop(self, index: int) -> Any:
        return self._supervisor.stop_child(f"simulator-{index}")

    def hurry(self) -> None:
        """Called when the run was told to end: do not wait long for the episodes of the update under way."""
        super().hurry()
        if self._exploring is not None:
            self._exploring.reschedule(asyncio.get_running_loop().time() + PAUSE_WAIT_S)

    async def _improve(self) -> None:
        """Make one update; its number is the version of the weights that it starts from."""
        settings, pool = self._plan.settings, self._pool
        iteration, parameters, normaliser = self._weights
        began_at = time.monotonic()
        explored = await self._explore_in_time()
        if explored is None:
            logger.warning("update %d was given up: its episodes did not end in time for the stop", iteration + 1)
            return
        episodes, sources = explored
        explored_at = time.monotonic()
        returns = np.array([episode.total for episode in episodes]).reshape(-1, 2)
        lengths = np.array([episode.length for episode in episodes]).reshape(-1, 2)
        weights, metrics = self._rule.weigh(returns - settings.alive_bonus_offset * lengths)
        total = await weighted_sum(pool, weights, self._plan.seed, iteration, len(parameters))
        moved = self._rule.move(parameters, total)
        require_finite(moved, f"the update to version {iteration + 1}", metrics)
        seen = merged(episode.seen for episode in episodes)
        if normaliser is not None and seen is not None:
            normaliser = normaliser.merged(seen)
        self._weights = Weights(iteration + 1, moved, normaliser)
        self._record.steps += int(lengths.sum())
        await self._server.replace.tell(self._weights)
        self._record.episode_returns.extend(returns.ravel().tolist())
        sampling_s = sum(episode.play_s for episode in episodes) / len(pool)
        self._times = self._times.add(sampling_s, explored_at - began_at, time.monotonic() - explored_at)
        self._count_failures(episodes)
        statistics = pool.statistics() | {"environment_failures": self._env_failure_count}
        await self._report({**metrics, "policy_version": iteration + 1}, statistics, tuple(sources))

    def _count_failures(self, episodes: list[Episode]) -> None:
        """Count the failures of environments, and log the first one."""
        failures = [failure for episode in episodes for failure in episode.failures]
        if failures and not self._env_failure_count:
            logger.warning(
                "%s; the environment is made anew, and its episode is played again. Further failures are counted as "
                "`environment_failures`",
                failures[0],
            )
        self._env_failure_count += len(failures)

    async def _explore_in_time(self) -> tuple[list[Episode], list[tuple[int, int, int]]] | None:
        """Explore as `_explore` does; return None if the run was told to end and the episodes did not, for a while."""
        try:
            async with asyncio.timeout(None) as self._exploring:
                return await self._explore()
        except TimeoutError:  # perhaps an environment's own
            if self._exploring is not None and self._exploring.expired():
                return None
            raise
        finally:
            self._exploring = None

    async def _explore(self) -> tuple[list[Episode], list[tuple[int, int, int]]]:
        """Let the pool play the episodes of an update; return them in the order of directions, and their sources."""
        weights, iteration = self._weights, self._weights.version
        argument = weights if weights.parameters.nbytes <= RIDES_BYTES else await art.put_async(weights)
        return await self._pool.do(
            "episodes",
            2 * self._plan.settings.directions,
            lambda simulator, numbers: simulator.explore(argument, iteration, numbers),
        )

    async def _save(self, *, may_fail: bool = False) -> None:
        self._saved_at = time.monotonic()
        self._note_newest(self._weights)
        tree = {
            "origin": self._plan.origin(),
            "record": self._record.state(self._seconds),
            "selection": self._selection.state(),
            "weights": self._weights.to_data(),
            "learner": self._rule.state(),
        }
        await self._write(tree, may_fail=may_fail)
