"""Restarts and stops of many hosted actors by one order, one after the other, for the groups of supervisors.

This is the host's side; the node's is `node.placement.group_restarts`. Which actors, and in which order, is decided in
`supervision`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final

from actorrt.actors.cells.cell_state import STOPPING_STATES, CellState
from actorrt.actors.wire.control import Control
from actorrt.errors import ActorStartError
from actorrt.ids import ActorId, ObjectId, PeerAddress, PeerId
from actorrt.protocol.hosts import HostInTurn, NextIncarnation, StopInTurn
from actorrt.protocol.nodes import Hosted, HostedActor
from actorrt.reasons import ExitKind, ExitReason

if TYPE_CHECKING:
    from actorrt.actors.authority.registry import Registry
    from actorrt.actors.cells.blueprint import Blueprint
    from actorrt.actors.hosting.host import Host
    from actorrt.actors.hosting.reports import Reports
    from actorrt.scopes import Scope

STEP_COUNT: Final = 100
"""How many actors are started or stopped before others on the loop have their turn."""


class PlannedStarts:
    """The starts that are ordered, and whose turn has not come."""

    def __init__(self) -> None:
        self._waiting: dict[ActorId, tuple[int, StartReports]] = {}

    def add(self, actor_id: ActorId, incarnation: int, reports: StartReports) -> None:
        """Plan the start of an incarnation."""
        self._waiting[actor_id] = incarnation, reports

    def take(self, actor_id: ActorId) -> bool:
        """Called when the turn of an actor has come; return whether its start is still planned."""
        return self._waiting.pop(actor_id, None) is not None

    def pass_over(self, actor_id: ActorId) -> bool:
        """Cancel the planned start of an actor, and report that; return whether a start was planned."""
        waiting = self._waiting.pop(actor_id, None)
        if waiting is None:
            return False
        incarnation, reports = waiting
        reports.add(actor_id, incarnation, has_started=False)
        reports.tell()
        return True


class Batches:
    """Carries out the orders about groups of actors of one host.

    Args:
        host: starts and stops the actors.
        planned: the planned starts of the host.
        registry: knows which of them have children here.
        reports: tells when they have ended.
        control: brings the orders.
        scope: owns starts that wait.
    """

    def __init__(
        self,
        host: Host,
        planned: PlannedStarts,
        registry: Registry,
        reports: Reports,
        control: Control,
        scope: Scope,
    ) -> None:
        self._host = host
        self._planned = planned
        self._registry = registry
        self._reports = reports
        self._control = control
        self._scope = scope
        control.handle(HostInTurn.by(self._start))
        control.handle(StopInTurn.by(self._stop))

    def _start(self, _: PeerId, asked: HostInTurn) -> Coroutine[Any, Any, None]:
        """Plan the starts at once, so that an order right behind this one finds them."""
        reports = StartReports(self._control, asked.authority)
        for actor_id, incarnation, _snapshots in asked.actors:
            self._planned.add(actor_id, incarnation, reports)
            cell = self._host.cell(actor_id)
            if cell is not None and cell.execution is not None and cell.execution.interrupted:
                self._host.settle_interrupted(cell)  # their callers need not wait for the turn
        return self._start_each(asked.actors, reports)

    async def _start_each(self, orders: Sequence[NextIncarnation], reports: StartReports) -> None:
        """Start incarnations in their turn, and tell the authority of each.

        Raises:
            ActorStartError: one did not start; those behind it are not begun.
        """
        try:
            for count, (actor_id, incarnation, snapshots) in enumerate(orders, 1):
                if not self._planned.take(actor_id):
                    continue  # passed over
                if not self._start_at_once(actor_id, incarnation, snapshots):
                    reports.tell()
                    await self._start_apart(actor_id, incarnation, snapshots)
                reports.add(actor_id, incarnation, has_started=True)
                if count % STEP_COUNT == 0:
                    reports.tell()
                    await asyncio.sleep(0)  # others on this loop have their turn
        finally:
            reports.tell()
            for actor_id, _incarnation, _snapshots in orders:
                self._planned.take(actor_id)

    def _start_at_once(self, actor_id: ActorId, incarnation: int, snapshots: Sequence[ObjectId]) -> bool:
        """Start an incarnation if nothing about that waits; return whether it does not."""
        cell = self._host.cell(actor_id)
        if cell is None or snapshots or not cell.blueprint.starts_at_once or cell.has_distant_children:
            return False
        if self._registry.has_children(actor_id):
            return False
        try:
            cell.start_at_once(incarnation)
        except BaseException as error:
            raise self._host.start_failed(actor_id, cell.label, error) from error
        return True

    async def _start_apart(self, actor_id: ActorId, incarnation: int, snapshots: Sequence[ObjectId]) -> None:
        """Start an incarnation in a task of its own: a start that is broken off is a task that is cancelled."""
        cell = self._host.cell(actor_id)
        label = "an actor" if cell is None else cell.label

        starting = self._host.start(actor_id, label, incarnation, _no_blueprint, snapshots)

        async def start() -> BaseException | None:
            try:
                await starting
            except ActorStartError as error:
                return error
            return None

        error = await self._scope.start(start(), f"restart {label}")
        if error is not None:
            raise error

    async def _stop(self, _: PeerId, asked: StopInTurn) -> None:
        """Stop actors, each when the one before has ended; their exits are reported like all others."""
        reason = ExitReason(ExitKind.SHUTDOWN, asked.reason)
        for count, actor_id in enumerate(asked.actors, 1):
            cell = self._host.cell(actor_id)
            if cell is not None and cell.state is CellState.RUNNING:
                self._host.stop(actor_id, reason, is_administrative=False, manner=asked.manner)
            if cell is not None and cell.state in STOPPING_STATES:
                await self._reports.next_exit_of(actor_id)
            if count % STEP_COUNT == 0:
                await asyncio.sleep(0)  # others on this loop have their turn


class StartReports:
    """Reports of starts to an authority: many in one message, sent before others on the loop have their turn."""

    def __init__(self, control: Control, authority: PeerAddress) -> None:
        self._control = control
        self._authority = authority
        self._actors: list[HostedActor] = []

    def add(self, actor_id: ActorId, incarnation: int, *, has_started: bool) -> None:
        self._actors.append(HostedActor(actor_id, incarnation, has_started))

    def tell(self) -> None:
        if self._actors:
            self._control.notify(self._authority, Hosted(actors=self._actors))
            self._actors = []


def _no_blueprint() -> Blueprint:
    raise ActorStartError("an actor can't be started again: its cell is gone")
