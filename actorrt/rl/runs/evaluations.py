"""Evaluates policies beside a run's training, one at a time.

`records.selection` decides which policy is evaluated next, and which one is best.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import actorrt as art
from actorrt.rl.environments.env_failures import UnplayableError
from actorrt.rl.foundation.failures import DEATHS_LIMIT, RAISES_LIMIT, died_for_good, is_from_user_code
from actorrt.rl.policies.weights import Weights
from actorrt.rl.records.run_record import RunRecord
from actorrt.rl.records.selection import Selection
from actorrt.rl.runs.callbacks import Callbacks

logger = logging.getLogger(__name__)


class Evaluations:
    """The evaluations of one run.

    Args:
        evaluator: the run's `Evaluator`; None evaluates nothing.
        selection: decides on evaluations and keeps the best policy.
        record: the run's history, to which results are added.
        callbacks: told of the results.
        episodes: episodes of each evaluation.
        newest: returns the newest weights; None lets the evaluator ask the parameter server.
        raises_limit: so many evaluations in a row may raise before the error ends the run.
    """

    def __init__(
        self,
        evaluator: Any,
        selection: Selection,
        record: RunRecord,
        callbacks: Callbacks,
        episodes: int,
        newest: Callable[[], Weights] | None = None,
        raises_limit: int = RAISES_LIMIT,
    ) -> None:
        self._evaluator, self._selection, self._record = evaluator, selection, record
        self._callbacks, self._episodes, self._newest = callbacks, episodes, newest
        self._raises_limit = raises_limit
        # The steps and the reply of the evaluation under way, and its weights unless they are the newest.
        self._under_way: tuple[int, Any, Weights | None] | None = None
        self._failed_count = self._death_count = 0
        self._has_cut_off = False  # whether it was told that episodes are cut off
        self._has_skipped = False  # whether it was told that an episode could not be played
        self._give_up_at: float | None = None  # when `finish` waits no longer
        self._wait: asyncio.Timeout | None = None  # of `finish`, while it waits

    async def look(self) -> None:
        """Record an evaluation that has ended, and begin the next one if it is due; waits for neither.

        Raises:
            ActorDiedError: the evaluator died too often in a row.
            Exception: an environment's own error, after several in a row. It is not `UnplayableError`: however many
                evaluations end by that, they are skipped, since simulators need no whole episodes and can go on.
        """
        if self._under_way is not None and self._under_way[1].done():
            error = await self._end()
            if isinstance(error, UnplayableError):
                self._skip(error)
            elif error is not None:
                raise error
        if self._under_way is None and self._selection.is_due(self._record.steps):
            self._begin()

    async def finish(self, wait_s: float | None) -> None:
        """Evaluate the last policy, and confirm a policy that is in doubt.

        The run is trained already, so an evaluator that fails does not fail it. Evaluations that fail too often, or do
        not end within `wait_s` seconds, are given up with a warning. None waits for ever.

        Raises:
            Exception: an environment's own error, if the first one is to end the run.
        """
        self._give_up_at = None if wait_s is None else asyncio.get_running_loop().time() + wait_s
        while self._under_way is not None or self._is_last_wanted():
            if self._under_way is None:
                self._begin()
            why: Any = "it did not end in time"
            if await self._has_ended_in_time():
                why = await self._end()
            if isinstance(why, Exception) and is_from_user_code(why) and self._raises_limit == 1:
                raise why
            if why is not None:
                self._give_up(why)
                return

    def hurry(self, wait_s: float) -> None:
        """Let `finish` wait for at most `wait_s` seconds from now."""
        sooner_at = asyncio.get_running_loop().time() + wait_s
        if self._give_up_at is None or sooner_at < self._give_up_at:
            self._give_up_at = sooner_at
            if self._wait is not None:
                self._wait.reschedule(sooner_at)

    def cancel(self) -> None:
        """Cancel the evaluation under way, since an evaluator that stops would finish it first. Idempotent."""
        if self._under_way is not None:
            self._under_way[1].cancel()
            self._under_way = None

    def _is_last_wanted(self) -> bool:
        """Whether `finish` has to begin another evaluation."""
        if self._evaluator is None or self._selection.is_reached:
            return False
        evaluations = self._record.evaluations
        is_last_known = bool(evaluations) and evaluations[-1][0] >= self._record.steps
        return not is_last_known or self._selection.in_doubt is not None

    def _begin(self) -> None:
        candidate = self._selection.in_doubt
        number = self._selection.begin(self._record.steps)
        if candidate is not None:
            weights: Weights | None = candidate.weights
        else:
            weights = None if self._newest is None else self._newest()
        evaluator, episodes = self._evaluator, self._episodes
        reply = evaluator.evaluate(number, episodes) if weights is None else evaluator.play(number, weights, episodes)
        self._under_way = self._record.steps, reply, weights

    async def _has_ended_in_time(self) -> bool:
        """Wait for the evaluation under way, at most until it is given up."""
        assert self._under_way is not None
        try:
            async with asyncio.timeout_at(self._give_up_at) as self._wait:
                await art.wait([self._under_way[1]])
        except TimeoutError:
            return False
        finally:
            self._wait = None
        return True

    async def _end(self) -> Exception | None:
        """Record the evaluation that has ended. Return its error if that makes further evaluations pointless."""
        assert self._under_way is not None
        (steps, reply, weights), self._under_way = self._under_way, None
        error = reply.error()
        if error is not None:
            return self._failed(error)
        self._failed_count = self._death_count = 0
        result = reply.value()
        evaluation, played = result if weights is None else (result, weights)
        if evaluation.unfinished and not self._has_cut_off:
            self._has_cut_off = True
            logger.warning(
                "evaluation_steps cut off %d of %d episodes of an evaluation: their returns are those of the steps "
                "that were played, and do not show that a policy reaches stop_return",
                evaluation.unfinished,
                len(evaluation.returns),
            )
        self._record.evaluations.append((steps, evaluation.mean))
        self._selection.evaluated(evaluation, played)
        await self._callbacks.tell("on_evaluation", steps, evaluation)
        return None

    def _failed(self, error: Exception) -> Exception | None:
        """Count an evaluation that failed. Return an error if the failure is final; None lets the next one be due."""
        if isinstance(error, UnplayableError):
            return error
        if isinstance(error, art.ActorUnavailableError):  # the evaluator is being restarted
            self._death_count += 1
            return died_for_good("the evaluator", DEATHS_LIMIT, error) if self._death_count >= DEATHS_LIMIT else None
        self._failed_count += 1
        if not is_from_user_code(error) or self._failed_count >= self._raises_limit:
            return error
        notes = getattr(error, "__notes__", None) or ["an evaluation"]
        logger.warning("%s: %s: %s; the evaluation is skipped", notes[0], type(error).__name__, error)
        return None

    def _skip(self, error: UnplayableError) -> None:
        """Called when an evaluation ended since an episode broke in every replay."""
        if not self._has_skipped:
            self._has_skipped = True
            logger.warning(
                "%s: %s; the evaluation is skipped. evaluation_steps makes its episodes shorter. "
                "Further evaluations that are skipped for such an episode are not logged",
                type(error).__name__,
                error,
            )

    def _give_up(self, why: Any) -> None:
        """Called when `finish` gives up an evaluation, for an error or another reason."""
        self.cancel()
        has_best = self._selection.best is not None or self._selection.in_doubt is not None
        best = "the best one is that of an earlier evaluation" if has_best else "it counts as the best one"
        reason = f"{type(why).__name__}: {why}" if isinstance(why, Exception) else why
        logger.warning("the evaluation of the last policy was given up: %s; %s", reason, best)
