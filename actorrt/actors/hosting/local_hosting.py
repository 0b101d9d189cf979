"""Hosting of light children: on the endpoint of the actor that spawned them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from actorrt.actors.authority.record import ActorRecord
from actorrt.actors.authority.start_errors import stopped_early
from actorrt.actors.authority.tombstones import Tombstone
from actorrt.actors.cells.blueprint import Blueprint, SpecBinding
from actorrt.completion import Completion
from actorrt.ids import ActorId, ObjectId, PeerAddress
from actorrt.protocol.nodes import Orphaned
from actorrt.reasons import ExitKind, ExitReason
from actorrt.store.client.ref import ObjectRef
from actorrt.store.client.required import required

if TYPE_CHECKING:
    from actorrt.actors.hosting.host import Host
    from actorrt.actors.hosting.population import Population
    from actorrt.actors.wire.control import Control
    from actorrt.actors.wire.peers import Peers
    from actorrt.store.client.client import StoreClient


class LocalHosting:
    """Hosts the actors of an endpoint's own registry in its own cells.

    Args:
        binding: what the specs of actors are bound to.
        population: the cells.
        store: where objects are held for actors; None in a process without.
        control: reaches the node.
        peers: knows where this endpoint is, and the node, which knows what an incarnation has spawned elsewhere.

    Attributes:
        host: starts and ends the cells; set when there is one.
    """

    host: Host

    def __init__(
        self,
        binding: SpecBinding,
        population: Population,
        store: StoreClient | None,
        control: Control,
        peers: Peers,
    ) -> None:
        self._binding = binding
        self._population = population
        self._store = store
        self._control = control
        self._peers = peers
        self._held: dict[ObjectId, list[ObjectRef[Any]]] = {}

    def start_at_once(self, record: ActorRecord) -> PeerAddress | None:
        if record.incarnation > 1:
            return None  # there may be a snapshot, and its predecessor's children
        try:
            blueprint = self._blueprint(record)
            if not blueprint.starts_at_once:
                return None
            self.host.start_at_once(record.actor_id, blueprint)
        except BaseException as error:
            raise self.host.start_failed(record.actor_id, record.label, error) from error
        return self._peers.own

    def _blueprint(self, record: ActorRecord) -> Blueprint:
        order = record.order
        if order.blueprint is None:
            order.blueprint = Blueprint(self._binding, order, self._peers.own)
        blueprint: Blueprint = order.blueprint
        return blueprint

    async def start(self, record: ActorRecord) -> PeerAddress:
        cell = self._population.cell(record.actor_id)
        if cell is not None and cell.has_distant_children:
            await self._end_distant_children(record)
            if record.is_to_end:  # the order to stop came meanwhile, and found no start to break off
                raise stopped_early(record)
        record.starts_at(self._peers.own)
        await self.host.start(
            record.actor_id, record.label, record.incarnation, lambda: self._blueprint(record), record.snapshots
        )
        return self._peers.own

    def stop(self, records: Sequence[ActorRecord], reason: str) -> None:
        exit_reason = ExitReason(ExitKind.SHUTDOWN, reason)
        for record in records:
            self.host.stop(
                record.actor_id, exit_reason, is_administrative=record.is_administrative, manner=record.manner
            )

    def restarts_later(self, record: ActorRecord, delay_s: float) -> None:
        self.host.restarts_later(record.actor_id, delay_s)

    def kill(self, records: Sequence[ActorRecord]) -> None:
        for record in records:
            self.host.kill(record.actor_id)

    def break_off(self, record: ActorRecord) -> None:
        self.host.kill(record.actor_id)

    def give_up_start(self, record: ActorRecord) -> None:
        self.stop([record], "its start took too long")

    def waits_for(self, record: ActorRecord) -> str:
        return "its arguments have not come, or its on_start has not ended"

    def kept_actors(self) -> Collection[ActorId]:
        return [cell.actor_id for cell in self._population.cells() if cell.blueprint.is_child_here]

    def hold(self, object_ids: Sequence[ObjectId], tokens: Sequence[bytes]) -> None:
        for object_id, token in zip(object_ids, tokens, strict=True):
            ref: ObjectRef[Any] = required(self._store).ref(object_id, token)
            self._held.setdefault(object_id, []).append(ref)

    def release(self, object_ids: Sequence[ObjectId]) -> None:
        for object_id in object_ids:
            refs = self._held[object_id]
            refs.pop()
            if not refs:
                del self._held[object_id]

    def bury(self, record: ActorRecord, tombstone: Tombstone, *, is_buried: bool) -> Completion[Any] | None:
        cell = self._population.cell(record.actor_id)
        self.host.bury(record.actor_id, tombstone.error)
        if cell is None or not cell.has_distant_children:
            return None
        return self._end_distant_children(record)

    def _end_distant_children(self, record: ActorRecord) -> Completion[Any]:
        """End what an incarnation spawned in other processes; only the node knows it."""
        return self._control.request(self._peers.node, Orphaned(actor=record.actor_id))
