"""Threads that callers pass in, for functions that block: real ones, or the steps of a simulation."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextvars import copy_context
from typing import ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Threads(Protocol):
    """Starts threads."""

    def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        """Run a function in a thread of the running loop's pool, which ends with the loop; return its outcome.

        The function sees the caller's context variables. A function that has begun can't be cancelled.
        """

    def pool(self, name: str, threads_count: int = 1) -> Executor:
        """Return a new pool of at most so many threads; the caller shuts it down."""

    def start(self, name: str, function: Callable[[], object]) -> None:
        """Run a function in a thread of its own, which does not keep the process from ending."""


class OsThreads:
    """Threads of this process."""

    def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        call = copy_context().run
        return asyncio.get_running_loop().run_in_executor(None, lambda: call(function, *args, **kwargs))

    def pool(self, name: str, threads_count: int = 1) -> Executor:
        return ThreadPoolExecutor(max_workers=threads_count, thread_name_prefix=name)

    def start(self, name: str, function: Callable[[], object]) -> None:
        threading.Thread(target=function, name=name, daemon=True).start()
