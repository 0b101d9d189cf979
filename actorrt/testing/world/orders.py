"""What must be true of the order of messages, tells included: none overtakes an older one of its sender.

Watched are both ends. At the sender, messages to an actor leave in the order in which they were made, also those that
had to wait. At the receiver, those of one endpoint begin in the order in which they arrived. Frames between the two
are in order if asks are, which have numbers (`promises`).
"""

from __future__ import annotations

from contextlib import ExitStack
from itertools import count
from typing import Any

from actorrt.actors.calling.routes import Routes
from actorrt.actors.cells.cell import Cell
from actorrt.actors.cells.execution import Execution
from actorrt.actors.refs import current
from actorrt.actors.refs.message import Message
from actorrt.actors.refs.reply import Reply
from actorrt.ids import ActorId, PeerId
from actorrt.testing.world.findings import Findings, replace
from actorrt.testing.world.promises import peer_of


class Orders:
    """Checks the order of messages.

    Args:
        findings: gets what is broken.
    """

    def __init__(self, findings: Findings) -> None:
        self._break = findings.add
        self._serials = count(1)
        self._made: dict[int, int] = {}
        """For each call or tell that has not left, by its identity, how many were made before it."""
        self._left: dict[tuple[PeerId, ActorId], int] = {}
        self._arrived: dict[int, int] = {}
        """For each message, by its identity, how many arrived before it."""
        self._begun: dict[tuple[PeerId, ActorId, int], int] = {}

    def watch(self, undo: ExitStack) -> None:
        """Watch the messages of all processes until the end of `undo`."""
        send, send_now, hand_over = Routes.send, Routes._send_now, Routes._deliver
        deliver, function = Cell.deliver, Execution._function

        def number_and_send(routes: Routes, route: Any, call: Reply[Any]) -> None:
            self._made[id(call)] = next(self._serials)  # an identity that is used again gets a new number
            send(routes, route, call)

        def check_and_send(routes: Routes, route: Any, call: Reply[Any]) -> None:
            self._leaves(routes.own_peer, call)
            send_now(routes, route, call)

        def check_and_hand_over(routes: Routes, inbox: Any, call: Reply[Any]) -> None:
            self._leaves(routes.own_peer, call)
            hand_over(routes, inbox, call)

        def number_and_deliver(cell: Cell, message: Message) -> None:
            self._arrived[id(message)] = next(self._serials)
            deliver(cell, message)

        def check_and_run(execution: Execution, method: str) -> Any:
            message = current.message.get()
            if message is not None and message.caller is not None:
                self._begins(message, execution._cell)
            return function(execution, method)

        replace(undo, Routes, "send", number_and_send)
        replace(undo, Routes, "_send_now", check_and_send)
        replace(undo, Routes, "_deliver", check_and_hand_over)
        replace(undo, Cell, "deliver", number_and_deliver)
        replace(undo, Execution, "_function", check_and_run)

    def _leaves(self, sender: PeerId, call: Reply[Any]) -> None:
        """Called when a call or a tell leaves its endpoint, or reaches the mailbox of an actor there."""
        number = self._made.pop(id(call), None)
        if number is None:
            return
        pair = (sender, call.ref._actor_id)
        if number < self._left.get(pair, 0):
            self._break(f"{call.label}.{call.method}() leaves after a message that was made later")
        self._left[pair] = max(number, self._left.get(pair, 0))

    def _begins(self, message: Message, cell: Any) -> None:
        """Called when a message begins to be handled."""
        number = self._arrived.get(id(message), 0)
        trio = (peer_of(message, cell), cell.actor_id, cell.incarnation)
        if number < self._begun.get(trio, 0):
            self._break(f"{cell.label}.{message.method}() begins after a message that arrived later")
        self._begun[trio] = max(number, self._begun.get(trio, 0))
