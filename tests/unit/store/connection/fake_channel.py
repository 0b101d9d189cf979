"""A channel without a store: the test gives the answers, and reads the messages."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable
from typing import Any

from actorrt.config import MIB
from actorrt.errors import ObjectLostError
from actorrt.store.memory.segments import Segment
from actorrt.store.wire.channel import OnEvent, StoreReply
from actorrt.store.wire.protocol import Op, Status


class FakeChannel:
    """Answers each request with the next of `answers`, or with None.

    Attributes:
        said: every message, in order.
        stale: what `take_stale` returns next.
        is_gone: whether requests and posts raise, as when the store has ended. After `close` they raise, too.
    """

    capacity_bytes = 64 * MIB

    def __init__(self, *, is_apart: bool = True) -> None:
        self.is_apart = is_apart
        self.said: list[tuple[Any, ...]] = []
        self.answers: deque[StoreReply] = deque()
        self.stale: list[tuple[Op, tuple[Any, ...], StoreReply]] = []
        self.waits: deque[list[Any] | None] = deque()
        self.on_event: OnEvent | None = None
        self.is_gone = self.is_closed = False
        self.segment = Segment(1, 1 * MIB)

    def answer(self, result: Any, status: Status = Status.DONE, *, with_segment: bool = False) -> None:
        """Answer the next request; with the descriptor of the one segment."""
        fd = os.dup(self.segment.fd(writable=True)) if with_segment else None
        self.answers.append(StoreReply(status, result, [], fd))

    def take(self) -> list[tuple[Any, ...]]:
        """Return what was said, and forget it."""
        said, self.said = self.said, []
        return said

    def request(self, op: Op, *arguments: Any) -> StoreReply:
        self.post(op, *arguments)
        return self.answers.popleft() if self.answers else StoreReply(Status.DONE, None, [])

    def take_stale(self) -> list[tuple[Op, tuple[Any, ...], StoreReply]]:
        stale, self.stale = self.stale, []
        return stale

    def post(self, op: Op, *arguments: Any) -> None:
        if self.is_gone or self.is_closed:
            raise ObjectLostError("the store is gone")
        self.said.append((op, *arguments))

    queue = post

    def flush(self) -> None:
        """Do nothing: what is queued counts as said."""

    def listen(self, loop: asyncio.AbstractEventLoop, on_event: OnEvent, on_lost: Callable[[], None]) -> None:
        self.on_event = on_event

    def wait(self, op: Op, *arguments: Any, timeout_s: float | None) -> list[Any] | None:
        self.said.append((op, *arguments, timeout_s))
        return self.waits.popleft() if self.waits else None

    def stop_listening(self) -> None:
        self.on_event = None

    def close(self) -> None:
        self.is_closed = True
        self.segment.close()

    def abandon_after_fork(self) -> None:
        self.is_closed = True
