"""The stop of one incarnation: the order, then `on_stop` and a last snapshot.

The cell decides what happens to the messages.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from actorrt.actors.cells.start import await_hook
from actorrt.actors.refs import current
from actorrt.actors.refs.message import Message
from actorrt.actors.wire.failures import reason_of
from actorrt.interrupts import let_through
from actorrt.reasons import ExitReason

if TYPE_CHECKING:
    from actorrt.actors.cells.cell import Cell


class ActorStop:
    """An order to end an incarnation.

    Attributes:
        reason: why it ends.
        is_administrative: whether no other incarnation follows.
        timer: ends the incarnation when its time to stop is over.
    """

    __slots__ = ("is_administrative", "reason", "timer")

    def __init__(self, reason: ExitReason, *, is_administrative: bool) -> None:
        self.reason = reason
        self.is_administrative = is_administrative
        self.timer: asyncio.TimerHandle | None = None


async def run_on_stop(cell: Cell, instance: Any, reason: ExitReason, *, may_return: bool) -> ExitReason:
    """Run the hook of an actor that stops, and take its last snapshot.

    Args:
        cell: the actor's.
        instance: what the hook is called on.
        reason: why it stops.
        may_return: whether another incarnation may need the snapshot.

    Returns:
        The reason of the end: `reason`, or the exception of the hook.
    """
    message = Message(None, 0, "!on_stop", (), (), None, None)
    message.cell = cell
    current.message.set(message)
    try:
        await await_hook(instance.on_stop(reason))
    except BaseException as error:  # whatever the user's hook raises is why the actor ended
        let_through(error)
        if cell.host.scope.is_closed:
            raise
        return reason_of(error, f"{cell.label}.on_stop")
    is_of_use = may_return or cell.options.snapshot_dir is not None
    if cell.snapshots is not None and is_of_use and cell.is_finishing:
        cell.snapshots.take(instance)
        await cell.snapshots.saved()
    return reason
