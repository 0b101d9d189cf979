"""Finding actors by name."""

from __future__ import annotations

from typing import Any

from actorrt.actors import current
from actorrt.actors.ref import ActorRef
from actorrt.actors.reply import Operation


def lookup(name: str, timeout_s: float = 0) -> Operation[ActorRef[Any]]:
    """Find the live actor of a name, in the namespace of whoever asks.

    Args:
        name: the name it was spawned with.
        timeout_s: seconds to wait for the name to be taken; 0 asks once.

    Raises:
        NameNotFoundError: (from the result) no live actor has the name.
    """
    if timeout_s < 0:
        raise ValueError(f"timeout_s={timeout_s}: give 0 or more")
    return current.system().lookup(name, timeout_s)
