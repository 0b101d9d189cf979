"""What users hang on a run: callbacks that hear what happens, plain or async, and stopping early with one.

Those that write metrics down are in `logs`. They are called in the run's own thread, one after the other, and the run
waits for each: what takes long holds it up.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

from actorrt.rl.records.progress import Progress
from actorrt.rl.rollouts.evaluation import Evaluation

if TYPE_CHECKING:
    from actorrt.rl.runs.run import Run


class Callback:
    """Hears what happens in a run; every method may be async. What one raises ends the run."""

    def on_start(self, run: Run) -> Any:
        """Hear that the run begins, or goes on from a checkpoint."""

    def on_update(self, run: Run, progress: Progress) -> Any:
        """Hear of an update."""

    def on_evaluation(self, run: Run, steps: int, evaluation: Evaluation) -> Any:
        """Hear what an evaluation came to, `steps` steps into the training."""

    def on_restart(self, run: Run, progress: Progress) -> Any:
        """Hear that simulators were restarted since the update before."""

    def on_checkpoint(self, run: Run, path: str) -> Any:
        """Hear that a checkpoint was written."""

    def on_end(self, run: Run) -> Any:
        """Hear that the run ends, whatever the cause; its actors are gone."""


class _OnUpdate(Callback):
    """A function of a run's progress, as a callback."""

    def __init__(self, function: Callable[[Progress], Any]) -> None:
        self._function = function

    def on_update(self, run: Run, progress: Progress) -> Any:
        return self._function(progress)


CallbackLike: TypeAlias = Callback | Callable[[Progress], Any]


class Callbacks:
    """All callbacks of one run.

    Args:
        run: what they are told of.
        hearers: callbacks, or functions that take a `Progress`.

    Raises:
        TypeError: one is neither.
    """

    def __init__(self, run: Run, hearers: Iterable[CallbackLike]) -> None:
        self._run = run
        self._callbacks: list[Callback] = []
        for hearer in hearers:
            if not isinstance(hearer, Callback) and not callable(hearer):
                raise TypeError(f"a callback is an rl.Callback or a function of rl.Progress, not {hearer!r}")
            self._callbacks.append(hearer if isinstance(hearer, Callback) else _OnUpdate(hearer))
        self._restart_count = 0

    async def tell(self, event: str, *arguments: Any) -> None:
        """Call the method of this name of each, and wait for those that are async."""
        for callback in self._callbacks:
            result = getattr(callback, event)(self._run, *arguments)
            if inspect.isawaitable(result):
                await result

    async def updated(self, progress: Progress) -> None:
        """Tell of an update, and of restarts since the last."""
        await self.tell("on_update", progress)
        if progress.simulators_restarted > self._restart_count:
            self._restart_count = progress.simulators_restarted
            await self.tell("on_restart", progress)


class EarlyStop(Callback):
    """Ends a run whose evaluations get no better.

    Args:
        patience: how many evaluations in a row may be no better than the best before them.
        min_improvement: what a mean return has to be larger by, to be better.
    """

    def __init__(self, patience: int = 10, min_improvement: float = 0.0) -> None:
        if patience < 1:
            raise ValueError(f"patience is at least 1: patience={patience}")
        self._patience, self._min_improvement = patience, min_improvement
        self._best = -float("inf")
        self._worse_count = 0

    def on_evaluation(self, run: Run, steps: int, evaluation: Evaluation) -> None:
        """Stop the run if it is time."""
        if evaluation.mean > self._best + self._min_improvement:
            self._best, self._worse_count = evaluation.mean, 0
            return
        self._worse_count += 1
        if self._worse_count >= self._patience:
            run.stop()
