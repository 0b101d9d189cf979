"""Marks what the runtime does at intervals for itself: heartbeats, looks, samples, sweeps and reports.

No user waits for such work, and it goes on for ever. A loop in virtual time reads the mark: if nothing else is left to
happen, the program is stuck (`actorrt.testing`). The mark is a context variable, so everything that background work
schedules is background too; a task that background work wakes has a context of its own, and is not.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context, ContextVar
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

IS_BACKGROUND: Final[ContextVar[bool]] = ContextVar("actorrt_background", default=False)
"""Whether the code that runs belongs to the runtime's own periodic work."""


def in_background(schedule: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `schedule`, such as a loop's `call_later`, and mark what it schedules; return what it returns.

    What is scheduled has a context of its own: that of the present message would keep the message and its actor alive.
    """
    context = Context()
    context.run(IS_BACKGROUND.set, True)
    return context.run(schedule, *args, **kwargs)
