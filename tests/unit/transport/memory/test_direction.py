"""Directions of the memory network: messages keep their order, and only a cut loses messages."""

from __future__ import annotations

import asyncio
from typing import Any

from actorrt.ids import IdSource
from actorrt.machine.clock import MonotonicClock
from actorrt.transport.memory.network import MemoryNetwork
from actorrt.transport.memory.transport import MemoryTransport
from tests.contract.recorder import Recorder


class Pair:
    """Two transports of one network, and the recorders of their calls."""

    def __init__(self) -> None:
        self.net = MemoryNetwork()
        self.a, self.b = (
            MemoryTransport(self.net, IdSource().peer(), f"memory://{name}", clock=MonotonicClock()) for name in "ab"
        )
        self.heard, self.heard_back = Recorder(), Recorder()

    async def __aenter__(self) -> Pair:
        await self.a.start(self.heard_back)
        await self.b.start(self.heard)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.a.close()
        await self.b.close()

    def send(self, *values: int) -> None:
        for number in values:
            self.a.link(self.b.peer, self.b.address).send((0, number))

    async def heard_numbers(self, count: int) -> list[Any]:
        return [number for _, number in await self.heard.envelopes(count)]


async def test_stalled_messages_arrive_after_heal_and_before_later_ones() -> None:
    async with Pair() as pair:
        pair.net.stall("memory://a", "memory://b")
        pair.send(1)
        await asyncio.sleep(0)
        pair.send(2)
        for _ in range(10):
            await asyncio.sleep(0)
        assert pair.heard.got == []
        pair.net.heal()
        pair.send(3)
        assert await pair.heard_numbers(3) == [1, 2, 3]


async def test_no_message_overtakes_when_the_delay_shrinks() -> None:
    async with Pair() as pair:
        pair.net.delay("memory://a", "memory://b", 0.02)
        pair.send(1)
        await asyncio.sleep(0)
        pair.net.delay("memory://a", "memory://b", 0.0)
        pair.send(2)
        assert await pair.heard_numbers(2) == [1, 2]


async def test_cut_breaks_connections_in_its_direction_only() -> None:
    async with Pair() as pair:
        pair.send(1)
        back = pair.b.link(pair.a.peer, pair.a.address)
        back.send((0, 1))
        await pair.heard_numbers(1)
        await pair.heard_back.envelopes(1)
        pair.net.cut("memory://a", "memory://b")
        await asyncio.sleep(0)
        pair.send(2)
        back.send((0, 2))
        await pair.heard_back.envelopes(2)
        assert await pair.heard_numbers(1) == [1]
        pair.net.heal()
        assert await pair.heard_numbers(2) == [1, 2]
        assert (pair.heard.failed, pair.heard_back.failed) == ([], [])


async def test_network_keeps_no_unchanged_direction() -> None:
    async with Pair() as pair:
        pair.send(1)
        await pair.heard_numbers(1)
        pair.net.stall("memory://a", "memory://b")
        pair.net.heal()
        assert pair.net._directions == {}
