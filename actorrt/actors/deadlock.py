"""Call cycles: found where the call that comes back finds its actor occupied by a call that waits for it.

Every call made while an actor handles another carries the chain that led to it: which actor, by which call of its
own. A call that arrives at an actor in its own chain can only be handled if what occupies the actor ends first. It
never will if that is waiting, now or from some later moment on, for the very call of the chain. As long as it is
not, the chain may still end, and nothing is said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from actorrt.errors import DeadlockError
from actorrt.ids import ActorId

if TYPE_CHECKING:
    from actorrt.actors.cell import Cell
    from actorrt.actors.mailbox import Message
    from actorrt.actors.turns import Turns


class Step(NamedTuple):
    """One actor of a chain, and the call by which it went on."""

    actor_id: ActorId
    call_id: int
    label: str


Chain: TypeAlias = "tuple[Step, ...]"


def read_chain(data: list[list[object]]) -> Chain:
    """Rebuild a chain that came in an envelope."""
    return tuple(Step(*step) for step in data)  # type: ignore[arg-type]


def step_here(chain: Chain, actor_id: ActorId) -> int | None:
    """Return where in the chain the actor is, the last time if more than once; None if it is not."""
    for index in range(len(chain) - 1, -1, -1):
        if chain[index].actor_id == actor_id:
            return index
    return None


class Suspects:
    """The calls in one cell's mailbox that came back to an actor of their own chain."""

    def __init__(self, cell: Cell, turns: Turns) -> None:
        self._cell = cell
        self._turns = turns
        self._by_call: dict[int, list[Message]] = {}

    def arrived(self, message: Message) -> None:
        """Look at a call that carries a chain; end it if its actor waits for it already."""
        index = step_here(message.chain, self._cell.actor_id)
        if index is None or self._turns.occupant is None:
            return
        call_id = message.chain[index].call_id
        self._by_call.setdefault(call_id, []).append(message)
        reply = self._cell.host.system.calls.pending(call_id)
        if reply is not None and reply.awaited_by is self._turns.occupant:
            self.awaited(call_id)

    def awaited(self, call_id: int) -> None:
        """The actor begins to wait for one of its calls: what came back by that call can't be handled any more."""
        for message in self._by_call.pop(call_id, ()):
            if message.caller is not None and self._turns.take_back(message):
                self._cell.host.refuse(message, self._error(message))

    def ended(self) -> None:
        """The message that occupied the actor is over; what came back by its calls has its turn now."""
        self._by_call.clear()

    def _error(self, message: Message) -> DeadlockError:
        index = step_here(message.chain, self._cell.actor_id) or 0
        labels = [step.label for step in message.chain[index:]]
        path = " -> ".join([*labels, self._cell.label])
        return DeadlockError(
            f"{self._cell.label}.{message.method}() would wait for itself: {path}; let the first call not wait for the "
            "chain, or give the actor max_concurrency=2"
        )
