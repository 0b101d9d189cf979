"""Acknowledgements that are sent alone, polls for acknowledgements, and how long a closing transport waits."""

from __future__ import annotations

import asyncio
from typing import Any

from actorrt.ids import PeerId
from actorrt.transport.frames.codec import read_acknowledgement
from actorrt.transport.interfaces import TransportStatistics
from actorrt.transport.links.acknowledgements import ACK_DELAY_S, LAST_ACK_TIMEOUT_S, Acknowledgements
from actorrt.transport.links.peer_lanes import PeerLane
from tests.fake_loop import FakeLoop, LoopClock

PEER = PeerId(b"p" * 16)


class World:
    """Acknowledgements on a fake loop, and the answers that were sent."""

    def __init__(self) -> None:
        self.loop = FakeLoop()
        self.statistics = TransportStatistics()
        self.answers: list[tuple[bytes, int]] = []
        self.acknowledgements = Acknowledgements(self.loop, LoopClock(self.loop), self._answer, self.statistics)

    def _answer(self, name: bytes, message: bytes) -> None:
        self.answers.append((name, read_acknowledgement(message)))

    def peer_lane(self, name: bytes | None = b"1") -> PeerLane:
        peer_lane = PeerLane(PEER)
        peer_lane.connection = name
        peer_lane.receipts.begin(0)
        return peer_lane

    def received(self, peer_lane: PeerLane, count: int = 1) -> None:
        """Receive frames, as the inbound side does."""
        peer_lane.receipts.received += count
        if not peer_lane.is_owing:
            self.acknowledgements.owe(peer_lane)


class FakeLink:
    """A link that awaits acknowledgements for a number of polls."""

    def __init__(self, polls: int = 0, held_bytes: int = 0) -> None:
        self.polls_left = polls
        self.poll_count = 0
        self.held_bytes = held_bytes
        self.is_connected = True

    def poll_acknowledgements(self) -> bool:
        self.poll_count += 1
        self.polls_left -= 1
        return self.polls_left > 0


def test_owed_acknowledgement_is_sent_alone_after_a_delay() -> None:
    world = World()
    peer_lane = world.peer_lane()
    world.received(peer_lane)
    world.received(peer_lane, 2)
    world.loop.advance(ACK_DELAY_S)
    assert world.answers == [(b"1", 3)]
    assert world.statistics.acknowledgements_out == 1
    assert (peer_lane.is_owing, world.loop.timers) == (False, [])


def test_acknowledgement_that_is_owed_while_a_timer_runs_is_sent_at_the_second_round() -> None:
    world = World()
    first, second = world.peer_lane(b"1"), world.peer_lane(b"2")
    world.received(first)
    world.loop.advance(0.9 * ACK_DELAY_S)
    world.received(second)
    world.loop.advance(0.2 * ACK_DELAY_S)
    assert world.answers == [(b"1", 1)]
    world.loop.advance(ACK_DELAY_S)
    assert world.answers == [(b"1", 1), (b"2", 1)]
    assert (second.is_owing, world.loop.timers) == (False, [])


def test_acknowledgement_that_a_frame_carried_is_not_sent_alone() -> None:
    world = World()
    peer_lane = world.peer_lane()
    world.received(peer_lane)
    peer_lane.receipts.acknowledge()
    world.loop.advance(10 * ACK_DELAY_S)
    assert (world.answers, peer_lane.is_owing, world.loop.timers) == ([], False, [])


def test_lane_without_a_connection_is_answered_by_nothing_and_forgotten() -> None:
    world = World()
    peer_lane = world.peer_lane()
    world.received(peer_lane)
    peer_lane.connection = None
    world.loop.advance(10 * ACK_DELAY_S)
    assert (world.answers, peer_lane.is_owing, world.loop.timers) == ([], False, [])


def test_lanes_share_one_timer() -> None:
    world = World()
    for name in (b"1", b"2", b"3"):
        world.received(world.peer_lane(name))
    assert len(world.loop.timers) == 1
    world.loop.advance(2 * ACK_DELAY_S)
    assert world.answers == [(b"1", 1), (b"2", 1), (b"3", 1)]


def test_send_acknowledges_at_once_if_an_acknowledgement_is_owed() -> None:
    world = World()
    peer_lane = world.peer_lane()
    world.acknowledgements.send(peer_lane)
    peer_lane.receipts.received = 4
    world.acknowledgements.send(peer_lane)
    world.acknowledgements.send(peer_lane)
    assert world.answers == [(b"1", 4)]


def test_link_is_polled_until_it_expects_no_more() -> None:
    world = World()
    link: Any = FakeLink(polls=3)
    world.acknowledgements.expect(link)
    world.loop.advance(20 * ACK_DELAY_S)
    assert (link.poll_count, world.loop.timers) == (3, [])


def test_nothing_is_sent_or_polled_once_it_is_stopped() -> None:
    world = World()
    link: Any = FakeLink(polls=3)
    world.acknowledgements.expect(link)
    world.received(world.peer_lane())
    world.acknowledgements.stop()
    world.loop.advance(20 * ACK_DELAY_S)
    assert (world.answers, link.poll_count, world.loop.timers) == ([], 0, [])


class Waiting:
    """Acknowledgements on the real loop, as a closing transport uses them."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.acknowledgements = Acknowledgements(
            self.loop, LoopClock(self.loop), lambda *_: None, TransportStatistics()
        )

    async def wait_for(self, *links: Any, within_s: float = 60.0) -> float:
        start = self.loop.time()
        await self.acknowledgements.wait_for(links, start + within_s)
        return self.loop.time() - start


async def test_wait_ends_when_every_frame_is_acknowledged() -> None:
    class AcknowledgedLater(FakeLink):
        def poll_acknowledgements(self) -> bool:
            self.held_bytes -= 1
            return self.held_bytes > 0

    links = [AcknowledgedLater(held_bytes=3), AcknowledgedLater(held_bytes=5)]
    await Waiting().wait_for(*links)
    assert [link.held_bytes for link in links] == [0, 0]


async def test_wait_ends_at_once_for_links_that_are_broken_or_hold_nothing() -> None:
    broken = FakeLink(held_bytes=7)
    broken.is_connected = False
    waiting = Waiting()
    await waiting.wait_for(broken, FakeLink())
    assert (broken.poll_count, waiting.acknowledgements._is_scheduled) == (0, False)


async def test_wait_ends_when_nothing_is_acknowledged_for_a_while() -> None:
    assert await Waiting().wait_for(FakeLink(held_bytes=7)) >= LAST_ACK_TIMEOUT_S


async def test_wait_ends_at_its_deadline_although_acknowledgements_still_come() -> None:
    class NeverEnding(FakeLink):
        def poll_acknowledgements(self) -> bool:
            self.held_bytes -= 1
            return True

    link = NeverEnding(held_bytes=1_000_000)
    await Waiting().wait_for(link, within_s=0.02)
    assert link.held_bytes > 0
