"""What connects a driver to a node: the node itself where it is embedded, and the driver's endpoint on it."""

from __future__ import annotations

import asyncio
import logging
import os
import random
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from actorrt import errors
from actorrt.actors.control import Data, Endpoint
from actorrt.clock import Clock
from actorrt.ids import IdSource, PeerId, short
from actorrt.node.launch import EmbeddedNode, find_node
from actorrt.node.places import NodeDescriptor
from actorrt.reasons import ExitKind, ExitReason
from actorrt.scopes import Scope

if TYPE_CHECKING:
    from actorrt.actors.system import System
    from actorrt.store.client import StoreClient

logger = logging.getLogger(__name__)


class NodeLink(Protocol):
    """A driver's connection.

    Attributes:
        system: the driver's endpoint, once open.
        url: what people call the node by.
    """

    system: System
    url: str

    async def open(self, namespace: str) -> None:
        """Start or find the node, and the endpoint. What fails is cleaned up by `close`."""

    async def attach(self, data: Data) -> None:
        """Begin the driver's job on the node."""

    async def close(self) -> None:
        """Close the endpoint, and end the node if it is embedded. Idempotent."""


class ProcessLink:
    """A node in a process of its own."""

    def __init__(
        self,
        address: str | None,
        cpus: int | None,
        gpus: int | None,
        store_bytes: int | None,
        ids: IdSource,
        clock: Clock,
    ) -> None:
        self._address = address
        self._options = (cpus, gpus, store_bytes)
        self._ids = ids
        self._clock = clock
        self._embedded: EmbeddedNode | None = None
        self._store: StoreClient | None = None
        self._pidfd: int | None = None
        self._system: System | None = None

    async def open(self, namespace: str) -> None:
        if self._address is not None:
            node = find_node(self._address)
        else:
            self._embedded = EmbeddedNode(*self._options)
            import_module("actorrt.actors.system")  # what `_connect` needs takes long, and the node as long to start
            node = await self._embedded.ready()
        await self._connect(node, namespace)

    async def _connect(self, node: NodeDescriptor, namespace: str) -> None:
        from actorrt.actors.system import System
        from actorrt.store.client import StoreClient
        from actorrt.transport.unix import UnixTransport

        self.url = node.url
        loop = asyncio.get_running_loop()
        peer = self._ids.peer()
        self._store = StoreClient.connect(node.store, peer)
        self._store.attach(loop)
        endpoint = Endpoint(PeerId(bytes.fromhex(node.peer)), node.address)
        self._system = self.system = System(
            UnixTransport(peer, f"unix://{Path(node.store).parent}/{short(peer)}", node=endpoint.packed()),
            store=self._store,
            clock=self._clock,
            ids=self._ids,
            random=random.random,
            node=endpoint,
            job=self._ids.job(),
            namespace=namespace,
        )
        self._store.system, self._store.node_of = self.system, self.system.transport.node_of
        await self.system.start()
        self._scope = Scope("driver", lambda error: logger.critical("the driver's runtime failed", exc_info=error))
        self._watch(loop, node)

    async def attach(self, data: Data) -> None:
        await self.system.control.request(self.system.node, "attach_driver", data)

    def _watch(self, loop: asyncio.AbstractEventLoop, node: NodeDescriptor) -> None:
        """Fail what waits when the daemon is gone: its death is the node's."""
        self._pidfd = os.pidfd_open(node.pid)

        def ended() -> None:
            self._stop_watching()
            reason = ExitReason(ExitKind.NODE_LOST, f"the node daemon (process {node.pid}) ended")
            self._scope.start(self.system.close(errors.ActorDiedError(str(reason), reason=reason)), "node lost")

        loop.add_reader(self._pidfd, ended)

    def _stop_watching(self) -> None:
        if self._pidfd is not None:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None

    async def close(self) -> None:
        self._stop_watching()
        if self._system is not None:
            await self._system.close()
        if self._store is not None:
            self._store.close()
        if self._embedded is not None:
            await self._embedded.close()
        if self._system is not None:
            await self._scope.close()
