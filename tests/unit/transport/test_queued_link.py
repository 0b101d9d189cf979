"""The link with a queue, over a connection that the test opens, blocks and breaks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from actorrt.errors import PeerUnreachableError
from actorrt.ids import PeerId
from actorrt.transport.codec import read_head
from actorrt.transport.protocol import Buffer, Lane
from actorrt.transport.queued_link import QueuedLink

PEER = PeerId(b"p" * 16)
HELLO = b"hello"


class ScriptedLink(QueuedLink):
    """A link whose connection takes frames while `is_writable`."""

    def __init__(self, *, is_writable: bool = True, connect_timeout_s: float = 60.0) -> None:
        self.unreachable: list[QueuedLink] = []
        super().__init__(
            PEER,
            "script://",
            Lane.USER,
            hello=HELLO,
            queue_bytes=1 << 30,
            connect_timeout_s=connect_timeout_s,
            on_unreachable=self.unreachable.append,
        )
        self.is_writable = is_writable
        self.taken: list[bytes] = []
        self.is_watching = False
        self.lingered_s: list[float] = []

    def values(self) -> list[list[object]]:
        """Return the second items of the envelopes of each frame taken so far."""
        return [[envelope[1] for envelope in read_head(head)[1]] for head in self.taken if head != HELLO]

    def _transmit(self, parts: Sequence[Buffer]) -> bool:
        if self.is_writable:
            self.taken.append(bytes(parts[0]))
        return self.is_writable

    def _watch(self) -> None:
        self.is_watching = True

    def _unwatch(self) -> None:
        self.is_watching = False

    def _disconnect(self, linger_s: float) -> None:
        self.lingered_s.append(linger_s)


async def end_of_tick() -> None:
    await asyncio.sleep(0)


async def test_hello_leaves_first_though_nothing_was_sent() -> None:
    link = ScriptedLink()
    await end_of_tick()
    assert link.taken == [HELLO]
    link.close()


async def test_blocked_link_keeps_order_and_leaves_as_one_frame_when_woken() -> None:
    link = ScriptedLink(is_writable=False)
    for value in range(3):
        link.send((0, value))
        await end_of_tick()
    assert (link.taken, link.is_watching) == ([], True)
    link.is_writable = True
    link._unblocked()
    assert (link.values(), link.is_watching, link.queued_bytes) == ([[0], [1, 2]], False, 0)
    link.close()


async def test_connection_that_breaks_before_it_took_anything_has_lost_nothing() -> None:
    link = ScriptedLink(is_writable=False)
    await end_of_tick()
    link._connection_broke()
    link._connection_came_back()
    link.is_writable = True
    link._unblocked()
    assert (link.taken, link.unreachable) == ([HELLO], [])
    link.close()


async def test_broken_link_holds_back_what_is_sent_and_fails_when_the_connection_returns() -> None:
    link = ScriptedLink()
    link.send((0, "before"))
    await end_of_tick()
    link._connection_broke()
    link.send((0, "after"))
    await end_of_tick()
    assert (link.values(), link.is_connected, link.unreachable) == ([["before"]], False, [])
    link._connection_came_back()
    assert link.unreachable == [link]
    link.close()
    assert link.discarded_envelopes == 1


async def test_flush_does_not_wait_for_a_broken_link() -> None:
    link = ScriptedLink()
    await end_of_tick()
    link.is_writable = False
    link.send((0, 1))
    await end_of_tick()
    flushing = asyncio.ensure_future(link.flush())
    await end_of_tick()
    link._connection_broke()
    assert await flushing is False
    assert link.is_watching is False
    link.close()


async def test_close_is_idempotent_counts_what_it_discards_and_refuses_more() -> None:
    link = ScriptedLink(is_writable=False)
    link.send((0, 1))
    await end_of_tick()
    link.send((0, 2))
    link.close(1.5)
    link.close()
    assert (link.discarded_envelopes, link.lingered_s, link.is_watching) == (2, [1.5], False)
    with pytest.raises(PeerUnreachableError, match="is closed") as caught:
        link.send((0, 3))
    assert caught.value.executed == "no"
    await end_of_tick()
    assert link.taken == []
