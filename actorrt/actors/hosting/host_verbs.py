"""The requests by which authorities start and end hosted actors, actors spawn children, and callers ask about calls."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any

from actorrt import errors
from actorrt.actors.authority.order import Order
from actorrt.actors.authority.record import ActorRecord
from actorrt.actors.cells.blueprint import SpecBinding, ordered_blueprint
from actorrt.actors.cells.cell_state import OVER_STATES
from actorrt.actors.wire.control import Control
from actorrt.ids import ActorId, PeerId
from actorrt.protocol.authorities import ActorCard, GroupPlaces, Spawn, SpawnMany
from actorrt.protocol.hosts import (
    Bury,
    CallState,
    ChildExited,
    ChildrenRestarted,
    ChildStarted,
    ChildWithdrawn,
    DelayHosted,
    ExplainCall,
    HostActor,
    KillHosted,
    StopHosted,
)
from actorrt.reasons import ExitKind, ExitReason

if TYPE_CHECKING:
    from actorrt.actors.authority.registry import Registry
    from actorrt.actors.cells.cell import Cell, SupervisorShell
    from actorrt.actors.cells.crash_notes import CrashNotes
    from actorrt.actors.hosting.host import Host
    from actorrt.actors.refs.message import Caller


def serve_spawns(cell_of: Callable[[ActorId], Cell | None], registry: Registry, control: Control) -> None:
    """Let the actors of this endpoint spawn light children."""

    def order_of(asked: Spawn | SpawnMany) -> Order:
        """Return the order of a spawn. It is withdrawn if the parent has ended since the order was sent.

        Nobody would end the child then: the order to stop the parent's children came before.
        """
        order, parent = Order(asked.order), asked.order.parent
        cell = None if parent is None else cell_of(parent)
        order.is_withdrawn = cell is None or cell.state in OVER_STATES
        return order

    def spawn(_: PeerId, asked: Spawn) -> Coroutine[Any, Any, ActorCard]:
        return registry.spawn(ActorRecord(asked.actor, order_of(asked), asked.order.supervisor))

    def spawn_many(_: PeerId, asked: SpawnMany) -> Coroutine[Any, Any, GroupPlaces]:
        return registry.spawn_many(order_of(asked), asked.actors)

    control.handle(Spawn.by(spawn))
    control.handle(SpawnMany.by(spawn_many))


def serve_callers(
    cell_of: Callable[[ActorId], Cell | None], caller_of: Callable[[PeerId], Caller | None], control: Control
) -> None:
    """Tell callers what their calls wait for."""

    def explain(peer: PeerId, asked: ExplainCall) -> CallState:
        cell, caller = cell_of(asked.actor), caller_of(peer)
        if cell is None or caller is None or cell.execution is None:
            return CallState(state="unknown")
        return cell.execution.explain(caller, asked.call)

    control.handle(ExplainCall.by(explain))


def serve_authorities(
    host: Host, registry: Registry, binding: SpecBinding, crash_notes: CrashNotes | None, control: Control
) -> None:
    """Let the authorities of hosted actors start and end them."""

    def stop(_: PeerId, asked: StopHosted) -> None:
        reason = ExitReason(ExitKind.SHUTDOWN, asked.reason)
        for actor_id in asked.actors:
            host.stop(actor_id, reason, is_administrative=asked.is_administrative, manner=asked.manner)

    def kill(_: PeerId, asked: KillHosted) -> None:
        for actor_id in asked.actors:
            host.kill(actor_id)

    async def bury(_: PeerId, asked: Bury) -> None:
        def died() -> errors.ActorDiedError:
            error = copy(asked.error)
            assert isinstance(error, errors.ActorDiedError)
            return error

        cell = host.cell(asked.actor)
        host.bury(asked.actor, died)
        if cell is None:
            await registry.children_gone(asked.actor)
        else:
            await host.children_gone(cell)

    def start(_: PeerId, asked: HostActor) -> Coroutine[Any, Any, None]:
        if crash_notes is not None:
            crash_notes.begin_start()
        blueprint = partial(ordered_blueprint, asked, binding)
        return host.start(asked.actor, asked.label, asked.incarnation, blueprint, asked.snapshots)

    control.handle(HostActor.by(start))
    control.handle(StopHosted.by(stop))
    control.handle(DelayHosted.by(lambda _, asked: host.restarts_later(asked.actor, asked.delay_s)))
    control.handle(KillHosted.by(kill))
    control.handle(Bury.by(bury))


def serve_supervisors(cell_of: Callable[[ActorId], Cell | None], control: Control) -> None:
    """Let authorities tell the supervisors here of their children."""

    def shell_of(supervisor: ActorId) -> SupervisorShell | None:
        cell = cell_of(supervisor)
        return None if cell is None else cell.shell

    def started(_: PeerId, event: ChildStarted) -> None:
        if (shell := shell_of(event.supervisor)) is not None:
            shell.child_started(event)

    def exited(_: PeerId, event: ChildExited) -> None:
        if (shell := shell_of(event.supervisor)) is not None:
            shell.child_exited(event)

    def withdrawn(_: PeerId, event: ChildWithdrawn) -> None:
        if (shell := shell_of(event.supervisor)) is not None:
            shell.child_withdrawn(event)

    def restarted(_: PeerId, event: ChildrenRestarted) -> None:
        if (shell := shell_of(event.supervisor)) is not None:
            shell.children_restarted(event)

    control.handle(ChildStarted.by(started))
    control.handle(ChildExited.by(exited))
    control.handle(ChildWithdrawn.by(withdrawn))
    control.handle(ChildrenRestarted.by(restarted))
