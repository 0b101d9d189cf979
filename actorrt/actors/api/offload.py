"""Runs methods that block in threads, so that the actor's loop goes on."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any, Concatenate, ParamSpec, TypeVar

from actorrt.actors.refs import current
from actorrt.actors.wire.interface import MethodKind, kind_of
from actorrt.completion import Completion
from actorrt.machine.threads import OsThreads

S = TypeVar("S")
P = ParamSpec("P")
T = TypeVar("T")


def offload(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """Run a plain method in a thread. Its callers notice no difference.

    The actor still handles one message at a time: its next message waits for this one, but other actors of the worker,
    cancellations and deadlines do not. A thread can't be interrupted: a cancelled call ends at once for its caller, and
    the thread runs on. Each call has a thread of its own, so calls that block don't wait for each other, and none keeps
    the process from ending.

    Raises:
        TypeError: the method is a coroutine function or a generator, which must not run in a thread.
    """
    if kind_of(method) is not MethodKind.PLAIN:
        raise TypeError(
            f"@offload on {method.__qualname__}: it is async or yields, so it need not block; take the decorator away"
        )

    @functools.wraps(method)
    async def offloaded(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        outcome: Completion[T] = Completion()
        call = functools.partial(copy_context().run, method, self, *args, **kwargs)
        here = current.surroundings()
        threads = OsThreads() if here is None else here.threads  # a class can be tested without a runtime
        threads.start(method.__qualname__, functools.partial(_run, call, outcome))
        return await outcome

    return offloaded


def _run(call: Callable[[], T], outcome: Completion[T]) -> None:
    try:
        outcome.set_value(call())
    except BaseException as error:  # the method's own; the actor raises it
        outcome.set_error(error)
