"""`map`: a task for each of many items, a bounded number of them at a time."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Sized
from typing import Any, Final, Generic, Literal, TypeVar

from actorrt.actors.endpoint.current_endpoint import current_endpoint
from actorrt.actors.policy import checks
from actorrt.actors.refs.waiting import OneOfSome
from actorrt.completion import Completion
from actorrt.tasks.api.progress import MapProgress
from actorrt.tasks.api.task import RemoteFunction
from actorrt.tasks.submitting.task_ref import TaskRef

T = TypeVar("T")

DEFAULT_IN_FLIGHT_COUNT: Final = 256

Order = Literal["completion", "input"]


class TaskMap(Generic[T]):
    """Iterates over the values of tasks; `async for`, or `for` in plain code. See `map`."""

    def __init__(
        self, function: RemoteFunction[..., T], items: Iterable[Any], in_flight: int, order: Order, *, progress: bool
    ) -> None:
        self._function = function
        total = len(items) if isinstance(items, Sized) else None
        clock = current_endpoint().clock
        self._progress = MapProgress(function.name, total, clock, sys.stderr) if progress else None
        self._items = iter(items)
        self._in_flight = in_flight
        self._keeps_order = order == "input"
        self._waiting: deque[TaskRef[T]] = deque()  # in the order of the items
        self._pending: dict[TaskRef[T], None] = {}  # in the order of the items
        self._completed: deque[TaskRef[T]] = deque()
        self._arrival: Completion[None] = Completion()
        self._has_ended = False

    def _fill(self) -> None:
        """Submit tasks until enough are in flight, or no item is left."""
        while not self._has_ended and len(self._pending) + len(self._completed) < self._in_flight:
            try:
                item = next(self._items)
            except StopIteration:
                self._has_ended = True
                return
            ref = self._function.submit(item)
            assert isinstance(ref, TaskRef)
            self._pending[ref] = None
            if self._keeps_order:
                self._waiting.append(ref)
            ref.add_callback(self._ended)

    def _ended(self, ref: TaskRef[T]) -> None:
        self._completed.append(ref)
        self._arrival.set_value(None)

    def _take(self) -> TaskRef[T] | None:
        """Return the next ref that is done; None if one has to be waited for."""
        if self._keeps_order:
            if self._waiting[0].done():
                ref = self._waiting.popleft()
                self._completed.remove(ref)
                self._pending.pop(ref, None)
                return ref
            return None
        if not self._completed:
            return None
        ref = self._completed.popleft()
        self._pending.pop(ref, None)
        return ref

    def _value(self, ref: TaskRef[T]) -> T:
        if self._progress is not None and ref.error() is None:
            self._progress.taken(len(self._pending))
        return ref.value()

    def _end(self) -> None:
        """Withdraw what is in flight."""
        if self._progress is not None:
            self._progress.end()
        self._has_ended = True
        for ref in self._pending:
            ref.cancel()
        self._pending.clear()
        self._waiting.clear()
        self._completed.clear()

    def _next(self) -> TaskRef[T] | Completion[None] | None:
        """Return the next ref, or what ends when one may be done; None at the end."""
        self._fill()
        if not self._pending:
            return None
        arrival: Completion[None] = OneOfSome(lambda: iter([*self._pending]))
        self._arrival = arrival
        ref = self._take()
        return arrival if ref is None else ref

    def __iter__(self) -> Iterator[T]:
        try:
            while (found := self._next()) is not None:
                if isinstance(found, TaskRef):
                    yield self._value(found)
                else:
                    found.result()
        finally:
            self._end()

    async def __aiter__(self) -> AsyncIterator[T]:
        try:
            while (found := self._next()) is not None:
                if isinstance(found, TaskRef):
                    yield self._value(found)
                else:
                    await found
        finally:
            self._end()


def map(
    function: RemoteFunction[..., T],
    items: Iterable[Any],
    in_flight: int | None = None,
    order: Order = "completion",
    progress: bool = False,
) -> TaskMap[T]:
    """Run a task for each item, and yield the values: `for value in map(f, items)`, or `async for`.

    Items are taken as tasks end, so there may be any number of them. The first failure is raised by the iteration, and
    withdraws the tasks that are in flight; so does the end of the iteration before its last item.

    Args:
        function: a task function of one argument.
        items: the arguments.
        in_flight: how many tasks there may be at a time, 256 by default, those whose values wait to be taken included.
        order: "completion" yields values as tasks end, "input" in the order of the items.
        progress: show on standard error how many are done.

    Raises:
        TypeError, ValueError: an argument is wrong.
    """
    if not isinstance(function, RemoteFunction):
        raise TypeError(f"map({function!r}, ...): give a function with @task")
    if order not in ("completion", "input"):
        raise ValueError(f"option order={order!r}: give 'completion' or 'input'")
    count = DEFAULT_IN_FLIGHT_COUNT if in_flight is None else checks.count(1)("in_flight", in_flight)
    return TaskMap(function, items, count, order, progress=checks.flag("progress", progress))
