"""Finds cycles of waits: of calls, tasks and objects that wait for each other.

A message in hand may wait for calls, and for refs. A call that is in hand elsewhere waits for what its method waits
for; a call that is queued waits for the messages that its actor has in hand. A ref waits for what makes its object: a
task or a call. A *probe* follows these waits from endpoint to endpoint.

A probe begins at a crowded actor, which has been busy with the same message for a while, with others queued. If every
message in hand there leads back to a call that is queued at the same actor, none of them can ever end, so that call is
ended with `DeadlockError`. Cycles without a queued call are found by probes that begin at tasks, see
`actorrt.tasks.working.cycles`; these do not pass queued calls.

Every wait on the way lasts until the next one ends. So all waits of a probe that came round existed at the same time,
however long the probe took. A chain that may still end never leads back. Coroutines are followed that await a reply, a
ref or a `gather`, also through `asyncio.gather` and awaited tasks. Waits for *some* of several things may end
otherwise, and are not followed.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, Final, Protocol

from actorrt.actors.policy.suspects import Suspects
from actorrt.actors.refs.message_waits import waited_for
from actorrt.background import in_background
from actorrt.completion import Completion
from actorrt.errors import ActorRtError, DeadlockError
from actorrt.ids import ID_BYTES, ActorId, ObjectId, PeerAddress, PeerId
from actorrt.protocol.objects import FindPromise
from actorrt.protocol.processes import FindCycle, FindCycleOfObject, WaitCycle
from actorrt.protocol.verb import Request
from actorrt.store.client.ref import ObjectRef

if TYPE_CHECKING:
    from actorrt.actors.cells.cell import Cell
    from actorrt.actors.hosting.message_outcomes import MessageOutcomes
    from actorrt.actors.refs.message import Caller, Message
    from actorrt.actors.wire.control import Control
    from actorrt.machine.clock import Clock
    from actorrt.protocol.authorities import Sighting
    from actorrt.scopes import Scope

LOOK_EVERY_S: Final = 0.25
"""How often crowded actors are looked at; what has been in hand for less is not suspected."""
PROBE_EVERY_S: Final = 2.0
"""The longest pause between two probes of an actor that stays crowded."""
FOLLOWED_COUNT: Final = 64


class TaskProbes(Protocol):
    """Follows the waits of tasks."""

    def behind(
        self, ref: ObjectRef[Any], start: bytes, seen: set[bytes]
    ) -> Coroutine[Any, Any, WaitCycle | None] | None:
        """Follow the wait for a ref to the result of a task of this process; return None if it is none."""

    def promised(self, object_id: ObjectId) -> ObjectRef[Any] | None:
        """Return the ref to the result of a task of this process that makes an object; None if none does."""


class Probes:
    """Follows waits from message to message, and from endpoint to endpoint.

    Args:
        own_peer: this endpoint.
        node: the node daemon, which knows who has promised which object.
        cell: returns the cell of an actor that is hosted here, or None.
        caller: returns an endpoint as a caller, this one included; None if it has not called.
        sighting: returns where an actor was seen last, or None.
        makers: the calls that make objects which this endpoint has promised.
        control: asks other endpoints.

    Attributes:
        tasks: follows the waits of tasks, once there are any.
    """

    def __init__(
        self,
        own_peer: PeerId,
        node: PeerAddress,
        cell: Callable[[ActorId], Cell | None],
        caller: Callable[[PeerId], Caller | None],
        sighting: Callable[[ActorId], Sighting | None],
        makers: dict[ObjectId, Completion[Any]],
        control: Control,
    ) -> None:
        self._own_peer = own_peer
        self._node = node
        self._cell = cell
        self.caller = caller
        self._sighting = sighting
        self._makers = makers
        self._control = control
        self.tasks: TaskProbes | None = None
        control.handle(FindCycle.by(self._serve))
        control.handle(FindCycleOfObject.by(self._serve_object))

    async def behind(self, cell: Cell, start: bytes, seen: set[bytes]) -> WaitCycle | None:
        """Return the cycle that everything in hand in a cell leads to."""
        found = None
        for message in list(cell.execution.running) if cell.execution and cell.execution.is_full else ():
            found = await self._behind_message(cell, message, start, seen)
            if found is None:
                return None
        return found

    async def _behind_message(self, cell: Cell, message: Message, start: bytes, seen: set[bytes]) -> WaitCycle | None:
        return await self.follow(f"{cell.label}.{message.method}()", waited_for(message), start, seen)

    async def follow(
        self, label: str, waits: Iterable[Completion[Any]], start: bytes, seen: set[bytes]
    ) -> WaitCycle | None:
        """Return the cycle that one of these waits leads to; `label` has all of them, and needs each to continue."""
        for number, what in enumerate(waits):
            if number == FOLLOWED_COUNT:
                return None
            found = await self._follow(what, start, seen)
            if found is not None:
                return WaitCycle(peer=found.peer, call=found.call, path=[label, *found.path], first=found.first)
        return None

    async def _follow(self, what: Any, start: bytes, seen: set[bytes]) -> WaitCycle | None:
        if isinstance(what, ObjectRef):
            following = None if self.tasks is None else self.tasks.behind(what, start, seen)
            return await (self._behind_object(what.id, start, seen) if following is None else following)
        actor_id = what.ref._actor_id
        if what.peer == self._own_peer:
            return await self._at(what.peer, actor_id, what.call_id, start, seen)
        sighting = self._sighting(actor_id)
        if what.peer is None or sighting is None or sighting.peer_address.peer != what.peer:
            return None  # it has not left, or its actor is being sought
        asked = FindCycle(actor=actor_id, call=what.call_id, start=start, seen=list(seen))
        return await self.ask(sighting.peer_address, asked)

    async def ask(self, to: PeerAddress, asked: Request[WaitCycle | None]) -> WaitCycle | None:
        """Have another process follow a wait."""
        try:
            return await self._control.request(to, asked)
        except ActorRtError:
            return None  # the process is gone: the wait ends by that

    async def _behind_object(self, object_id: ObjectId, start: bytes, seen: set[bytes]) -> WaitCycle | None:
        if object_id in seen:
            return None
        seen.add(object_id)
        if self._maker(object_id) is not None:
            return await self._behind_maker(object_id, start, seen)
        try:
            maker = (await self._control.request(self._node, FindPromise(object=object_id))).process
        except ActorRtError:
            return None
        if maker is None or maker.peer == self._own_peer:
            return None  # it is there, or is failed at this moment
        return await self.ask(maker, FindCycleOfObject(object=object_id, start=start, seen=list(seen)))

    async def _behind_maker(self, object_id: ObjectId, start: bytes, seen: set[bytes]) -> WaitCycle | None:
        maker = self._maker(object_id)
        return None if maker is None else await self._follow(maker, start, seen)

    def _maker(self, object_id: ObjectId) -> Completion[Any] | None:
        call = self._makers.get(object_id)
        return self.tasks.promised(object_id) if call is None and self.tasks is not None else call

    async def _serve(self, peer: PeerId, asked: FindCycle) -> WaitCycle | None:
        return await self._at(peer, asked.actor, asked.call, asked.start, {*asked.seen})

    async def _serve_object(self, _: PeerId, asked: FindCycleOfObject) -> WaitCycle | None:
        return await self._behind_maker(asked.object, asked.start, {*asked.seen})

    async def _at(
        self, peer: PeerId, actor_id: ActorId, call_id: int, start: bytes, seen: set[bytes]
    ) -> WaitCycle | None:
        """Follow a call of `peer` that was sent to an actor here."""
        cell, caller = self._cell(actor_id), self.caller(peer)
        if cell is None or cell.execution is None or caller is None:
            return None
        for message in cell.execution.running:
            if message.call_id == call_id and message.caller is caller:
                return await self._behind_message(cell, message, start, seen)
        queued = cell.execution.queued(caller, call_id)
        if queued is not None and actor_id == start:
            return WaitCycle(peer=peer, call=call_id, path=[f"{cell.label}.{queued.method}()"])
        if queued is None or actor_id in seen or len(start) != ID_BYTES:
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
        self._suspects: Suspects[Cell] = Suspects(LOOK_EVERY_S, PROBE_EVERY_S)

    def suspect(self, cell: Cell) -> None:
        """Called when messages wait behind those in hand in a cell."""
        if self._suspects.suspect(cell):
            in_background(self._scope.after, LOOK_EVERY_S, self._look)

    def _look(self) -> None:
        for cell in self._suspects.look(self._clock.now(), self._crowded_since):
            probing = self._scope.start(self._probe(cell), f"probe of {cell.label}")
            probing.add_done_callback(lambda _, cell=cell: self._suspects.probed(cell))  # type: ignore[misc]
        if self._suspects.is_looking:
            in_background(self._scope.after, LOOK_EVERY_S, self._look)

    def _crowded_since(self, cell: Cell) -> float | None:
        if not cell.mailbox or cell.execution is None or not cell.execution.is_full:
            return None
        oldest = cell.execution.running[0]
        return oldest.began_at if next(waited_for(oldest), None) is not None else self._clock.now()

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
