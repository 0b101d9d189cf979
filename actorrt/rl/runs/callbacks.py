"""Callbacks of users, plain or async, and one that stops a run early.

Callbacks that log metrics are in `logs`. All are called in the run's own thread, one after the other, and the run waits
for each of them, so a slow callback delays the run.
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import math
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from actorrt.rl.foundation.checks import require_number, require_whole
from actorrt.rl.records.progress import Progress
from actorrt.rl.rollouts.evaluation import Evaluation
from actorrt.rl.rollouts.trajectory import Fragment
from actorrt.rl.runs.run import Run


class Callback:
    """Called on the events of a run; every method may be async. An exception in a callback ends the run."""

    def on_start(self, run: Run) -> Any:
        """Called when the run begins or is resumed."""

    def on_fragment(self, run: Run, fragment: Fragment) -> Any:
        """Called with each fragment of a batch when the batch was learnt from, before `on_update`.

        A3C's simulators learn themselves: their fragments have counts, returns and metrics only. ARS and ES have none.
        """

    def on_update(self, run: Run, progress: Progress) -> Any:
        """Called after an update."""

    def on_evaluation(self, run: Run, steps: int, evaluation: Evaluation) -> Any:
        """Called when an evaluation has ended that began after `steps` steps of training."""

    def on_restart(self, run: Run, progress: Progress) -> Any:
        """Called after an update if simulators were restarted since the one before."""

    def on_checkpoint(self, run: Run, path: str) -> Any:
        """Called when a checkpoint was written."""

    def on_end(self, run: Run) -> Any:
        """Called when the run has ended, for any reason; its actors are gone. Not called if `on_start` failed."""


class _RunAttributes(Callback):
    """Keeps the attributes of a run up to date, before other callbacks read them."""

    def on_update(self, run: Run, progress: Progress) -> None:
        run.progress = progress

    def on_evaluation(self, run: Run, steps: int, evaluation: Evaluation) -> None:
        if run.progress is not None:
            run.progress = dataclasses.replace(run.progress, evaluation=run.best_score)

    def on_checkpoint(self, run: Run, path: str) -> None:
        run.saved_steps = run.steps


class _OnUpdate(Callback):
    """A callback that calls a function of `Progress`."""

    def __init__(self, function: Callable[[Progress], Any]) -> None:
        self._function = function

    def on_update(self, run: Run, progress: Progress) -> Any:
        return self._function(progress)


CallbackLike: TypeAlias = Callback | Callable[[Progress], Any]


class Callbacks:
    """All callbacks of one run.

    The first one keeps `run.progress` and `run.saved_steps` up to date.

    Args:
        run: the run that is passed to them.
        callbacks: callbacks, or functions that take a `Progress`.

    Raises:
        TypeError: one is neither a callback nor a function.
    """

    def __init__(self, run: Run, callbacks: Iterable[CallbackLike]) -> None:
        self._run = run
        self._callbacks: list[Callback] = [_RunAttributes()]
        for callback in callbacks:
            if isinstance(callback, type) or not (isinstance(callback, Callback) or callable(callback)):
                raise TypeError(f"a callback is an rl.Callback or a function of rl.Progress, not {callback!r}")
            self._callbacks.append(callback if isinstance(callback, Callback) else _OnUpdate(callback))
        # Most callbacks leave fragments alone, and there may be thousands of them in a second.
        self._takers = [each for each in self._callbacks if type(each).on_fragment is not Callback.on_fragment]
        self._begun: list[Callback] = []
        self._restart_count = 0

    async def began(self) -> None:
        """Tell that the run begins. If a callback raises, those after it are not told."""
        for callback in self._callbacks:
            await self._tell([callback], "on_start", ())
            self._begun.append(callback)

    async def ended(self) -> None:
        """Tell those callbacks of the end that were told of the beginning, all of them, also if one of them raises."""
        async with contextlib.AsyncExitStack() as endings:
            for callback in reversed(self._begun):  # the last one that is put on the stack is told first
                endings.push_async_callback(self._tell, [callback], "on_end", ())

    async def tell(self, event: str, *arguments: Any) -> None:
        """Call this method of every callback, and wait for those that are async."""
        await self._tell(self._callbacks, event, arguments)

    async def learnt(self, fragments: Iterable[Fragment]) -> None:
        """Tell of the fragments of a batch that was learnt from."""
        if self._takers:
            for fragment in fragments:
                await self._tell(self._takers, "on_fragment", (fragment,))

    async def _tell(self, callbacks: Iterable[Callback], event: str, arguments: tuple[Any, ...]) -> None:
        for callback in callbacks:
            result = getattr(callback, event)(self._run, *arguments)
            if inspect.isawaitable(result):
                await result

    async def updated(self, progress: Progress) -> None:
        """Tell of an update, and of restarts since the last update."""
        await self.tell("on_update", progress)
        if progress.simulators_restarted > self._restart_count:
            self._restart_count = progress.simulators_restarted
            await self.tell("on_restart", progress)


class EarlyStop(Callback):
    """Ends a run whose evaluations do not improve any more.

    Args:
        patience: number of evaluations in a row without improvement after which the run ends.
        min_improvement: a mean return is an improvement if it exceeds the best one by more than this.

    Raises:
        ValueError: a number is out of range. `Algorithm.start` raises it if the run has no evaluations.
        TypeError: it is not a number.
    """

    def __init__(self, patience: int = 10, min_improvement: float = 0.0) -> None:
        require_whole("patience", patience, 1)
        require_number("min_improvement", min_improvement, at_least=0.0)
        self._patience, self._min_improvement = patience, min_improvement
        self._best, self._worse_count = -math.inf, 0

    def on_start(self, run: Run) -> None:
        """Begin to count: an earlier run may have had the same callback."""
        self._best, self._worse_count = -math.inf, 0

    def on_evaluation(self, run: Run, steps: int, evaluation: Evaluation) -> None:
        """Stop the run if there were too many evaluations without improvement."""
        if evaluation.mean > self._best + self._min_improvement:
            self._best, self._worse_count = evaluation.mean, 0
            return
        self._worse_count += 1
        if self._worse_count >= self._patience:
            run.stop()
