"""The requests by which the authorities of hosted actors start and end them, in terms of their host."""

from __future__ import annotations

from collections.abc import Coroutine
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any

from actorrt import errors
from actorrt.actors.cells.blueprint import ordered_blueprint
from actorrt.actors.wire.control import Control
from actorrt.ids import ActorId, PeerId
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
    from actorrt.actors.hosting.host import Host
    from actorrt.actors.supervisors.shell import Shell


def serve_authorities(host: Host, control: Control) -> None:
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

        host.bury(asked.actor, died)
        await host.system.registry.children_gone(asked.actor)

    def explain(peer: PeerId, asked: ExplainCall) -> CallState:
        cell = host.cell(asked.actor)
        caller = host.caller(peer) if peer != host.system.peers.own_peer else host.system.local_caller
        if cell is None or caller is None or cell.turns is None:
            return CallState(state="unknown")
        return cell.turns.explain(caller, asked.call)

    def start(_: PeerId, asked: HostActor) -> Coroutine[Any, Any, None]:
        if host.system.evidence is not None:
            host.system.evidence.begin_start()
        blueprint = partial(ordered_blueprint, asked, host.system)
        return host.start(asked.actor, asked.label, asked.incarnation, blueprint, asked.snapshots)

    control.handle(ExplainCall.by(explain))
    control.handle(HostActor.by(start))
    control.handle(StopHosted.by(stop))
    control.handle(DelayHosted.by(lambda _, asked: host.restarts_later(asked.actor, asked.delay_s)))
    control.handle(KillHosted.by(kill))
    control.handle(Bury.by(bury))
    _serve_supervisors(host, control)


def _serve_supervisors(host: Host, control: Control) -> None:
    """Let authorities tell the supervisors here of their children."""

    def shell_of(supervisor: ActorId) -> Shell | None:
        cell = host.cell(supervisor)
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
