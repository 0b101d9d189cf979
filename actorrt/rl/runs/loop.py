"""What every run's loop has in common: its supervisor's life, its progress, its rows of metrics.

How policies improve is up to the loops themselves: `training` learns from rollouts, `evolution` from whole episodes.
"""

from __future__ import annotations

import collections
import contextlib
import time
from collections.abc import Callable
from typing import Any, ClassVar

import actorrt as art
from actorrt.rl.foundation.failures import cause_of
from actorrt.rl.records import checkpoint
from actorrt.rl.records.progress import Progress, Times
from actorrt.rl.records.run_record import RunRecord
from actorrt.rl.records.selection import Selection
from actorrt.rl.runs.callbacks import Callbacks
from actorrt.rl.runs.evaluations import Evaluations
from actorrt.rl.runs.plan import Plan

RATE_WINDOW_S = 3.0
CHECKPOINT_PERIOD_S = 30.0


class RunLoop:
    """Runs until the steps are used up or it is told to end.

    Args:
        plan: what to do.
        record: where what happens is written; belongs to whoever reads it.
        selection: decides on evaluations and keeps the best policy.
        directory: where checkpoints go.
        callbacks: told of what happens, in the loop's thread.
    """

    supervisor_class: ClassVar[type[art.Supervisor]]
    supervisor_options: ClassVar[dict[str, Any]] = {}

    def __init__(
        self,
        plan: Plan,
        record: RunRecord,
        selection: Selection,
        directory: str,
        callbacks: Callbacks,
    ) -> None:
        self._plan, self._record, self._selection = plan, record, selection
        self._directory = directory
        self._callbacks = callbacks
        self._times = Times()

    async def run(self, should_end: Callable[[], bool]) -> None:
        """Train; afterwards every actor of the run is gone, and a checkpoint is there.

        Args:
            should_end: asked after each update.

        Raises:
            ActorRtError: the run's actors could not be started, or failed for good.
            Exception: what an environment or the update rule raised.
        """
        self._should_end = should_end
        self._began_at = self._saved_at = time.monotonic()
        self._rate: collections.deque[tuple[float, int]] = collections.deque([(self._began_at, self._record.steps)])
        supervisor = await self.supervisor_class.options(**self.supervisor_options).spawn(self._plan)
        down = art.monitor(supervisor)
        try:
            await self._train(supervisor)
        except (art.ActorDiedError, art.RuntimeStateError) as error:
            cause = await cause_of(error, down)
            raise cause from (None if cause is error else error)
        finally:
            down.cancel()
            with contextlib.suppress(art.RuntimeStateError):  # there is no runtime any more, and so no supervisor
                await supervisor.stop()

    def resize(self, simulators: int) -> None:
        """Have so many simulators.

        Raises:
            ValueError: the loop can't.
        """
        raise ValueError(
            f"{self._plan.settings.algorithm} keeps its simulators: only ARS and ES let them join and leave"
        )

    async def _train(self, supervisor: Any) -> None:
        raise NotImplementedError

    def _begin_work(self) -> None:
        """Note that the roles have started: from here on time is accounted for."""
        self._works_since = time.monotonic()

    async def _finish(self, evaluations: Evaluations) -> None:
        """Evaluate the last policy; not so of a paused run that has a best one, since whoever interrupts it waits."""
        is_paused = self._record.steps < self._plan.steps and not self._selection.is_reached
        if not (is_paused and self._selection.best is not None):
            await evaluations.finish()

    @property
    def _simulator_count(self) -> int:
        """How many simulators there are to be."""
        return self._plan.simulators

    def _is_over(self) -> bool:
        return self._record.steps >= self._plan.steps or self._should_end()

    def _is_checkpoint_due(self) -> bool:
        return time.monotonic() >= self._saved_at + CHECKPOINT_PERIOD_S

    @property
    def _seconds(self) -> float:
        return self._record.seconds + time.monotonic() - self._began_at

    async def _report(
        self,
        metrics: dict[str, Any],
        statistics: dict[str, int],
        trained_on: tuple[tuple[int, int, int], ...],
        policy_lag: float = 0.0,
    ) -> None:
        """Write a row for the update that just ended, and tell whoever watches."""
        best, record = self._selection.best, self._record
        record.update_count += 1
        progress = Progress(
            steps=record.steps,
            total_steps=self._plan.steps,
            seconds=self._seconds,
            steps_per_s=self._steps_per_s(),
            return_mean=record.return_mean,
            evaluation=None if best is None else best.score,
            policy_lag=policy_lag,
            simulators=self._simulator_count,
            simulators_alive=statistics["simulators_alive"],
            simulators_restarted=statistics["simulators_restarted"],
            metrics=metrics,
            trained_on=trained_on,
            update=record.update_count,
            return_std=record.return_std,
            counters=statistics,
            times=self._times,
            running_s=time.monotonic() - self._works_since,
        )
        record.add(progress.row())
        await self._callbacks.updated(progress)

    async def _write(self, tree: dict[str, Any]) -> None:
        """Write a checkpoint, and tell whoever watches."""
        await self._callbacks.tell("on_checkpoint", checkpoint.save(self._directory, tree))

    def _steps_per_s(self) -> float:
        now = time.monotonic()
        self._rate.append((now, self._record.steps))
        while self._rate[0][0] < now - RATE_WINDOW_S:
            self._rate.popleft()
        since, steps_then = self._rate[0]
        return (self._record.steps - steps_then) / (now - since) if now > since else 0.0
