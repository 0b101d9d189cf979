"""Bare sockets that send bad messages: a transport fails their peers only."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest

from actorrt.errors import WireVersionError
from actorrt.transport.frames.codec import BadFrameError, Hello, join_head, pack_envelope, pack_hello
from actorrt.transport.frames.framing import pack_start
from actorrt.transport.interfaces import Lane
from actorrt.transport.links.peer_lanes import connection_name
from tests.contract.stranger import Stranger, garbage
from tests.contract.world import Run, World


@pytest.fixture(params=["unix", "ipc", "tcp"])
def kind(request: pytest.FixtureRequest) -> str:
    """The transports that use sockets."""
    return str(request.param)


@pytest.mark.parametrize("parts", [parts for _, parts in garbage()], ids=[name for name, _ in garbage()])
def test_bad_frame_fails_its_peer_and_no_other(run: Run, parts: list[bytes]) -> None:
    async def case(world: World) -> None:
        a, b = await world.pair()
        with Stranger(b.transport.address, b.transport.peer) as stranger:
            stranger.send(pack_hello(stranger.hello))
            stranger.send(*parts)
            peer, error = await b.recorder.failure()
            assert peer == stranger.peer
            assert isinstance(error, BadFrameError)
            stranger.send(b"more")
            a.link_to(b).send((0, "well"))
            assert await b.recorder.envelopes(1) == [[0, "well"]]
            assert len(b.recorder.failed) == 1
            assert b.transport.statistics().bad_frames == 1

    run(case)


def test_link_without_hello_fails_its_peer(run: Run) -> None:
    async def case(world: World) -> None:
        b = await world.side()
        with Stranger(b.transport.address, b.transport.peer) as stranger:
            stranger.send(b"garbage")
            peer, error = await b.recorder.failure()
            assert (peer, str(error)) == (
                stranger.peer,
                f"peer {stranger.peer[:4].hex()} sent a bad frame: a link does not begin with a HELLO",
            )

    run(case)


def test_socket_that_is_no_endpoint_of_ours_is_counted_and_ignored(run: Run) -> None:
    async def case(world: World) -> None:
        a, b = await world.pair()
        with Stranger(b.transport.address, b.transport.peer, name=b"short") as stranger:
            stranger.send(b"garbage")
            while b.transport.statistics().bad_frames == 0:
                a.link_to(b).send((0,))
                await b.recorder.until(lambda: bool(b.recorder.got))
                b.recorder.got.clear()
            assert b.recorder.failed == []

    run(case)


@pytest.mark.parametrize(("low", "high"), [(0, 0), (2, 9)])
def test_unknown_version_is_refused_naming_both_ranges(run: Run, low: int, high: int) -> None:
    async def case(world: World) -> None:
        b = await world.side()
        with Stranger(b.transport.address, b.transport.peer) as stranger:
            hello = Hello(stranger.peer, b.transport.peer, "ipc:///x", protocol_min=low, protocol_max=high)
            stranger.send(pack_hello(hello))
            peer, error = await b.recorder.failure()
            assert peer == stranger.peer
            assert isinstance(error, WireVersionError)
            assert f"speaks protocol {low} to {high}, this process 1 to 1" in str(error)

    run(case)


def test_refused_peer_is_told_the_reason(run: Run) -> None:
    async def case(world: World) -> None:
        a, b = await world.pair()
        me = a.transport.peer
        with Stranger(b.transport.address, b.transport.peer, name=connection_name(me, Lane.USER, 1)) as in_my_name:
            in_my_name.send(pack_hello(Hello(me, b.transport.peer, a.transport.address)))
            in_my_name.send(b"garbage")
            peer, error = await a.recorder.failure()
            assert peer == b.transport.peer
            assert isinstance(error, BadFrameError)
            refusal = f"refused by peer {peer[:4].hex()}: peer {me[:4].hex()} sent a bad frame: "
            assert str(error).startswith(refusal)
            assert [failed for failed, _ in b.recorder.failed] == [me]
            assert len(a.recorder.failed) == 1

    run(case)


def test_peer_of_a_refused_version_learns_the_range(run: Run) -> None:
    async def case(world: World) -> None:
        a, b = await world.pair()
        me = a.transport.peer
        with Stranger(b.transport.address, b.transport.peer, name=connection_name(me, Lane.USER, 1)) as in_my_name:
            hello = Hello(me, b.transport.peer, a.transport.address, protocol_min=7, protocol_max=8)
            in_my_name.send(pack_hello(hello))
            peer, error = await a.recorder.failure()
            assert peer == b.transport.peer
            assert isinstance(error, WireVersionError)
            assert "speaks protocol 7 to 8, this process 1 to 1" in str(error)

    run(case)


def test_repetition_is_ignored_and_a_gap_fails_the_peer(run: Run) -> None:
    async def case(world: World) -> None:
        b = await world.side()
        with Stranger(b.transport.address, b.transport.peer) as stranger:
            stranger.send(pack_hello(stranger.hello))
            for sequence in (0, 1, 1, 0, 2, 4):
                stranger.send(join_head(sequence, 0, [pack_envelope([0, sequence])]))
            peer, error = await b.recorder.failure()
            assert (peer, type(error)) == (stranger.peer, BadFrameError)
            assert "frame 4 where 3 was due" in str(error)
            assert [envelope for _, envelope, _ in b.recorder.got] == [[0, 0], [0, 1], [0, 2]]
            statistics = b.transport.statistics()
            assert (statistics.repeated_frames, statistics.frames_in) == (2, 3)

    run(case)


def test_acknowledgement_of_a_frame_that_was_never_sent_fails_the_peer(run: Run) -> None:
    async def case(world: World) -> None:
        b = await world.side()
        with Stranger(b.transport.address, b.transport.peer) as stranger:
            b.transport.link(stranger.peer, world.nowhere(stranger.peer))
            stranger.send(pack_hello(stranger.hello))
            stranger.send(join_head(0, 7, [pack_envelope([0])]))
            peer, error = await b.recorder.failure()
            assert (peer, type(error)) == (stranger.peer, BadFrameError)
            assert "acknowledges frames up to 7" in str(error)

    run(case)


def test_stream_with_an_impossible_length_is_closed_and_no_other_peer_is_affected(run: Run, kind: str) -> None:
    if kind != "unix":
        pytest.skip("ZeroMQ has lengths of its own")

    async def case(world: World) -> None:
        a, b = await world.pair()
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect(b.transport.address.removeprefix("unix://"))
            name = connection_name(world.ids.peer(), Lane.USER, 1)
            stranger.sendall(pack_start([name]) + name + struct.pack(">IH", 1 << 31, 0))
            assert await asyncio.to_thread(stranger.recv, 1) == b""
        a.link_to(b).send((0, "well"))
        assert await b.recorder.envelopes(1) == [[0, "well"]]
        assert b.recorder.failed == []
        assert b.transport.statistics().bad_frames == 1

    run(case)
