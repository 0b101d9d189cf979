"""An asyncio event loop in virtual time, for several simulated processes in one thread.

Time moves when something runs, by a little, and jumps to the next timer when nothing can run. `time` is what the clock
of the present process's machine shows; `now` is the time of the whole run. Of the processes that have something to run,
the seed chooses one, and how many of its callbacks run in turn. Inside a process the order is asyncio's: first
scheduled, first run. The seed also says when cyclic garbage is collected, and whether the old generations too.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import heapq
import random
from array import array
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any, Final, NoReturn, TypeVar

from actorrt.background import IS_BACKGROUND
from actorrt.testing.virtual.clocks import MachineClock
from actorrt.testing.virtual.processes import PROCESS, STOPPED, WAITING, ExceptionHandler, SimulatedProcess
from actorrt.testing.virtual.refusal import refused

START_S: Final = 1_000.0
"""The time at which a run begins."""
STEP_S: Final = 1e-6
"""How long one callback takes."""
MAX_TURN_COUNT: Final = 16
"""How many callbacks of a process run before another process has its turn, at most."""
STUCK_AFTER_S: Final = 60.0
"""For how long there must be nothing but background work, before a run counts as stuck. Background work may end a wait:
a heartbeat finds a silent peer."""
_COLLECTION_COUNT: Final = 5_000
"""Garbage is collected after so many callbacks, on average."""
_FULL_SHARE: Final = 0.1
"""The share of collections that look at everything the run has made, not only at what is new since the last."""
_CANCELLED_COUNT: Final = 1_000
_CHECK_EVERY_COUNT: Final = 64
_HASHED_COUNT: Final = 4_096
"""How many numbers of the digest are hashed at once."""

T = TypeVar("T")


class VirtualHandle(asyncio.Handle):
    """A callback. It sets asyncio's attributes itself, since asyncio looks at the debug mode of the loop each time."""

    __slots__ = ()

    _repr = _source_traceback = None  # those of the debug mode

    def __init__(
        self, callback: Callable[..., object], args: tuple[Any, ...], loop: VirtualLoop, context: Context
    ) -> None:
        self._callback = callback
        self._args = args
        self._loop = loop
        self._context = context
        self._cancelled = False


class VirtualTimer(asyncio.TimerHandle):
    """A timer that knows its process, and whether it is background work. As for its attributes, see `VirtualHandle`."""

    __slots__ = ("is_background", "process")

    _repr = _source_traceback = None

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: VirtualLoop,
        context: Context,
        process: SimulatedProcess,
        is_background: bool,
    ) -> None:
        self._callback = callback
        self._args = args
        self._loop = loop
        self._context = context
        self._cancelled = False
        self._when = when
        self._scheduled = True
        self.process = process
        self.is_background = is_background


class VirtualLoop(asyncio.BaseEventLoop):
    """The loop.

    Args:
        seed: chooses what runs next.

    Attributes:
        outside: the process that belongs to nobody: what makes the processes and the faults runs in it.
        present: the process whose callback runs.
        processes: all processes, the dead ones too.
        step_count: how many callbacks have run.
        on_switch: called with the process that has run and the one that runs next.
        on_check: called between two turns, after every `check_every_count` callbacks.
        on_look: called between two turns, once it is `look_at`.
        on_stuck: called when nothing but background work is left; raises.
        on_late: called when the time is past `deadline`; raises.
        run_in_thread: runs a function of the present process in what stands for a thread; any executor will do.
        deadline: the time at which the run ends with `TimeoutError`.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = random.Random(f"schedule {seed}").random
        self._now = START_S
        self._runnable: list[SimulatedProcess] = []
        self._timers: list[tuple[float, int, VirtualTimer]] = []
        self._timers_count = 0
        self._cancelled_count = 0
        self._foreground_count = 0
        self._last_foreground = START_S
        self._collection = random.Random(f"collections {seed}").random
        self._next_collection = _COLLECTION_COUNT
        self._hash = hashlib.blake2b(digest_size=16)
        self._unhashed = array("d")
        self.processes: list[SimulatedProcess] = []
        self.outside = self.present = self.new_process("outside")
        self.step_count = 0
        self.on_switch: Callable[[SimulatedProcess, SimulatedProcess], None] = lambda *_: None
        self.on_check: Callable[[], None] = lambda: None
        self.check_every_count = _CHECK_EVERY_COUNT
        self._next_check = 0
        self.on_look: Callable[[], None] = lambda: None
        self.look_at = float("inf")
        self.on_stuck: Callable[[], NoReturn] = self._stuck
        self.on_late: Callable[[], NoReturn] = self._late
        self.run_in_thread: Callable[[Callable[[], Any]], asyncio.Future[Any]] = _refuse_threads
        self.deadline = float("inf")
        self.set_task_factory(self._new_task)

    # Processes

    def new_process(self, name: str, host: int = 0, clock: MachineClock | None = None) -> SimulatedProcess:
        """Return a new process, which has nothing to run yet. Its machine has this clock; None: the time of the run."""
        process = SimulatedProcess(name, len(self.processes) + 1, host, clock)
        self.processes.append(process)
        return process

    def call_in(self, process: SimulatedProcess, callback: Callable[..., object], *args: Any) -> None:
        """Call `callback` soon in another process, unless that is dead."""
        self._put(process, VirtualHandle(callback, args, self, process.new_context(IS_BACKGROUND.get())))

    def call_in_at(
        self, process: SimulatedProcess, when: float, callback: Callable[..., object], *args: Any
    ) -> asyncio.TimerHandle:
        """Call `callback` at a time of the run in another process, unless that is dead then."""
        context, is_background = process.context.copy(), IS_BACKGROUND.get()
        if is_background:
            context.run(IS_BACKGROUND.set, True)
        return self._push(when, VirtualTimer(when, callback, args, self, context, process, is_background))

    def run_in(self, process: SimulatedProcess, function: Callable[..., T], *args: Any) -> T:
        """Call a function in another process now, while the present one waits; return its result."""
        before, context = self.present, process.new_context(IS_BACKGROUND.get())
        self._enter(process)
        try:
            return context.run(function, *args)
        finally:
            self._enter(before)

    def _enter(self, process: SimulatedProcess) -> None:
        if process is not self.present:
            self.on_switch(self.present, process)
            self.present = process

    def freeze(self, process: SimulatedProcess, state: str = STOPPED) -> None:
        """Let nothing of a process run until `thaw`; its timers and messages wait, and the kernel shows this state."""
        process.is_frozen, process.state = True, state
        process.thawed_at = float("inf")

    def thaw(self, process: SimulatedProcess) -> None:
        """Let a frozen process run again."""
        if process.is_frozen:
            process.is_frozen, process.state = False, WAITING
            process.thawed_at = self._now if process.clock is None else process.clock.read(self._now)
        if process.ready and not process.is_queued:
            process.is_queued = True
            self._runnable.append(process)

    def doom(self, process: SimulatedProcess, count: int, fate: Callable[[], None]) -> None:
        """Call `fate` after `count` more callbacks of a process."""
        process.doom = (count, fate)
        self.call_in(process, _nothing)  # so that the process has a turn

    def _put(self, process: SimulatedProcess, handle: asyncio.Handle) -> None:
        if process.is_alive:
            process.ready.append(handle)
            if not (process.is_queued or process.is_frozen):
                process.is_queued = True
                self._runnable.append(process)

    # What asyncio asks of a loop

    def time(self) -> float:
        clock = self.present.clock
        return self._now if clock is None else clock.read(self._now)

    def now(self) -> float:
        """Return the time of the run, in seconds; it begins at `START_S`."""
        return self._now

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        if context is None:
            process, context = self.present, copy_context()
        else:
            process = context.get(PROCESS, self.present)
        handle = VirtualHandle(callback, args, self, context)
        self._put(process, handle)
        return handle

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)  # there is one thread

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> VirtualTimer:
        if context is None:
            context = copy_context()
        process = context.get(PROCESS, self.present)
        timer = VirtualTimer(when, callback, args, self, context, process, context.get(IS_BACKGROUND, False))
        return self._push(when if process.clock is None else process.clock.run_time(when), timer)

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> VirtualTimer:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def _push(self, when: float, timer: VirtualTimer) -> VirtualTimer:
        """Have a timer run at a time of the run."""
        if not timer.is_background:
            self._foreground_count += 1
        self._timers_count = number = self._timers_count + 1
        heapq.heappush(self._timers, (when, number, timer))
        return timer

    def _timer_handle_cancelled(self, handle: VirtualTimer) -> None:
        if not handle._scheduled:
            return  # it is due already
        self._unscheduled(handle)
        self._cancelled_count += 1
        if self._cancelled_count > _CANCELLED_COUNT and self._cancelled_count * 2 > len(self._timers):
            self._timers[:] = [entry for entry in self._timers if not entry[2]._cancelled]
            heapq.heapify(self._timers)
            self._cancelled_count = 0

    def _unscheduled(self, timer: VirtualTimer) -> None:
        """Note that a timer is not scheduled any more."""
        timer._scheduled = False
        if not timer.is_background:
            self._foreground_count -= 1
            self._last_foreground = self._now

    def _new_task(
        self, _: asyncio.AbstractEventLoop, coroutine: Any, context: Context | None = None
    ) -> asyncio.Task[Any]:
        process = self.present
        if context is not None:
            if PROCESS not in context:
                context.run(PROCESS.set, process)
            process = context[PROCESS]
        task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=self, context=context)
        process.adopt(task)
        return task

    def get_exception_handler(self) -> ExceptionHandler | None:
        return self.present.exception_handler

    def set_exception_handler(self, handler: ExceptionHandler | None) -> None:
        self.present.exception_handler = handler

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self._exception_handler = self.present.exception_handler
        super().call_exception_handler(context)

    def run_in_executor(  # type: ignore[override]
        self, _: Any, function: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        return self.run_in_thread(lambda: function(*args))

    def add_reader(self, *_: Any) -> NoReturn:  # type: ignore[override]
        refused("add_reader()")

    def add_writer(self, *_: Any) -> NoReturn:  # type: ignore[override]
        refused("add_writer()")

    def add_signal_handler(self, *_: Any) -> NoReturn:  # type: ignore[override]
        refused("add_signal_handler()")

    def __del__(self) -> None:
        """Do nothing, in the place of a warning: a loop that was not closed has nothing open."""

    def _write_to_self(self) -> None:
        """Do nothing: there is no selector to wake."""

    def forget(self) -> None:
        """Drop everything that would still happen. Called when the run is over."""
        self._timers.clear()
        for process in self.processes:
            process.ready.clear()

    # Running

    def record(self, *numbers: float) -> None:
        """Add an event to the digest."""
        self._unhashed.extend(numbers)

    def digest(self) -> str:
        """Return a hex string that is equal for runs in which the same has happened at the same times."""
        self._hash.update(self._unhashed)
        del self._unhashed[:]
        return self._hash.hexdigest()

    def _run_once(self) -> None:
        runnable, timers = self._runnable, self._timers
        while not self._stopping:  # type: ignore[attr-defined]
            if not runnable:
                self._jump()
            if timers and timers[0][0] <= self._now:
                self._take_due()
                if not runnable:
                    continue
            process = runnable[0] if len(runnable) == 1 else runnable[int(self._random() * len(runnable))]
            self._turn(process)
            if not process.ready or process.is_frozen:
                process.is_queued = False
                if process is not runnable[-1]:
                    runnable[runnable.index(process)] = runnable[-1]
                runnable.pop()
            now = self._now
            if now >= self.look_at:
                self.on_look()
            if now > self.deadline:
                self.on_late()

    def _turn(self, process: SimulatedProcess) -> None:
        """Run some callbacks of one process."""
        if process is not self.present:
            self.on_switch(self.present, process)
            self.present = process
        self._unhashed.append(self._now)
        self._unhashed.append(process.number)
        count = len(process.ready)
        if count > 1:
            count = min(count, 1 + int(self._random() * MAX_TURN_COUNT))
        if process.doom is not None and self._meet_doom(process, count):
            return
        self._run(process, count)
        if self.step_count >= self._next_collection:
            self._collect()
        if self.step_count >= self._next_check:
            self._next_check = self.step_count + self.check_every_count
            self.on_check()
        if len(self._unhashed) > _HASHED_COUNT:
            self.digest()

    def _run(self, process: SimulatedProcess, count: int) -> None:
        """Run so many callbacks of a process, unless it stops meanwhile."""
        ready = process.ready
        for _ in range(count):
            if not ready or process.is_frozen or self._stopping:  # type: ignore[attr-defined]
                return
            handle: Any = ready.popleft()
            self.step_count += 1
            if handle._cancelled:
                continue
            self._now += STEP_S
            if not self._foreground_count and not handle._context.get(IS_BACKGROUND):
                self._last_foreground = self._now
            try:
                handle._context.run(handle._callback, *handle._args)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:  # as asyncio has it: a callback that fails ends nothing else
                self.call_exception_handler(
                    {"message": f"Exception in callback {handle!r}", "exception": error, "handle": handle}
                )

    def _collect(self) -> None:
        self._next_collection = self.step_count + int(self._collection() * 2 * _COLLECTION_COUNT)
        gc.collect(2 if self._collection() < _FULL_SHARE else 0)

    def _meet_doom(self, process: SimulatedProcess, count: int) -> bool:
        """Let a doomed process run up to its fate; return whether that has come."""
        assert process.doom is not None
        left, fate = process.doom
        if left >= count:
            process.doom = (left - count, fate)
            return False
        process.doom = None
        self._run(process, left)
        fate()
        return True

    def _take_due(self) -> None:
        """Move the timers that are due to the callbacks of their processes."""
        timers, now = self._timers, self._now
        while timers and timers[0][0] <= now:
            timer: Any = heapq.heappop(timers)[2]
            if timer._cancelled:
                self._cancelled_count -= 1
                continue
            self._unscheduled(timer)
            self._put(timer.process, timer)

    def _jump(self) -> None:
        """Jump to the next timer, since nothing can run."""
        timers = self._timers
        while timers and (timers[0][2]._cancelled or not timers[0][2].process.is_alive):
            timer: Any = heapq.heappop(timers)[2]
            if timer._cancelled:
                self._cancelled_count -= 1
            else:
                self._unscheduled(timer)
        if not timers:
            self.on_stuck()
        when = timers[0][0]
        if when > self.deadline:
            self._now = self.deadline
            self.on_late()
        if not self._foreground_count and when - self._last_foreground > STUCK_AFTER_S:
            self.on_stuck()
        self._now = max(self._now, when)

    def _stuck(self) -> NoReturn:
        raise RuntimeError("nothing can happen any more")

    def _late(self) -> NoReturn:
        raise TimeoutError(f"not over at {self._now - START_S:.3f} s of virtual time")


def _refuse_threads(_: Callable[[], Any]) -> NoReturn:
    refused("run_in_executor() or asyncio.to_thread()")


def _nothing() -> None:
    """Take a turn."""
