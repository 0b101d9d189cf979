"""Threads of a simulated process: each function is a step of the loop, a little later, and must not block."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextvars import copy_context
from typing import Any, Final, ParamSpec, TypeVar

from actorrt.testing.shells.chance import Chance
from actorrt.testing.virtual.loop import VirtualLoop

MAX_THREAD_S: Final = 0.005
"""How long a function of a thread takes, at most."""

P = ParamSpec("P")
T = TypeVar("T")


class SimulatedThreads:
    """The threads of one process.

    Args:
        loop: runs the steps.
        chance: says how long each function takes.
    """

    def __init__(self, loop: VirtualLoop, chance: Chance) -> None:
        self._loop = loop
        self._chance = chance

    def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        call = copy_context().run
        future: Future[T] = Future()
        self._later(lambda: _complete(future, lambda: call(function, *args, **kwargs)))
        return asyncio.wrap_future(future, loop=self._loop)

    def pool(self, name: str, threads_count: int = 1) -> Executor:
        return _Pool(self._later)

    def start(self, name: str, function: Callable[[], object]) -> None:
        self._later(function)

    def _later(self, step: Callable[[], object]) -> None:
        self._loop.call_later(self._chance.between(0.0, MAX_THREAD_S), step)


class _Pool(Executor):
    """A pool whose functions run one after the other.

    Args:
        later: calls something a little later.
    """

    def __init__(self, later: Callable[[Callable[[], object]], None]) -> None:
        self._later = later
        self._waiting: list[tuple[Future[Any], Callable[[], Any]]] = []
        self._is_shut_down = False

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        if self._is_shut_down:
            raise RuntimeError("cannot schedule new futures after shutdown")
        future: Future[T] = Future()
        self._waiting.append((future, lambda: function(*args, **kwargs)))
        self._later(self._step)
        return future

    def _step(self) -> None:
        if self._waiting:  # not if the pool was shut down meanwhile
            _complete(*self._waiting.pop(0))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._is_shut_down = True
        waiting, self._waiting = self._waiting, []
        for future, call in waiting:
            if cancel_futures:
                future.cancel()
            else:
                _complete(future, call)


def _complete(future: Future[Any], call: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(call())
    except BaseException as error:  # the function's own; the caller raises it
        future.set_exception(error)
