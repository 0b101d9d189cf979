"""A runtime without processes whose links the test cuts, stalls and heals: the stage of tests of lost links."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

import actorrt as art
from actorrt.actors.endpoint.endpoint import ActorEndpoint
from actorrt.actors.refs.ref import ActorRef
from actorrt.protocol.authorities import Sighting
from actorrt.reasons import ExitKind, ExitReason
from actorrt.testing.network import addresses, network

WAIT_S = 10.0
CONNECT_TIMEOUT_S = 0.02
KILLED = ExitReason(ExitKind.KILLED, "killed by the test")


class Gated(art.Actor):
    """Holds calls until the test lets them go; it is in this process, so both share what is beside the class."""

    def __init__(self) -> None:
        self.noted: list[Any] = []
        self.went_on = asyncio.Event()
        self.begun = asyncio.Event()
        stage.append(self)

    async def hold(self, value: Any = None) -> Any:
        self.begun.set()
        await self.went_on.wait()
        return value

    def note(self, value: Any) -> Any:
        self.noted.append(value)
        return value


stage: list[Gated] = []
"""The instances of the test at hand, oldest first."""


class World:
    """A driver, its node, and actors that are each on an endpoint of their own.

    Attributes:
        runtime, endpoint: the driver's.
        net: what connects all endpoints.
    """

    def __init__(self, runtime: art.Runtime) -> None:
        self.runtime = runtime
        self.endpoint: ActorEndpoint = runtime.endpoint
        self.net = network(runtime)
        self.net.connect_timeout_s = CONNECT_TIMEOUT_S

    async def actor(self, **options: Any) -> ActorRef[Gated]:
        """Spawn an actor on an endpoint of its own, and have it answer once."""
        ref = await Gated.options(isolation="process", **options).spawn()
        assert await ref.note("first") == "first"
        return ref

    async def holding(self, ref: ActorRef[Gated], value: Any = None) -> Any:
        """Return a call that the actor, which came last, has in hand."""
        reply = ref.hold(value)
        await stage[-1].begun.wait()
        return reply

    def stranger(self, ref: ActorRef[Gated], seen: Sighting | None = None) -> ActorRef[Gated]:
        """Return a ref to the same actor as one has who has not called it, nor seen it anywhere."""
        self.forget_routes()
        return ActorRef(self.endpoint, ref._actor_id, ref._interface, None, ref._authority, seen)

    def forget_routes(self) -> None:
        """Let the endpoint know as little as one that has called nobody yet."""
        endpoint = self.endpoint
        fresh = (endpoint.peers, endpoint.control, endpoint.clock, endpoint.payloads, endpoint.transits)
        endpoint.routes.__init__(*fresh)  # type: ignore[misc]

    def peer(self, ref: ActorRef[Gated]) -> Any:
        """Return the endpoint that has the actor."""
        seen = self.endpoint.routes.sighting(ref._actor_id) or ref._seen
        assert seen is not None
        return seen.peer_address.peer

    def peer_address(self, ref: ActorRef[Gated]) -> str:
        return addresses(self.runtime, ref)[1]

    @property
    def here(self) -> str:
        return self.endpoint.peers.own.address

    @property
    def authority(self) -> str:
        return self.endpoint.node.address

    def cut(self, a: str, b: str) -> None:
        """Cut both ways."""
        self.net.cut(a, b)
        self.net.cut(b, a)

    def check(self) -> None:
        """Raise AssertionError if what is known of routes and calls contradicts itself."""
        self.endpoint.routes.check_invariants()
        self.endpoint.pending.check_invariants()


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    """Give a world; heal it and check it at the end."""
    stage.clear()
    async with art.Runtime(mode="local", cpus=8) as runtime:
        made = World(runtime)
        yield made
        made.check()
        made.net.heal()
        for gated in stage:
            gated.went_on.set()
    stage.clear()


async def ended(reply: Any) -> tuple[type[BaseException], str]:
    """Return what the error of a call is, and what it says of its execution; the call must fail."""
    async with asyncio.timeout(WAIT_S):
        with pytest.raises(art.CallError) as caught:
            await reply
    return type(caught.value), caught.value.executed


async def value(reply: Any) -> Any:
    """Return the value of a call; it must come."""
    async with asyncio.timeout(WAIT_S):
        return await reply


async def turns(count: int = 20) -> None:
    """Let the loop go round, so that everything which is ready happens."""
    for _ in range(count):
        await asyncio.sleep(0)
