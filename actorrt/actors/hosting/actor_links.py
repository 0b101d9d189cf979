"""Monitors and links of hosted actors: an actor is told of the end of another, for good, or ends with it.

A link is two watches, one at the host of each side. So it works across processes, and ends with the incarnation of
either side: an actor that is restarted links again, for instance in `on_start`. What follows a signal is OTP's: an
actor that traps exits has its `on_exit` called; another ends with the same reason, unless that is `normal`. A monitor
ends nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from actorrt.actors.refs.ends import Exit
from actorrt.ids import ActorId, PeerId
from actorrt.protocol.authorities import LinkActor, UnlinkActor
from actorrt.protocol.hosts import Linked, Unlinked
from actorrt.reasons import ExitKind
from actorrt.store.values.carrier import Carrier
from actorrt.store.values.pickling import dumps, loads

if TYPE_CHECKING:
    from actorrt.actors.cells.cell import Cell
    from actorrt.actors.refs.ends import Down
    from actorrt.actors.refs.operation import Operation
    from actorrt.actors.refs.ref import ActorRef
    from actorrt.actors.wire.control import Control
    from actorrt.store.client.client import StoreClient


class ActorLinks:
    """The monitors and links of the actors of one endpoint.

    Args:
        monitor: returns an operation that ends with a `Down` when an actor is gone for good.
        control: reaches the authorities of other actors, and brings their links.
        store, owner: the store and the endpoint that the refs in links are bound to.
        cell: returns the cell of an actor that is hosted here, or None.
    """

    def __init__(
        self,
        monitor: Callable[[ActorRef[Any]], Operation[Down]],
        control: Control,
        store: StoreClient | None,
        owner: object,
        cell: Callable[[ActorId], Cell | None],
    ) -> None:
        self._monitor = monitor
        self._control = control
        self._store = store
        self._owner = owner
        self._cell = cell
        control.handle(Linked.by(self._linked))
        control.handle(Unlinked.by(self._unlinked))

    def monitor(self, cell: Cell, ref: ActorRef[Any]) -> None:
        """Have the cell's `on_down` called when `ref` is gone."""
        incarnation = cell.incarnation
        operation = self._monitor(ref)

        def ended(_: Any) -> None:
            if operation.error() is None and cell.incarnation == incarnation:
                cell.signal("on_down", operation.value())

        operation.add_callback(ended)

    def link(self, cell: Cell, ref: ActorRef[Any]) -> None:
        """Link a hosted actor to another, both ways. Without effect where they are linked, or are the same."""
        if ref._actor_id == cell.actor_id or not self._watch(cell, ref):
            return
        card, _ = dumps(cell.context.ref, self._carrier())
        self._control.notify(ref._authority, LinkActor(actor=ref._actor_id, to=card))

    def unlink(self, cell: Cell, ref: ActorRef[Any]) -> None:
        """Undo a link, on both sides; a signal that is under way may still arrive at the other."""
        watch = cell.context.links.pop(ref._actor_id, None)
        if watch is not None:
            watch.cancel()
            self._control.notify(ref._authority, UnlinkActor(actor=ref._actor_id, other=cell.actor_id))

    def _carrier(self) -> Carrier:
        return Carrier(self._store, copies_count=0, owner=self._owner)

    def _watch(self, cell: Cell, ref: ActorRef[Any]) -> bool:
        """Begin this side's watch; return whether it is new."""
        links = cell.context.links
        if ref._actor_id in links:
            return False
        watch = self._monitor(ref)
        links[ref._actor_id] = watch

        def ended(_: Any) -> None:
            if links.get(ref._actor_id) is watch:  # neither undone, nor of an incarnation that has ended
                del links[ref._actor_id]
                if watch.error() is None:
                    _signal(cell, watch.value())

        watch.add_callback(ended)
        return True

    def _linked(self, _: PeerId, told: Linked) -> None:
        cell = self._cell(told.actor)
        if cell is not None:
            self._watch(cell, loads(told.to, (), self._carrier()))

    def _unlinked(self, _: PeerId, told: Unlinked) -> None:
        cell = self._cell(told.actor)
        watch = None if cell is None else cell.context.links.pop(told.other, None)
        if watch is not None:
            watch.cancel()


def _signal(cell: Cell, down: Down) -> None:
    if cell.context.trap_exits:
        cell.signal("on_exit", Exit(down.ref, down.reason, down.incarnation))
    elif down.reason.kind is not ExitKind.NORMAL:
        detail = f"it was linked to {down.ref._label}, which ended with {down.reason}"
        cell.fail(replace(down.reason, detail=detail, signal=None, exit_status=None, pickled=None))
