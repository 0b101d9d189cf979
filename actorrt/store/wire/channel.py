"""The interface of the channels between a client and its store, and the form of their replies.

`connection.socket_channel` is the channel between processes. `server.local` has the one within a process, in which a
request over a socket to the loop that makes it would never be answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from actorrt.store.wire.protocol import Op, Status


@dataclass(frozen=True, slots=True)
class StoreReply:
    """The answer to a request. The caller owns `fd`."""

    status: Status
    result: Any
    retired: list[int]
    fd: int | None = None


OnEvent = Callable[[list[Any], int | None], None]
"""Called with an event and the descriptor beside it, which the listener then owns."""


class Channel(Protocol):
    """One client's way to its store. One thread at a time calls `request` and `post`; the client has the lock."""

    capacity_bytes: int
    is_apart: bool
    """Whether the store is another process, so that a request takes long."""

    def request(self, op: Op, *arguments: Any) -> StoreReply:
        """Ask and wait for the answer.

        Raises:
            ObjectLostError: the store is gone.
            CallTimeoutError: the store did not answer in time; its answer will be among the stale ones.
        """

    def take_stale(self) -> list[tuple[Op, tuple[Any, ...], StoreReply]]:
        """Return answers that came after their askers had gone, each with its request."""

    def post(self, op: Op, *arguments: Any) -> None:
        """Send a message that has no answer.

        Raises:
            ObjectLostError: the store is gone.
        """

    def listen(self, loop: asyncio.AbstractEventLoop, on_event: OnEvent, on_lost: Callable[[], None]) -> None:
        """Have the store's events and its end told on the running loop."""

    def wait(self, op: Op, *arguments: Any, timeout_s: float | None) -> list[Any] | None:
        """Send one message on a new connection and wait, in this thread, for the first event; None if it timed out."""

    def stop_listening(self) -> None:
        """Tell no more events; on the loop that listens. Idempotent."""

    def close(self) -> None:
        """End the connection. Idempotent."""

    def abandon_after_fork(self) -> None:
        """In a forked child: release the copy of the parent's connection and tell the store nothing."""
