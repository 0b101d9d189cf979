"""The requests that every authority over actors answers, in terms of its registry."""

from __future__ import annotations

from actorrt.actors.authority.record import RecordState
from actorrt.actors.authority.registry import Registry
from actorrt.actors.wire.control import Control
from actorrt.ids import ActorId, PeerAddress, PeerId
from actorrt.protocol.authorities import (
    ActorState,
    AskAlive,
    AskFate,
    AskState,
    AwaitEnd,
    DelayChild,
    Exited,
    FindSibling,
    ForgetChild,
    Handled,
    Life,
    LinkActor,
    Monitor,
    Prospect,
    Resolve,
    SnapshotTaken,
    Stop,
    StopChild,
    UnlinkActor,
    WithdrawSpawn,
)
from actorrt.protocol.hosts import Linked, Unlinked


def serve_questions(registry: Registry, control: Control) -> None:
    """Answer the questions that every authority serves."""
    questions, stops = registry.questions, registry.stops

    async def fate(_: PeerId, asked: AskFate) -> Prospect:
        return Prospect(starts_in_s=await questions.fate(asked.actor, asked.after))

    control.handle(AskState.by(lambda _, asked: _state(registry, asked.actor)))
    control.handle(Resolve.by(lambda _, asked: questions.resolve(asked.actor, asked.after)))
    control.handle(AskFate.by(fate))
    control.handle(AskAlive.by(lambda _, asked: Life(is_alive=questions.is_alive(asked.actor))))
    control.handle(FindSibling.by(lambda _, asked: questions.sibling(asked.actor, asked.id)))
    control.handle(Monitor.by(lambda _, asked: questions.down(asked.actor, asked.since)))
    control.handle(AwaitEnd.by(lambda _, asked: stops.ended(asked.actor)))
    control.handle(WithdrawSpawn.by(lambda _, asked: registry.withdraw_spawn(asked.actor)))
    _serve_ends(registry, control)


def _serve_ends(registry: Registry, control: Control) -> None:
    """Take orders to end actors, and the reports of hosts and supervisors."""
    stops = registry.stops

    def exited(_: PeerId, exited: Exited) -> None:
        incarnation, reason = exited.incarnation, exited.reason
        how = {"is_administrative": exited.is_administrative, "is_buried": exited.is_buried}
        for actor_id in exited.actors:
            registry.exited(actor_id, incarnation, reason, **how)

    def snapshot(_: PeerId, taken: SnapshotTaken) -> None:
        registry.snapshot_taken(taken.actor, taken.incarnation, taken.object, taken.token)

    def stop_child(_: PeerId, asked: StopChild) -> None:
        stops.stop_child(asked.actor, asked.reason, kill=asked.kill, manner=asked.manner)

    control.handle(Stop.by(lambda _, asked: stops.stop(asked.actors, asked.reason, kill=asked.kill)))
    control.handle(Exited.by(exited))
    control.handle(Handled.by(lambda _, asked: registry.handled_a_message(asked.actor, asked.incarnation)))
    control.handle(SnapshotTaken.by(snapshot))
    control.handle(StopChild.by(stop_child))
    control.handle(DelayChild.by(lambda _, asked: registry.restarts_later(asked.actor, asked.delay_s)))
    control.handle(ForgetChild.by(lambda _, asked: registry.forget(asked.actor, asked.reason)))


def _state(registry: Registry, actor_id: ActorId) -> ActorState:
    record = registry.questions.live(actor_id)
    reason = record.last_reason
    return ActorState(state=record.state.name.lower(), reason=None if reason is None else str(reason))


def serve_links(registry: Registry, control: Control) -> None:
    """Pass links and unlinks on to the host of the actor. An actor that is gone needs none: its end was told."""

    async def link(_: PeerId, told: LinkActor) -> None:
        peer_address = await _home(registry, told.actor)
        if peer_address is not None:
            control.notify(peer_address, Linked(actor=told.actor, to=told.to))

    async def unlink(_: PeerId, told: UnlinkActor) -> None:
        peer_address = await _home(registry, told.actor)
        if peer_address is not None:
            control.notify(peer_address, Unlinked(actor=told.actor, other=told.other))

    control.handle(LinkActor.by(link))
    control.handle(UnlinkActor.by(unlink))


async def _home(registry: Registry, actor_id: ActorId) -> PeerAddress | None:
    """Return where the actor runs, as soon as it does; None if it is gone."""
    while (record := registry.record(actor_id)) is not None and record.state is not RecordState.ENDING:
        if record.peer_address is not None:
            return record.peer_address
        await record.next_change()
    return None
