"""Connects a driver to a node: starts or finds the node, then starts the endpoint of the driver."""

from __future__ import annotations

import asyncio
import logging
import os
import select
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from actorrt import errors
from actorrt.config import NODE_ANSWER_TIMEOUT_S
from actorrt.ids import PeerAddress, PeerId, short
from actorrt.machine.surroundings import Surroundings
from actorrt.node.daemon.node_directory import NodeDescriptor
from actorrt.node.driver.embedded_node import EmbeddedNode
from actorrt.node.driver.finding import find_node, node_of_cluster, refuse_without_token, token_at
from actorrt.protocol.nodes import AttachDriver, JobSetting
from actorrt.protocol.processes import JobEnded
from actorrt.reasons import ExitKind, ExitReason
from actorrt.scopes import Scope

if TYPE_CHECKING:
    from actorrt.actors.endpoint.endpoint import ActorEndpoint
    from actorrt.store.client.client import StoreClient

logger = logging.getLogger(__name__)

STORE_LOST_GRACE_S: Final = 1.0
"""How long the driver waits for the daemon's end, or for its notice, after the connection to the store broke."""


class DriverConnection(Protocol):
    """The connection of a driver to its node.

    Attributes:
        endpoint: the driver's endpoint, once the connection is open.
        url: the node's URL.
        is_lost: whether the node is gone, or has ended this driver's job. Calls that wait for the node fail then.
    """

    endpoint: ActorEndpoint
    url: str

    @property
    def is_lost(self) -> bool: ...

    async def open(self, namespace: str) -> None:
        """Start or find the node, and start the endpoint. After a failure, `close` cleans up."""

    async def attach(self, setting: JobSetting) -> None:
        """Begin the driver's job on the node."""

    async def close(self) -> None:
        """Close the endpoint; end the node if it is embedded. Idempotent."""


class DaemonConnection:
    """A `DriverConnection` to a node daemon.

    Args:
        address: the node's URL, or `"auto"`; None starts an embedded node.
        cpus, gpus, store_bytes: the resources of an embedded node; None: those of the machine.
        surroundings: of this process.
        token: of the cluster to connect to; with `address`, at that node of it.
    """

    def __init__(
        self,
        address: str | None,
        cpus: int | None,
        gpus: int | None,
        store_bytes: int | None,
        surroundings: Surroundings,
        token: str | None = None,
    ) -> None:
        self._address = address
        self._token = token
        self._options = (cpus, gpus, store_bytes)
        self._surroundings = surroundings
        self._embedded: EmbeddedNode | None = None
        self._store: StoreClient | None = None
        self._pidfd: int | None = None
        self._endpoint: ActorEndpoint | None = None
        self._end_of_endpoint: asyncio.Task[None] | None = None
        self._is_closing = False

    async def open(self, namespace: str) -> None:
        if self._token is None and self._address is not None and self._address.startswith("tcp://"):
            await refuse_without_token(self._address)
        found = self._found()
        if found is not None:
            node = found
        else:
            self._embedded = self._new_node()
            import_module("actorrt.actors.endpoint.endpoint")  # the node starts while this process imports
            node = await self._embedded.ready()
        await self._connect(node, namespace)

    def _found(self) -> NodeDescriptor | None:
        """Return the running node of this machine that is to be used; None if one is to be started.

        Raises:
            AuthenticationError: the token is none.
            PeerUnreachableError: there is no such node.
        """
        if self._token is not None:
            return node_of_cluster(self._token)
        return None if self._address is None else find_node(self._address)

    def _new_node(self) -> EmbeddedNode:
        if self._token is None:
            return EmbeddedNode(*self._options)
        return EmbeddedNode(0, 0, None, token_at(self._token, self._address))

    async def _connect(self, node: NodeDescriptor, namespace: str) -> None:
        from actorrt.actors.endpoint.endpoint import ActorEndpoint
        from actorrt.cluster.peers.process_transport import attach_to_cluster, process_transport, read_sockets
        from actorrt.store.client.client import StoreClient

        self.url = node.url
        loop = asyncio.get_running_loop()
        ids = self._surroundings.ids
        peer = ids.peer()
        self._store = StoreClient.connect(node.store, peer, self._surroundings)
        self._store.attach(loop, self._store_lost)
        daemon, directory = PeerId(bytes.fromhex(node.peer)), Path(node.store).parent
        sockets = read_sockets(directory)
        if sockets is None:
            peer_address, address = PeerAddress(daemon, node.address), f"unix://{directory}/{short(peer)}"
        else:
            peer_address, address = PeerAddress(daemon, sockets.address_of(daemon)), sockets.address_of(peer)
        self._endpoint = self.endpoint = ActorEndpoint(
            process_transport(peer, address, directory, peer_address, self._surroundings.clock),
            store=self._store,
            surroundings=self._surroundings,
            node=peer_address,
            job=ids.job(),
            namespace=namespace,
        )
        self._store.owner, self._store.node_of = self.endpoint, self.endpoint.transport.node_of
        await self.endpoint.start()
        attach_to_cluster(self.endpoint.transport, self.endpoint.control, peer_address)
        self._scope = Scope("driver", self.endpoint.scope.fail)
        self._watch(loop, node)

    async def attach(self, setting: JobSetting) -> None:
        endpoint = self.endpoint
        driver = AttachDriver(
            job=endpoint.job, address=endpoint.peers.own.address, pid=self._surroundings.pid, setting=setting
        )
        try:
            async with asyncio.timeout(NODE_ANSWER_TIMEOUT_S):
                await endpoint.control.request(endpoint.node, driver)
        except errors.ActorDiedError as error:
            raise errors.PeerUnreachableError(f"the node at {self.url} ended while this process connected") from error
        except TimeoutError:
            raise errors.PeerUnreachableError(
                f"the node at {self.url} did not answer within {NODE_ANSWER_TIMEOUT_S:g} s: it is stopped or overloaded"
            ) from None

    @property
    def is_lost(self) -> bool:
        """See `DriverConnection`. This asks the kernel, because the loop may not have handled the daemon's end yet."""
        if self._end_of_endpoint is not None or (self._endpoint is not None and self._endpoint.failure is not None):
            return True
        return self._pidfd is not None and _has_ended(self._pidfd)

    def _watch(self, loop: asyncio.AbstractEventLoop, node: NodeDescriptor) -> None:
        """Watch the daemon. When it ends, the node is lost."""
        try:
            self._pidfd = os.pidfd_open(node.pid)
        except ProcessLookupError:
            raise errors.PeerUnreachableError(f"the node at {node.url} ended while this process connected") from None
        loop.add_reader(self._pidfd, self._lost, f"the node daemon (process {node.pid}) ended")
        self.endpoint.control.handle(JobEnded.by(lambda _, ended: self._lost(f"it ended this job: {ended.why}")))

    def _store_lost(self) -> None:
        """Called when the store's socket was closed: the daemon is ending, or will end this driver's job."""
        self._scope.after(STORE_LOST_GRACE_S, lambda: self._lost("the connection to its object store broke"))

    def _lost(self, why: str) -> None:
        """Called when the node is lost for this driver. Log the loss, and fail everything that waits. Idempotent."""
        self._stop_watching()
        if self._end_of_endpoint is not None or self._is_closing:
            return
        own = "start one with `actorrt node`, then connect again with actorrt.init() or a new Runtime"
        advice = "actorrt.init(), or a new Runtime, starts another" if self._embedded is not None else own
        text = f"the runtime lost its node {self.url}, with all its actors and objects: {why}; {advice}"
        logger.warning(text)
        reason = ExitReason(ExitKind.NODE_LOST, why)
        error = errors.ActorDiedError(str(reason), reason=reason)
        self._end_of_endpoint = self._scope.start(self._end(error, text), "node lost")

    async def _end(self, error: errors.ActorDiedError, text: str) -> None:
        await self.endpoint.close(error, text)
        if self._store is not None:
            self._store.close()

    def _stop_watching(self) -> None:
        """Stop watching the daemon. Only `close` closes the descriptor, because other threads read it in `is_lost`."""
        if self._pidfd is not None:
            asyncio.get_running_loop().remove_reader(self._pidfd)

    async def close(self) -> None:
        self._is_closing = True
        self._stop_watching()
        if self._end_of_endpoint is not None:
            await asyncio.wait([self._end_of_endpoint])
        elif self._endpoint is not None:
            await self._endpoint.close()
        if self._store is not None:
            self._store.close()
        if self._embedded is not None:
            await self._embedded.close()
        if self._endpoint is not None:
            await self._scope.close()
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None


def _has_ended(pidfd: int) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))
