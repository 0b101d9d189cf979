"""Reports defects of the runtime itself to the owners of the loop on which they occur.

A defect is an exception that leaves one of the runtime's own callbacks: a timer, a reader, a function that another
thread handed over, a completion. asyncio logs such an exception and continues, and a caller that needs the rest of that
callback waits for ever. So the runtime registers an owner with each loop that it uses. The owner shuts down: it fails
every waiting call, and accepts no more. A task's exception reaches the same owner through the
task's `Scope`.

Exceptions of callbacks that users put on the loop are not defects of the runtime; the loop reports them as usual.
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
_USERS_OF_THE_RUNTIME = ("actorrt.rl", "actorrt.bench", "actorrt.testing.world")
"""Packages that use the runtime as any program does; their exceptions are not defects of the runtime."""


class _DefectHandler:
    """The exception handler of one loop.

    Attributes:
        owners: called in order with each defect.
        previous: the handler that the loop had before; it gets all other exceptions.
    """

    def __init__(self, previous: ExceptionHandler | None) -> None:
        self.owners: list[Owner] = []
        self.previous = previous

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, BaseException) and "handle" in context and _belongs_to_the_runtime(error.__traceback__):
            for owner in list(self.owners):
                owner(error)
        elif self.previous is not None:
            self.previous(loop, context)
        else:
            loop.default_exception_handler(context)


def report_defects(loop: asyncio.AbstractEventLoop, owner: Owner) -> Callable[[], None]:
    """Call `owner(error)` with each exception that leaves the runtime's own callbacks on `loop`.

    In local mode a loop has several owners, and all of them are told. The loop's former exception handler still gets
    the exceptions of other callbacks, and is restored when the last owner has left.

    Returns:
        A function that ends the reports to this owner.
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
    """Log the consequence of a defect for one owner. Only the first owner's entry has the traceback."""
    is_known = getattr(error, "_is_logged", False)
    logger.critical(text, exc_info=None if is_known else error)
    error._is_logged = True  # type: ignore[attr-defined]


def _belongs_to_the_runtime(traceback: TracebackType | None) -> bool:
    """Whether the callback that raised belongs to the runtime, as its outermost frame shows."""
    while traceback is not None:
        module = str(traceback.tb_frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] not in _LOOPS:
            return module.startswith("actorrt.") and not module.startswith(_USERS_OF_THE_RUNTIME)
        traceback = traceback.tb_next
    return False
