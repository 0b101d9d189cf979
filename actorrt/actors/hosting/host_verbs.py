"""The control verbs by which the authorities of hosted actors start and end them, in terms of their host."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from actorrt import errors
from actorrt.actors.cells.blueprint import blueprint_from_data
from actorrt.actors.policy.instructions import Manner
from actorrt.actors.wire.control import Control, Data
from actorrt.ids import ActorId, ActorIds, ObjectId, PeerId
from actorrt.reasons import ExitKind, ExitReason

if TYPE_CHECKING:
    from actorrt.actors.hosting.host import Host


def serve_authorities(host: Host, control: Control) -> None:
    """Let the authorities of hosted actors start and end them."""

    def stop(_: PeerId, data: Data) -> None:
        reason = ExitReason(ExitKind.SHUTDOWN, data["reason"])
        manner = Manner(data["manner"])
        for actor_id in ActorIds(data["actors"]):
            host.stop(actor_id, reason, is_administrative=data["is_administrative"], manner=manner)

    def kill(_: PeerId, data: Data) -> None:
        for actor_id in ActorIds(data["actors"]):
            host.kill(actor_id)

    async def bury(_: PeerId, data: Data) -> None:
        def died() -> errors.ActorDiedError:
            error = errors.from_data(data["error"])
            assert isinstance(error, errors.ActorDiedError)
            return error

        host.bury(ActorId(data["actor"]), died)
        await host.system.registry.children_gone(ActorId(data["actor"]))

    def explain(peer: PeerId, data: Data) -> Data:
        cell = host.cell(ActorId(data["actor"]))
        caller = host.caller(peer) if peer != host.system.endpoint.peer else host.system.local_caller
        if cell is None or caller is None or cell.turns is None:
            return {"state": "unknown"}
        return cell.turns.explain(caller, data["call"])

    def start(_: PeerId, data: Data) -> Coroutine[Any, Any, None]:
        if host.system.evidence is not None:
            host.system.evidence.begin_start()
        return host.start(
            ActorId(data["actor"]),
            data["label"],
            data["incarnation"],
            lambda: blueprint_from_data(data, host.system),
            [ObjectId(i) for i in data["snapshots"]],
        )

    control.handle("explain", explain)
    control.handle("host", start)
    control.handle("stop_hosted", stop)
    control.handle("delay_hosted", lambda _, data: host.restarts_later(ActorId(data["actor"]), data["delay_s"]))
    control.handle("kill_hosted", kill)
    control.handle("bury", bury)
    _serve_supervisors(host, control)


def _serve_supervisors(host: Host, control: Control) -> None:
    """Let authorities tell the supervisors here of their children."""

    def of_children(verb: str) -> Callable[[PeerId, Data], None]:
        def handler(_: PeerId, data: Data) -> None:
            cell = host.cell(ActorId(data["supervisor"]))
            if cell is not None and cell.shell is not None:
                cell.shell.child_event(verb, data)

        return handler

    for verb in ("child_started", "child_exited", "child_withdrawn", "children_restarted"):
        control.handle(verb, of_children(verb))
