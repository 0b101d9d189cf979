"""The interface of the channels between a client and its store, and the form of their replies.

`connection.socket_channel` is the channel between processes, `server.local` has the channel within one process. A
socket within one process would deadlock: the loop that waits for an answer is the loop that must send the answer.
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
"""Called with an event, and with the descriptor that came with it or None. The listener owns the descriptor."""


class Channel(Protocol):
    """The interface of a channel. One thread at a time calls `request` and `post`: the client's lock ensures that."""

    capacity_bytes: int
    is_apart: bool
    """Whether the store is another process, so that a request takes long."""
    is_gone: bool
    """Whether the store was found gone, so that its node is lost for this process, or will be soon."""

    def request(self, op: Op, *arguments: Any) -> StoreReply:
        """Ask and wait for the answer.

        Raises:
            ObjectLostError: the store is gone.
            CallTimeoutError: the store did not answer in time. `take_stale` returns the answer if it comes later.
        """

    def take_stale(self) -> list[tuple[Op, tuple[Any, ...], StoreReply]]:
        """Return the answers to requests that were interrupted or timed out, each with its request."""

    def queue(self, op: Op, *arguments: Any) -> None:
        """Have a message that has no answer sent with the next one, or by `flush`; raises as `flush`."""

    def flush(self) -> None:
        """Send the messages that were queued.

        Raises:
            ObjectLostError: the store is gone.
        """

    def post(self, op: Op, *arguments: Any) -> None:
        """Send a message that has no answer, behind those that were queued; raises as `flush`."""

    def listen(self, loop: asyncio.AbstractEventLoop, on_event: OnEvent, on_lost: Callable[[], None]) -> None:
        """Call `on_event` with each event of the store, and `on_lost` at its end, on `loop`, which is running this."""

    def wait(self, op: Op, *arguments: Any, timeout_s: float | None) -> list[Any] | None:
        """Send one message on a new connection and wait, in this thread, for the first event; None if it timed out."""

    def stop_listening(self) -> None:
        """Call back no more. Called on the loop that listens. Idempotent."""

    def close(self) -> None:
        """End the connection. Idempotent."""

    def abandon_after_fork(self) -> None:
        """In a forked child: release the copy of the parent's connection and tell the store nothing."""
