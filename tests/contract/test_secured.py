"""The transport over `tcp` with keys: accepted and refused peers, and forged HELLOs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import zmq

from actorrt.errors import AuthenticationError
from actorrt.ids import IdSource
from actorrt.machine.clock import MonotonicClock
from actorrt.transport.frames.codec import Hello, pack_hello
from actorrt.transport.interfaces import Lane
from actorrt.transport.links.peer_lanes import connection_name
from actorrt.transport.zeromq.link import open_dealer
from actorrt.transport.zeromq.security import Security, join_address, make_keys, split_address
from actorrt.transport.zeromq.transport import ZmqTransport
from tests.contract.recorder import WAIT_S, Recorder

IDS = IdSource()


class Side(Recorder):
    """A secured transport, and the recorder of its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.security = Security(make_keys())
        self.transport = ZmqTransport(
            IDS.peer(), "tcp://127.0.0.1:0", security=self.security, connect_timeout_s=WAIT_S, clock=MonotonicClock()
        )

    def accept(self, other: Side) -> None:
        self.security.accepted.add(other.security.keys.public)

    def link_to(self, other: Side) -> Any:
        return self.transport.link(other.transport.peer, other.transport.address)


@pytest.fixture
async def sides() -> AsyncIterator[list[Side]]:
    made = [Side() for _ in range(3)]
    for side in made:
        await side.transport.start(side)
    yield made
    for side in made:
        await side.transport.close()


async def test_peers_that_accept_each_others_keys_exchange_messages(sides: list[Side]) -> None:
    a, b, _ = sides
    a.accept(b)
    b.accept(a)
    a.link_to(b).send((0, "there"), [b"buffer"])
    await b.until(lambda: bool(b.said))
    b.transport.link(a.transport.peer, b.transport.address_of(a.transport.peer) or "").send((0, "back"))
    await a.until(lambda: bool(a.said))
    assert (a.said, b.said) == ([[0, "back"]], [[0, "there"]])


async def test_key_that_is_not_accepted_fails_with_the_typed_error_and_affects_no_other_peer(sides: list[Side]) -> None:
    a, b, c = sides
    a.accept(b)
    a.link_to(b).send((0, "unwelcome"))
    await a.until(lambda: bool(a.failed))
    ((peer, error),) = a.failed
    assert (peer, type(error)) == (b.transport.peer, AuthenticationError)
    assert "does not accept the key of this node" in str(error)
    b.accept(c)
    c.accept(b)
    c.link_to(b).send((0, "welcome"))
    await b.until(lambda: bool(b.said))
    assert (b.said, b.failed) == ([[0, "welcome"]], [])


async def test_address_with_a_key_that_is_not_accepted_is_not_connected_to(sides: list[Side]) -> None:
    a, b, _ = sides
    with pytest.raises(AuthenticationError, match="has no key that this node accepts"):
        a.link_to(b)
    with pytest.raises(AuthenticationError, match="has no key that this node accepts"):
        a.transport.link(b.transport.peer, split_address(b.transport.address)[0])
    assert a.transport.statistics().links == 0


async def test_peer_with_another_key_can_not_use_the_name_of_a_peer(sides: list[Side]) -> None:
    a, b, c = sides
    for side in (a, c):
        side.accept(b)
        b.accept(side)
    a.link_to(b).send((0, 1))
    await b.until(lambda: bool(b.said))
    me = a.transport.peer
    with zmq.Context() as context, open_dealer(context, connection_name(me, Lane.USER, 99)) as forger:
        c.security.secure_caller(forger, b.security.keys.public)
        forger.connect(split_address(b.transport.address)[0])
        for address in (a.transport.address, c.transport.address, "tcp://127.0.0.1:1"):
            forger.send(pack_hello(Hello(me, b.transport.peer, address, 77)))
        c.link_to(b).send((0, 2))
        await b.until(lambda: len(b.said) == 2)
        while b.transport.statistics().bad_frames < 3:
            await asyncio.sleep(0)
    a.link_to(b).send((0, 3))
    await b.until(lambda: len(b.said) == 3)
    assert (b.said, b.failed) == ([[0, 1], [0, 2], [0, 3]], [])
    assert b.transport.address_of(me) == a.transport.address


async def test_link_without_keys_is_not_let_in(sides: list[Side]) -> None:
    a, b, _ = sides
    plain = ZmqTransport(IDS.peer(), "tcp://127.0.0.1:0", connect_timeout_s=0.5, clock=MonotonicClock())
    await plain.start(a)
    plain.link(b.transport.peer, split_address(b.transport.address)[0]).send((0, "plain"))
    await a.until(lambda: bool(a.failed))
    assert b.said == []
    await plain.close()


def test_addresses_beyond_loopback_are_taken_with_keys() -> None:
    transport = ZmqTransport(IDS.peer(), "tcp://0.0.0.0:0", security=Security(make_keys()), clock=MonotonicClock())
    assert transport.address == "tcp://0.0.0.0:0"
    assert join_address(transport.address, bytes(32)).endswith("#" + "00" * 32)
