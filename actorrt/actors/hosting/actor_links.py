"""Links between actors: the end of one, for good, is an exit signal to the other.

A link is two watches, one at each side's host, so it holds across processes and outlives no side's incarnation:
who is restarted links again, in `on_start` say. What follows a signal is OTP's: an actor that traps exits has its
`on_exit` called; another ends with the same reason, unless that is `normal`. Monitors, which end nobody, are in
`monitors`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from actorrt.actors.authority.record import RecordState
from actorrt.actors.refs.ends import Exit
from actorrt.ids import ActorId, PeerId
from actorrt.protocol.authorities import LinkActor, UnlinkActor
from actorrt.protocol.hosts import Linked, Unlinked
from actorrt.reasons import ExitKind
from actorrt.store.values.carrier import Carrier
from actorrt.store.values.pickling import dumps, loads

if TYPE_CHECKING:
    from actorrt.actors.authority.registry import Registry
    from actorrt.actors.cells.cell import Cell
    from actorrt.actors.hosting.host import Host
    from actorrt.actors.refs.ends import Down
    from actorrt.actors.refs.ref import ActorRef
    from actorrt.actors.wire.control import Control
    from actorrt.ids import PeerAddress


def link(cell: Cell, ref: ActorRef[Any]) -> None:
    """Link a hosted actor to another, both ways. Without effect where they are linked, or are the same."""
    if ref._actor_id == cell.actor_id or not _watch(cell, ref):
        return
    system = cell.host.system
    card, _ = dumps(cell.context.ref, Carrier(system.store, copies_count=0, system=system))
    system.control.notify(ref._authority, LinkActor(actor=ref._actor_id, to=card))


def unlink(cell: Cell, ref: ActorRef[Any]) -> None:
    """Undo a link, on both sides; a signal that is under way may still arrive at the other."""
    watch = cell.context.links.pop(ref._actor_id, None)
    if watch is not None:
        watch.cancel()
        cell.host.system.control.notify(ref._authority, UnlinkActor(actor=ref._actor_id, other=cell.actor_id))


def _watch(cell: Cell, ref: ActorRef[Any]) -> bool:
    """Begin this side's watch; return whether it is new."""
    links = cell.context.links
    if ref._actor_id in links:
        return False
    watch = cell.host.system.monitors.watch(ref)
    links[ref._actor_id] = watch

    def ended(_: Any) -> None:
        if links.get(ref._actor_id) is watch:  # neither undone, nor of an incarnation that has ended
            del links[ref._actor_id]
            if watch.error() is None:
                _signal(cell, watch.value())

    watch.add_callback(ended)
    return True


def _signal(cell: Cell, down: Down) -> None:
    if cell.context.trap_exits:
        cell.signal("on_exit", Exit(down.ref, down.reason, down.incarnation))
    elif down.reason.kind is not ExitKind.NORMAL:
        detail = f"it was linked to {down.ref._label}, which ended with {down.reason}"
        cell.fail(replace(down.reason, detail=detail, signal=None, exit_status=None, pickled=None))


def serve_links(registry: Registry, host: Host, control: Control) -> None:
    """Answer those who link to actors that this endpoint is the authority of, or that it hosts."""
    serve_link_authority(registry, control)

    def linked(_: PeerId, told: Linked) -> None:
        cell = host.cell(told.actor)
        if cell is not None:
            system = host.system
            _watch(cell, loads(told.to, (), Carrier(system.store, copies_count=0, system=system)))

    def unlinked(_: PeerId, told: Unlinked) -> None:
        cell = host.cell(told.actor)
        watch = None if cell is None else cell.context.links.pop(told.other, None)
        if watch is not None:
            watch.cancel()

    control.handle(Linked.by(linked))
    control.handle(Unlinked.by(unlinked))


def serve_link_authority(registry: Registry, control: Control) -> None:
    """Pass on links and their ends to where the actor runs; one that is gone needs none: its end was told."""

    async def link(_: PeerId, told: LinkActor) -> None:
        endpoint = await _home(registry, told.actor)
        if endpoint is not None:
            control.notify(endpoint, Linked(actor=told.actor, to=told.to))

    async def unlink(_: PeerId, told: UnlinkActor) -> None:
        endpoint = await _home(registry, told.actor)
        if endpoint is not None:
            control.notify(endpoint, Unlinked(actor=told.actor, other=told.other))

    control.handle(LinkActor.by(link))
    control.handle(UnlinkActor.by(unlink))


async def _home(registry: Registry, actor_id: ActorId) -> PeerAddress | None:
    """Return where the actor runs, as soon as it does; None if it is gone."""
    while (record := registry.record(actor_id)) is not None and record.state is not RecordState.ENDING:
        if record.endpoint is not None:
            return record.endpoint
        await record.next_change()
    return None
