"""The inbound side: known, late, replaced and misdirected links."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from typing import Any

import pytest

from actorrt.errors import ActorRtError, AuthenticationError
from actorrt.ids import PeerId
from actorrt.transport.frames.codec import (
    GIVEN_UP,
    MISDIRECTED,
    BadFrameError,
    Hello,
    join_head,
    pack_envelope,
    pack_hello,
    read_acknowledgement,
)
from actorrt.transport.frames.form import WALKED_BYTES
from actorrt.transport.frames.sequence import ACK_FRAMES_COUNT
from actorrt.transport.interfaces import Buffer, Lane, TransportStatistics
from actorrt.transport.links.acknowledgements import ACK_DELAY_S, Acknowledgements
from actorrt.transport.links.ended_peers import REMEMBERED_COUNT
from actorrt.transport.links.hellos import Hellos
from actorrt.transport.links.inbound import Inbound
from actorrt.transport.links.peer_lanes import connection_name
from tests.fake_loop import FakeLoop, LoopClock

HERE = PeerId(b"h" * 16)
PEER = PeerId(b"p" * 16)
OTHER = PeerId(b"o" * 16)


class Far:
    """An inbound side, and the calls of its callbacks."""

    def __init__(self) -> None:
        self.got: list[Any] = []
        self.answers: list[tuple[bytes, bytes]] = []
        self.failed: list[tuple[PeerId, type[ActorRtError], str | None]] = []
        self.renewed: list[PeerId] = []
        self.statistics = TransportStatistics()
        self.loop = FakeLoop()
        self.hellos = Hellos(HERE, self._check_origin, self._check_address, lambda _: None)
        self.inbound = Inbound(
            self,
            self.statistics,
            self.hellos,
            Acknowledgements(self.loop, LoopClock(self.loop), self._answer, self.statistics),
            answer=self._answer,
            on_failed=self._failed,
            on_renewed=self.renewed.append,
        )

    def received(self, peer: PeerId, envelope: list[Any], buffers: Sequence[Buffer]) -> None:
        self.got.append((peer, envelope[1]))

    def peer_failed(self, peer: PeerId, error: ActorRtError) -> None:
        raise AssertionError("`on_failed` must be called, not the receiver")

    def _failed(self, peer: PeerId, error: ActorRtError, address: str | None) -> None:
        self.failed.append((peer, type(error), address))
        self.inbound.drop(peer)

    def _check_address(self, address: str) -> None:
        if not address.startswith("memory://"):
            raise ValueError(address)

    def _check_origin(self, hello: Hello) -> None:
        if hello.node == b"forged":
            raise AuthenticationError("another key")

    def _answer(self, name: bytes, message: bytes) -> None:
        self.answers.append((name, message))

    def hello(
        self, number: int = 1, *, first: int = 0, peer: PeerId = PEER, to: PeerId = HERE, lane: Lane = Lane.USER
    ) -> None:
        hello = Hello(peer, to, f"memory://{number}", first)
        self.inbound.message(connection_name(peer, lane, number), pack_hello(hello))

    def frame(self, value: int, *, sequence: int = 0, number: int = 1, peer: PeerId = PEER) -> None:
        head = join_head(sequence, 0, [pack_envelope([0, value])])
        self.inbound.message(connection_name(peer, Lane.USER, number), head)


@pytest.fixture
def far() -> Far:
    return Far()


def test_later_link_replaces_the_one_before_it(far: Far) -> None:
    far.hello(1)
    far.frame(1, number=1)
    far.hello(2, first=5)
    far.frame(2, number=1, sequence=1)
    far.frame(3, number=2, sequence=5)
    assert far.got == [(PEER, 1), (PEER, 3)]
    assert far.statistics.ignored_frames == 1
    assert far.hellos.address_of(PEER) == "memory://2"


def test_hello_of_an_earlier_link_that_comes_late_is_ignored(far: Far) -> None:
    far.hello(2)
    far.hello(1)
    far.frame(1, number=2)
    assert far.got == [(PEER, 1)]
    assert far.failed == []


def test_link_of_one_lane_does_not_replace_the_other(far: Far) -> None:
    far.hello(1)
    far.hello(2, lane=Lane.CONTROL)
    far.frame(1, number=1)
    assert far.got == [(PEER, 1)]


def test_frames_for_the_former_process_at_this_address_are_ignored_and_fail_no_peer(far: Far) -> None:
    far.frame(1)
    far.hello(1, to=OTHER)
    far.frame(2)
    assert far.got == []
    assert far.failed == []
    assert far.statistics.ignored_frames == 2


def test_hello_in_another_peers_name_fails_the_peer_of_the_connection(far: Far) -> None:
    far.inbound.message(connection_name(PEER, Lane.USER, 1), pack_hello(Hello(OTHER, HERE, "memory://x")))
    assert far.failed == [(PEER, BadFrameError, None)]
    assert far.inbound.is_dropped(PEER)
    assert not far.inbound.is_dropped(OTHER)


def test_failed_peer_is_refused_at_the_address_of_its_hello(far: Far) -> None:
    far.hello(1)
    far.inbound.message(connection_name(PEER, Lane.USER, 1), b"garbage")
    assert far.failed == [(PEER, BadFrameError, "memory://1")]


def test_dropped_peers_are_forgotten_after_many_others_and_must_send_a_hello_again(far: Far) -> None:
    far.hello(1)
    far.inbound.drop(PEER)
    for number in range(REMEMBERED_COUNT):
        far.inbound.drop(PeerId(number.to_bytes(16, "big")))
    assert not far.inbound.is_dropped(PEER)
    far.frame(1, sequence=1)
    assert far.got == []
    assert far.failed == []


def test_bytes_and_envelopes_are_counted(far: Far) -> None:
    far.hello(1)
    head = join_head(0, 0, [pack_envelope([0, 1]), pack_envelope([0, 2])], [(1, 1)])
    far.inbound.message(connection_name(PEER, Lane.USER, 1), head, [b"12345"])
    counted = far.statistics
    assert (counted.frames_in, counted.envelopes_in, counted.bytes_in) == (1, 2, len(head) + 5)


def test_later_connection_of_the_same_link_continues_where_the_former_one_broke(far: Far) -> None:
    far.hello(1, first=5)
    far.frame(1, sequence=5)
    far.frame(2, sequence=6)
    far.hello(2, first=5)
    for value, sequence in ((1, 5), (2, 6), (3, 7)):
        far.frame(value, number=2, sequence=sequence)
    assert far.got == [(PEER, 1), (PEER, 2), (PEER, 3)]
    assert far.statistics.repeated_frames == 2


def test_hello_of_an_earlier_link_on_a_later_connection_is_ignored(far: Far) -> None:
    far.hello(1, first=5)
    far.hello(2, first=3)
    far.frame(1, sequence=5)
    assert far.got == [(PEER, 1)]


def test_gap_fails_the_peer(far: Far) -> None:
    far.hello(1)
    far.frame(1, sequence=1)
    assert far.got == []
    assert far.failed == [(PEER, BadFrameError, "memory://1")]


def test_hello_meant_for_another_is_answered(far: Far) -> None:
    far.hello(1, to=OTHER)
    assert far.answers == [(connection_name(PEER, Lane.USER, 1), MISDIRECTED)]


def test_many_frames_are_acknowledged_at_once_and_few_at_the_second_round(far: Far) -> None:
    far.hello(1)
    for number in range(ACK_FRAMES_COUNT):
        far.frame(number, sequence=number)
    assert [read_acknowledgement(message) for _, message in far.answers] == [0, ACK_FRAMES_COUNT]
    far.frame(0, sequence=ACK_FRAMES_COUNT)
    far.loop.advance(ACK_DELAY_S)
    assert len(far.answers) == 2
    far.loop.advance(ACK_DELAY_S)
    assert far.loop.timers == []
    assert [read_acknowledgement(message) for _, message in far.answers[2:]] == [ACK_FRAMES_COUNT + 1]


def test_acknowledgement_that_a_frame_carried_is_not_sent_alone(far: Far) -> None:
    far.hello(1)
    far.frame(0)
    assert far.inbound.peer_lane(PEER, Lane.USER).receipts.acknowledge() == 1
    far.loop.advance(ACK_DELAY_S)
    assert far.loop.timers == []
    assert len(far.answers) == 1


def test_forged_hello_is_ignored_and_does_not_fail_the_peer(far: Far) -> None:
    far.hello(1)
    forged = Hello(PEER, HERE, "memory://x", 5, b"forged")
    far.inbound.message(connection_name(PEER, Lane.USER, 9), pack_hello(forged))
    far.frame(1)
    assert far.got == [(PEER, 1)]
    assert (far.failed, far.statistics.bad_frames, far.hellos.address_of(PEER)) == ([], 1, "memory://1")


def nested(depth: int) -> list[Any]:
    value: Any = [0]
    for level in range(depth - 1):
        value = [0, {"in": value}] if level % 5 == 4 else [0, value]
    return list(value)


@pytest.mark.parametrize("lane", Lane)
@pytest.mark.parametrize("padding_bytes", [0, WALKED_BYTES])
@pytest.mark.parametrize(("depth", "is_refused"), [(14, False), (15, True), (5000, True)])
def test_nesting_is_capped_in_short_frames_and_long_ones(
    far: Far, lane: Lane, padding_bytes: int, depth: int, is_refused: bool
) -> None:
    far.hello(1, lane=lane)
    nest = pack_envelope(nested(depth)) if depth < 100 else b"\x91" * depth + b"\x00"
    head = join_head(0, 0, [pack_envelope([7, bytes(padding_bytes)]), nest])  # two maps on the way make 16 of 14
    far.inbound.message(connection_name(PEER, lane, 1), head)
    assert bool(far.failed) is is_refused
    far.hello(1, lane=lane, peer=OTHER)
    far.inbound.message(connection_name(OTHER, lane, 1), join_head(0, 0, [pack_envelope([0, 5])]))
    assert far.got[-1] == (OTHER, 5)


@pytest.mark.parametrize("start", [b"", pack_hello(Hello(PEER, HERE, "memory://1"))[:8]], ids=["frame", "notice"])
def test_small_message_that_claims_much_reserves_little(far: Far, start: bytes) -> None:
    far.hello(1)
    tracemalloc.start()
    far.inbound.message(connection_name(PEER, Lane.USER, 1), start + b"\xdc\x7f\xff" * 1000 + bytes(40_000))
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()
    assert [peer for peer, _, _ in far.failed] == [PEER]


def test_peer_that_was_given_up_is_told_when_it_continues_a_link(far: Far) -> None:
    far.hello(1)
    far.hello(1, lane=Lane.CONTROL)
    far.answers.clear()
    far.inbound.give_up(PEER)
    assert [message for _, message in far.answers] == [GIVEN_UP, GIVEN_UP]
    far.frame(1)
    far.hello(2)
    far.frame(2, number=2)
    assert far.answers[2:] == [(connection_name(PEER, Lane.USER, 2), GIVEN_UP)]
    assert (far.got, list(far.inbound.peer_lanes())) == ([], [])
    far.hello(3, first=7)
    far.frame(3, number=3, sequence=7)
    assert (far.got, far.renewed, far.failed) == ([(PEER, 3)], [], [])


def test_peer_that_opens_new_links_is_reported_once_for_both_lanes(far: Far) -> None:
    far.hello(1)
    far.hello(1, lane=Lane.CONTROL)
    far.hello(2, first=4, lane=Lane.CONTROL)
    assert far.renewed == [PEER]
    far.frame(1)
    far.hello(3, first=4)
    far.frame(2, number=3, sequence=4)
    assert (far.renewed, far.got) == ([PEER], [(PEER, 2)])


def test_memory_of_given_up_links_is_bounded_and_their_peers_are_forgotten(far: Far) -> None:
    count = REMEMBERED_COUNT + 10
    peers = [PeerId(number.to_bytes(16, "big")) for number in range(count)]
    for peer in peers:
        far.hello(1, peer=peer)
        far.inbound.give_up(peer)
    assert len(far.inbound._ended._given_up) == len(far.hellos._accepted) == REMEMBERED_COUNT
    assert list(far.inbound.peer_lanes()) == []


def test_hello_that_gives_an_address_of_another_scheme_fails_its_peer_alone(far: Far) -> None:
    far.hello(1, peer=OTHER)
    far.inbound.message(connection_name(PEER, Lane.USER, 1), pack_hello(Hello(PEER, HERE, "carrier-pigeon://1")))
    assert far.failed == [(PEER, BadFrameError, None)]
    assert far.statistics.bad_frames == 1
    assert far.answers[-1] == (connection_name(PEER, Lane.USER, 1), GIVEN_UP)
    far.frame(1, peer=OTHER)
    assert far.got == [(OTHER, 1)]
