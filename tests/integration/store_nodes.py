"""Stores that exchange objects over a transport, all on one loop and without the processes of a node."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import zmq

from actorrt.actors.wire.control import Control
from actorrt.config import MIB
from actorrt.errors import ActorRtError, PeerUnreachableError
from actorrt.ids import IdSource, ObjectId, PeerAddress, PeerId
from actorrt.machine.clock import MonotonicClock
from actorrt.machine.threads import OsThreads
from actorrt.node.objects.transfers import Transfers
from actorrt.protocol.envelopes import NOTICE, REQUEST
from actorrt.scopes import Scope
from actorrt.store.server.server import StoreServer
from actorrt.transport.interfaces import Buffer, Landing, Transport
from actorrt.transport.zeromq.link import ZERO_COPY_BYTES
from tests.unit.protocol.fitting import check_fits

IDS = IdSource()


def _start_thread_of_pyzmq() -> None:
    """Send a buffer without a copy: pyzmq starts a thread for that and keeps it, so that no test can end it."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with context.socket(zmq.PAIR) as sender, context.socket(zmq.PAIR) as receiver:
        sender.bind("inproc://started")
        receiver.connect("inproc://started")
        sender.send(bytes(ZERO_COPY_BYTES), copy=False)
        receiver.recv()
    context.term()


_start_thread_of_pyzmq()


class StoreNode:
    """One store with the parts that exchange its objects.

    Attributes:
        on_received: called with each envelope that arrives and its buffers. Its result is delivered in place of the
            buffers; None drops the envelope.
    """

    def __init__(self, transport: Transport, path: Path, capacity_bytes: int) -> None:
        self.transport = transport
        self.server = StoreServer(str(path), capacity_bytes, MonotonicClock())
        self.crashes: list[BaseException] = []
        self.on_received: Callable[[list[Any], Sequence[Buffer]], Sequence[Buffer] | None] = lambda _, buffers: buffers

    async def start(self) -> None:
        await self.server.start()
        self.scope = Scope("store node", self.crashes.append)
        self.control = Control(self.transport, self.scope)
        await self.transport.start(self)
        self.transfers = Transfers(
            self.transport, self.control, self.server.exchange, self.scope, MonotonicClock(), OsThreads()
        )

    async def close(self) -> None:
        await self.scope.close()
        self.transfers.close()
        self.control.close(PeerUnreachableError("this node ended"))
        await self.transport.close()  # type: ignore[attr-defined]
        await self.server.close()
        assert self.crashes == []

    def received(self, peer: PeerId, envelope: list[Any], buffers: Sequence[Buffer]) -> None:
        check_fits(envelope)
        if REQUEST <= envelope[0] <= NOTICE:
            self.control.received(peer, envelope)
            return
        handed_on = self.on_received(envelope, buffers)
        if handed_on is not None:
            self.transfers.received(peer, envelope, handed_on)

    def landing(self, peer: PeerId, envelope: list[Any], size_bytes: int) -> Landing | None:
        return self.transfers.landing(peer, envelope, size_bytes)

    def peer_failed(self, peer: PeerId, error: ActorRtError) -> None:
        self.control.peer_lost(peer, error)
        self.transfers.node_ended(peer)

    @property
    def peer_address(self) -> PeerAddress:
        return PeerAddress(self.transport.peer, self.transport.address)

    async def make(self, data: bytes) -> ObjectId:
        """Seal an object of these bytes and hold it."""
        object_id = IDS.object()
        target = await self.server.exchange.create(object_id, len(data))
        assert target is not None
        target[:] = data
        self.server.exchange.seal(object_id)
        return object_id

    async def bytes_of(self, object_id: ObjectId) -> bytes:
        return bytes(await self.server.exchange.read(object_id))

    async def pull(self, object_id: ObjectId, origin: StoreNode) -> None:
        await self.transfers.pull(object_id, origin.peer_address)


@asynccontextmanager
async def store_nodes(
    count: int, make_transport: Callable[[], Transport], directory: Path, capacity_bytes: int = 64 * MIB
) -> AsyncIterator[list[StoreNode]]:
    """Run `count` nodes until the block ends."""
    async with AsyncExitStack() as stack:
        nodes = []
        for number in range(count):
            node = StoreNode(make_transport(), directory / f"store-{number}", capacity_bytes)
            await node.start()
            stack.push_async_callback(node.close)
            nodes.append(node)
        yield nodes


async def until(is_true: Callable[[], bool], within_s: float = 20.0) -> None:
    """Wait on the loop until a condition is true."""
    async with asyncio.timeout(within_s):
        while not is_true():
            await asyncio.sleep(0.005)
