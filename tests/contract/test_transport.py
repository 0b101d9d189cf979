"""The promises of every transport, tested over all transports and on both loops."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actorrt.config import MIB
from actorrt.errors import MailboxFullError, PeerUnreachableError, SerializationError
from actorrt.ids import IdSource
from actorrt.machine.clock import MonotonicClock
from actorrt.transport.frames.codec import BadFrameError
from actorrt.transport.interfaces import Lane, Transport
from actorrt.transport.memory.network import MemoryNetwork
from actorrt.transport.memory.transport import MemoryTransport
from actorrt.transport.unix.transport import UnixTransport
from actorrt.transport.zeromq.transport import ZmqTransport
from tests.contract.recorder import WAIT_S
from tests.contract.world import COMPOSITE, CONNECT_TIMEOUT_S, Run, Side, World


def test_transports_satisfy_the_protocol() -> None:
    peer = IdSource().peer()
    transports: list[Transport] = [
        MemoryTransport(MemoryNetwork(), peer, clock=MonotonicClock()),
        UnixTransport(peer, "unix:///x", clock=MonotonicClock()),
    ]
    transports.append(ZmqTransport(peer, "tcp://127.0.0.1:0", clock=MonotonicClock()))
    assert [transport.address for transport in transports] == [
        f"memory://{peer.hex()}",
        "unix:///x",
        "tcp://127.0.0.1:0",
    ]


def test_envelope_arrives_as_it_was_sent(run: Run) -> None:
    async def case(world: World) -> None:
        a, b = await world.pair()
        envelope = [3, None, True, -(2**63), 2**64 - 1, 0.5, "é", b"\x00\xff", [1, [2]], {"k": b"v", 7: [None]}]
        a.link_to(b).send(envelope)
        assert await b.recorder.envelopes(1) == [envelope]
        assert b.recorder.got == [(a.transport.peer, envelope, [])]

    run(case)


def test_envelope_is_fixed_when_send_returns(run: Run) -> None:
    async def case(world: World) -> None:
        a, b = await world.pair()
        argument = [1]
        a.link_to(b).send((0, argument))
        argument.append(2)
        assert await b.recorder.envelopes(1) == [[0, [1]]]

    run(case)


def test_nothing_is_delivered_in_the_senders_stack(run: Run) -> None:
    async def case(world: World) -> None:
        a, b = await world.pair()
        a.link_to(b).send((0,))
        assert b.recorder.got == []
        assert await b.recorder.envelopes(1) == [[0]]

    run(case)


def test_order_holds_over_ten_thousand_messages(run: Run) -> None:
    async def case(world: World) -> None:
        a, b = await world.pair()
        link = a.link_to(b)
        for number in range(10_000):
            link.send((0, number))
            if number % 97 == 0:
                await asyncio.sleep(0)
        assert await b.recorder.envelopes(10_000) == [[0, number] for number in range(10_000)]
        assert b.transport.statistics().repeated_frames == 0

    run(case)


def test_envelopes_of_one_tick_leave_as_one_frame(run: Run) -> None:
    async def case(world: World) -> None:
        a, b = await world.pair()
        link = a.link_to(b)
        link.send((0,))
        await b.recorder.envelopes(1)
        before = link.statistics()
        for number in range(500):
            link.send((1, number))
        await b.recorder.envelopes(501)
        after = link.statistics()
        assert after.frames_out - before.frames_out == 1
        assert after.envelopes_out - before.envelopes_out == 500
        assert b.transport.statistics().frames_in == 2
        assert b.transport.statistics().envelopes_in == 501

    run(case)


def test_much_that_is_sent_in_one_tick_begins_to_leave_before_its_end(run: Run) -> None:
    async def case(world: World) -> None:
        a, b = await world.pair()
        link = a.link_to(b)
        link.send((0,))
        await b.recorder.envelopes(1)
        before = link.statistics().frames_out
        for number in range(40):
            link.send((1, number, bytes(1000)))
        assert link.statistics().frames_out - before == 2
        assert [envelope[1] for envelope in (await b.recorder.envelopes(41))[1:]] == list(range(40))

    run(case)


def test_buffers_arrive_intact_read_only_and_with_their_envelope(run: Run) -> None:
    async def case(world: World) -> None:
        a, b = await world.pair()
        link = a.link_to(b)
        large = bytes(range(256)) * (MIB // 256)
        link.send((0,))
        link.send((1,), [b""])
        link.send((2,), [b"x", bytearray(b"yy"), memoryview(b"zzz")])
        link.send((3,), [large, large])
        link.send((4,))
        await b.recorder.envelopes(5)
        assert [[bytes(buffer) for buffer in buffers] for _, _, buffers in b.recorder.got] == [
            [],
            [b""],
            [b"x", b"yy", b"zzz"],
            [large, large],
            [],
        ]
        assert all(memoryview(buffer).readonly for _, _, buffers in b.recorder.got for buffer in buffers)
        b.recorder.got.clear()

    run(case)


def test_more_buffers_than_a_frame_holds_are_spread_over_frames(run: Run) -> None:
    async def case(world: World) -> None:
        a, b = await world.pair()
        link = a.link_to(b)
        for number in range(3):
            link.send((number,), [b"%d" % number] * 600)
        await b.recorder.envelopes(3)
        assert [[bytes(x) for x in buffers] for _, _, buffers in b.recorder.got] == [
            [b"%d" % number] * 600 for number in range(3)
        ]

    run(case)


def test_lanes_are_links_of_their_own(run: Run) -> None:
    async def case(world: World) -> None:
        a, b = await world.pair()
        user, control = a.link_to(b), a.link_to(b, Lane.CONTROL)
        assert user is not control
        assert a.link_to(b) is user
        user.send((0, "user"))
        control.send((0, "control"))
        assert sorted(await b.recorder.envelopes(2)) == [[0, "control"], [0, "user"]]
        assert (user.statistics().envelopes_out, control.statistics().envelopes_out) == (1, 1)

    run(case)


@pytest.mark.alone
def test_control_is_not_behind_megabytes_of_user_traffic(run: Run, kind: str) -> None:
    if kind == "memory":
        pytest.skip("nothing takes time there")

    async def case(world: World) -> None:
        a, b = await world.pair()
        user, control = a.link_to(b), a.link_to(b, Lane.CONTROL)
        user.send((0,))
        control.send((0,))
        await b.recorder.envelopes(2)
        for number in range(2000):
            user.send((1, number), [bytes(20_000)])
        control.send((2, "stop"))
        await b.recorder.until(lambda: [2, "stop"] in b.recorder.said)
        assert len(b.recorder.got) < 500
        await b.recorder.envelopes(2003)
        b.recorder.got.clear()

    run(case)


def test_reply_finds_its_way_by_the_address_in_the_hello(run: Run) -> None:
    async def case(world: World) -> None:
        a, b = await world.pair()
        assert b.transport.address_of(a.transport.peer) is None
        a.link_to(b).send((0,))
        await b.recorder.envelopes(1)
        address = b.transport.address_of(a.transport.peer)
        assert address == a.transport.address
        b.transport.link(a.transport.peer, address).send((1,), [b"reply"])
        assert await a.recorder.envelopes(1) == [[1]]
        assert a.recorder.got[0][0] == b.transport.peer

    run(case)


def test_peer_that_starts_late_gets_the_waiting_envelopes(run: Run, kind: str) -> None:
    if kind in ("tcp", "nodes"):
        pytest.skip("a port that nobody has bound yet can't be known")

    async def case(world: World) -> None:
        a = await world.side(connect_timeout_s=WAIT_S)
        late = Side(world.make(world.address("late")))
        link = a.link_to(late)
        link.send((0, "early"))
        assert not await a.transport.flush(0.05)
        assert link.queued_bytes > 0
        await late.transport.start(late.recorder)
        world.sides.append(late)
        assert await late.recorder.envelopes(1) == [[0, "early"]]
        assert link.queued_bytes == 0

    run(case)


def test_unreachable_address_fails_in_time_with_the_typed_error(run: Run) -> None:
    async def case(world: World) -> None:
        a = await world.side()
        ghost = world.ids.peer()
        link = a.transport.link(ghost, world.nowhere(ghost))
        link.send((0,))
        started = asyncio.get_running_loop().time()
        peer, error = await a.recorder.failure()
        assert asyncio.get_running_loop().time() - started < CONNECT_TIMEOUT_S + 1
        assert peer == ghost
        assert isinstance(error, PeerUnreachableError)
        assert error.executed == "no"
        assert world.nowhere(ghost).rpartition("/")[2] in str(error)
        assert "check that the process there is alive" in str(error)
        assert a.transport.statistics().discarded_envelopes == 1
        with pytest.raises(PeerUnreachableError, match="is closed"):
            link.send((0,))
        assert a.transport.link(ghost, world.nowhere(ghost)) is not link

    run(case)


def test_peer_that_goes_away_is_reported_though_nothing_is_queued(run: Run, kind: str) -> None:
    if kind == "nodes":
        pytest.skip("links between nodes last until the peer is known to be gone")

    async def case(world: World) -> None:
        a, b = await world.pair()
        link = a.link_to(b)
        link.send((0,))
        await b.recorder.envelopes(1)
        await b.transport.close()
        peer, error = await a.recorder.failure()
        assert peer == b.transport.peer
        assert isinstance(error, PeerUnreachableError)
        assert error.executed == "maybe"
        assert a.recorder.failed == [(peer, error)]

    run(case)


def test_successor_at_the_same_address_gets_nothing_of_the_old_link(run: Run, kind: str) -> None:
    if kind in COMPOSITE:
        pytest.skip("the address of a process is its own")

    async def case(world: World) -> None:
        a, b = await world.pair()
        a.link_to(b).send((0,))
        await b.recorder.envelopes(1)
        await b.transport.close()
        successor = await world.side(b.transport.address)
        peer, _ = await a.recorder.failure()
        assert peer == b.transport.peer
        a.link_to(successor).send((0, "new"))
        assert await successor.recorder.envelopes(1) == [[0, "new"]]
        assert successor.recorder.failed == []

    run(case)


def test_drop_discards_queued_envelopes_and_ignores_arriving_ones(run: Run) -> None:
    async def case(world: World) -> None:
        a, b = await world.pair()
        a.link_to(b).send((0, 1))
        await b.recorder.envelopes(1)
        back = b.link_to(a)
        back.send((0, "never sent"))
        b.transport.drop(a.transport.peer)
        assert b.transport.statistics().discarded_envelopes == 1
        assert b.transport.address_of(a.transport.peer) is None
        with pytest.raises(PeerUnreachableError):
            b.link_to(a)
        a.link_to(b).send((0, 2))
        other = await world.side()
        while b.transport.statistics().ignored_frames == 0:
            other.link_to(b).send((1, "tick"))
            await b.recorder.until(lambda: len(b.recorder.got) > 1)
            await asyncio.sleep(0)
        assert [envelope for peer, envelope, _ in b.recorder.got if peer == a.transport.peer] == [[0, 1]]
        assert b.recorder.failed == []

    run(case)


def test_drop_by_the_receiver_ends_the_frame_in_hand(run: Run) -> None:
    async def case(world: World) -> None:
        a, b = await world.pair()
        b.recorder.on_received = lambda envelope: b.transport.drop(a.transport.peer) if envelope[1] == 1 else None
        link = a.link_to(b)
        for number in range(4):
            link.send((0, number))
        await b.recorder.envelopes(2)
        await a.transport.flush(WAIT_S)
        assert await b.recorder.envelopes(2) == [[0, 0], [0, 1]]

    run(case)


def test_peer_is_told_when_the_receiver_raises_and_no_other_peer_is_affected(run: Run) -> None:
    async def case(world: World) -> None:
        a, b = await world.pair()
        other = await world.side()

        def raise_at_zero(envelope: list[Any]) -> None:
            if envelope[1] == 0:
                raise LookupError("no such kind")

        b.recorder.on_received = raise_at_zero
        link = a.link_to(b)
        link.send((0, 0))
        link.send((0, 1))
        peer, error = await a.recorder.failure()
        assert peer == b.transport.peer
        assert str(error).endswith("sent a message that could not be handled: LookupError")
        assert [(peer, type(error)) for peer, error in b.recorder.failed] == [(a.transport.peer, BadFrameError)]
        assert b.transport.statistics().receiver_errors == 1
        other.link_to(b).send((0, 2))
        assert await b.recorder.envelopes(2) == [[0, 0], [0, 2]]

    run(case)


def test_bad_envelope_fails_in_its_senders_stack_and_alone(run: Run) -> None:
    async def case(world: World) -> None:
        a, b = await world.pair()
        link = a.link_to(b)
        link.send((0, "before"))
        with pytest.raises(TypeError):
            link.send((0, object()))
        with pytest.raises(OverflowError):
            link.send((0, 2**64))
        with pytest.raises(SerializationError, match="a list of 40000 items"):
            link.send((0, [1] * 40_000))
        link.send((0, "after"))
        assert await b.recorder.envelopes(2) == [[0, "before"], [0, "after"]]

    run(case)


def test_queue_at_its_bound_refuses_more_and_keeps_its_envelopes(run: Run) -> None:
    async def case(world: World) -> None:
        a = await world.side(queue_bytes=MIB, connect_timeout_s=WAIT_S)
        nobody = world.ids.peer()
        link = a.transport.link(nobody, world.nowhere(nobody))
        sent = 0
        with pytest.raises(MailboxFullError, match="wait for this peer") as caught:  # noqa: PT012
            while True:
                link.send((0, bytes(300_000)))
                sent += 1
        assert caught.value.executed == "no"
        assert sent == MIB // 300_000
        assert sent * 300_000 < link.queued_bytes <= MIB
        a.transport.drop(link.peer)
        assert a.transport.statistics().discarded_envelopes == sent

    run(case)


def test_flush_is_true_once_nothing_is_held_back(run: Run) -> None:
    async def case(world: World) -> None:
        a, b = await world.pair()
        link = a.link_to(b)
        for _ in range(100):
            link.send((0, bytes(10_000)))
        link.send((0, b"last"))
        assert link.queued_bytes > 0
        assert await a.transport.flush(WAIT_S)
        assert link.queued_bytes == 0
        await b.recorder.envelopes(101)

    run(case)


def test_close_delivers_envelopes_that_were_sent_before(run: Run) -> None:
    async def case(world: World) -> None:
        a, b = await world.pair()
        link = a.link_to(b)
        for number in range(50):
            link.send((0, number), [bytes(100_000)])
        await a.transport.close()
        assert await b.recorder.envelopes(50) == [[0, number] for number in range(50)]

    run(case)


def test_close_is_idempotent_and_ends_every_link(run: Run) -> None:
    async def case(world: World) -> None:
        a, b = await world.pair()
        link = a.link_to(b)
        link.send((0,))
        await asyncio.gather(a.transport.close(), a.transport.close())
        await a.transport.close()
        with pytest.raises(PeerUnreachableError, match="is closed"):
            link.send((0,))
        with pytest.raises(PeerUnreachableError, match="not running"):
            a.link_to(b)

    run(case)


def test_close_of_one_never_started_does_nothing(run: Run) -> None:
    async def case(world: World) -> None:
        await world.make().close()

    run(case)
