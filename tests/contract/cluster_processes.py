"""Processes of nodes of a cluster on one loop, over real sockets, for tests: daemons, and others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from actorrt.actors.wire.control import Control
from actorrt.cluster.peers.members import Member
from actorrt.cluster.peers.node_peers import NodePeers
from actorrt.cluster.peers.process_peers import ProcessPeers
from actorrt.completion import Completion
from actorrt.errors import ActorDiedError, ActorRtError, ControlUnavailableError
from actorrt.ids import IdSource, NodeAddress, NodeId, PeerAddress, PeerId
from actorrt.machine.clock import MonotonicClock
from actorrt.protocol.envelopes import NOTICE, REQUEST
from actorrt.protocol.processes import CallInHand, EndpointDown
from actorrt.reasons import ExitReason
from actorrt.scopes import Scope
from actorrt.transport.composite.sockets import NodeSockets
from actorrt.transport.composite.transport import CompositeTransport
from actorrt.transport.interfaces import Buffer
from actorrt.transport.zeromq.security import load_keys
from tests.contract.recorder import Recorder


class Process(Recorder):
    """A process of a node, which hears of ends as an endpoint does."""

    def __init__(self, cluster: Cluster, node: NodeId, peer: PeerId, daemon: PeerAddress) -> None:
        super().__init__()
        self.peer = peer
        self.ends: list[EndpointDown] = []
        self.transport = CompositeTransport(peer, cluster.sockets(node), daemon, clock=MonotonicClock())
        self.address = PeerAddress(peer, self.transport.address)

    async def start(self) -> None:
        self.scope = Scope("process", self._crashed)
        self.control = Control(self.transport, self.scope)
        await self.transport.start(self)

    def attach(self, daemon: PeerAddress) -> None:
        self.control.handle(EndpointDown.by(self._ended))
        ProcessPeers(self.transport, self.control, daemon)

    def received(self, peer: PeerId, envelope: list[Any], buffers: Sequence[Buffer]) -> None:
        if REQUEST <= envelope[0] <= NOTICE:
            self.control.received(peer, envelope)
        else:
            super().received(peer, envelope, buffers)

    def peer_failed(self, peer: PeerId, error: ActorRtError) -> None:
        self.control.peer_lost(peer, error)
        super().peer_failed(peer, error)

    def _ended(self, _: PeerId, down: EndpointDown) -> None:
        self.transport.drop(down.peer)
        self.control.peer_lost(down.peer, ActorDiedError("it ended"))
        self.ends.append(down)
        self._changed.set()

    def _crashed(self, error: BaseException) -> None:
        raise error

    def say(self, other: Process, *words: object) -> None:
        self.transport.link(*other.address).send((1000, *words))

    async def close(self) -> None:
        await self.scope.close()
        await self.transport.close()


class Node:
    """A node: its daemon, and its other processes."""

    def __init__(self, cluster: Cluster, node: NodeId) -> None:
        self.node = node
        self._cluster = cluster
        peer = cluster.ids.peer()
        self.daemon = Process(cluster, node, peer, PeerAddress(peer, str(NodeAddress(node, peer))))
        self.processes: dict[PeerId, Process] = {}
        self.ended: list[tuple[PeerId, ExitReason]] = []

    async def start(self) -> None:
        await self.daemon.start()
        self.peers = NodePeers(
            self.daemon.transport,
            self.daemon.control,
            self.daemon.scope,
            self._cluster,
            lambda: {peer: process.address for peer, process in self.processes.items()},
            lambda peer, reason: self.ended.append((peer, reason)),
        )

    async def process(self) -> Process:
        made = Process(self._cluster, self.node, self._cluster.ids.peer(), self.daemon.address)
        await made.start()
        made.attach(self.daemon.address)
        self.processes[made.peer] = made
        return made

    async def kill(self, process: Process, reason: ExitReason, in_hand: Sequence[CallInHand] = ()) -> None:
        """End a process, and tell the daemon as the watch of processes does."""
        await process.close()
        del self.processes[process.peer]
        self.peers.process_ended(process.peer, reason, in_hand)

    async def close(self) -> None:
        for process in self.processes.values():
            await process.close()
        await self.daemon.close()


class Cluster:
    """Nodes, and the members that every daemon sees: those that have been started and have not been lost."""

    def __init__(self, directory: Path, keys: Path) -> None:
        self.ids = IdSource()
        self.nodes: list[Node] = []
        self.is_store_away = False
        self.asked_keys: list[bytes] = []
        self._directory = directory
        self._keys = keys
        self._alive: dict[NodeId, Node] = {}

    def sockets(self, node: NodeId) -> NodeSockets:
        return NodeSockets(node=node, directory=str(self._directory), keys=f"{self._keys}/{node.hex()}")

    async def node(self, node: NodeId | None = None) -> Node:
        made = Node(self, node or self.ids.node())
        await made.start()
        self.nodes.append(made)
        self._alive[made.node] = made
        return made

    async def lose(self, node: Node, reason: ExitReason) -> None:
        """End a node at once, then tell the others."""
        del self._alive[node.node]
        self.nodes.remove(node)
        await node.close()
        for other in self.nodes:
            other.peers.node_ended(node.daemon.peer, reason)

    def find(self, node: NodeId) -> Completion[Member | None]:
        found = Completion[Member | None]()
        alive = self._alive.get(node)
        if self.is_store_away:
            found.set_error(ControlUnavailableError("the store is away"))
        elif alive is None:
            found.set_value(None)
        else:
            found.set_value(Member(alive.daemon.address, alive.daemon.transport.listen()))
        return found

    def owner_of(self, key: bytes) -> Completion[NodeId | None]:
        self.asked_keys.append(key)
        owner = Completion[NodeId | None]()
        public = {load_keys(Path(self.sockets(node).keys)).public: node for node in self._alive}
        owner.set_value(public.get(key))
        return owner

    async def close(self) -> None:
        for node in self.nodes:
            await node.close()
