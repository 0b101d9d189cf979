"""The error of a simulation in which nothing can happen any more."""

from __future__ import annotations

from actorrt.errors import ActorRtError


class Stuck(ActorRtError):
    """Only the runtime's own periodic timers are left. The text says which task waits for what."""
