"""Strangers on the wire: what a bare socket can do to a transport that is bound to be reached by anybody."""

from __future__ import annotations

import pytest
import zmq

from actorrt.errors import WireVersionError
from actorrt.transport.codec import BadFrameError, Hello, join_head, pack_envelope, pack_hello
from actorrt.transport.inbound import routing_id
from actorrt.transport.protocol import Lane
from tests.contract.world import Run, Side, World


class Stranger:
    """A bare DEALER in the name of some peer."""

    def __init__(self, world: World, victim: Side, name: bytes | None = None) -> None:
        self.peer = world.ids.peer()
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.ROUTING_ID, name or routing_id(self.peer, Lane.USER, 1))
        self._socket.connect(victim.transport.address)
        self.hello = Hello(self.peer, victim.transport.peer, "ipc:///nowhere")

    def send(self, *parts: bytes) -> None:
        self._socket.send_multipart(parts)

    def __enter__(self) -> Stranger:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close(linger=0)
        self._context.term()


@pytest.fixture(params=["ipc", "tcp"])
def kind(request: pytest.FixtureRequest) -> str:
    """The transports that have a wire."""
    return str(request.param)


def _garbage() -> list[tuple[str, list[bytes]]]:
    frame = b"\x94\xcf" + bytes(8) + b"\xcf" + bytes(8) + b"\xdc\x00\x01\x91\x00\x90"
    return [
        ("random", [b"\xc1\xc1\xc1"]),
        ("empty", [b""]),
        ("truncated", [frame[:-1]]),
        ("trailing", [frame + b"\x00"]),
        ("no_kind", [b"\x94\xcf" + bytes(8) + b"\xcf" + bytes(8) + b"\xdc\x00\x01\x90\x90"]),
        ("unannounced_buffer", [frame, b"buffer"]),
        ("missing_buffer", [frame[:-1] + b"\x91\x92\x00\x01"]),
        ("attachment_out_of_range", [frame[:-1] + b"\x91\x92\x05\x01", b"buffer"]),
        ("claims_a_huge_array", [b"\xdd\xff\xff\xff\xff"]),
        ("nested_too_deep", [b"\x91" * 3000]),
        ("extension", [frame[:-1] + b"\x91\xd4\x01\x00"]),
    ]


@pytest.mark.parametrize("parts", [parts for _, parts in _garbage()], ids=[name for name, _ in _garbage()])
def test_bad_frame_fails_that_peer_and_nobody_else(run: Run, parts: list[bytes]) -> None:
    async def case(world: World) -> None:
        a, b = await world.pair()
        with Stranger(world, b) as stranger:
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
        with Stranger(world, b) as stranger:
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
        with Stranger(world, b, name=b"short") as stranger:
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
        with Stranger(world, b) as stranger:
            hello = Hello(stranger.peer, b.transport.peer, "ipc:///x", protocol_min=low, protocol_max=high)
            stranger.send(pack_hello(hello))
            peer, error = await b.recorder.failure()
            assert peer == stranger.peer
            assert isinstance(error, WireVersionError)
            assert f"speaks protocol {low} to {high}, this process 1 to 1" in str(error)

    run(case)


def test_peer_that_is_refused_learns_it_and_why(run: Run) -> None:
    async def case(world: World) -> None:
        a, b = await world.pair()
        me = a.transport.peer
        with Stranger(world, b, name=routing_id(me, Lane.USER, 1)) as in_my_name:
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
        with Stranger(world, b, name=routing_id(me, Lane.USER, 1)) as in_my_name:
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
        with Stranger(world, b) as stranger:
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


def test_acknowledgement_of_what_was_never_sent_fails_the_peer(run: Run) -> None:
    async def case(world: World) -> None:
        b = await world.side()
        with Stranger(world, b) as stranger:
            b.transport.link(stranger.peer, world.nowhere())
            stranger.send(pack_hello(stranger.hello))
            stranger.send(join_head(0, 7, [pack_envelope([0])]))
            peer, error = await b.recorder.failure()
            assert (peer, type(error)) == (stranger.peer, BadFrameError)
            assert "acknowledges frames up to 7" in str(error)

    run(case)
