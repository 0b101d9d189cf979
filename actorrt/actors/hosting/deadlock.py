"""Finds call cycles. It looks at actors that have been busy with the same message for a while, with others queued.

A message in hand may wait for calls. A call that is in hand elsewhere waits for what its method waits for; a call that
is queued waits for the messages that its actor has in hand. A *probe* follows these waits from a crowded actor, from
endpoint to endpoint. If every message in hand there leads back to a call that is queued at the same actor, none of them
can ever end, so that call is ended with `DeadlockError`. Every wait on the way lasts until the next one ends. So all
waits of a probe that came round existed at the same time, however long the probe took. A chain that may still end never
leads back.

Coroutines are followed that await a reply or a `gather`, also through `asyncio.gather` and awaited tasks. Waits for
*some* of several things may end otherwise, and are not followed.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from actorrt.actors.refs.message_waits import waited_for
from actorrt.background import in_background
from actorrt.errors import ActorRtError, DeadlockError
from actorrt.ids import ActorId, PeerId
from actorrt.protocol.hosts import BlockedCall, FindCycle

if TYPE_CHECKING:
    from actorrt.actors.cells.cell import Cell
    from actorrt.actors.hosting.message_outcomes import MessageOutcomes
    from actorrt.actors.refs.message import Caller, Message
    from actorrt.actors.refs.reply import Reply
    from actorrt.actors.wire.control import Control
    from actorrt.machine.clock import Clock
    from actorrt.protocol.authorities import Sighting
    from actorrt.scopes import Scope

LOOK_EVERY_S: Final = 0.25
"""How often crowded actors are looked at; what has been in hand for less is not suspected."""
PROBE_EVERY_S: Final = 2.0
"""The longest pause between two probes of an actor that stays crowded."""
LOOKS_AT_ONCE: Final = 1_000
FOLLOWED_COUNT: Final = 64


class Probes:
    """Follows waits from message to message, and from endpoint to endpoint.

    Args:
        own_peer: this endpoint.
        cell: returns the cell of an actor that is hosted here, or None.
        caller: returns an endpoint as a caller, this one included; None if it has not called.
        sighting: returns where an actor was seen last, or None.
        control: asks other endpoints.
    """

    def __init__(
        self,
        own_peer: PeerId,
        cell: Callable[[ActorId], Cell | None],
        caller: Callable[[PeerId], Caller | None],
        sighting: Callable[[ActorId], Sighting | None],
        control: Control,
    ) -> None:
        self._own_peer = own_peer
        self._cell = cell
        self.caller = caller
        self._sighting = sighting
        self._control = control
        control.handle(FindCycle.by(self._serve))

    async def behind(self, cell: Cell, start: ActorId, seen: set[ActorId]) -> BlockedCall | None:
        """Return the call, queued at `start`, that everything in hand in a cell waits for, and the way to it."""
        found = None
        for message in list(cell.execution.running) if cell.execution and cell.execution.is_full else ():
            found = await self._waits(cell, message, start, seen)
            if found is None:
                return None
        return found

    async def _waits(self, cell: Cell, message: Message, start: ActorId, seen: set[ActorId]) -> BlockedCall | None:
        for number, reply in enumerate(waited_for(message)):
            if number == FOLLOWED_COUNT:
                return None
            found = await self._follow(reply, start, seen)
            if found is not None:
                path = [f"{cell.label}.{message.method}()", *found.path]
                return BlockedCall(peer=found.peer, call=found.call, path=path)
        return None

    async def _follow(self, reply: Reply[Any], start: ActorId, seen: set[ActorId]) -> BlockedCall | None:
        actor_id = reply.ref._actor_id
        if reply.peer == self._own_peer:
            return await self._at(reply.peer, actor_id, reply.call_id, start, seen)
        sighting = self._sighting(actor_id)
        if reply.peer is None or sighting is None or sighting.peer_address.peer != reply.peer:
            return None  # it has not left, or its actor is being sought
        asked = FindCycle(actor=actor_id, call=reply.call_id, start=start, seen=list(seen))
        try:
            return await self._control.request(sighting.peer_address, asked)
        except ActorRtError:
            return None  # its process is gone: the call ends by that

    async def _serve(self, peer: PeerId, asked: FindCycle) -> BlockedCall | None:
        return await self._at(peer, asked.actor, asked.call, asked.start, set(asked.seen))

    async def _at(
        self, peer: PeerId, actor_id: ActorId, call_id: int, start: ActorId, seen: set[ActorId]
    ) -> BlockedCall | None:
        """Follow a call of `peer` that was sent to an actor here."""
        cell, caller = self._cell(actor_id), self.caller(peer)
        if cell is None or cell.execution is None or caller is None:
            return None
        for message in cell.execution.running:
            if message.call_id == call_id and message.caller is caller:
                return await self._waits(cell, message, start, seen)
        queued = cell.execution.queued(caller, call_id)
        if queued is not None and actor_id == start:
            return BlockedCall(peer=peer, call=call_id, path=[f"{cell.label}.{queued.method}()"])
        if queued is None or actor_id in seen:
            return None
        seen.add(actor_id)
        return await self.behind(cell, start, seen)


class Deadlocks:
    """Looks for call cycles through the actors of one endpoint.

    Args:
        probes: follow the waits.
        outcomes: take the error of a call that waits for itself.
        clock, scope: time the looks, and own the probes under way.
    """

    def __init__(self, probes: Probes, outcomes: MessageOutcomes, clock: Clock, scope: Scope) -> None:
        self._probes = probes
        self._outcomes = outcomes
        self._clock = clock
        self._scope = scope
        self._crowded: dict[Cell, float] = {}  # and when each is to be probed next
        self._probed: set[Cell] = set()  # from which a probe is under way; a stopped process keeps it long
        self._is_looking = False

    def suspect(self, cell: Cell) -> None:
        """Called when messages wait behind those in hand in a cell."""
        if cell not in self._crowded:
            self._crowded[cell] = 0.0
            if not self._is_looking:
                self._is_looking = True
                in_background(self._scope.after, LOOK_EVERY_S, self._look)

    def _look(self) -> None:
        now = self._clock.now()
        for cell in list(islice(self._crowded, LOOKS_AT_ONCE)):
            probe_at = self._crowded.pop(cell)
            if not cell.mailbox or cell.execution is None or not cell.execution.is_full:
                continue
            oldest = cell.execution.running[0]
            age_s = now - oldest.began_at
            is_due = now >= probe_at and age_s >= LOOK_EVERY_S and cell not in self._probed
            if is_due and next(waited_for(oldest), None) is not None:
                self._probed.add(cell)
                probing = self._scope.start(self._probe(cell), f"probe of {cell.label}")
                probing.add_done_callback(lambda _, cell=cell: self._probed.discard(cell))  # type: ignore[misc]
                probe_at = now + min(age_s, PROBE_EVERY_S)
            self._crowded[cell] = probe_at  # behind those that were not looked at
        self._is_looking = bool(self._crowded)
        if self._is_looking:
            in_background(self._scope.after, LOOK_EVERY_S, self._look)

    async def _probe(self, cell: Cell) -> None:
        found = await self._probes.behind(cell, cell.actor_id, {cell.actor_id})
        if found is None or cell.execution is None:
            return
        message = cell.execution.queued(self._probes.caller(found.peer), found.call)
        if message is not None and message.caller is not None and cell.execution.take_back(message):
            cell.left(message.caller, message)
            path = " -> ".join(found.path)
            error = f"{cell.label}.{message.method}() would wait for itself: {path}; let one of them not wait for the "
            self._outcomes.refuse(message, DeadlockError(f"{error}next, or give {cell.label} a larger max_concurrency"))
