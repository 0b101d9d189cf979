"""A link on ZeroMQ, over fake sockets that accept or refuse parts, break, and report events."""

from __future__ import annotations

import errno
import struct
from typing import Any

import pytest
import zmq

from actorrt.errors import ActorRtError, AuthenticationError
from actorrt.transport.frames.codec import pack_acknowledgement, read_head
from actorrt.transport.interfaces import Lane
from actorrt.transport.links import queued_link
from actorrt.transport.links.reconnection import RECONNECT_MAX_S, RECONNECT_MIN_S
from actorrt.transport.zeromq import link as zmq_link
from actorrt.transport.zeromq.link import ZERO_COPY_BYTES, ZmqLink
from tests.fake_loop import FakeLoop
from tests.unit.transport.link_setups import HELLO, link_setup

DISCONNECTED, REJECTED = (
    [struct.pack("=hi", int(event), 0), b"endpoint"]
    for event in (zmq.EVENT_DISCONNECTED, zmq.EVENT_HANDSHAKE_FAILED_AUTH)
)


class FakeMonitor:
    """Returns the events that a test puts into `events`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.events: list[list[bytes]] = []
        self.closed = False

    def getsockopt(self, option: int) -> int:
        assert option == zmq.FD
        return self._descriptor

    def recv_multipart(self, flags: int) -> list[bytes]:
        if not self.events:
            raise zmq.Again
        return self.events.pop(0)

    def close(self, linger: int) -> None:
        self.closed = True


class FakeDealer:
    """Refuses a part for each True in `refusals`, and accepts the other parts."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.monitor = FakeMonitor(descriptor + 100)
        self.refusals: list[bool] = []
        self.is_blocked = False
        self.parts: list[tuple[bytes, bool, bool]] = []  # with whether more follow, and whether it was copied
        self.arriving: list[bytes] = []
        self.lingers_ms: list[int | None] = []
        self.places: list[str] = []

    @property
    def closed(self) -> bool:
        return bool(self.lingers_ms)

    def getsockopt(self, option: int) -> int:
        if option == zmq.FD:
            return self._descriptor
        assert option == zmq.EVENTS
        return (int(zmq.POLLIN) if self.arriving else 0) | (0 if self.is_blocked else int(zmq.POLLOUT))

    def get_monitor_socket(self, events: int) -> FakeMonitor:
        return self.monitor

    def connect(self, place: str) -> None:
        self.places.append(place)

    def send(self, part: bytes, flags: int, copy: bool = True) -> None:
        if self.is_blocked or (self.refusals and self.refusals.pop(0)):
            raise zmq.Again
        self.parts.append((bytes(part), bool(flags & zmq.SNDMORE), copy))

    def recv(self, flags: int) -> bytes:
        return self.arriving.pop(0)

    def disable_monitor(self) -> None:
        pass

    def close(self, linger: int | None = None) -> None:
        self.lingers_ms.append(linger)


class World:
    """A link, the DEALERs that it has opened, and the calls of its callbacks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loop = FakeLoop()
        self.dealers: list[FakeDealer] = []
        self.error: zmq.ZMQError | None = None
        self.connect_error: zmq.ZMQError | None = None
        self.bad: list[ActorRtError] = []
        monkeypatch.setattr(queued_link.asyncio, "get_running_loop", lambda: self.loop)
        monkeypatch.setattr(zmq_link, "fast_methods", lambda socket: socket)

    def _open(self, lane: Lane) -> Any:
        if self.error is not None:
            raise self.error
        dealer = FakeDealer(len(self.dealers) + 10)
        if self.connect_error is not None:
            error = self.connect_error

            def connect(_: str) -> None:
                raise error

            dealer.connect = connect  # type: ignore[method-assign]
        self.dealers.append(dealer)
        return dealer

    def link(self) -> ZmqLink:
        setup = link_setup(
            self.loop,
            "tcp://127.0.0.1:1",
            on_bad=lambda _, error: self.bad.append(error),
        )
        link = ZmqLink(setup)
        link.connect(self._open, "tcp://127.0.0.1:1")
        return link

    @property
    def dealer(self) -> FakeDealer:
        return self.dealers[-1]

    def report(self, *events: list[bytes]) -> None:
        """Let the monitor report events, and call the reader of its descriptor."""
        self.dealer.monitor.events += events
        self.loop.readers[self.dealer.monitor.getsockopt(zmq.FD)]()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_hello_leaves_first_over_a_dealer_that_was_connected(world: World) -> None:
    link = world.link()
    world.loop.tick()
    assert world.dealer.places == ["tcp://127.0.0.1:1"]
    assert world.dealer.parts == [(HELLO, False, True)]
    assert link.is_connected
    link.close()


def test_large_parts_are_not_copied(world: World) -> None:
    link = world.link()
    world.loop.tick()
    del world.dealer.parts[:]
    small, large = b"s" * (ZERO_COPY_BYTES - 1), b"l" * ZERO_COPY_BYTES
    assert link._transmit((b"head", large, small))
    assert world.dealer.parts == [(b"head", True, True), (large, True, False), (small, False, True)]
    link.close()


@pytest.mark.parametrize(
    ("refusals", "accepted"),
    [
        ([True], []),
        ([False, True, False, False], [b"head", b"b", b"c"]),
        ([False, False, True, False], [b"head", b"a", b"c"]),
        ([False, False, False, True], [b"head", b"a", b"b"]),
    ],
    ids=["first", "second", "third", "last"],
)
def test_message_of_which_a_part_is_refused_is_not_handed_over(
    world: World, refusals: list[bool], accepted: list[bytes]
) -> None:
    link = world.link()
    world.loop.tick()
    del world.dealer.parts[:]
    world.dealer.refusals = refusals
    assert not link._transmit((b"head", b"a", b"b", b"c"))
    assert [part for part, _, _ in world.dealer.parts] == accepted  # up to the last: ZeroMQ discards them
    link.close()


def test_blocked_link_continues_when_the_dealer_accepts_again(world: World) -> None:
    link = world.link()
    world.loop.tick()
    world.dealer.is_blocked = True
    link.send((0, 1))
    world.loop.tick()
    assert link.queued_bytes > 0
    world.loop.tick()
    world.dealer.is_blocked = False
    world.loop.readers[world.dealer.getsockopt(zmq.FD)]()
    assert link.queued_bytes == 0
    assert read_head(world.dealer.parts[-1][0])[2] == [[0, 1]]
    link.close()


def test_wake_up_that_came_before_the_link_was_blocked_is_not_missed(world: World) -> None:
    link = world.link()
    world.loop.tick()
    world.dealer.refusals = [True]  # just once, and the descriptor will not speak again
    link.send((0, 1))
    world.loop.tick()
    assert link.queued_bytes > 0
    world.loop.tick()
    assert link.queued_bytes == 0
    link.close()


def test_every_answer_is_read_at_one_wake_up(world: World) -> None:
    link = world.link()
    for value in range(3):
        link.send((0, value))
        world.loop.tick()
    world.dealer.arriving = [pack_acknowledgement(1), pack_acknowledgement(2), pack_acknowledgement(3)]
    world.loop.readers[world.dealer.getsockopt(zmq.FD)]()
    assert (link.acknowledged_below, world.dealer.arriving) == (3, [])
    link.close()


def test_dealer_is_closed_with_its_connection_and_another_is_opened_at_once(world: World) -> None:
    link = world.link()
    link.send((0, 1))
    world.loop.tick()
    world.report(DISCONNECTED)
    world.loop.advance(0.0)
    assert len(world.dealers) == 2
    assert (world.dealers[0].lingers_ms, world.dealers[0].monitor.closed) == ([0], True)
    world.loop.tick()  # a blocked link asks again whether it may send
    assert [part for part, _, _ in world.dealer.parts] == [HELLO]
    world.dealer.arriving = [pack_acknowledgement(0)]
    world.loop.readers[world.dealer.getsockopt(zmq.FD)]()
    assert read_head(world.dealer.parts[-1][0])[2] == [[0, 1]]
    assert len(world.loop.readers) == 2
    link.close()
    assert world.loop.readers == {}


def test_key_that_the_peer_does_not_accept_is_told(world: World) -> None:
    link = world.link()
    world.loop.tick()
    world.report(REJECTED)
    [error] = world.bad
    assert isinstance(error, AuthenticationError)
    assert "does not accept the key of this node; let the two nodes join the same cluster" in str(error)
    link.close()


def test_process_without_a_free_descriptor_backs_off(world: World) -> None:
    world.error = zmq.ZMQError(errno.EMFILE)
    link = world.link()
    assert link.last_error is world.error
    times_s = []
    for _ in range(8):
        [timer] = [timer for timer in world.loop.timers if timer.due < 50]
        times_s.append(timer.due - world.loop.time())
        world.loop.advance(times_s[-1])
    assert times_s == pytest.approx([RECONNECT_MIN_S * 2**n for n in range(6)] + [RECONNECT_MAX_S] * 2)
    world.error = None
    world.loop.advance(RECONNECT_MAX_S)
    world.loop.tick()
    world.loop.tick()
    assert (link.is_connected, link.last_error) == (True, None)
    link.close()


def test_address_that_zeromq_does_not_accept_is_a_mistake_and_leaves_nothing(world: World) -> None:
    world.connect_error = zmq.ZMQError(errno.EINVAL)
    with pytest.raises(ValueError, match=r"can't connect to 'tcp://127\.0\.0\.1:1': Invalid argument"):
        world.link()
    assert (world.dealer.closed, world.dealer.monitor.closed) == (True, True)
    assert (world.loop.timers, world.loop.readers) == ([], {})


def test_close_lets_the_dealer_linger(world: World) -> None:
    link = world.link()
    world.loop.tick()
    link.close(0.25)
    link.close(1.0)
    assert world.dealer.lingers_ms == [250]
    assert not link._transmit((b"late",))
    assert world.loop.readers == {}
