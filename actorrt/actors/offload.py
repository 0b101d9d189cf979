"""Methods that block, run in a thread so that the actor's loop goes on."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar

S = TypeVar("S")
P = ParamSpec("P")
T = TypeVar("T")


def offload(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """Run a plain method in a thread; for its callers it is as any other.

    The actor still handles one message at a time: the next one waits for this one, but other actors of the worker,
    cancels and deadlines do not. A thread can't be interrupted: a cancelled call ends at once for its caller, and the
    thread runs on.

    Raises:
        TypeError: the method is a coroutine function or a generator, which must not run in a thread.
    """
    if asyncio.iscoroutinefunction(method):
        raise TypeError(
            f"@offload on {method.__qualname__}: it is async, so it does not block; take the decorator away"
        )

    @functools.wraps(method)
    async def offloaded(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.to_thread(method, self, *args, **kwargs)

    return offloaded
