"""Keeps the objects that actors of other nodes are started from: those in their arguments, and their snapshots.

The home of an actor holds these objects, and this node holds them at the home while the actor's worker runs here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from actorrt.actors.wire.control import Control
from actorrt.errors import ActorStartError
from actorrt.ids import ActorId, ObjectId, PeerAddress, PeerId, short
from actorrt.node.placement.workers import Workers
from actorrt.protocol.cluster.workers import HoldForActor, ReleaseForActor
from actorrt.store.server.exchange import Exchange


class GuestObjects:
    """The objects of actors that belong to other nodes.

    Args:
        exchange: the interface of this node's store to those of other nodes.
        workers: the node's.
        control: speaks with the homes.
        address_of: returns where a process that has spoken to this one is reached.
    """

    def __init__(
        self, exchange: Exchange, workers: Workers, control: Control, address_of: Callable[[PeerId], str | None]
    ) -> None:
        self._exchange = exchange
        self._workers = workers
        self._address_of = address_of
        self._held: dict[PeerId, dict[ActorId, Sequence[ObjectId]]] = {}  # by worker
        control.handle(HoldForActor.by(self._hold))
        control.handle(ReleaseForActor.by(lambda _, asked: self._release(asked.worker, asked.actor)))

    def __len__(self) -> int:
        """How many actors objects are held for."""
        return sum(map(len, self._held.values()))

    def _hold(self, home: PeerId, asked: HoldForActor) -> None:
        """Hold the objects of an actor; those of its incarnation before are released."""
        if self._workers.find(asked.worker) is None:
            raise ActorStartError(f"worker {short(asked.worker)} has ended")
        node = PeerAddress(home, self._address_of(home) or "").packed()
        for object_id in asked.objects:
            self._exchange.locate(object_id, node)
        self._release(asked.worker, asked.actor)
        self._held.setdefault(asked.worker, {})[asked.actor] = asked.objects

    def _release(self, worker: PeerId, actor: ActorId) -> None:
        held = self._held.get(worker, {})
        for object_id in held.pop(actor, ()):
            self._exchange.release(object_id)
        if not held:
            self._held.pop(worker, None)

    def worker_ended(self, worker: PeerId) -> None:
        """Called when the process of a worker has ended."""
        for actor in list(self._held.get(worker, ())):
            self._release(worker, actor)
