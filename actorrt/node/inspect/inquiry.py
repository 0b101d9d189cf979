"""Asks a node one question without becoming a driver: without a job, and without the store."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from actorrt.actors.wire.control import Control
from actorrt.config import NODE_ANSWER_TIMEOUT_S
from actorrt.errors import ActorRtError, PeerUnreachableError
from actorrt.ids import PeerAddress, PeerId, short
from actorrt.machine.surroundings import Surroundings
from actorrt.node.daemon.node_directory import NodeDescriptor
from actorrt.node.driver.notices import saying
from actorrt.protocol.nodes import Goodbye
from actorrt.protocol.verb import Request
from actorrt.scopes import Scope
from actorrt.transport.interfaces import Buffer
from actorrt.transport.unix.transport import UnixTransport

A = TypeVar("A")


class _Inquirer:
    """An endpoint that receives only answers."""

    def __init__(self, transport: UnixTransport) -> None:
        self.control = Control(transport, Scope("inquiry", self._crashed))

    def _crashed(self, error: BaseException) -> None:
        self.control.close(ActorRtError(f"the inquiry failed: {error!r}"))

    def received(self, _peer: PeerId, envelope: list[Any], _buffers: Sequence[Buffer]) -> None:
        self.control.received(_peer, envelope)

    def drained(self) -> None:
        """Do nothing at the end of a drain."""

    def peer_failed(self, peer: PeerId, error: ActorRtError) -> None:
        self.control.peer_lost(peer, error)


class Inquiry:
    """A conversation with one daemon; see `inquiring`.

    Args:
        node: the daemon's node.
        inquirer: receives the answers.
    """

    def __init__(self, node: NodeDescriptor, inquirer: _Inquirer) -> None:
        self.node = node
        self.at = PeerAddress(PeerId(bytes.fromhex(node.peer)), node.address)
        self._inquirer = inquirer

    async def ask(self, request: Request[A]) -> A:
        """Return the node's answer to a request.

        Raises:
            PeerUnreachableError: the node does not answer in time.
        """
        node, asked = self.node, self._inquirer.control.request(self.at, request)
        try:
            async with asyncio.timeout(NODE_ANSWER_TIMEOUT_S):
                return await saying(f"node {node.url} (process {node.pid})", asked)
        except TimeoutError:
            raise PeerUnreachableError(
                f"node {node.url} (process {node.pid}) did not answer within {NODE_ANSWER_TIMEOUT_S:g} s: it is "
                "stopped or overloaded"
            ) from None


@asynccontextmanager
async def inquiring(node: NodeDescriptor) -> AsyncIterator[Inquiry]:
    """Speak with a node's daemon while the body runs."""
    surroundings = Surroundings.of_process()
    peer = surroundings.ids.peer()
    path = Path(node.store).parent / f"inquiry-{short(peer)}"
    transport = UnixTransport(peer, f"unix://{path}", clock=surroundings.clock)
    inquirer = _Inquirer(transport)
    await transport.start(inquirer)
    inquiry = Inquiry(node, inquirer)
    try:
        yield inquiry
        inquirer.control.notify(inquiry.at, Goodbye())
    finally:
        await transport.close()
        if path.exists():
            os.unlink(path)


async def inquire(node: NodeDescriptor, request: Request[A]) -> A:
    """Return the node's answer to one request.

    Raises:
        PeerUnreachableError: the node does not answer in time.
    """
    async with inquiring(node) as inquiry:
        return await inquiry.ask(request)
