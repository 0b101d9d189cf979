"""Spawns actors: captures what is to start, orders it from an authority, and makes refs from the answer.

The authority's side is `actorrt.actors.authority.spawns`. A spawn that is cancelled withdraws its order, so that no
actor runs which nobody has a ref to.

Invariant: the order of an actor's incarnation leaves before the report of its end, or not at all. Its authority would
not end the child otherwise: it has ended the children that it knew when the report came.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from actorrt.actors.authority.record import label_of
from actorrt.actors.cells.cell import current_cell
from actorrt.actors.cells.cell_state import OVER_STATES
from actorrt.actors.cells.snapshots import check_state_hooks
from actorrt.actors.endpoint.ref_factory import RefFactory
from actorrt.actors.policy import checks
from actorrt.actors.policy.options import ActorOptions
from actorrt.actors.refs.group import ActorGroup
from actorrt.actors.refs.loop_thread import LoopThread
from actorrt.actors.refs.operation import Operation
from actorrt.actors.refs.ref import ActorRef
from actorrt.actors.refs.spec import Spec, pack_spec
from actorrt.actors.wire import interface
from actorrt.actors.wire.control import Control
from actorrt.actors.wire.peers import Peers
from actorrt.errors import ActorStartError
from actorrt.ids import ActorId, ActorIds, IdSource, JobId
from actorrt.protocol.authorities import ActorOrder, HeldObject, Share, Spawn, SpawnMany, WithdrawSpawn
from actorrt.scopes import parts_of
from actorrt.store.client.client import StoreClient
from actorrt.store.values import pickling

AT_ONCE_COUNT: Final = 1_000
"""How many ids of a group are drawn in one turn of the loop."""


class JobScope(NamedTuple):
    """The job that an endpoint works for, and the namespace of the names that its code gives."""

    job: JobId
    namespace: str


class Spawning:
    """The spawns of one endpoint.

    Args:
        threads: the endpoint's loop.
        control: sends the orders to the authorities.
        ids: makes the ids of the actors.
        refs: makes the refs.
        store: holds the objects that the arguments refer to; None if this process has no store.
        peers: knows this endpoint and the node, which are the authorities.
        scope: the job and the namespace of the actors that are not spawned by an actor.
    """

    def __init__(
        self,
        threads: LoopThread,
        control: Control,
        ids: IdSource,
        refs: RefFactory,
        store: StoreClient | None,
        peers: Peers,
        scope: JobScope,
    ) -> None:
        self.threads = threads
        self.control = control
        self.ids = ids
        self.refs = refs
        self.store = store
        self.peers = peers
        self.scope = scope

    def spawn(
        self,
        cls: type,
        options: ActorOptions,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        actor_id: ActorId | None = None,
        supervisor: ActorId | None = None,
        child_id: str | None = None,
        share: Share | None = None,
    ) -> Operation[ActorRef[Any]]:
        """Start an actor; see `Spawner.spawn`."""
        order = _SpawnOrder(self, cls, options, args, kwargs, supervisor, child_id, share)
        actor_id = actor_id or self.ids.actor()
        what = f"the start of {label_of(options.name, cls.__name__, actor_id)}"
        return self.threads.operate(what, lambda: order.spawn(actor_id))

    def spawn_many(
        self, cls: type, options: ActorOptions, count: int, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Operation[ActorGroup[Any]]:
        """Start many actors with equal arguments; see `Spawner.spawn_many`."""
        if count < 1:
            raise ValueError(f"spawn_many({count}): give a count of 1 or more")
        if options.name is not None:
            raise ValueError(f"spawn_many with name={options.name!r}: a name belongs to one actor; leave it out")
        order = _SpawnOrder(self, cls, options, args, kwargs, copies_count=count)
        return self.threads.operate(f"the start of {count} {cls.__name__}", lambda: order.spawn_many(count))


class _SpawnOrder:
    """One order to start an actor, or a group; the class and the arguments are captured when it is made.

    Args:
        spawning: sends it.
        cls, options, args, kwargs: the actor to start.
        supervisor: decides on the failures of the actor, if a supervisor starts it.
        child_id: the supervisor's id for it.
        share: the actor's place among the light children that its supervisor began with, and their number.
        copies_count: how many actors the order starts.

    Raises:
        TypeError: the constructor does not take the arguments, or hooks and options contradict each other.
        SerializationError: the class or an argument can't be sent.
    """

    def __init__(
        self,
        spawning: Spawning,
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
        self._spawning = spawning
        self._class = cls
        self._options = options
        refs, peers, scope = spawning.refs, spawning.peers, spawning.scope
        cell = current_cell()
        self._parent = parent = None if cell is None or options.detached else cell
        self._incarnation = 0 if parent is None else parent.incarnation
        parent_ref = None if parent is None else refs.to_cell(parent)
        packed = pack_spec(Spec(cls, args, kwargs, parent_ref, options.crash_on), spawning.store, refs.owner)
        self._objects = packed.objects  # held here until the authority holds them
        self._copies_count = copies_count
        card, _ = pickling.dumps((interface.of_class(cls).to_data(), options.call_timeout_s))
        self._order = order = ActorOrder(
            spec=packed.data,
            card=card,
            options=options.to_data(),
            class_name=cls.__name__,
            job=scope.job if cell is None else cell.blueprint.job,
            namespace=scope.namespace if cell is None else cell.blueprint.namespace,
            parent=None if parent is None else parent.actor_id,
            supervisor=supervisor,
            child_id=child_id,
            share=share,
            is_detached=options.detached or (parent is not None and parent.blueprint.is_detached),
            is_supervisor=getattr(cls, "_is_supervisor", False),
            is_beside=options.is_light and parent is not None and not parent.blueprint.is_supervisor,
            objects=[HeldObject(ref.id, self._token()) for ref in packed.objects],
        )
        stays_here = order.is_beside and options.name is None and not order.is_supervisor
        if parent is not None and not stays_here:
            parent.has_distant_children = True
        self._authority = peers.own if stays_here else peers.node

    def _token(self) -> bytes:
        store = self._spawning.store
        assert store is not None, "an object ref comes from the store of this process"
        return store.new_token()

    def _begin_transits(self) -> None:
        """Called as the order leaves, and not before: nobody would end the transits of an order that never leaves."""
        store = self._spawning.store
        if store is not None and self._order.objects:
            store.begin_transits([(held.object, held.token, self._copies_count) for held in self._order.objects])

    def _check_parent(self) -> None:
        """Raise ActorStartError if the incarnation that spawns has ended, since the order would come too late."""
        parent = self._parent
        if parent is None or (parent.incarnation == self._incarnation and parent.state not in OVER_STATES):
            return
        raise ActorStartError(f"{self._class.__name__} did not start: {parent.label}, which spawned it, has ended")

    async def spawn(self, actor_id: ActorId) -> ActorRef[Any]:
        """Order one actor; see `Spawner.spawn`."""
        self._check_parent()
        self._begin_transits()
        with self._undone_if_it_fails(actor_id):
            card = await self._spawning.control.request(self._authority, Spawn(actor=actor_id, order=self._order))
        self._objects.clear()
        return self._spawning.refs.from_card(card, self._authority)

    async def spawn_many(self, count: int) -> ActorGroup[Any]:
        """Order `count` actors; see `Spawner.spawn_many`."""
        ids, refs = self._spawning.ids, self._spawning.refs
        drawn = [ids.actors(len(part)).packed async for part in parts_of(range(count), AT_ONCE_COUNT)]
        actor_ids = ActorIds(b"".join(drawn))
        self._check_parent()
        self._begin_transits()
        with self._undone_if_it_fails(actor_ids[0]):
            asked = SpawnMany(actors=actor_ids, order=self._order)
            group = await self._spawning.control.request(self._authority, asked)
            self._objects.clear()
            kind, timeout_s = interface.of_class(self._class), self._options.call_timeout_s
            return ActorGroup._owning(await refs.of_group(actor_ids, kind, self._authority, group, timeout_s))

    @contextmanager
    def _undone_if_it_fails(self, actor_id: ActorId) -> Iterator[None]:
        """Withdraw the order if the spawn is cancelled. The first actor stands for a group.

        An order that could not be sent takes no objects, and that of a failed group takes them for some actors only.
        """
        try:
            yield
        except asyncio.CancelledError:
            self._spawning.control.notify(self._authority, WithdrawSpawn(actor=actor_id))
            self._settle_transits()
            raise
        except Exception:
            self._settle_transits()
            raise

    def _settle_transits(self) -> None:
        store = self._spawning.store
        if store is not None and self._order.objects:
            store.settle([held.token for held in self._order.objects])
