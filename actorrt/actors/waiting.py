"""Waiting for several replies or object refs: all, some, or one after the other as they complete."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, Protocol, TypeVar

from actorrt.actors import current
from actorrt.actors.reply import Operation
from actorrt.completion import Completion

T = TypeVar("T")


class Waitable(Protocol):
    """What can be waited for: `Reply`, `ObjectRef`, what a spawn returns."""

    def done(self) -> bool: ...

    def add_callback(self, callback: Callable[[Any], None]) -> None: ...

    def remove_callback(self, callback: Callable[[Any], None]) -> None: ...


W = TypeVar("W", bound=Waitable)


def gather(*items: Any, return_exceptions: bool = False) -> Operation[list[Any]]:
    """Return what ends with the values of all items, in their order.

    Args:
        *items: replies, object refs, outcomes of spawns.
        return_exceptions: put errors in the list instead of ending with the first one.

    Cancelling the only awaiter cancels the items that can be cancelled.
    """
    _check(items)
    gathered: Operation[list[Any]] = Operation(f"gathering {len(items)} items", parts=items)
    gathered.on_cancel(lambda: _cancel_all(items))
    left_count = len(items)

    def ended(item: Any) -> None:
        nonlocal left_count
        left_count -= 1
        error = item.error()
        if error is not None and not return_exceptions:
            gathered.set_error(error)
        elif left_count == 0:
            gathered.set_value([item.error() or item.value() for item in items])

    if not items:
        gathered.set_value([])
    for item in items:
        item.add_callback(ended)
    return gathered


def _cancel_all(items: Iterable[Any]) -> None:
    for item in items:
        cancel = getattr(item, "cancel", None)
        if cancel is not None:
            cancel()


def wait(items: Iterable[W], count: int = 1, timeout_s: float | None = None) -> Operation[tuple[list[W], list[W]]]:
    """Return what ends with `(done, pending)` when `count` items are done, or all are, or the time is up.

    Args:
        items: replies or object refs; those with errors are done, too.
        count: how many to wait for.
        timeout_s: seconds to wait at the most; None waits until enough are done.

    Both lists keep the order of `items`.
    """
    waited = list(items)
    _check(waited)
    if count < 1:
        raise ValueError(f"count={count}: wait for 1 or more")
    outcome: Operation[tuple[list[W], list[W]]] = Operation(f"waiting for {count} of {len(waited)} items")
    left_count = min(count, len(waited))

    def settle() -> None:
        done: list[W] = []
        pending: list[W] = []
        for item in waited:
            (done if item.done() else pending).append(item)
        for item in pending:
            item.remove_callback(ended)
        outcome.set_value((done, pending))

    def ended(_: Any) -> None:
        nonlocal left_count
        left_count -= 1
        if left_count == 0:
            settle()

    for item in waited:
        item.add_callback(ended)
    if not waited:
        settle()
    elif timeout_s is not None and not outcome.done():
        _end_in(outcome, timeout_s, settle)
    return outcome


def _end_in(outcome: Completion[Any], timeout_s: float, settle: Callable[[], None]) -> None:
    system = current.system()

    def begin() -> None:
        timer = system.loop.call_later(max(0.0, timeout_s), lambda: None if outcome.done() else settle())
        outcome.add_callback(lambda _: system.on_loop(timer.cancel))

    system.on_loop(begin)


class as_completed(Generic[W]):
    """Iterates over items in the order in which they complete; `async for`, or `for` in plain code.

    Each item costs the same however many there are. Those that failed come, too: taking their value raises.
    """

    def __init__(self, items: Iterable[W]) -> None:
        waited = list(items)
        _check(waited)
        self._left_count = len(waited)
        self._completed: deque[W] = deque()
        self._arrival: Completion[None] = Completion()
        for item in waited:
            item.add_callback(self._ended)

    def _ended(self, item: W) -> None:
        self._completed.append(item)
        self._arrival.set_value(None)

    def _next_arrival(self) -> Completion[None] | None:
        """Return what ends with the next completion, or None if an item is there already."""
        if self._completed:
            return None
        arrival = self._arrival = Completion()
        return None if self._completed else arrival

    def __len__(self) -> int:
        return self._left_count

    def __aiter__(self) -> AsyncIterator[W]:
        return self

    async def __anext__(self) -> W:
        if self._left_count == 0:
            raise StopAsyncIteration
        while (arrival := self._next_arrival()) is not None:
            await arrival
        self._left_count -= 1
        return self._completed.popleft()

    def __iter__(self) -> Iterator[W]:
        return self

    def __next__(self) -> W:
        if self._left_count == 0:
            raise StopIteration
        while (arrival := self._next_arrival()) is not None:
            arrival.result()
        self._left_count -= 1
        return self._completed.popleft()


def _check(items: Sequence[Any]) -> None:
    for index, item in enumerate(items):
        if not hasattr(item, "add_callback"):
            raise TypeError(f"item {index} is a {type(item).__name__}; give replies, object refs or spawns")
