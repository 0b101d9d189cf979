"""Evaluates policies beside a run's training, one at a time.

`records.selection` decides which policy is evaluated next, and which one is best.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import actorrt as art
from actorrt.rl.foundation.failures import DEATHS_LIMIT, RAISES_LIMIT, died_for_good, is_from_user_code
from actorrt.rl.policies.weights import Weights
from actorrt.rl.records.run_record import RunRecord
from actorrt.rl.records.selection import Selection
from actorrt.rl.runs.callbacks import Callbacks

logger = logging.getLogger(__name__)


class Evaluations:
    """The evaluations of one run.

    Args:
        evaluator: the run's `Evaluator`.
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

    async def look(self) -> None:
        """Record an evaluation that has ended, and begin the next one if it is due; waits for neither."""
        if self._under_way is not None and self._under_way[1].done():
            await self._end()
        if self._under_way is None and self._selection.is_due(self._record.steps):
            self._begin()

    async def finish(self) -> None:
        """Evaluate the last policy, and confirm a policy that is in doubt."""
        if self._under_way is not None:
            await self._end()
        last, evaluations = self._record.steps, self._record.evaluations
        while not self._selection.is_reached:
            is_last_known = bool(evaluations) and evaluations[-1][0] >= last
            if is_last_known and self._selection.in_doubt is None:
                return
            self._begin()
            await self._end()

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

    async def _end(self) -> None:
        assert self._under_way is not None
        (steps, reply, weights), self._under_way = self._under_way, None
        try:
            result = await reply
        except art.ActorUnavailableError as error:  # the evaluator is being restarted; the next evaluation is due soon
            self._death_count += 1
            if self._death_count >= DEATHS_LIMIT:
                raise died_for_good("the evaluator", DEATHS_LIMIT, error) from error
            return
        except Exception as error:  # the evaluation ends here, by an error of the environment or of the runtime
            self._failed(error)
            return
        self._failed_count = self._death_count = 0
        evaluation, played = result if weights is None else (result, weights)
        self._record.evaluations.append((steps, evaluation.mean))
        self._selection.evaluated(evaluation, played)
        await self._callbacks.tell("on_evaluation", steps, evaluation)

    def _failed(self, error: Exception) -> None:
        self._failed_count += 1
        if not is_from_user_code(error) or self._failed_count >= self._raises_limit:
            raise error
        notes = getattr(error, "__notes__", None) or ["an evaluation"]
        logger.warning("%s: %s: %s; the evaluation is skipped", notes[0], type(error).__name__, error)
