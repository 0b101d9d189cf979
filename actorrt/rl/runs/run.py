"""`Run`, which users hold: start, wait, stop, metrics, the best policy.

A run has a thread with an event loop of its own, so it works beside plain code, coroutines and notebooks. The thread
runs the loops of `training` and `evolution.loop`.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import os
import threading
from collections.abc import Callable, Generator
from typing import Any, Protocol

import actorrt as art
from actorrt.rl.environments.making import name_of
from actorrt.rl.foundation.checks import require_whole
from actorrt.rl.foundation.extras import require
from actorrt.rl.policies.factory import make_policy
from actorrt.rl.policies.policy import FlatPolicy
from actorrt.rl.policies.policy_file import StoredPolicy, save_policy
from actorrt.rl.records.progress import Progress
from actorrt.rl.records.run_directory import BEST_FILE, CURVE_FILE, METRICS_FILE, DirectoryLock
from actorrt.rl.records.run_record import RunRecord
from actorrt.rl.records.selection import Selection
from actorrt.rl.runs import endings, interrupts, picture
from actorrt.rl.runs.explain import Explanation, explain
from actorrt.rl.runs.plan import AnyPlan
from actorrt.rl.runs.role_supervisor import imported_apart, imported_by_roles
from actorrt.rl.spaces.array_spaces import Array
from actorrt.rl.spaces.normaliser import Normaliser
from actorrt.rl.views import curve, notebook
from actorrt.rl.views.csv_file import write_csv
from actorrt.rl.views.video import Video, film

logger = logging.getLogger(__name__)

PAUSING = "pausing after the current update; a second interrupt ends the run at once"


class Events(Protocol):
    """The callbacks of a run, as the run tells them of its start and its end."""

    async def began(self) -> None: ...

    async def ended(self) -> None: ...


class View(Protocol):
    """A view that shows a run while it works.

    Attributes:
        draws: whether it shows the picture of the run, which a notebook need not show again.
    """

    draws: bool

    def begin(self, run: Run) -> None: ...

    def note(self, text: str) -> None: ...


class Run:
    """A training run, which works in the background or has ended.

    Await it, or call `wait()` in plain code. Both return the run itself, or raise the error that ended it. A run can
    also be waited for together with replies, with `art.wait`, `art.gather` and `art.as_completed`.

    Args:
        plan: of the run.
        directory: directory of the run's files.
        loop_class: class of the loop that trains, a `RunLoop`.
        make_callbacks: returns the callbacks of this run.
        keep_going: called after each update once the return to stop at is reached; the run continues while it is True.
        view: shows the run; None shows nothing.

    Attributes:
        progress: progress of the last update; None before the first.
        saved_steps: steps of the last checkpoint; None before the first.
    """

    def __init__(
        self,
        plan: AnyPlan,
        directory: str,
        loop_class: Callable[..., Any],
        make_callbacks: Callable[[Run], Events],
        keep_going: Callable[[], bool] | None = None,
        view: View | None = None,
    ) -> None:
        self.plan = plan
        self.directory = directory
        self._record = RunRecord()
        self._selection = Selection(plan.settings.evaluate_every, plan.stop_return)
        if plan.checkpoint is not None:
            self._record.restore(plan.checkpoint["record"])
            self._selection.restore(plan.checkpoint["selection"])
        self._view = view
        self._callbacks = make_callbacks(self)
        self._loop = loop_class(plan, self._record, self._selection, directory, self._callbacks)
        self._keep_going = keep_going
        self._drawn_for: int | None = None  # the notebook cell that already shows the run's plot
        self._is_stopping = self._is_killed = False
        self._outcome: str | None = None
        self._task: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]] | None = None
        self._done: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._waiting: set[Callable[[Run], None]] = set()
        self._thread = threading.Thread(target=self._main, name=f"{plan.name} training", daemon=True)
        self.progress: Progress | None = None
        self.saved_steps: int | None = None if plan.checkpoint is None else self._record.steps

    def start(self) -> Run:
        """Begin in the background; starts a runtime if this process has none, and shows the run if that is wanted.

        Raises:
            ValueError: another run is under way in the directory.
            RuntimeStateError: (from the run) there is no runtime, and none could be started.
        """
        self._lock = DirectoryLock(self.directory)
        with contextlib.ExitStack() as failing:
            failing.callback(self._lock.release)
            try:
                art.init()
            except art.RuntimeStateError as error:  # the user started a runtime with other options, which is as good
                logger.debug("no runtime was started for the run: %s", error)
            if self._view is not None:
                self._view.begin(self)
            self._drawn_for = notebook.cell()
            self._thread.start()
            failing.pop_all()
        return self

    def _main(self) -> None:
        try:
            try:
                asyncio.run(self._train())
            finally:
                self._lock.release()
        except BaseException as error:  # the thread ends here; callers that wait get the error
            self._done.set_exception(error)
        else:
            self._done.set_result(None)

    async def _train(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = asyncio.get_running_loop(), task
        self._outcome = "paused" if self._is_killed else None
        try:
            if not self._is_killed:
                await self._train_and_tell()
        except asyncio.CancelledError:
            if not self._is_killed:
                raise

    async def _train_and_tell(self) -> None:
        try:
            await self._improve()
            is_over = self.steps >= self.plan.steps or self.is_reached
            self._outcome = "ended" if is_over else "paused"
        except BaseException as error:
            self._outcome = "failed"
            error.add_note(endings.describe_failure(self.plan, self.directory, self.steps, self.saved_steps))
            raise
        finally:
            await self._callbacks.ended()

    async def _improve(self) -> None:
        apart = imported_apart(self.plan)
        try:
            await self._callbacks.began()
            if apart:
                art.preload(*apart, apart=True)  # first, because torch takes longest
            art.preload(*imported_by_roles(self.plan.environment))
            await self._loop.run(self._should_end)
        except asyncio.CancelledError:
            if not self._is_killed:
                raise
        if self._selection.chosen is not None:
            save_policy(StoredPolicy(self.plan.policy, *self._best_weights()), self._path(None, BEST_FILE))

    def _should_end(self) -> bool:
        if self._is_stopping:
            return True
        return self._selection.is_reached and not (self._keep_going is not None and self._keep_going())

    def wait(self, timeout_s: float | None = None) -> Run:
        """Wait in plain code until the run has ended.

        In local mode the run's actors work in this thread while it waits, and only then. An interrupt pauses the run
        after the current update: the best policy and a checkpoint are saved, one line says where, and
        `KeyboardInterrupt` is raised. A second interrupt ends the run at once; its last checkpoint stays.

        Raises:
            TimeoutError: the run has not ended in time; it continues.
            RuntimeStateError: this thread's loop serves the run's actors, so blocking it would hang.
            Exception: the error that ended the run.
        """
        self._drawn_for = notebook.cell()
        try:
            with interrupts.calling(self._pause):
                art.wait([self]).result(timeout_s)
        except art.CallTimeoutError:
            raise TimeoutError(f"the run has not ended after {timeout_s} s: {self!r}") from None
        except KeyboardInterrupt:
            if not self.done():
                self.kill()
                art.wait([self]).result()
            logger.warning("%s", self.describe_pause())
            raise
        self._thread.join()
        return self.value()

    def _pause(self) -> None:
        """Pause the run because of an interrupt, and tell the user, since the current update may take a while."""
        self.stop()
        if self._view is None:
            logger.warning(PAUSING)
        else:
            self._view.note(PAUSING)

    def __await__(self) -> Generator[Any, None, Run]:
        """Wait in async code. Cancelling the wait pauses the run as an interrupt does, and waits until it has paused.

        A second cancellation ends the run at once.
        """
        self._drawn_for = notebook.cell()
        try:
            yield from asyncio.shield(asyncio.wrap_future(self._done)).__await__()
        except asyncio.CancelledError:
            self._pause()
            try:
                yield from asyncio.wait([asyncio.wrap_future(self._done)]).__await__()
            except asyncio.CancelledError:
                self.kill()
                raise
            logger.warning("%s", self.describe_pause())
            raise
        return self

    def add_callback(self, callback: Callable[[Run], None]) -> None:
        """Call `callback(run)` when the run has ended: in the run's thread, or at once if it has ended already."""
        self._waiting.add(callback)
        self._done.add_done_callback(lambda _: self._call_back(callback))

    def remove_callback(self, callback: Callable[[Run], None]) -> None:
        """Remove a callback that has not been called."""
        self._waiting.discard(callback)

    def _call_back(self, callback: Callable[[Run], None]) -> None:
        if callback in self._waiting:
            self._waiting.discard(callback)
            callback(self)

    def error(self) -> BaseException | None:
        """Return the error that ended the run; None if there was none, or the run has not ended."""
        return self._done.exception() if self._done.done() else None

    def value(self) -> Run:
        """Return the run, which has ended, or raise the error that ended it."""
        self._done.result()
        return self

    def stop(self) -> None:
        """Pause the run after the current update, with a checkpoint. Idempotent; wait for the run afterwards.

        ARS and ES give up an update whose episodes do not end within 5 seconds; a resumed run makes it again.
        The best policy so far stays the best. If no policy was evaluated yet, the newest one is evaluated, which the
        pause waits for at most 5 seconds; the newest one is the best in any case then.
        """
        self._is_stopping = True
        self._call_soon(self._loop.hurry)

    def kill(self) -> None:
        """End the run at once; the steps since its last checkpoint are lost. Idempotent; wait for it afterwards."""
        is_first, self._is_stopping, self._is_killed = not self._is_killed, True, True
        # Only the first call cancels: a second cancellation would interrupt the clean-up.
        if is_first and self._task is not None:
            self._call_soon(self._task[1].cancel)

    def _call_soon(self, function: Callable[[], object]) -> None:
        """Call a function in the run's thread; without effect before the run and after it."""
        if self._task is not None and not self.done():
            with contextlib.suppress(RuntimeError):  # the run has just ended and closed its loop
                self._task[0].call_soon_threadsafe(function)

    def resize(self, simulators: int) -> None:
        """Change the number of simulators, also in the middle of an update; the results stay the same.

        Raises:
            ValueError: the number is less than 1; or the algorithm's batches depend on the number of simulators, as
                they do for all but the evolutionary algorithms.
        """
        require_whole("simulators", simulators, 1)
        self._loop.resize(simulators)

    def describe_pause(self) -> str:
        """Say in one line how a run that has ended can be resumed, and from which step."""
        return endings.describe_pause(self.plan, self.directory, self.steps, self.saved_steps)

    def explain(self) -> Explanation:
        """Describe the run: effective settings, policy and roles. `print` the text, or let a notebook show it."""
        return explain(self.plan)

    def done(self) -> bool:
        """Whether the run has ended."""
        return self._done.done()

    @property
    def steps(self) -> int:
        """Transitions learnt from so far."""
        return self._record.steps

    @property
    def is_reached(self) -> bool:
        """Whether a policy has reached the return to stop at."""
        return self._selection.is_reached

    @property
    def evaluations(self) -> list[tuple[int, float]]:
        """Steps and mean return of every evaluation so far."""
        return list(self._record.evaluations)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The metrics of each update so far."""
        return list(self._record.rows)

    @property
    def metrics(self) -> Any:
        """The metrics as a `pyarrow.Table`: a row for each update, with the columns of the last; see `RunRecord`."""
        import pyarrow

        rows = self.rows  # a copy, since the run's thread adds to them
        return pyarrow.table({name: [row.get(name) for row in rows] for name in (rows[-1] if rows else ())})

    @property
    def best(self) -> FlatPolicy:
        """The policy that the evaluator found best so far.

        With `evaluate_every=None` it is the newest policy, as `policy` is. If no evaluation ended before the run did,
        it is the policy of the last checkpoint.

        Raises:
            LookupError: no evaluation has ended yet.
            RuntimeStateError: as from `policy`, if nothing is evaluated.
        """
        return make_policy(self.plan.policy, *self._best_weights())

    def _best_weights(self) -> tuple[Array, int, Normaliser | None]:
        best = self._loop.newest() if self.plan.settings.evaluate_every is None else self._selection.chosen
        if best is None:
            raise LookupError("no policy has been evaluated yet; wait for the run, or for its first evaluation")
        version, parameters, normaliser = best
        return parameters, version, normaliser

    @property
    def policy(self) -> FlatPolicy:
        """The newest policy, from the first moment on. If the run was killed, it is that of the last checkpoint.

        Raises:
            RuntimeStateError: in local mode, on the loop that does the run's work: read it in a callback or a thread.
        """
        version, parameters, normaliser = self._loop.newest()
        return make_policy(self.plan.policy, parameters, version, normaliser)

    def video(self, path: str | None = None, *, seed: int = 1) -> Video:
        """Film an episode of the best policy; a notebook shows it.

        Args:
            path: of the film, `.gif` or `.mp4`. None means `best.gif` in the run's directory.
            seed: seed of the episode.

        Raises:
            LookupError: no evaluation has ended yet.
            MissingPackageError: Pillow, or for MP4 imageio-ffmpeg, is not installed.
            ValueError: the path has another suffix, or the environment renders no pictures.
        """
        return film(self.best, self._path(path, "best.gif"), self.plan.environment, seed=seed)

    def save_curve(self, path: str | None = None) -> str:
        """Draw training returns and evaluations over steps, in any format of matplotlib; return the file's path.

        Args:
            path: of the file. None means `curve.png` in the run's directory.

        Raises:
            LookupError: there has been no update yet.
            MissingPackageError: matplotlib is not installed.
        """
        rows, settings = self._rows(), self.plan.settings
        require("matplotlib")
        title = f"{settings.algorithm} on {name_of(self.plan.environment)}, seed {self.plan.seed}"
        returns = [(row["steps"], row["return_mean"]) for row in rows]
        path = self._path(path, CURVE_FILE)
        curve.draw_png(path, title, returns, self.evaluations, self.plan.stop_return)
        return path

    def save_metrics(self, path: str | None = None) -> str:
        """Write the metrics of each update so far as CSV; return the file's path.

        Args:
            path: of the file. None means `metrics.csv` in the run's directory.

        Raises:
            LookupError: there has been no update yet.
        """
        rows = self._rows()
        path = self._path(path, METRICS_FILE)
        write_csv(path, rows)
        return path

    def _rows(self) -> list[dict[str, Any]]:
        rows = self.rows
        if not rows:
            raise LookupError("nothing has been measured yet; wait for the run, or for its first update")
        return rows

    def _path(self, path: str | None, name: str) -> str:
        """Return `path`, or the path of `name` in the run's directory if that is None; creates the directory."""
        chosen = os.path.join(self.directory, name) if path is None else os.fspath(path)
        os.makedirs(os.path.dirname(chosen) or ".", exist_ok=True)
        return chosen

    @property
    def state(self) -> str:
        """The state of the run in a word: starting, running, pausing, paused, failed or ended."""
        if self.error() is not None:
            return "failed"
        if self._outcome is not None:
            return self._outcome
        return "pausing" if self._is_stopping else "starting" if self.progress is None else "running"

    @property
    def best_score(self) -> float | None:
        """Score of the best policy so far; None if none was evaluated."""
        best = self._selection.best
        return None if best is None else best.score

    def __repr__(self) -> str:
        state = self.state
        return f"<Run {self.plan.name}: {state} after {self.steps:,} of {self.plan.steps:,} steps>"

    def _repr_html_(self) -> str | None:
        """Return the run as HTML; None for a cell that started or awaited the run and shows the plot already."""
        is_drawn = self._view is not None and self._view.draws and self._drawn_for == notebook.cell()
        return None if is_drawn else picture.as_html(self)
