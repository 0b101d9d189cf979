"""Where defects of the runtime itself end: with the owners of the loop on which they come up.

A defect is an exception that leaves one of the runtime's own callbacks: a timer, a reader, what another thread handed
over, a completion. asyncio logs such an exception and goes on, and everybody who needed the rest of that callback waits
for ever. So the runtime registers an owner with each loop that it works on, and the owner ends what it owns: it tells
everybody who waits, and takes nothing more. A task's exception reaches the same owner through the task's `Scope`.

Callbacks that users put on the loop are not the runtime's: their exceptions are reported as the loop always did.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from types import TracebackType
from typing import Any

Owner = Callable[[BaseException], None]
ExceptionHandler = Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object]

_LOOPS = ("asyncio", "uvloop")
_NOT_THE_RUNTIME = ("actorrt.rl", "actorrt.bench", "actorrt.testing")
"""Parts of the package that use the runtime as any program does."""


class _DefectHandler:
    """The exception handler of one loop.

    Attributes:
        owners: called in their order with each defect.
        previous: the handler that the loop had before; it gets everything else.
    """

    def __init__(self, previous: ExceptionHandler | None) -> None:
        self.owners: list[Owner] = []
        self.previous = previous

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, BaseException) and "handle" in context and _is_the_runtimes(error.__traceback__):
            for owner in list(self.owners):
                owner(error)
        elif self.previous is not None:
            self.previous(loop, context)
        else:
            loop.default_exception_handler(context)


def report_defects(loop: asyncio.AbstractEventLoop, owner: Owner) -> Callable[[], None]:
    """Call `owner(error)` with what the runtime's own callbacks on `loop` let through. Return a function that ends it.

    Several owners on one loop (local mode) are all told. The loop's former exception handler still gets what is not
    the runtime's, and is put back when the last owner has left.
    """
    handler = loop.get_exception_handler()
    if not isinstance(handler, _DefectHandler):
        handler = _DefectHandler(handler)
        loop.set_exception_handler(handler)
    handler.owners.append(owner)

    def end() -> None:
        if owner in handler.owners:
            handler.owners.remove(owner)
        if not handler.owners and loop.get_exception_handler() is handler:
            loop.set_exception_handler(handler.previous)

    return end


def log_defect(logger: logging.Logger, text: str, error: BaseException) -> None:
    """Log what a defect means for one owner: with its traceback the first time, in one line for each further owner."""
    is_known = getattr(error, "_is_logged", False)
    logger.critical(text, exc_info=None if is_known else error)
    error._is_logged = True  # type: ignore[attr-defined]


def _is_the_runtimes(traceback: TracebackType | None) -> bool:
    """Return whether the callback in which an exception came up belongs to the runtime: its outermost frame tells."""
    while traceback is not None:
        module = str(traceback.tb_frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] not in _LOOPS:
            return module.startswith("actorrt.") and not module.startswith(_NOT_THE_RUNTIME)
        traceback = traceback.tb_next
    return False
