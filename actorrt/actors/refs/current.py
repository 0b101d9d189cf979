"""What runs here: the system of this process, and the message that is being handled.

In a process there is one system, except in local mode, where every worker of the node has its own: code of an
actor finds its own through the message in hand.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from actorrt.errors import RuntimeStateError

if TYPE_CHECKING:
    from actorrt.actors.cells.mailbox import Message
    from actorrt.actors.endpoint.endpoint import System

message: ContextVar[Message | None] = ContextVar("actorrt_message", default=None)
"""The message in hand, where a method of an actor runs."""

_process_system: System | None = None


def set_process_system(system: System | None) -> None:
    """Say which system serves this process's own code, as against that of its actors."""
    global _process_system
    _process_system = system


def process_system() -> System | None:
    """Return the system that serves this process's own code, if one does."""
    return _process_system


def system() -> System:
    """Return the system that serves the code that asks.

    Raises:
        RuntimeStateError: the runtime is not running in this process, was shut down, or lost its node.
    """
    in_hand = message.get()
    found = _process_system if in_hand is None else in_hand.cell.host.system
    if found is None:
        raise RuntimeStateError("the runtime is not running here: call actorrt.init() first, or use actorrt.run(main)")
    if found.is_closed:
        raise found.refusal()
    return found


def deadline() -> float | None:
    """Return the deadline of the message in hand, if it has one; what outlives its message has none."""
    in_hand = message.get()
    return None if in_hand is None or in_hand.is_over else in_hand.deadline
