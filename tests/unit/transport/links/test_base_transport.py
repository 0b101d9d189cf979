"""The table of links, dropping and refusing peers, and the order of closing, over scripted connections."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from actorrt.errors import ActorRtError, AuthenticationError, PeerUnreachableError
from actorrt.ids import PeerId
from actorrt.machine.clock import MonotonicClock
from actorrt.transport.frames.codec import (
    GIVEN_UP,
    MISDIRECTED,
    BadFrameError,
    Hello,
    join_head,
    pack_acknowledgement,
    pack_envelope,
    pack_hello,
    read_head,
    read_hello,
    read_refusal,
)
from actorrt.transport.interfaces import Buffer, Lane
from actorrt.transport.links import base_transport
from actorrt.transport.links.base_transport import BaseTransport
from actorrt.transport.links.peer_lanes import connection_name
from actorrt.transport.links.queued_link import LinkSetup, QueuedLink

HERE, PEER, OTHER = (PeerId(name * 16) for name in (b"h", b"p", b"o"))


class ScriptedLink(QueuedLink):
    """A link whose connection accepts every message while `is_writable`, and can acknowledge frames."""

    def __init__(self, setup: LinkSetup, *, is_acknowledging: bool) -> None:
        super().__init__(setup)
        self.is_writable = True
        self._is_acknowledging = is_acknowledging
        self.written: list[bytes] = []
        self.closed_after_s: list[float] = []

    def _transmit(self, parts: Sequence[Buffer]) -> bool:
        if self.is_writable:
            self.written.append(bytes(parts[0]))
        return self.is_writable

    def _watch(self) -> None:
        pass

    def _read_answers(self) -> None:
        if self._is_acknowledging:
            self.answered(pack_acknowledgement(self.next_sequence))

    def _reconnect(self, delay_s: float) -> None:
        pass

    def _disconnect(self, linger_s: float) -> None:
        self.closed_after_s.append(linger_s)


class ScriptedTransport(BaseTransport):
    """A transport with scripted connections; it records the order of its steps."""

    schemes: ClassVar[tuple[str, ...]] = ("script://",)

    def __init__(self, **options: Any) -> None:
        super().__init__(HERE, "script://here", clock=MonotonicClock(), **options)
        self.links: list[ScriptedLink] = []
        self.answers: list[tuple[bytes, bytes]] = []
        self.steps: list[str] = []
        self.is_acknowledging = True

    def _bind(self) -> None:
        self.steps.append("bind")

    def _connect(self, setup: LinkSetup) -> QueuedLink:
        if "locked" in setup.address:
            raise AuthenticationError("no key")
        link = ScriptedLink(setup, is_acknowledging=self.is_acknowledging)
        self.links.append(link)
        return link

    def _answer(self, name: bytes, message: bytes) -> None:
        self.answers.append((name, message))

    def _unbind(self) -> None:
        self.steps.append("unbind")

    async def _release(self) -> None:
        self.steps.append("release")

    def hello(self, peer: PeerId, number: int = 1, *, first: int = 0, node: bytes = b"", address: str = "") -> None:
        hello = Hello(peer, HERE, address or f"script://{peer[:1].decode()}", first, node)
        self.message(peer, pack_hello(hello), number)

    def message(self, peer: PeerId, message: bytes, number: int = 1) -> None:
        assert self._inbound is not None
        self._inbound.message(connection_name(peer, Lane.USER, number), message)


class Receiver:
    """Records the calls of its methods."""

    def __init__(self) -> None:
        self.got: list[Any] = []
        self.failed: list[tuple[PeerId, ActorRtError]] = []

    def received(self, peer: PeerId, envelope: list[Any], buffers: Sequence[Buffer]) -> None:
        self.got.append(envelope[1])

    def peer_failed(self, peer: PeerId, error: ActorRtError) -> None:
        self.failed.append((peer, error))


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


async def started(receiver: Receiver, **options: Any) -> ScriptedTransport:
    transport = ScriptedTransport(**options)
    await transport.start(receiver)
    return transport


async def end_of_tick() -> None:
    await asyncio.sleep(0)


async def test_link_is_opened_once_for_each_peer_and_lane(receiver: Receiver) -> None:
    transport = await started(receiver)
    user = transport.link(PEER, "script://p")
    assert transport.link(PEER, "script://p") is user
    assert transport.link(PEER, "script://p", Lane.CONTROL) is not user
    assert transport.link(OTHER, "script://o") is not user
    assert transport.statistics().links == 3
    await transport.close()


async def test_hello_of_a_link_has_this_process_id_address_and_node(receiver: Receiver) -> None:
    transport = await started(receiver, node=b"node")
    transport.link(PEER, "script://p")
    await end_of_tick()
    assert read_hello(transport.links[0].written[0]) == Hello(HERE, PEER, "script://here", 0, b"node")
    await transport.close()


async def test_address_of_another_scheme_is_refused_before_anything_is_made(receiver: Receiver) -> None:
    transport = await started(receiver)
    with pytest.raises(ValueError, match="is no address of this transport: it must begin with one of"):
        transport.link(PEER, "carrier-pigeon://1")
    assert transport.statistics().links == 0
    await transport.close()


async def test_transport_starts_once(receiver: Receiver) -> None:
    transport = await started(receiver)
    with pytest.raises(ValueError, match="was started before"):
        await transport.start(receiver)
    await transport.close()


async def test_link_before_the_start_and_after_the_close_is_unreachable(receiver: Receiver) -> None:
    transport = ScriptedTransport()
    with pytest.raises(PeerUnreachableError, match="this process's transport is not running"):
        transport.link(PEER, "script://p")
    await transport.start(receiver)
    await transport.close()
    with pytest.raises(PeerUnreachableError, match="this process's transport is not running"):
        transport.link(PEER, "script://p")


async def test_dropped_peer_loses_its_links_and_gets_no_other(receiver: Receiver) -> None:
    transport = await started(receiver)
    link = transport.link(PEER, "script://p")
    link.send((0, 1))
    transport.drop(PEER)
    with pytest.raises(PeerUnreachableError, match="is dead or has failed; a process that replaces it has another id"):
        transport.link(PEER, "script://p")
    assert (transport.statistics().links, transport.statistics().discarded_envelopes) == (0, 1)
    assert receiver.failed == []
    await transport.close()


async def test_numbers_of_a_later_link_are_above_those_of_every_closed_one(receiver: Receiver) -> None:
    transport = await started(receiver)
    first = transport.link(PEER, "script://p")
    for value in range(3):
        first.send((0, value))
        await end_of_tick()
    first.answered(MISDIRECTED)
    assert transport.link(PEER, "script://p").next_sequence == 4
    await transport.close()


async def test_bad_frame_drops_the_peer_sends_a_refusal_and_tells_the_receiver(receiver: Receiver) -> None:
    transport = await started(receiver)
    transport.hello(PEER)
    transport.message(PEER, b"garbage")
    await end_of_tick()
    [(peer, error)] = receiver.failed
    assert (peer, type(error)) == (PEER, BadFrameError)
    [refusal] = transport.links
    assert str(read_refusal(refusal.written[1])) == str(error)
    await end_of_tick()
    assert refusal.closed_after_s == [base_transport.FLUSH_TIMEOUT_S]
    await transport.close()


@pytest.mark.parametrize("address", ["script://locked", "carrier-pigeon://1"])
async def test_no_refusal_is_sent_to_an_address_that_can_not_be_used(receiver: Receiver, address: str) -> None:
    transport = await started(receiver)
    transport._fail(PEER, BadFrameError("bad"), address)
    assert (len(receiver.failed), transport.links) == (1, [])
    await transport.close()


async def test_refusals_under_way_are_bounded(receiver: Receiver) -> None:
    transport = await started(receiver)
    for number in range(base_transport.MAX_REFUSALS_COUNT + 3):
        peer = PeerId(bytes((number,)) * 16)
        transport._fail(peer, BadFrameError("bad"), "script://x")
    assert len(transport.links) == base_transport.MAX_REFUSALS_COUNT
    assert len(receiver.failed) == base_transport.MAX_REFUSALS_COUNT + 3
    await transport.close()


async def test_refusal_that_does_not_arrive_reports_no_second_failure(receiver: Receiver) -> None:
    transport = await started(receiver)
    transport._fail(PEER, BadFrameError("bad"), "script://p")
    [refusal] = transport.links
    refusal.is_writable = False
    refusal._setup.on_unreachable(refusal)
    assert len(receiver.failed) == 1
    assert len(refusal.closed_after_s) == 1
    await transport.close()


async def test_peer_that_was_never_reached_has_executed_nothing(receiver: Receiver) -> None:
    transport = await started(receiver, connect_timeout_s=3.0)
    link = transport.link(PEER, "script://p")
    link.last_error = ConnectionRefusedError("nobody")
    transport.links[0]._setup.on_unreachable(link)
    [(peer, error)] = receiver.failed
    assert isinstance(error, PeerUnreachableError)
    assert (peer, error.executed) == (PEER, "no")
    assert "no process answered at script://p (peer 70707070) within 3.0 s" in str(error)
    assert "the last attempt failed with ConnectionRefusedError('nobody')" in str(error)
    transport.link(PEER, "script://p")  # a later link may try again
    await transport.close()


async def test_peer_may_have_executed_calls_before_its_connection_broke(receiver: Receiver) -> None:
    transport = await started(receiver)
    link = transport.link(PEER, "script://p")
    await end_of_tick()
    transport.links[0]._setup.on_unreachable(link)
    [(_, error)] = receiver.failed
    assert isinstance(error, PeerUnreachableError)
    assert error.executed == "maybe"
    assert "broke, and the peer was not found there again" in str(error)
    await transport.close()


async def test_peer_that_is_given_up_is_told_over_its_own_connection(receiver: Receiver) -> None:
    transport = await started(receiver)
    transport.hello(PEER)
    transport.answers.clear()
    link = transport.link(PEER, "script://p")
    transport.links[0]._setup.on_unreachable(link)
    assert transport.answers == [(connection_name(PEER, Lane.USER, 1), GIVEN_UP)]
    await transport.close()


async def test_peer_that_gave_us_up_is_not_told(receiver: Receiver) -> None:
    transport = await started(receiver)
    transport.hello(PEER)
    transport.answers.clear()
    link = transport.link(PEER, "script://p")
    link.answered(GIVEN_UP)
    assert transport.answers == []
    [(_, error)] = receiver.failed
    assert "could not reach this process; messages that were sent to it may be lost" in str(error)
    await transport.close()


async def test_peer_that_opens_a_later_link_has_given_ours_up(receiver: Receiver) -> None:
    transport = await started(receiver)
    transport.hello(PEER)
    transport.link(PEER, "script://p")
    transport.link(PEER, "script://p", Lane.CONTROL)
    transport.hello(PEER, 2, first=9)
    assert len(receiver.failed) == 1
    assert transport.statistics().links == 0
    await transport.close()


@pytest.mark.parametrize(("node", "is_told"), [(b"other", True), (b"", False), (b"own", False)])
async def test_refused_connection_gives_a_peer_up_only_if_it_is_on_another_node(
    receiver: Receiver, node: bytes, is_told: bool
) -> None:
    transport = await started(receiver, node=b"own")
    transport.hello(PEER, node=node)
    link = transport.link(PEER, "script://p")
    transport.links[0]._setup.on_refused(link)
    assert bool(receiver.failed) is is_told
    await transport.close()


async def test_key_that_is_not_accepted_fails_the_peer_without_a_refusal(receiver: Receiver) -> None:
    transport = await started(receiver)
    link = transport.link(PEER, "script://p")
    transport.links[0]._setup.on_bad(link, AuthenticationError("not accepted"))
    assert [type(error) for _, error in receiver.failed] == [AuthenticationError]
    assert len(transport.links) == 1
    await transport.close()


async def test_nonsense_that_comes_back_fails_the_peer_with_a_refusal(receiver: Receiver) -> None:
    transport = await started(receiver)
    transport.link(PEER, "script://p").answered(b"nonsense")
    await end_of_tick()
    assert [type(error) for _, error in receiver.failed] == [BadFrameError]
    assert isinstance(read_refusal(transport.links[1].written[1]), BadFrameError)
    assert transport.statistics().bad_frames == 1
    await transport.close()


async def test_probe_goes_over_a_link_that_is_connected(receiver: Receiver) -> None:
    transport = await started(receiver)
    user = transport.link(PEER, "script://p")
    await end_of_tick()
    assert transport._probe_link(PEER, "script://p") is user
    transport.drop(PEER)
    assert transport._probe_link(OTHER, "script://o") is transport.link(OTHER, "script://o", Lane.CONTROL)
    await transport.close()


async def test_held_envelopes_leave_at_the_release(receiver: Receiver) -> None:
    transport = await started(receiver)
    link = transport.link(PEER, "script://p")
    await end_of_tick()
    transport.hold()
    link.send((0, 1))
    await end_of_tick()
    assert len(transport.links[0].written) == 1
    transport.release()
    assert read_head(transport.links[0].written[1])[2] == [[0, 1]]
    await transport.close()


async def test_close_waits_for_acknowledgements_then_unbinds_then_closes_links_then_releases(
    receiver: Receiver,
) -> None:
    transport = await started(receiver)
    link = transport.link(PEER, "script://p")
    link.send((0, 1))
    await asyncio.gather(transport.close(), transport.close())
    await transport.close()
    assert transport.steps == ["bind", "unbind", "release"]
    assert len(transport.links[0].closed_after_s) == 1
    assert (link.held_bytes, transport.statistics().envelopes_out) == (0, 1)


async def test_close_of_a_transport_that_was_never_started_does_nothing() -> None:
    transport = ScriptedTransport()
    await transport.close()
    assert transport.steps == []


async def test_flush_says_whether_everything_left_in_time(receiver: Receiver) -> None:
    transport = await started(receiver)
    link = transport.link(PEER, "script://p")
    await end_of_tick()
    transport.links[0].is_writable = False
    link.send((0, 1))
    assert not await transport.flush(0.01)
    transport.links[0].is_writable = True
    transport.links[0]._unblocked()
    assert await transport.flush(10)
    await transport.close()


async def test_abandoned_transport_sends_nothing_and_opens_nothing(receiver: Receiver) -> None:
    transport = await started(receiver)
    link = transport.link(PEER, "script://p")
    await end_of_tick()
    transport.abandon()
    with pytest.raises(PeerUnreachableError, match="is closed"):
        link.send((0, 1))
    with pytest.raises(PeerUnreachableError, match="is not running"):
        transport.link(OTHER, "script://o")
    assert len(transport.links[0].written) == 1
    transport._heartbeat.close()


async def test_statistics_count_closed_links_and_open_ones(receiver: Receiver) -> None:
    transport = await started(receiver)
    for peer in (PEER, OTHER):
        transport.link(peer, f"script://{peer[:1].decode()}").send((0, 1))
    await end_of_tick()
    transport.drop(PEER)
    statistics = transport.statistics()
    assert (statistics.links, statistics.envelopes_out, statistics.frames_out) == (1, 2, 4)
    assert transport.statistics() == statistics
    await transport.close()


async def test_frames_reach_the_receiver_and_are_acknowledged(receiver: Receiver) -> None:
    transport = await started(receiver)
    transport.hello(PEER)
    transport.message(PEER, join_head(0, 0, [pack_envelope([0, "hello"])]))
    assert receiver.got == ["hello"]
    assert (transport.address_of(PEER), transport.address_of(OTHER)) == ("script://p", None)
    await transport.close()
