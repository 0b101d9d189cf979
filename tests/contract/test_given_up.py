"""Peers that can't be reached: both ends are told when one gives the other up, and no state of the links is left."""

from __future__ import annotations

import asyncio
import errno
from typing import NoReturn

import pytest
import zmq

from actorrt.errors import PeerUnreachableError
from actorrt.transport.interfaces import Lane
from actorrt.transport.unix import link as unix_link
from actorrt.transport.zeromq import transport as zeromq
from tests.contract.conftest import Run
from tests.contract.world import COMPOSITE, World


def test_peer_that_is_given_up_is_told_and_both_can_open_new_links(run: Run, kind: str) -> None:
    if kind in COMPOSITE:
        pytest.skip("a link back takes the address in the HELLO, and lasts between nodes")

    async def case(world: World) -> None:
        a, b = await world.pair()
        link = a.link_to(b)
        link.send((0, 1))
        await b.recorder.envelopes(1)
        b.transport.link(a.transport.peer, world.nowhere(a.transport.peer)).send((0, "never arrives"))
        assert (await b.recorder.failure())[0] == a.transport.peer
        peer, error = await a.recorder.failure()
        assert (peer, type(error)) == (b.transport.peer, PeerUnreachableError)
        assert "could not reach this process" in str(error)
        with pytest.raises(PeerUnreachableError, match="closed"):
            link.send((0, 2))
        a.link_to(b).send((0, 3))
        b.link_to(a).send((0, 4))
        assert await b.recorder.envelopes(2) == [[0, 1], [0, 3]]
        assert await a.recorder.envelopes(1) == [[0, 4]]
        assert (len(a.recorder.failed), len(b.recorder.failed)) == (1, 1)

    run(case)


def test_frames_that_never_left_are_told_from_those_that_may_have(run: Run) -> None:
    async def case(world: World) -> None:
        a, b = await world.pair()
        link = a.link_to(b)
        left = link.send((0, 1))
        await b.recorder.envelopes(1)
        with_it = link.send((0, 2))
        await a.transport.flush(1.0)
        unsent = [link.send((0, n)) for n in range(2)]
        a.transport.drop(b.transport.peer)
        assert (left < link.left_below, with_it < link.left_below) == (True, True)
        assert [number < link.left_below for number in unsent] == [False, False]

    run(case)


def test_nothing_stays_of_a_peer_that_was_dropped(run: Run, kind: str) -> None:
    async def case(world: World) -> None:
        a, b = await world.pair()
        for lane in Lane:
            a.link_to(b, lane).send((0, 1))
            b.link_to(a, lane).send((0, 1))
        await a.recorder.envelopes(2)
        await b.recorder.envelopes(2)
        a.transport.drop(b.transport.peer)
        parts = a.transport._parts() if kind in COMPOSITE else [a.transport]
        assert [list(part._inbound.peer_lanes()) for part in parts] == [[]] * len(parts)

    run(case)


def test_process_without_descriptors_connects_when_it_has_some_again(
    run: Run, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind in ("memory", "simulated"):
        pytest.skip("it takes no descriptors")

    async def case(world: World) -> None:
        a, b = await world.pair()
        with monkeypatch.context() as patch:
            _take_descriptors(patch)
            link = a.link_to(b)
            link.send((0, 1))
            while link.last_error is None:  # a link to another node is resolved first
                await asyncio.sleep(0)
        assert await b.recorder.envelopes(1) == [[0, 1]]
        assert (a.recorder.failed, link.last_error) == ([], None)

    run(case)


def test_process_that_stays_without_descriptors_is_told_so_in_the_error(
    run: Run, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind in ("memory", "simulated", "nodes"):
        pytest.skip("it takes no descriptors, or its links last")

    async def case(world: World) -> None:
        a, b = await world.pair()
        with monkeypatch.context() as patch:
            _take_descriptors(patch)
            a.link_to(b).send((0, 1))
            peer, error = await a.recorder.failure()
        assert peer == b.transport.peer
        assert isinstance(error, PeerUnreachableError)
        assert "Too many open files" in str(error)

    run(case)


def _take_descriptors(patch: pytest.MonkeyPatch) -> None:
    """Prevent this process from opening sockets for links."""

    def no_socket(*_: object) -> NoReturn:
        raise OSError(errno.EMFILE, "Too many open files")

    def no_dealer(*_: object) -> NoReturn:
        raise zmq.ZMQError(errno.EMFILE)

    patch.setattr(unix_link, "_open_connection", no_socket)
    patch.setattr(zeromq, "open_dealer", no_dealer)
