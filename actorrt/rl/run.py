"""What users hold of a training run: start, wait, stop, metrics, the best policy.

A run has a thread with an event loop of its own, so that it goes on beside plain code, coroutines and notebooks
alike. What the thread does is in `training`.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
from collections.abc import Callable, Generator
from typing import Any

import actorrt as art
from actorrt.rl.policy import MlpPolicy
from actorrt.rl.progress import Progress
from actorrt.rl.selection import Selection
from actorrt.rl.training import Plan, Record, TrainingLoop

logger = logging.getLogger(__name__)


class Run:
    """A training run under way, or ended.

    Awaitable; in plain code, `wait()`. Both return the run itself, or raise what ended it. It can be waited for
    among replies, too, with `art.wait`, `art.gather` and `art.as_completed`.
    """

    def __init__(
        self,
        plan: Plan,
        directory: str,
        on_progress: Callable[[Progress], None] | None = None,
        keep_going: Callable[[], bool] | None = None,
    ) -> None:
        self.plan = plan
        self.directory = directory
        self._record = Record()
        self._selection = Selection(plan.settings.evaluate_every, plan.stop_return)
        self._loop = TrainingLoop(plan, self._record, self._selection, self._note)
        self._listener = on_progress
        self._keep_going = keep_going
        self._is_stopping = False
        self._done: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._callbacks: set[Callable[[Run], None]] = set()
        self._thread = threading.Thread(target=self._main, name=f"{plan.name} training", daemon=True)
        self.progress: Progress | None = None

    def start(self) -> Run:
        """Begin in the background; starts a runtime if this process has none.

        Raises:
            RuntimeStateError: (from the run) there is none, and it could not be started.
        """
        try:
            art.init()
        except art.RuntimeStateError as error:  # its user started one with other options, which serves as well
            logger.debug("no runtime was started for the run: %s", error)
        self._thread.start()
        return self

    def _main(self) -> None:
        try:
            asyncio.run(self._loop.run(self._should_end))
        except BaseException as error:  # the thread ends here; whoever waits gets what ended it
            self._done.set_exception(error)
        else:
            self._done.set_result(None)

    def _should_end(self) -> bool:
        if self._is_stopping:
            return True
        return self._selection.is_reached and not (self._keep_going is not None and self._keep_going())

    def _note(self, progress: Progress) -> None:
        self.progress = progress
        if self._listener is not None:
            self._listener(progress)

    def wait(self, timeout_s: float | None = None) -> Run:
        """Wait in plain code until the run has ended.

        In local mode the run's actors work in this thread meanwhile, and only then. An interrupt stops the run after
        the update in hand, and is raised on.

        Raises:
            TimeoutError: it has not ended in time; it goes on.
            RuntimeStateError: this thread's loop serves the run's actors, so that blocking it would hang.
            Exception: what ended the run.
        """
        try:
            art.wait([self]).result(timeout_s)
        except art.CallTimeoutError:
            raise TimeoutError(f"the run goes on after {timeout_s} s: {self!r}") from None
        except KeyboardInterrupt:
            self.stop()
            art.wait([self]).result()
            raise
        self._thread.join()
        return self.value()

    def __await__(self) -> Generator[Any, None, Run]:
        """Wait in async code; cancelling the wait stops the run after the update in hand."""
        try:
            yield from asyncio.shield(asyncio.wrap_future(self._done)).__await__()
        except asyncio.CancelledError:
            self.stop()
            yield from asyncio.wait([asyncio.wrap_future(self._done)]).__await__()
            raise
        return self

    def add_callback(self, callback: Callable[[Run], None]) -> None:
        """Call `callback(run)` once the run has ended: in its thread, or at once where it has already."""
        self._callbacks.add(callback)
        self._done.add_done_callback(lambda _: self._call_back(callback))

    def remove_callback(self, callback: Callable[[Run], None]) -> None:
        """Forget a callback that has not been called."""
        self._callbacks.discard(callback)

    def _call_back(self, callback: Callable[[Run], None]) -> None:
        if callback in self._callbacks:
            self._callbacks.discard(callback)
            callback(self)

    def error(self) -> BaseException | None:
        """Return what ended the run, or None where nothing did or it goes on."""
        return self._done.exception() if self._done.done() else None

    def value(self) -> Run:
        """Return the run, which has ended, or raise what ended it."""
        self._done.result()
        return self

    def stop(self) -> None:
        """Ask the run to end after the update in hand. Idempotent; wait for it afterwards."""
        self._is_stopping = True

    def done(self) -> bool:
        """Whether the run has ended."""
        return self._done.done()

    @property
    def steps(self) -> int:
        """Transitions learnt from so far."""
        return self._record.steps

    @property
    def is_reached(self) -> bool:
        """Whether a policy reached the return to stop at."""
        return self._selection.is_reached

    @property
    def evaluations(self) -> list[tuple[int, float]]:
        """Steps and mean return of every evaluation so far."""
        return list(self._record.evaluations)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What was measured at each update so far."""
        return list(self._record.rows)

    @property
    def metrics(self) -> Any:
        """What was measured so far, as a `pyarrow.Table` with a row for each update."""
        import pyarrow

        return pyarrow.Table.from_pylist(self._record.rows)

    @property
    def best(self) -> MlpPolicy:
        """The policy that the evaluator found best so far.

        Raises:
            LookupError: no evaluation has ended yet.
        """
        best = self._selection.best
        if best is None:
            raise LookupError("no policy has been evaluated yet; wait for the run, or for its first evaluation")
        return MlpPolicy(self.plan.policy, best.parameters, best.version)

    def __repr__(self) -> str:
        state = "ended" if self.done() else "running"
        return f"<Run {self.plan.name}: {state} after {self.steps:,} of {self.plan.steps:,} steps>"
