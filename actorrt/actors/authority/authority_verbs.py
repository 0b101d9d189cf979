"""The control verbs that every authority over actors answers, in terms of its registry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
        registry.stops.stop_child(actor_id, data["reason"], kill=data["kill"], manner=Manner(data["manner"]))

    def exited(_: PeerId, data: Data) -> None:
        reason, incarnation = ExitReason.from_data(data["reason"]), data["incarnation"]
        how = {"is_administrative": data["is_administrative"], "is_buried": data["is_buried"]}
        for actor_id in ActorIds(data["actors"]):
            registry.exited(actor_id, incarnation, reason, **how)

    def state(actor_id: ActorId, _: Data) -> Data:
        record = registry.questions.live(actor_id)
        reason = record.last_reason
        return {"state": record.state.name.lower(), "reason": None if reason is None else str(reason)}

    control.handle("state", actor(state))
    control.handle("resolve", actor(lambda actor_id, data: registry.questions.resolve(actor_id, data["after"])))
    control.handle("fate", actor(lambda actor_id, data: registry.questions.fate(actor_id, data["after"])))
    control.handle("alive", actor(lambda actor_id, _: registry.questions.is_alive(actor_id)))
    control.handle("sibling", actor(lambda actor_id, data: registry.questions.sibling(actor_id, data["id"])))
    control.handle("monitor", actor(lambda actor_id, data: registry.questions.down(actor_id, data["since"])))
    control.handle(
        "stop", lambda _, data: registry.stops.stop(ActorIds(data["actors"]), data["reason"], kill=data["kill"])
    )
    control.handle("exited", exited)
    control.handle("handled", actor(lambda actor_id, data: registry.handled_a_message(actor_id, data["incarnation"])))

    def snapshot(actor_id: ActorId, data: Data) -> None:
        registry.snapshot_taken(actor_id, data["incarnation"], ObjectId(data["object"]), data["token"])

    control.handle("snapshot", actor(snapshot))
    control.handle("stop_child", actor(stop_child))
    control.handle("delay_child", actor(lambda actor_id, data: registry.restarts_later(actor_id, data["delay_s"])))
    control.handle("ended", actor(lambda actor_id, _: registry.stops.ended(actor_id)))

    def forget(actor_id: ActorId, data: Data) -> None:
        registry.forget(actor_id, None if data["reason"] is None else ExitReason.from_data(data["reason"]))

    control.handle("forget", actor(forget))
    control.handle("withdraw_spawn", actor(lambda actor_id, _: registry.withdraw_spawn(actor_id)))
    control.handle("check_invariants", lambda *_: registry.check_invariants())
