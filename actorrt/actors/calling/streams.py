"""Methods that yield: items flow to the caller as it takes them, a window ahead.

The caller grants items; the actor's generator waits when none is granted (`hosting.serving`). Leaving the caller's
loop early cancels the call, which reaches the generator's `finally`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from actorrt.actors.refs.ref import ActorRef, CallOptions
from actorrt.actors.refs.reply import Reply
from actorrt.actors.wire.by_reference import StoredValue
from actorrt.actors.wire.interface import MethodSpec
from actorrt.actors.wire.messages import MORE, STREAM_WINDOW_ITEMS
from actorrt.completion import Completion
from actorrt.ids import PeerAddress
from actorrt.store.client.ref import ObjectRef

if TYPE_CHECKING:
    from actorrt.actors.endpoint.endpoint import System

T = TypeVar("T")

_END: Final = object()


class _Stored:
    """An item that lies in the object store, perhaps not sealed there yet."""

    __slots__ = ("ref",)

    def __init__(self, ref: ObjectRef[Any] | StoredValue) -> None:
        self.ref = ref


class Stream(Generic[T]):
    """The items of one call; iterate with `async for`, or with `for` in plain code. Once only."""

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
        """Take in an item that arrived."""
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
        """Return the next item in a tuple, None when it has to be waited for, or _END; raises the call's error."""
        if not self._items:
            self._arrival = Completion()
            if not self._items:  # nothing arrived meanwhile from the loop's thread
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
        """Take no more: the generator is closed if it has not ended. Idempotent."""
        self._reply.cancel()

    def __repr__(self) -> str:
        return f"<Stream of {self._reply.label}.{self._reply.method}()>"


class Streams:
    """The streams that are read on one endpoint."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._open: dict[Reply[None], Stream[Any]] = {}

    def open(
        self, ref: ActorRef[Any], spec: MethodSpec, args: tuple[Any, ...], kwargs: dict[str, Any], options: CallOptions
    ) -> Stream[Any]:
        """Start a call that yields.

        Raises:
            TypeError: the options are such that only a call with one result can have; nothing was sent.
        """
        if options.key is not None or options.retries or options.returns != "value":
            raise TypeError(
                f"{spec.name}() yields: a stream has no outcome to give to others or to leave in the store, and "
                "does not begin again in its middle; leave out key, retries and returns"
            )
        whole = options._replace(timeout_s=None)  # a stream's deadline counts for each item, while it is waited for
        reply: Reply[None] = self._system.calls.capture(ref, spec, args, kwargs, whole)
        reply.options = {"window": STREAM_WINDOW_ITEMS}
        stream: Stream[Any] = Stream(self, reply, options.timeout_s)
        self._open[reply] = stream
        reply.add_callback(self._ended)
        self._system.calls.submit(reply)
        return stream

    def _ended(self, reply: Reply[None]) -> None:
        del self._open[reply]

    def now(self) -> float:
        """Return the time."""
        return self._system.clock.now()

    def is_open(self, reply: Reply[Any]) -> bool:
        """Whether the call is that of a stream."""
        return reply in self._open

    def overdue(self, after_s: float) -> list[Reply[None]]:
        """Return the calls whose readers have waited so long for an item, each once."""
        before = self.now() - after_s
        found = []
        for reply, stream in self._open.items():
            since = stream.awaited_since
            if since is not None and since <= before and not stream.is_reported:
                stream.is_reported = True
                found.append(reply)
        return found

    def statistics(self) -> dict[str, int]:
        """Return how many streams are read here, and how many items wait to be taken."""
        waiting = sum(len(stream._items) for stream in list(self._open.values()))
        return {"read": len(self._open), "items_waiting": waiting}

    def arrived(self, call_id: int, item: Any) -> None:
        """Take in an item of a call made here."""
        reply = self._system.calls.pending(call_id)
        stream = None if reply is None else self._open.get(reply)
        if stream is not None:
            stream.push(item)

    def received(self, call_id: int, body: Any, buffers: Sequence[Any]) -> None:
        """Take in an ITEM; one that can't be opened ends the stream, with the error of the opening."""
        try:
            stored = self._system.payloads.stored(body, buffers)
            item = self._system.payloads.open_value(body, buffers) if stored is None else _Stored(stored)
        except Exception as error:  # whatever unpickling a user's value raises ends this one call
            self._system.calls.unreadable(call_id, error)
        else:
            self.arrived(call_id, item)

    def limit(self, reply: Reply[None], arrival: Completion[None], timeout_s: float) -> None:
        """End the call unless `arrival` comes in time; from whichever thread."""

        def begin() -> None:
            timer = self._system.loop.call_later(timeout_s, self._system.calls.expire, reply)
            arrival.add_callback(lambda _: self._system.on_loop(timer.cancel))

        self._system.on_loop(begin)

    def grant(self, reply: Reply[None], count: int) -> None:
        """Tell the callee that `count` items were taken, from whichever thread."""
        self._system.on_loop(lambda: self._grant(reply, count))

    def _grant(self, reply: Reply[None], count: int) -> None:
        if reply.done() or reply.peer is None:
            return
        if reply.peer == self._system.endpoint.peer:
            self._system.host.serving.granted(self._system.local_caller, reply.call_id, count)
            return
        address = self._system.transport.address_of(reply.peer)
        if address is not None and not self._system.peers.is_lost(reply.peer):
            self._system.control.deliver(PeerAddress(reply.peer, address), [MORE, reply.call_id, count])
