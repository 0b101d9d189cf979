"""A value or an error to come, which any coroutine and any thread can wait for.

An `asyncio.Future` belongs to one loop, and a `concurrent.futures.Future` costs a lock and a condition. Replies and
object refs need neither. A `Completion` is completed once, by one thread, and then tells every coroutine, thread and
callback that waits for it.

Invariants: the thread that removes the mark `OPEN` from the list of callbacks is the one that completes. The thread
that removes a callback from the list runs the callback. So a callback runs exactly once: in the thread that completes,
or, if the completion is done already, in the thread that adds the callback. List operations are atomic under the
interpreter lock; there is no other lock. A callback that raises does not prevent the others from running.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator, Iterable
from numbers import Real
from threading import get_ident
from types import TracebackType
from typing import Any, ClassVar, Final, Generic, TypeVar

from actorrt import forks
from actorrt.errors import CallTimeoutError, RuntimeStateError
from actorrt.forks import abandoned

T = TypeVar("T")

BlockingRule = Callable[["Completion[Any]", "float | None"], None]

OPEN: Final = object()
"""The first item in the list of callbacks of a completion that is not done."""

_blocking_rules: dict[int, BlockingRule] = {}
_own_loops: dict[int, asyncio.AbstractEventLoop] = {}
_rule_of_other_threads: BlockingRule | None = None

_NUMBER: Final[type] = Real  # under its own name mypy would not accept a float
_HINTS: Final = {
    "add_done_callback": "asyncio.wait takes futures of its own loop; use actorrt.wait, which takes this",
}
"""What to use instead of an attribute of other libraries' futures, by its name."""


def set_blocking_rule(rule: BlockingRule | None, loop: asyncio.AbstractEventLoop | None = None) -> None:
    """Set what `result` does in this thread while it waits; None lets it block.

    `loop` is the runtime's, if it runs in this thread inside such waits only. Code on another loop here can't await
    what needs it.

    A thread whose loop does the runtime's work must not block on that work. Its rule either raises or, in local mode,
    runs the loop until the completion is done or the timeout has passed.
    """
    if rule is None:
        _blocking_rules.pop(get_ident(), None)
    else:
        _blocking_rules[get_ident()] = rule
    if loop is None:
        _own_loops.pop(get_ident(), None)
    else:
        _own_loops[get_ident()] = loop


def set_rule_of_other_threads(rule: BlockingRule | None) -> None:
    """Set what `result` does in the threads that have no rule of their own; None lets it block."""
    global _rule_of_other_threads
    _rule_of_other_threads = rule


def waits_by_rule() -> bool:
    """Return whether this thread has a blocking rule of its own."""
    return get_ident() in _blocking_rules


class Waiter:
    """Wakes one coroutine, from any thread.

    Attributes:
        future: the future that the coroutine's task is suspended on.
        suspension: what the coroutine yields from until it is woken.
    """

    __slots__ = ("future", "suspension")

    future: asyncio.Future[None]
    suspension: Iterable[Any]

    def __call__(self, completed: Any) -> None:
        """Called once, when the completion is done."""
        raise NotImplementedError


class Completion(Generic[T]):
    """A value or an error to come.

    Any number of coroutines can await it, on any loop; `result()` waits for it in plain code.
    """

    __slots__ = ("__weakref__", "_callbacks", "_error", "_is_done", "_origin", "_value")

    _subject: ClassVar[str] = "the operation"

    def __init__(self) -> None:
        self._is_done = False
        self._value: Any = None
        self._error: BaseException | None = None
        self._callbacks: list[Any] = [OPEN]

    def done(self) -> bool:
        """Whether this has a value or an error."""
        return self._is_done

    def set_value(self, value: T) -> None:
        """Complete with a value. Has no effect if this is done."""
        if self._is_done:
            return
        try:
            self._callbacks.remove(OPEN)
        except ValueError:
            return  # another thread completes it
        self._value = value
        self._complete()

    def set_error(self, error: BaseException) -> None:
        """Complete with an error. Has no effect if this is done."""
        if self._is_done:
            return
        try:
            self._callbacks.remove(OPEN)
        except ValueError:
            return  # another thread completes it
        self._error = error
        self._complete()

    def set_error_of(self, other: Completion[Any]) -> None:
        """Complete with the error of another completion, which must be done, and with the traceback of that error."""
        error, origin = other.error(), other.origin()
        assert error is not None, "the other one has an error"
        if origin is not None:
            self.raised_at(origin)
        self.set_error(error)

    def end_as(self, other: Completion[T]) -> None:
        """Complete as another completion, which must be done."""
        if other.error() is None:
            self.set_value(other.value())
        else:
            self.set_error_of(other)

    def raised_at(self, origin: TracebackType) -> None:
        """Set the traceback with which the error is raised to callers. To be called before `set_error`."""
        self._origin = origin

    def origin(self) -> TracebackType | None:
        """Return the traceback of the error, if it was raised in this process."""
        return getattr(self, "_origin", None)  # only `raised_at` sets the attribute

    def _complete(self) -> None:
        self._is_done = True
        callbacks = self._callbacks
        while callbacks:
            try:
                callback = callbacks.pop(0)
            except IndexError:  # another thread took the last one between the test and the pop
                return
            try:
                callback(self)
            except BaseException:
                self._complete()  # the other callbacks run, and then the error goes to the caller of set_value
                raise

    def add_callback(self, callback: Callable[[Any], None]) -> None:
        """Call `callback(self)` once, when this is done. If it is done already, call it now, in this thread."""
        self._callbacks.append(callback)
        if self._is_done:
            self._withdraw_and_run(callback)

    def _withdraw_and_run(self, callback: Callable[[Any], None]) -> None:
        try:
            self._callbacks.remove(callback)
        except ValueError:
            return  # the completing thread has taken it
        callback(self)

    def remove_callback(self, callback: Callable[[Any], None]) -> None:
        """Remove a callback that has not run."""
        if callback in self._callbacks:
            self._callbacks.remove(callback)

    def error(self) -> BaseException | None:
        """Return the error; None if this has a value or is not done."""
        return self._error

    def value(self) -> T:
        """Return the value, or raise the error. To be called when this is done."""
        if self._error is not None:
            try:
                raise BaseException.with_traceback(self._error, self.origin())
            finally:
                del self  # the frame is in the error's traceback: with `self`, the two would keep each other alive
        value: T = self._value
        return value

    def __await__(self) -> Generator[Any, None, T]:
        if not self._is_done:
            waiter = self._waiter()
            self._callbacks.append(waiter)
            if self.done():  # another thread completed it in the meantime
                self._withdraw_and_run(waiter)
            try:
                yield from waiter.suspension
            except asyncio.CancelledError:
                self.remove_callback(waiter)
                if not self.done() and not self._has_waiters():
                    self._abandoned()
                raise
        if self._error is not None:
            try:
                raise BaseException.with_traceback(self._error, self.origin())
            finally:
                del self  # the frame is in the error's traceback: with `self`, the two would keep each other alive
        value: T = self._value
        return value

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        hint = _HINTS.get(name, "it is not the value; await it, or take its .result()")
        raise AttributeError(f"{self!r} has no {name!r}: {hint}")

    def _waiter(self) -> Waiter:
        """Return the waiter of the coroutine that calls this. Subclasses may remember the coroutine."""
        return _LoopWaiter(asyncio.get_running_loop())

    def _has_waiters(self) -> bool:
        return any(isinstance(callback, Waiter) for callback in list(self._callbacks))

    def _is_awaited_among(self, completions: Iterable[Any]) -> bool:
        """Called when a coroutine begins to wait for all of these. Return whether a subclass has taken care of them."""
        return False

    def _abandoned(self) -> None:
        """Called when the only coroutine that awaited this was cancelled. Subclasses may withdraw the operation."""

    def result(self, timeout_s: float | None = None) -> T:
        """Wait in plain code.

        Args:
            timeout_s: how many seconds to wait; None waits without a limit.

        Raises:
            CallTimeoutError: this is not done in time; the operation continues.
            RuntimeStateError: this thread's loop does the runtime's work, so blocking it would block the operation too;
                or this process was forked from the process in which the operation runs.
        """
        if timeout_s is not None and not isinstance(timeout_s, _NUMBER):
            raise TypeError(f"timeout_s={timeout_s!r}: give a number of seconds, or None to wait until the end")
        if not self._is_done:
            forks.check()
            rule = _blocking_rules.get(get_ident(), _rule_of_other_threads)
            if rule is not None:
                rule(self, timeout_s)
            else:
                self.block(timeout_s)
            if not self._is_done:
                raise CallTimeoutError(f"{self._subject} did not end within {timeout_s} s", executed="maybe")
        return self.value()

    def block(self, timeout_s: float | None) -> None:
        """Let this thread block until this is done, or the time is up; see `result`."""
        lock = threading.Lock()
        lock.acquire()

        def wake(_: Any) -> None:
            lock.release()

        self.add_callback(wake)
        if not lock.acquire(timeout=-1 if timeout_s is None else max(0.0, timeout_s)):
            self.remove_callback(wake)


class _LoopWaiter(Waiter):
    """Wakes a coroutine on any loop, by a future of that loop."""

    __slots__ = ("_loop", "_thread")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        if abandoned:
            forks.check()
        self._loop = loop
        self._thread = get_ident()
        if _own_loops.get(self._thread, loop) is not loop:
            raise RuntimeStateError(
                "await on another event loop than the runtime's would wait for ever, because that loop keeps the "
                "runtime's from running in this thread: take .result() in plain code, or write an async task or actor"
            )
        self.suspension = self.future = loop.create_future()

    def __call__(self, _: Any) -> None:
        if get_ident() == self._thread:
            if not self.future.done():
                self.future.set_result(None)
            return
        try:
            self._loop.call_soon_threadsafe(self._wake)
        except RuntimeError:
            if not self._loop.is_closed():  # on a closed loop no coroutine waits
                raise

    def _wake(self) -> None:
        if not self.future.done():
            self.future.set_result(None)
