"""The asker's side of a spawn: what is ordered, from which authority, and what its answer becomes.

The authority's side is `spawns`. An asker that does not wait to the end withdraws the order, so that no actor runs of
which nobody has a ref.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from actorrt.actors.authority.sightings import PLACE_CODE
from actorrt.actors.cells.snapshots import check_state_hooks
from actorrt.actors.hosting.host import current_cell
from actorrt.actors.policy import checks
from actorrt.actors.policy.options import ActorOptions
from actorrt.actors.refs.group import ActorGroup
from actorrt.actors.refs.ref import ActorRef
from actorrt.actors.refs.spec import Spec, pack_spec
from actorrt.actors.wire import interface
from actorrt.ids import ActorId, ActorIds
from actorrt.protocol.authorities import ActorOrder, GroupPlaces, HeldObject, Share, Spawn, SpawnMany, WithdrawSpawn
from actorrt.scopes import parts_of
from actorrt.store.client.ref import ObjectRef
from actorrt.store.values import encoding

if TYPE_CHECKING:
    from actorrt.actors.endpoint.endpoint import System

AT_ONCE_COUNT: Final = 1_000
"""How many refs of a group are made before others on the loop have their turn."""


class SpawnOrder:
    """One order to start an actor, or a group; the class and the arguments are captured when it is made.

    Args:
        system: asks.
        cls, options, args, kwargs: what is to start.
        supervisor: decides on the failures of the actor, if a supervisor starts it.
        child_id: what the supervisor calls it by.
        share: the actor's place among the light children that its supervisor began with, and how many they are.
        copies_count: how many actors are to start by it.

    Raises:
        TypeError: the constructor does not take the arguments, or hooks and options contradict each other.
        SerializationError: the class or an argument can't be sent.
    """

    def __init__(
        self,
        system: System,
        cls: type,
        options: ActorOptions,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        supervisor: ActorId | None = None,
        child_id: str | None = None,
        share: Share | None = None,
        copies_count: int = 1,
    ) -> None:
        checks.constructor(cls, args, kwargs)
        check_state_hooks(cls, options)
        self._system = system
        self._class = cls
        self._options = options
        cell = current_cell()
        parent = None if cell is None or options.detached else cell
        parent_ref = None if parent is None else system.ref_to_cell(parent)
        packed = pack_spec(Spec(cls, args, kwargs, parent_ref, options.crash_on), system.store, system)
        self._objects = packed.objects  # held here until the authority holds them
        card, _ = encoding.dumps((interface.of_class(cls).to_data(), options.call_timeout_s))
        self._order = order = ActorOrder(
            spec=packed.data,
            card=card,
            options=options.to_data(),
            class_name=cls.__name__,
            job=system.job if cell is None else cell.blueprint.job,
            namespace=system.namespace if cell is None else cell.blueprint.namespace,
            parent=None if parent is None else parent.actor_id,
            supervisor=supervisor,
            child_id=child_id,
            share=share,
            is_detached=options.detached or (parent is not None and parent.blueprint.is_detached),
            is_supervisor=getattr(cls, "_is_supervisor", False),
            is_beside=options.is_light and parent is not None and not parent.blueprint.is_supervisor,
            objects=[HeldObject(ref.id, self._begin_transit(ref, copies_count)) for ref in packed.objects],
        )
        stays_here = order.is_beside and options.name is None and not order.is_supervisor
        if parent is not None and not stays_here:
            parent.has_distant_children = True
        self._authority = system.endpoint if stays_here else system.node

    def _begin_transit(self, ref: ObjectRef[Any], copies_count: int) -> bytes:
        store = self._system.require_store()
        token = store.new_token()
        store.begin_transit(ref, token, copies_count)
        return token

    async def spawn(self, actor_id: ActorId) -> ActorRef[Any]:
        """Have one actor started; see `Spawner.spawn`."""
        with self._withdrawn_if_cancelled(actor_id):
            card = await self._system.control.request(self._authority, Spawn(actor=actor_id, order=self._order))
        self._objects.clear()
        return self._system.ref_from_card(card, self._authority)

    async def spawn_many(self, count: int) -> ActorGroup[Any]:
        """Have `count` actors started; see `Spawner.spawn_many`."""
        ids = self._system.ids
        drawn = [ids.actors(len(part)).packed async for part in parts_of(range(count), AT_ONCE_COUNT)]
        actor_ids = ActorIds(b"".join(drawn))
        with self._withdrawn_if_cancelled(actor_ids[0]):
            asked = SpawnMany(actors=actor_ids, order=self._order)
            group = await self._system.control.request(self._authority, asked)
            self._objects.clear()
            return ActorGroup._owning(await self._refs(actor_ids, group))

    async def _refs(self, actor_ids: ActorIds, group: GroupPlaces) -> list[ActorRef[Any]]:
        places, place_of = group.places, memoryview(group.place_of).cast(PLACE_CODE)
        kind, timeout_s = interface.of_class(self._class), self._options.call_timeout_s
        refs: list[ActorRef[Any]] = []
        async for indices in parts_of(range(len(actor_ids)), AT_ONCE_COUNT):
            drawn = actor_ids[indices[0] : indices[-1] + 1]
            for index, drawn_id in zip(indices, drawn, strict=True):
                seen = places[place_of[index]]
                actor_id = self._known(drawn_id)
                refs.append(ActorRef(self._system, actor_id, kind, None, self._authority, seen, timeout_s))
        return refs

    def _known(self, actor_id: ActorId) -> ActorId:
        """Return the id that the record of a child on this endpoint has: of a million, each is in memory once."""
        record = self._system.registry.record(actor_id)
        return actor_id if record is None else record.actor_id

    @contextmanager
    def _withdrawn_if_cancelled(self, actor_id: ActorId) -> Iterator[None]:
        """Have what was begun ended if its asker is cancelled; a group goes by its first actor."""
        try:
            yield
        except asyncio.CancelledError:
            self._system.control.notify(self._authority, WithdrawSpawn(actor=actor_id))
            raise
