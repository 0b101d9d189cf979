"""Hosting of light children: on the endpoint of the actor that spawned them."""

from __future__ import annotations

from collections.abc import Collection, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from actorrt.actors.authority.order import Order
from actorrt.actors.authority.record import Record
from actorrt.actors.authority.tombstones import Tombstone
from actorrt.actors.cells.blueprint import Blueprint
from actorrt.completion import Completion
from actorrt.ids import ActorId, ObjectId, PeerAddress, PeerId
from actorrt.protocol.authorities import ActorCard, GroupPlaces, Spawn, SpawnMany
from actorrt.protocol.nodes import Orphaned
from actorrt.reasons import ExitKind, ExitReason
from actorrt.store.client.ref import ObjectRef

if TYPE_CHECKING:
    from actorrt.actors.endpoint.endpoint import System


class Family:
    """Hosts the actors of an endpoint's own registry in its own cells."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._held: dict[ObjectId, list[ObjectRef[Any]]] = {}
        system.control.handle(Spawn.by(self._spawn))
        system.control.handle(SpawnMany.by(self._spawn_many))

    def _spawn(self, _: PeerId, asked: Spawn) -> Coroutine[Any, Any, ActorCard]:
        order = asked.order
        return self._system.registry.spawn(Record(asked.actor, Order(order), order.supervisor))

    def _spawn_many(self, _: PeerId, asked: SpawnMany) -> Coroutine[Any, Any, GroupPlaces]:
        return self._system.registry.spawn_many(Order(asked.order), asked.actors)

    def start_at_once(self, record: Record) -> PeerAddress | None:
        if record.incarnation > 1:
            return None  # there may be a snapshot, and its predecessor's children
        try:
            blueprint = self._blueprint(record)
            if not blueprint.starts_at_once:
                return None
            self._system.host.start_at_once(record.actor_id, blueprint)
        except BaseException as error:
            raise self._system.host.start_failed(record.actor_id, record.label, error) from error
        return self._system.peers.own

    def _blueprint(self, record: Record) -> Blueprint:
        order = record.order
        if order.blueprint is None:
            order.blueprint = Blueprint(
                self._system,
                order.spec,
                order.options,
                self._system.peers.own,
                order.job,
                order.namespace,
                order.is_supervisor,
                order.is_detached,
            )
        blueprint: Blueprint = order.blueprint
        return blueprint

    async def start(self, record: Record) -> PeerAddress:
        cell = self._system.host.cell(record.actor_id)
        if cell is not None and cell.has_distant_children:
            await self._end_distant_children(record)
        record.starts_at(self._system.peers.own)
        await self._system.host.start(
            record.actor_id, record.label, record.incarnation, lambda: self._blueprint(record), record.snapshots
        )
        return self._system.peers.own

    def stop(self, records: Sequence[Record], reason: str) -> None:
        exit_reason = ExitReason(ExitKind.SHUTDOWN, reason)
        for record in records:
            self._system.host.stop(
                record.actor_id, exit_reason, is_administrative=record.is_administrative, manner=record.manner
            )

    def restarts_later(self, record: Record, delay_s: float) -> None:
        self._system.host.restarts_later(record.actor_id, delay_s)

    def kill(self, records: Sequence[Record]) -> None:
        for record in records:
            self._system.host.kill(record.actor_id)

    def break_off(self, record: Record) -> None:
        self._system.host.kill(record.actor_id)

    def kept_actors(self) -> Collection[ActorId]:
        return [cell.actor_id for cell in self._system.host.cells() if cell.blueprint.is_child_here]

    def hold(self, object_ids: Sequence[ObjectId], tokens: Sequence[bytes]) -> None:
        for object_id, token in zip(object_ids, tokens, strict=True):
            ref: ObjectRef[Any] = self._system.require_store().ref(object_id, token)
            self._held.setdefault(object_id, []).append(ref)

    def release(self, object_ids: Sequence[ObjectId]) -> None:
        for object_id in object_ids:
            refs = self._held[object_id]
            refs.pop()
            if not refs:
                del self._held[object_id]

    def bury(self, record: Record, tombstone: Tombstone, *, is_buried: bool) -> Completion[Any] | None:
        cell = self._system.host.cell(record.actor_id)
        self._system.host.bury(record.actor_id, tombstone.error)
        if cell is None or not cell.has_distant_children:
            return None
        return self._end_distant_children(record)

    def _end_distant_children(self, record: Record) -> Completion[Any]:
        """End what an incarnation spawned in other processes; only the node knows it."""
        return self._system.control.request(self._system.node, Orphaned(actor=record.actor_id))
