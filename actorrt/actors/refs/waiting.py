"""Waiting for several replies or object refs: all, some, or one after the other as they complete."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Generic, Literal, Protocol, TypeVar, overload

from actorrt.actors.policy import checks
from actorrt.actors.refs import current
from actorrt.actors.refs.operation import Operation
from actorrt.completion import Completion, waits_by_rule
from actorrt.errors import CallTimeoutError
from actorrt.store.client.ref import ObjectRef
from actorrt.store.connection.connection import NotReadyError

T = TypeVar("T")
U = TypeVar("U")
V = TypeVar("V")


class Waitable(Protocol):
    """What can be waited for: a `Reply`, an `ObjectRef`, the outcome of a spawn."""

    def done(self) -> bool: ...

    def add_callback(self, callback: Callable[[Any], None]) -> None: ...

    def remove_callback(self, callback: Callable[[Any], None]) -> None: ...


W = TypeVar("W", bound=Waitable)


@overload
def gather(
    one: Completion[T],
    two: Completion[U],
    /,
    *,
    return_exceptions: Literal[False] = False,
    timeout_s: float | None = ...,
) -> Operation[tuple[T, U]]: ...


@overload
def gather(
    one: Completion[T],
    two: Completion[U],
    three: Completion[V],
    /,
    *,
    return_exceptions: Literal[False] = False,
    timeout_s: float | None = ...,
) -> Operation[tuple[T, U, V]]: ...


@overload
def gather(
    *items: Completion[T], return_exceptions: Literal[False] = False, timeout_s: float | None = ...
) -> Operation[list[T]]: ...


@overload
def gather(*items: Any, return_exceptions: bool, timeout_s: float | None = ...) -> Operation[list[Any]]: ...


def gather(*items: Any, return_exceptions: bool = False, timeout_s: float | None = None) -> Operation[Any]:
    """Return an operation that ends with the list of the values of all items, in their order.

    Args:
        *items: replies, object refs, outcomes of spawns.
        return_exceptions: put errors in the list instead of ending with the first one.
        timeout_s: seconds to wait at the most; None waits until the end. The items are not ended by it.

    Cancelling the only awaiter cancels the items that can be cancelled. To type checkers, the result of two or three
    items is a tuple, as that of asyncio's `gather` is.

    Raises:
        TypeError: an item is none of these, or `timeout_s` is not a number.
        CallTimeoutError: (from the result) the time was up first.
    """
    _check(items)
    _check_timeout(timeout_s)
    gathered: Operation[list[Any]] = Operation(f"gathering {len(items)} items", parts=items)
    gathered.on_cancel(lambda: _cancel_all(items))
    left_count = len(items)

    def ended(item: Any) -> None:
        nonlocal left_count
        left_count -= 1
        error = item.error()
        if error is not None and not return_exceptions:
            gathered.set_error_of(item)
        elif left_count == 0:
            _take(gathered, items)

    if not items:
        gathered.set_value([])
    for item in items:
        item.add_callback(ended)
    if timeout_s is not None and not gathered.done():
        current.endpoint().threads.limit(gathered, timeout_s, lambda: gathered.set_error(_too_late(items, timeout_s)))
    return gathered


def _take(gathered: Operation[list[Any]], items: Sequence[Any], _: Any = None) -> None:
    """Complete a `gather`, all of whose items are done.

    A function of its own: one that names itself inside of `gather` would keep the values until a search for cycles.
    """
    values: list[Any] = []
    for item in items:
        try:
            values.append(item.error() or item.value())
        except NotReadyError:  # its object was lost since it was done, and is made again
            item.once_more().add_callback(partial(_take, gathered, items))
            return
    gathered.set_value(values)


def _too_late(items: Sequence[Any], timeout_s: float) -> CallTimeoutError:
    left = [item for item in items if not item.done()]
    return CallTimeoutError(
        f"{len(left)} of {len(items)} items did not end within {timeout_s} s: {left[0]!r}"
        f"{' and others' if len(left) > 1 else ''}",
        executed="maybe",
    )


def _cancel_all(items: Iterable[Any]) -> None:
    for item in items:
        cancel = getattr(item, "cancel", None)
        if cancel is not None and type(item) is not ObjectRef:
            cancel()


def wait(items: Iterable[W], count: int = 1, timeout_s: float | None = None) -> Operation[tuple[list[W], list[W]]]:
    """Return an operation that ends with `(done, pending)` when `count` items are done, or the time is up.

    Args:
        items: replies or object refs; an item that has failed is done, too.
        count: how many to wait for.
        timeout_s: seconds to wait at the most; None waits until enough are done.

    Both lists keep the order of `items`. With no items it ends at once.

    Raises:
        TypeError: an item is none of these, or `timeout_s` is not a number.
        ValueError: `count` is below 1, or above the number of items.
    """
    waited = list(items)
    _check(waited)
    _check_timeout(timeout_s)
    if not 1 <= count <= max(1, len(waited)):
        raise ValueError(f"count={count} of {len(waited)} items: give a count from 1 to the number of items")
    outcome: Operation[tuple[list[W], list[W]]] = Operation(f"waiting for {count} of {len(waited)} items")
    outcome.choices = lambda: iter(waited)
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
        current.endpoint().threads.limit(outcome, timeout_s, settle)
    return outcome


class OneOfSome(Completion[None]):
    """Ends when one of several items is done; for `choices` see `Operation`."""

    __slots__ = ("choices",)

    def __init__(self, choices: Callable[[], Iterator[Any]]) -> None:
        super().__init__()
        self.choices = choices


class as_completed(Generic[W]):
    """Iterates over items in the order in which they complete; `async for`, or `for` in plain code.

    Each item costs the same however many there are. Items that have failed come, too: their value raises.

    Args:
        items: replies, object refs, outcomes of spawns.
        timeout_s: seconds from now on within which all must complete; None waits until they have. When the time is
            up, the items that have completed still come, and then the iteration raises. The other items are not ended.

    Raises:
        TypeError: an item is none of these, or `timeout_s` is not a number.
        CallTimeoutError: (from the iteration) the time was up first.
    """

    def __init__(self, items: Iterable[W], timeout_s: float | None = None) -> None:
        waited = list(items)
        _check(waited)
        _check_timeout(timeout_s)
        self._items = waited if timeout_s is not None else []  # for the text of the error
        self._timeout_s = timeout_s
        self._is_late = False
        self._left_count = len(waited)
        self._completed: deque[W] = deque()
        self._choices = deque(waited) if waits_by_rule() else deque()  # else nothing runs in the place of a wait
        self._arrival: Completion[None] = Completion()
        self._end: Completion[None] = Completion()  # when the last one has been taken
        ended = self._ended  # one for all: a million items take no memory beside themselves
        for item in waited:
            item.add_callback(ended)
        if timeout_s is not None and waited:
            current.endpoint().threads.limit(self._end, timeout_s, self._time_is_up)

    def _ended(self, item: W) -> None:
        self._completed.append(item)
        self._arrival.set_value(None)

    def _time_is_up(self) -> None:
        self._is_late = True
        self._arrival.set_value(None)

    def _next_arrival(self) -> Completion[None] | None:
        """Return what ends with the next completion, or None if an item is there already.

        Raises:
            CallTimeoutError: the time is up, and none is there.
        """
        if self._completed:
            return None
        arrival = self._arrival = OneOfSome(self._pending)
        if self._completed:
            return None
        if self._is_late:
            assert self._timeout_s is not None
            raise _too_late(self._items, self._timeout_s)
        return arrival

    def _pending(self) -> Iterator[W]:
        return (item for item in self._choices if not item.done())

    def _taken(self) -> W:
        self._left_count -= 1
        if self._left_count == 0:
            self._end.set_value(None)
        while self._choices and self._choices[0].done():
            self._choices.popleft()  # so that its value is not kept
        return self._completed.popleft()

    def __len__(self) -> int:
        return self._left_count

    def __aiter__(self) -> AsyncIterator[W]:
        return self

    async def __anext__(self) -> W:
        if self._left_count == 0:
            raise StopAsyncIteration
        while (arrival := self._next_arrival()) is not None:
            await arrival
        return self._taken()

    def __iter__(self) -> Iterator[W]:
        return self

    def __next__(self) -> W:
        if self._left_count == 0:
            raise StopIteration
        while (arrival := self._next_arrival()) is not None:
            arrival.result()
        return self._taken()


def _check_timeout(timeout_s: Any) -> None:
    checks.optional(checks.number(0))("timeout_s", timeout_s)


def _check(items: Sequence[Any]) -> None:
    for index, item in enumerate(items):
        if not hasattr(item, "add_callback"):
            raise TypeError(f"item {index} is a {type(item).__name__}; give replies, object refs or spawns")
