"""Streams at the side of their readers: the items of methods that yield arrive a window ahead of the reader.

The reader grants items as it takes them, and the generator waits when no more are granted. If the reader leaves its
loop early, the call is cancelled, which reaches the generator's `finally`. The side of the generator is in
`actorrt.actors.hosting.serving`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Final, Generic, TypeVar

from actorrt.actors.calling.call_table import CallTable
from actorrt.actors.calling.routes import Routes
from actorrt.actors.refs.loop_thread import LoopThread
from actorrt.actors.refs.reply import Reply
from actorrt.actors.wire.by_reference import StoredValue
from actorrt.actors.wire.payload import Payloads
from actorrt.completion import Completion
from actorrt.machine.clock import Clock
from actorrt.protocol.envelopes import STREAM_WINDOW_ITEMS
from actorrt.store.client.ref import ObjectRef

T = TypeVar("T")

_END: Final = object()


class _Stored:
    """An item in the object store, which may not be sealed yet."""

    __slots__ = ("ref",)

    def __init__(self, ref: ObjectRef[Any] | StoredValue) -> None:
        self.ref = ref


class Stream(Generic[T]):
    """The items of one call. Iterate once, with `async for`, or with `for` in plain code."""

    def __init__(self, streams: Streams, reply: Reply[None], item_timeout_s: float | None) -> None:
        self._streams = streams
        self._reply = reply
        self._item_timeout_s = item_timeout_s
        self._items: deque[T] = deque()
        self._arrival: Completion[None] = Completion()
        self._taken_count = 0
        self.awaited_since: float | None = None  # while its reader waits for an item
        self.is_reported = False
        reply.add_callback(lambda _: self._arrival.set_value(None))

    def push(self, item: T) -> None:
        """Called when an item has arrived."""
        self._items.append(item)
        self.awaited_since = None
        self._arrival.set_value(None)

    def __aiter__(self) -> AsyncIterator[T]:
        return self._iterate()

    async def _iterate(self) -> AsyncIterator[T]:
        try:
            while True:
                item = self._next()
                if item is _END:
                    return
                if item is None:
                    await self._awaited()
                elif isinstance(item[0], _Stored):
                    yield await item[0].ref
                else:
                    yield item[0]
        finally:
            self.close()

    def __iter__(self) -> Iterator[T]:
        try:
            while True:
                item = self._next()
                if item is _END:
                    return
                if item is None:
                    self._awaited().result()
                elif isinstance(item[0], _Stored):
                    yield item[0].ref.get()
                else:
                    yield item[0]
        finally:
            self.close()

    def _awaited(self) -> Completion[None]:
        """Return what ends when the next item is there, or the stream has ended."""
        self.awaited_since = self._streams.now()
        if self._item_timeout_s is not None:
            self._streams.limit(self._reply, self._arrival, self._item_timeout_s)
        return self._arrival

    def _next(self) -> Any:
        """Return the next item in a tuple, None if the reader has to wait, or _END; raise the call's error."""
        if not self._items:
            self._arrival = Completion()
            if not self._items:  # no item has arrived meanwhile in the loop's thread
                if not self._reply.done():
                    return None
                if not self._items:
                    self._reply.value()
                    return _END
        item = self._items.popleft()
        self._taken_count += 1
        if self._taken_count >= STREAM_WINDOW_ITEMS // 2:
            self._streams.grant(self._reply, self._taken_count)
            self._taken_count = 0
        return (item,)

    def close(self) -> None:
        """Take no more items: the generator is closed if it has not ended. Idempotent."""
        self._reply.cancel()

    def __repr__(self) -> str:
        return f"<Stream of {self._reply.label}.{self._reply.method}()>"


class Streams:
    """The streams that are read on one endpoint.

    Args:
        pending: their calls.
        routes: the way to their generators.
        payloads: open their items.
        threads: the endpoint's loop.
        clock: the time.
    """

    def __init__(
        self, pending: CallTable, routes: Routes, payloads: Payloads, threads: LoopThread, clock: Clock
    ) -> None:
        self._pending = pending
        self._routes = routes
        self._payloads = payloads
        self._threads = threads
        self._open: dict[Reply[None], Stream[Any]] = {}
        self.now = clock.now

    def open(self, call: Reply[None], item_timeout_s: float | None) -> Stream[Any]:
        """Return the stream of a call that yields, which is about to be sent."""
        call.options = {"window": STREAM_WINDOW_ITEMS}
        stream: Stream[Any] = Stream(self, call, item_timeout_s)
        self._open[call] = stream
        call.add_callback(self._ended)
        return stream

    def _ended(self, call: Reply[None]) -> None:
        del self._open[call]

    def is_open(self, call: Reply[Any]) -> bool:
        """Whether the call is that of a stream."""
        return call in self._open

    def overdue(self, after_s: float) -> list[Reply[None]]:
        """Return the calls whose readers have waited for an item for so long; each call once."""
        before = self.now() - after_s
        found = []
        for call, stream in self._open.items():
            since = stream.awaited_since
            if since is not None and since <= before and not stream.is_reported:
                stream.is_reported = True
                found.append(call)
        return found

    def statistics(self) -> dict[str, int]:
        """Return how many streams are read here, and how many items wait to be taken."""
        waiting = sum(len(stream._items) for stream in list(self._open.values()))
        return {"read": len(self._open), "items_waiting": waiting}

    def arrived(self, call_id: int, item: Any) -> None:
        """Called when an item of a call made here has arrived."""
        call = self._pending.get(call_id)
        stream = None if call is None else self._open.get(call)
        if stream is not None:
            stream.push(item)

    def received(self, call_id: int, body: Any, buffers: Sequence[Any]) -> None:
        """Called when an ITEM has arrived. One that can't be opened ends the stream with the error."""
        try:
            stored = self._payloads.stored(body, buffers)
            item = self._payloads.open_value(body, buffers) if stored is None else _Stored(stored)
        except Exception as error:  # whatever unpickling a user's value raises ends this one call
            self._pending.unreadable(call_id, error)
        else:
            self.arrived(call_id, item)

    def limit(self, call: Reply[None], arrival: Completion[None], timeout_s: float) -> None:
        """End the call unless `arrival` comes in time; from any thread."""
        self._threads.limit(arrival, timeout_s, lambda: self._pending.expire(call))

    def grant(self, call: Reply[None], count: int) -> None:
        """Tell the callee that `count` items were taken, from any thread."""
        self._threads.on_loop(lambda: self._routes.grant_items(call, count))
