"""Composite transports of several nodes in one loop, and what a cluster knows of them, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from actorrt.completion import Completion
from actorrt.errors import PeerUnreachableError
from actorrt.ids import IdSource, NodeAddress, NodeId, PeerAddress, PeerId
from actorrt.machine.clock import MonotonicClock
from actorrt.transport.composite.resolver import Resolved
from actorrt.transport.composite.sockets import NodeSockets
from actorrt.transport.composite.transport import CompositeTransport
from actorrt.transport.zeromq.security import load_keys


class Nodes:
    """Makes composite transports, resolves each of them, and knows their keys.

    Args:
        directory: the Unix sockets of all nodes are in it.
        keys: the directory of the nodes' keys.

    Attributes:
        asked: the logical addresses that were resolved.
        asked_keys: the unknown keys that were asked about.
        held: whether questions are not answered for now; `answer` answers them.
    """

    def __init__(self, directory: str, keys: str) -> None:
        self.ids = IdSource()
        self.asked: list[str] = []
        self.asked_keys: list[bytes] = []
        self.is_held = False
        self._directory = directory
        self._keys = keys
        self._transports: dict[str, CompositeTransport] = {}
        self._daemons: dict[NodeId, PeerAddress] = {}
        self._waiting: list[tuple[str, Completion[Resolved]]] = []

    def daemon_of(self, node: NodeId) -> PeerAddress:
        """Return the daemon of a node; it has no transport unless a test makes one with its id."""
        if node not in self._daemons:
            peer = self.ids.peer()
            self._daemons[node] = PeerAddress(peer, str(NodeAddress(node, peer)))
        return self._daemons[node]

    def sockets(self, node: NodeId, **options: Any) -> NodeSockets:
        return NodeSockets(node=node, directory=self._directory, keys=f"{self._keys}/{node.hex()}", **options)

    def make(
        self, node: NodeId, peer: PeerId | None = None, sockets: NodeSockets | None = None, **options: Any
    ) -> CompositeTransport:
        peer = peer or self.ids.peer()
        options = {"clock": MonotonicClock(), **options}
        transport = CompositeTransport(peer, sockets or self.sockets(node), self.daemon_of(node), **options)
        transport.resolver = self

        def decide(key: bytes, verdict: Any) -> None:
            self.asked_keys.append(key)
            owner = self.owner_of(key)
            if owner is not None:
                transport.keys.accept(key, owner)
            verdict(owner is not None)

        transport.on_unknown_key = decide
        self._transports[transport.address] = transport
        return transport

    def owner_of(self, key: bytes) -> NodeId | None:
        """Return the node that has this key."""
        nodes = {NodeAddress.parse(address).node for address in self._transports}
        return next((node for node in nodes if load_keys(Path(f"{self._keys}/{node.hex()}")).public == key), None)

    def resolve(self, to: PeerAddress) -> Completion[Resolved]:
        self.asked.append(to.address)
        found = Completion[Resolved]()
        self._waiting.append((to.address, found))
        if not self.is_held:
            self.answer()
        return found

    def answer(self) -> None:
        """Answer all questions."""
        self.is_held = False
        waiting, self._waiting = self._waiting, []
        for address, found in waiting:
            transport = self._transports.get(address)
            if transport is None:
                text = f"there is no process at {address}; check that the process there is alive"
                found.set_error(PeerUnreachableError(text))
            else:
                daemon = self.daemon_of(NodeAddress.parse(address).node)
                found.set_value(Resolved(transport.listen(), daemon.peer))
