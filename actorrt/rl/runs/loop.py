"""The base of every run's loop: the supervisor's life, progress, metrics and checkpoints.

The subclasses improve policies: `training` learns from rollouts, `evolution.loop` from whole episodes.
"""

from __future__ import annotations

import collections
import contextlib
import logging
import os
import time
from collections.abc import Callable
from typing import Any, ClassVar, Generic

import actorrt as art
from actorrt.rl.foundation.failures import DEATHS_LIMIT, cause_of, died_for_good
from actorrt.rl.policies.weights import Weights
from actorrt.rl.records import checkpoint
from actorrt.rl.records.progress import Progress, Times
from actorrt.rl.records.run_record import RunRecord
from actorrt.rl.records.selection import Selection
from actorrt.rl.runs.callbacks import Callbacks
from actorrt.rl.runs.evaluations import Evaluations
from actorrt.rl.runs.plan import Plan, S_co

RATE_WINDOW_S = 3.0
CHECKPOINT_PERIOD_S = 30.0
PAUSE_WAIT_S = 5.0  # longest wait for evaluations when a run pauses, since the user waits for the pause

logger = logging.getLogger(__name__)


class RunLoop(Generic[S_co]):
    """Runs until the steps are used up or it is told to end.

    Args:
        plan: of the run.
        record: the run's history, which the loop writes and the run reads.
        selection: decides on evaluations and keeps the best policy.
        directory: directory of the checkpoint.
        callbacks: told of events, in the loop's thread.
    """

    supervisor_class: ClassVar[type[art.Supervisor]]
    supervisor_options: ClassVar[dict[str, Any]] = {}
    _is_unwritable_told = False

    def __init__(
        self,
        plan: Plan[S_co],
        record: RunRecord,
        selection: Selection,
        directory: str,
        callbacks: Callbacks,
    ) -> None:
        self._plan, self._record, self._selection = plan, record, selection
        self._directory = directory
        self._callbacks = callbacks
        self._times = Times()
        self._newest: Weights | None = None  # of the last checkpoint
        self._evaluations = self._evaluations_by(None)

    async def run(self, should_end: Callable[[], bool]) -> None:
        """Train. Afterwards all actors of the run are gone, and there is a checkpoint.

        Args:
            should_end: called after each update; True ends the run.

        Raises:
            ActorRtError: the run's actors could not be started, or failed for good.
            Exception: an error of an environment or of the update rule.
        """
        self._should_end = should_end
        self._began_at = self._saved_at = time.monotonic()
        self._rate: collections.deque[tuple[float, int]] = collections.deque([(self._began_at, self._record.steps)])
        supervisor = await self._start_supervisor()
        down = art.monitor(supervisor)
        try:
            await self._train(supervisor)
        except (art.ActorDiedError, art.RuntimeStateError) as error:
            cause = await cause_of(error, down)
            raise cause from (None if cause is error else error)
        finally:
            down.cancel()
            self._evaluations.cancel()
            if self._selection.chosen is None and self._newest is not self._plan.weights:  # it was killed, or it failed
                self._selection.give_up(self._newest)
            with contextlib.suppress(art.RuntimeStateError):  # the runtime is gone, and the supervisor with it
                await supervisor.stop()

    async def _start_supervisor(self) -> Any:
        """Start the roles, again if a process ends meanwhile: a supervisor restarts only children that have started.

        Raises:
            ActorDiedError: so many starts in a row ended with the process of a role.
            ActorStartError: a role can't be started, for another reason than the end of its process.
        """
        failed_count = 0
        while True:
            try:
                return await self.supervisor_class.options(**self.supervisor_options).spawn(self._plan)
            except art.ActorStartError as error:
                if error.reason is None:
                    raise
                failed_count += 1
                if failed_count >= DEATHS_LIMIT:
                    raise died_for_good("a role that was starting", DEATHS_LIMIT, error) from error
                logger.warning("the roles of the run are started again: %s", error)

    def resize(self, simulators: int) -> None:
        """Change the number of simulators.

        Raises:
            ValueError: the algorithm has a fixed number.
        """
        raise ValueError(
            f"{self._plan.settings.algorithm} can't change the number of its simulators during a run; ARS and ES can"
        )

    def hurry(self) -> None:
        """Called when the run was told to end: do not wait long for its last evaluations, if it waits for them."""
        self._evaluations.hurry(PAUSE_WAIT_S)

    async def _train(self, supervisor: Any) -> None:
        raise NotImplementedError

    async def _prepare_evaluations(self, supervisor: Any, newest: Callable[[], Weights] | None = None) -> None:
        """Find the evaluator; see `Evaluations` for `newest`."""
        if self._plan.settings.evaluate_every is not None:
            self._evaluations = self._evaluations_by(await supervisor.child("evaluator"), newest)
        self._note_newest(self._plan.weights)

    def _evaluations_by(self, evaluator: Any, newest: Callable[[], Weights] | None = None) -> Evaluations:
        episodes = self._plan.settings.evaluation_episodes
        arguments = (self._selection, self._record, self._callbacks, episodes, newest)
        return Evaluations(evaluator, *arguments, raises_limit=self._plan.settings.raises_limit)

    def _begin_work(self) -> None:
        """Called when all roles have started: `Times` counts from now on."""
        self._works_since = time.monotonic()

    def _note_newest(self, weights: Weights) -> None:
        """Called with the newest policy, at least at every checkpoint; without evaluations it is the best one."""
        self._newest = weights
        if self._plan.settings.evaluate_every is None:
            self._selection.stand_in = weights

    def newest(self) -> Weights:
        """Return the newest weights. Any thread may call this, at any time of the run."""
        return self._newest or self._plan.weights

    async def _finish(self) -> None:
        """Evaluate the last policy, unless the run is paused and has a best one, since the user waits for the pause."""
        is_paused = self._record.steps < self._plan.steps and not self._selection.is_reached
        if not (is_paused and self._selection.chosen is not None):
            wait_s = self._plan.settings.evaluation_wait_s
            if self._should_end():
                wait_s = PAUSE_WAIT_S if wait_s is None else min(wait_s, PAUSE_WAIT_S)
            await self._evaluations.finish(wait_s)
        if self._selection.chosen is None:
            self._selection.give_up(self._newest)

    @property
    def _simulator_count(self) -> int:
        """The number of simulators that the run should have."""
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
        trained_shares: tuple[float, ...] = (),
    ) -> None:
        """Add a row for the update that just ended, and tell the callbacks."""
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
            trained_shares=trained_shares,
            is_evaluated=self._plan.settings.evaluate_every is not None,
        )
        record.add(progress.row())
        await self._callbacks.updated(progress)

    async def _write(self, tree: dict[str, Any], *, may_fail: bool = False) -> None:
        """Write a checkpoint, and tell the callbacks.

        Args:
            tree: the state of the run.
            may_fail: whether a checkpoint that can't be written is only a warning, told once, as for one between two
                updates: a full disk may have space again by the next one.

        Raises:
            OSError: it can't be written; the checkpoint before stays.
        """
        try:
            path = checkpoint.save(self._directory, tree)
        except OSError as error:
            place, why = os.path.join(self._directory, checkpoint.FILE), error.strerror or str(error)
            if not may_fail:
                raise OSError(error.errno, f"the checkpoint can't be written ({why})", place) from error
            if not self._is_unwritable_told:
                logger.warning("the run goes on without a new checkpoint: %s can't be written: %s", place, why)
            self._is_unwritable_told = True
            return
        self._is_unwritable_told = False
        await self._callbacks.tell("on_checkpoint", path)

    def _steps_per_s(self) -> float:
        now = time.monotonic()
        self._rate.append((now, self._record.steps))
        while self._rate[0][0] < now - RATE_WINDOW_S:
            self._rate.popleft()
        since, steps_then = self._rate[0]
        return (self._record.steps - steps_then) / (now - since) if now > since else 0.0
