"""How a client reaches its store: the interface that channels fulfil, and what they give back.

Between processes that is `client.socket_channel`; within one process `server.local`, where a blocking request to the
loop that makes it would never be answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from actorrt.store.wire.protocol import Op, Status


@dataclass(frozen=True, slots=True)
class StoreReply:
    """The answer to a request. `fd` belongs to who gets it."""

    status: Status
    result: Any
    retired: list[int]
    fd: int | None = None


OnEvent = Callable[[list[Any], int | None], None]
"""Told of an event, and of the descriptor beside it, which is then the listener's."""


class Channel(Protocol):
    """One client's way to its store. `request` and `post` are for one thread at a time; the client has the lock."""

    capacity_bytes: int
    is_apart: bool
    """Whether asking the store takes long: it is another process."""

    def request(self, op: Op, *arguments: Any) -> StoreReply:
        """Ask and wait for the answer.

        Raises:
            ObjectLostError: the store is gone.
            CallTimeoutError: the store did not answer in time; its answer will be among the stale ones.
        """

    def take_stale(self) -> list[tuple[Op, tuple[Any, ...], StoreReply]]:
        """Return the answers that came after who had asked was gone, with what had been asked."""

    def post(self, op: Op, *arguments: Any) -> None:
        """Say something that has no answer. Raises ObjectLostError where the store is gone."""

    def listen(self, loop: asyncio.AbstractEventLoop, on_event: OnEvent, on_lost: Callable[[], None]) -> None:
        """Have the store's events, and its end, told on the loop that is running."""

    def wait(self, op: Op, *arguments: Any, timeout_s: float | None) -> list[Any] | None:
        """Send one message on a connection of its own and wait, in this thread, for the first event; None: time out."""

    def stop_listening(self) -> None:
        """Tell no more events; on the loop that listens. Idempotent."""

    def close(self) -> None:
        """End the connection. Idempotent."""

    def abandon_after_fork(self) -> None:
        """In a forked child: let go of the parent's connection without a word to the store."""
