"""The heartbeat: which peers are probed, the calls of the receiver, and when there are no beats."""

from __future__ import annotations

from typing import Any

from actorrt.config import HEARTBEAT_S, SILENCE_S
from actorrt.errors import PeerUnreachableError
from actorrt.ids import PeerId
from actorrt.transport.links.heartbeat import LinkHeartbeat
from actorrt.transport.links.peer_lanes import PeerLane
from tests.fake_loop import FakeLoop, LoopClock

PEER, OTHER = PeerId(b"p" * 16), PeerId(b"o" * 16)


class FakeLink:
    """A link that awaits an acknowledgement of each probe until `answer` is called."""

    def __init__(self) -> None:
        self.acknowledged_below = 0
        self.is_awaiting = False
        self.probe_count = 0

    def probe(self) -> None:
        self.probe_count += 1
        self.is_awaiting = True

    def answer(self) -> None:
        self.acknowledged_below += 1
        self.is_awaiting = False

    def acknowledged(self, number: int) -> bool:
        return True


class Deaf:
    """A receiver without methods for silence."""


class Listener:
    """A receiver that records the calls about silence."""

    def __init__(self) -> None:
        self.heard: list[tuple[PeerId, float | None]] = []

    def peer_silent(self, peer: PeerId, silent_s: float) -> None:
        self.heard.append((peer, silent_s))

    def peer_speaks(self, peer: PeerId) -> None:
        self.heard.append((peer, None))


class World:
    """A heartbeat with one link for each peer."""

    def __init__(self, receiver: Any) -> None:
        self.loop = FakeLoop()
        self.links: dict[PeerId, FakeLink] = {}
        self.peer_lanes: list[PeerLane] = []
        self.is_refusing = False
        self.heartbeat = LinkHeartbeat(
            self.loop, LoopClock(self.loop), receiver, lambda: self.peer_lanes, self._probe_link
        )

    def open(self, peer: PeerId) -> FakeLink:
        link = self.links[peer] = FakeLink()
        peer_lane = PeerLane(peer)
        peer_lane.link = link
        self.peer_lanes.append(peer_lane)
        return link

    def _probe_link(self, peer: PeerId, address: str) -> Any:
        assert address == f"memory://{peer.hex()}"
        if self.is_refusing:
            raise PeerUnreachableError("dropped")
        return self.links.get(peer) or self.open(peer)

    def watch(self, peer: PeerId) -> None:
        self.heartbeat.watch(peer, f"memory://{peer.hex()}")

    def beat(self, count: int = 1) -> None:
        for _ in range(count):
            self.loop.advance(HEARTBEAT_S)


def test_watched_peer_is_probed_at_each_beat_while_it_answers() -> None:
    world = World(Listener())
    world.watch(PEER)
    for count in range(1, 4):
        world.beat()
        assert world.links[PEER].probe_count == count
        world.links[PEER].answer()


def test_peer_that_owes_an_acknowledgement_is_not_probed() -> None:
    world = World(Listener())
    world.open(PEER).is_awaiting = True
    world.watch(PEER)
    world.beat(3)
    assert world.links[PEER].probe_count == 0


def test_silent_peer_is_reported_once_and_again_when_it_speaks() -> None:
    listener = Listener()
    world = World(listener)
    world.watch(PEER)
    world.beat(20)
    assert listener.heard == [(PEER, SILENCE_S)]
    assert world.heartbeat.silent_s(PEER) > SILENCE_S
    assert world.links[PEER].probe_count == 1
    world.links[PEER].answer()
    world.beat()
    assert listener.heard == [(PEER, SILENCE_S), (PEER, None)]
    assert world.heartbeat.silent_s(PEER) == 0


def test_frames_of_the_peer_are_a_sign_of_life_too() -> None:
    listener = Listener()
    world = World(listener)
    world.watch(PEER)
    for number in range(20):
        world.beat()
        world.peer_lanes[0].receipts.received = number + 1
    assert listener.heard == []


def test_either_lane_shows_that_the_peer_lives() -> None:
    listener = Listener()
    world = World(listener)
    silent, lively = world.open(PEER), world.open(PEER)
    silent.is_awaiting = True
    world.heartbeat.wake()
    for _ in range(20):
        world.beat()
        lively.acknowledged_below += 1
    assert listener.heard == []


def test_nothing_beats_while_nothing_is_awaited_and_no_peer_is_watched() -> None:
    world = World(Listener())
    link = world.open(PEER)
    link.is_awaiting = True
    world.heartbeat.wake()
    world.beat()
    assert len(world.loop.timers) == 1
    link.answer()
    world.beat()
    assert world.loop.timers == []


def test_receiver_that_does_not_listen_costs_no_beat_unless_a_peer_is_watched() -> None:
    world = World(Deaf())
    world.open(PEER).is_awaiting = True
    world.heartbeat.wake()
    assert world.loop.timers == []
    world.watch(PEER)
    world.beat(20)
    assert world.heartbeat.silent_s(PEER) > SILENCE_S


def test_unwatch_ends_the_probes_of_that_peer_alone() -> None:
    world = World(Listener())
    world.watch(PEER)
    world.watch(OTHER)
    world.heartbeat.unwatch(PEER)
    world.beat()
    assert list(world.links) == [OTHER]


def test_peer_that_can_not_be_linked_is_watched_no_more() -> None:
    world = World(Listener())
    world.is_refusing = True
    world.watch(PEER)
    world.beat()
    world.is_refusing = False
    world.beat(3)
    assert (world.links, world.loop.timers) == ({}, [])


def test_close_ends_the_beat() -> None:
    world = World(Listener())
    world.watch(PEER)
    world.heartbeat.close()
    world.heartbeat.close()
    assert world.loop.timers == []
