"""The base class of links, over a connection that the test opens, blocks and breaks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from actorrt.errors import PeerUnreachableError
from actorrt.ids import PeerId
from actorrt.transport.frames.codec import MISDIRECTED, pack_acknowledgement, read_head
from actorrt.transport.frames.sequence import Receipts
from actorrt.transport.interfaces import Buffer, Lane
from actorrt.transport.links.flusher import Flusher
from actorrt.transport.links.queued_link import LinkSetup, QueuedLink
from actorrt.transport.links.reconnection import MAX_FAILED_CONNECTIONS_COUNT
from tests.fake_loop import LoopClock

PEER = PeerId(b"p" * 16)
HELLO = b"hello"


class ScriptedLink(QueuedLink):
    """A link whose connection accepts frames while `is_writable`."""

    is_polled = True

    def __init__(self, *, is_writable: bool = True, connect_timeout_s: float = 60.0, is_lasting: bool = False) -> None:
        self.troubles: list[str] = []
        self.unreachable: list[QueuedLink] = []
        self.awaiting: list[QueuedLink] = []
        self.bad: list[str] = []
        self.delays_s: list[float] = []
        super().__init__(
            LinkSetup(
                peer=PEER,
                address="script://",
                lane=Lane.USER,
                hello=HELLO,
                first=0,
                receipts=Receipts(),
                flusher=Flusher(asyncio.get_running_loop()),
                clock=LoopClock(asyncio.get_running_loop()),
                queue_bytes=1 << 30,
                connect_timeout_s=connect_timeout_s,
                is_lasting=is_lasting,
                on_awaiting=self.awaiting.append,
                on_given_up=self.unreachable.append,
                on_refused=lambda _: None,
                on_unreachable=self.unreachable.append,
                on_bad=lambda _, error: self.bad.append(str(error)),
                on_trouble=lambda _, why: self.troubles.append(why),
            )
        )
        self.is_writable = is_writable
        self.taken: list[bytes] = []
        self.is_watching = False
        self.lingered_s: list[float] = []

    def values(self) -> list[list[object]]:
        """Return the second items of the envelopes of each frame taken so far."""
        return [[envelope[1] for envelope in read_head(head)[2]] for head in self.taken if head != HELLO]

    def _transmit(self, parts: Sequence[Buffer]) -> bool:
        if self.is_writable:
            self.taken.append(bytes(parts[0]))
        return self.is_writable

    def _watch(self) -> None:
        self.is_watching = True

    def _read_answers(self) -> None:
        pass

    def _reconnect(self, delay_s: float) -> None:
        self.delays_s.append(delay_s)

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
    assert (link.values(), link.queued_bytes) == ([[0, 1, 2]], 0)
    link.close()


async def test_connection_that_breaks_before_it_accepts_a_message_loses_nothing() -> None:
    link = ScriptedLink(is_writable=False)
    await end_of_tick()
    link._connection_broke()
    link.is_writable = True
    link._unblocked()
    assert (link.taken, link.unreachable, link.resumed_count) == ([HELLO], [], 0)
    link.close()


async def test_unacknowledged_frames_are_sent_again_over_the_next_connection() -> None:
    link = ScriptedLink()
    for value in range(3):
        link.send((0, value))
        await end_of_tick()
    link.answered(pack_acknowledgement(1))
    link.is_writable = False
    link._connection_broke()
    link.send((0, 3))
    await end_of_tick()
    assert (link.is_connected, link.resumed_count) == (False, 1)
    link.is_writable = True
    link._unblocked()
    assert (link.taken[3:], link.values()) == ([link.taken[3], HELLO], [[0], [1], [2]])
    link.answered(pack_acknowledgement(2))
    assert link.values() == [[0], [1], [2], [2], [3]]
    assert (link.is_connected, link.unreachable) == (True, [])
    link.close()


async def test_reconnection_backs_off_and_stops_when_connections_break_at_once() -> None:
    link = ScriptedLink()
    await end_of_tick()
    for _ in range(MAX_FAILED_CONNECTIONS_COUNT):
        link._connection_broke()
    assert link.delays_s == [0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0]
    assert link.unreachable == []
    link._connection_broke()
    assert link.unreachable == [link]
    link.close()


async def test_new_acknowledgement_resets_the_count_of_broken_connections() -> None:
    link = ScriptedLink()
    link.send((0, 0))
    await end_of_tick()
    for number in range(2 * MAX_FAILED_CONNECTIONS_COUNT):
        link.answered(pack_acknowledgement(number + 1))
        link.send((0, number))
        await end_of_tick()
        link._connection_broke()
        link.answered(pack_acknowledgement(number + 1))
    assert (link.delays_s, link.unreachable) == ([0.0] * 2 * MAX_FAILED_CONNECTIONS_COUNT, [])
    link.close()


async def test_another_process_at_the_address_makes_the_link_unreachable() -> None:
    link = ScriptedLink()
    link.answered(MISDIRECTED)
    assert link.unreachable == [link]
    link.close()


async def test_bad_answer_is_reported() -> None:
    link = ScriptedLink()
    link.answered(b"nonsense")
    link.answered(pack_acknowledgement(1))
    assert [error.partition("sent a bad frame: ")[2] for error in link.bad] == [
        "a message that came back over a link is no acknowledgement",
        "it acknowledges frames up to 1, which were never sent",
    ]
    link.close()


async def test_lasting_link_connects_again_for_ever_and_reports_each_trouble() -> None:
    link = ScriptedLink(is_lasting=True)
    link.send((0, 1))
    await end_of_tick()
    for _ in range(3 * MAX_FAILED_CONNECTIONS_COUNT):
        link._connection_broke()
        await end_of_tick()
    assert (link.delays_s[-1], len(link.delays_s), link.unreachable) == (2.0, 3 * MAX_FAILED_CONNECTIONS_COUNT, [])
    assert link.troubles == ["its connection broke"] * 3 * MAX_FAILED_CONNECTIONS_COUNT
    link.answered(pack_acknowledgement(0))
    await end_of_tick()
    assert link.values()[-1] == [1]
    link.close()


async def test_lasting_link_to_an_address_of_another_process_tries_again() -> None:
    link = ScriptedLink(is_lasting=True)
    await end_of_tick()
    link.answered(MISDIRECTED)
    assert (link.unreachable, link.troubles, link.delays_s) == ([], ["another process has its address"], [0.0])
    link.close()


async def test_peer_of_a_lasting_link_owes_acknowledgements_while_there_is_no_connection() -> None:
    links = [ScriptedLink(is_lasting=is_lasting) for is_lasting in (True, False)]
    for link in links:
        link.send((0, 1))
    await end_of_tick()
    for link in links:
        link.is_writable = False
        link._connection_broke()
    assert [link.is_awaiting for link in links] == [True, False]
    for link in links:
        link.close()


async def test_link_asks_for_acknowledgements_until_all_are_there_or_nothing_more_is_sent() -> None:
    link = ScriptedLink()
    await end_of_tick()
    assert link.awaiting == []
    link.send((0, 0))
    await end_of_tick()
    link.send((0, 1))
    await end_of_tick()
    assert link.awaiting == [link]
    assert link.poll_acknowledgements()
    assert not link.poll_acknowledgements()
    link.send((0, 2))
    await end_of_tick()
    assert link.awaiting == [link, link]
    assert not link.poll_acknowledgements()
    link.send((0, 3))
    await end_of_tick()
    link.answered(pack_acknowledgement(4))
    assert not link.poll_acknowledgements()
    link.close()


async def test_link_that_hears_of_acknowledgements_says_with_each_flush_that_it_waits_for_some() -> None:
    link = ScriptedLink()
    link.is_polled = False  # type: ignore[misc]
    await end_of_tick()
    for number in range(2):
        link.send((0, number))
        await end_of_tick()
    assert link.awaiting == [link, link]
    link.close()


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
    link.close()


async def test_close_is_idempotent_counts_discarded_envelopes_and_refuses_more() -> None:
    link = ScriptedLink(is_writable=False)
    link.send((0, 1))
    await end_of_tick()
    link.send((0, 2))
    link.close(1.5)
    link.close()
    assert (link.discarded_envelopes, link.lingered_s) == (2, [1.5])
    with pytest.raises(PeerUnreachableError, match="is closed") as caught:
        link.send((0, 3))
    assert caught.value.executed == "no"
    await end_of_tick()
    assert link.taken == []
