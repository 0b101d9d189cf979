"""The control verbs that every authority over actors answers, in terms of its registry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from actorrt.actors.authority.record import GOES_ON
from actorrt.actors.authority.registry import Registry
from actorrt.actors.policy.instructions import Manner
from actorrt.actors.wire.control import Control, Data
from actorrt.ids import ActorId, ActorIds, ObjectId, PeerId
from actorrt.reasons import ExitReason


def serve_questions(registry: Registry, control: Control) -> None:
    """Answer the control verbs that every authority answers."""

    def actor(handler: Callable[[ActorId, Data], Any]) -> Callable[[PeerId, Data], Any]:
        return lambda _peer, data: handler(ActorId(data["actor"]), data)

    def stop_child(actor_id: ActorId, data: Data) -> None:
        registry.stop_child(actor_id, data["reason"], kill=data["kill"], manner=Manner(data["manner"]))

    def exited(_: PeerId, data: Data) -> None:
        reason, incarnation = ExitReason.from_data(data["reason"]), data["incarnation"]
        how = {"is_administrative": data["is_administrative"], "is_buried": data["is_buried"]}
        for actor_id in ActorIds(data["actors"]):
            registry.exited(actor_id, incarnation, reason, **how)

    def state(actor_id: ActorId, _: Data) -> Data:
        record = registry.live(actor_id)
        reason = record.last_reason
        return {"state": record.state.name.lower(), "reason": None if reason is None else str(reason)}

    control.handle("state", actor(state))
    control.handle("resolve", actor(lambda actor_id, data: registry.resolve(actor_id, data["after"])))
    control.handle("fate", actor(lambda actor_id, data: registry.fate(actor_id, data["after"])))
    control.handle("alive", actor(lambda actor_id, _: registry.is_alive(actor_id)))
    control.handle("sibling", actor(lambda actor_id, data: registry.sibling(actor_id, data["id"])))
    control.handle("monitor", actor(lambda actor_id, data: _down(registry, actor_id, data["since"])))
    control.handle("stop", lambda _, data: registry.stop(ActorIds(data["actors"]), data["reason"], kill=data["kill"]))
    control.handle("exited", exited)
    control.handle("handled", actor(lambda actor_id, data: registry.handled_a_message(actor_id, data["incarnation"])))

    def snapshot(actor_id: ActorId, data: Data) -> None:
        registry.snapshot_taken(actor_id, data["incarnation"], ObjectId(data["object"]), data["token"])

    control.handle("snapshot", actor(snapshot))
    control.handle("stop_child", actor(stop_child))
    control.handle("delay_child", actor(lambda actor_id, data: registry.restarts_later(actor_id, data["delay_s"])))
    control.handle("ended", actor(lambda actor_id, _: registry.ended(actor_id)))

    def forget(actor_id: ActorId, data: Data) -> None:
        registry.forget(actor_id, None if data["reason"] is None else ExitReason.from_data(data["reason"]))

    control.handle("forget", actor(forget))
    control.handle("withdraw_spawn", actor(lambda actor_id, _: registry.withdraw_spawn(actor_id)))
    control.handle("check_invariants", lambda *_: registry.check_invariants())


async def _down(registry: Registry, actor_id: ActorId, since: int | None) -> Data:
    """Return how an actor ended, when it is gone for good or when an incarnation has ended.

    Args:
        registry, actor_id: which actor.
        since: the first incarnation whose end is of interest, 0 for the one there is; None: only the last one's.
    """
    record = registry.record(actor_id)
    if record is not None and since == 0:
        since = record.incarnation
    while record is not None and registry.record(actor_id) is record:
        if since is not None and record.last_incarnation >= since and record.state in GOES_ON:
            return record.down_data()
        await record.next_change()
    return registry.epitaph(actor_id)
