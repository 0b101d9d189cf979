"""A function that has arrived at a worker, or the reason why it can't be loaded there."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from actorrt.interrupts import let_through
from actorrt.tasks.policy.task import FunctionCost


class LoadedFunction:
    """A function that has arrived.

    Attributes:
        name: for people.
        function: the function; None while it can't be loaded.
        error: why it can't be loaded.
        is_async: whether it is a coroutine function.
        cost: how long its tasks take here.
        calls_count: how many of its tasks have begun here.
    """

    __slots__ = ("_max_calls", "calls_count", "cost", "error", "function", "is_async", "name")

    def __init__(self, name: str, load: Callable[[], Any], max_calls: int | None) -> None:
        self.name = name
        self._max_calls = max_calls
        self.calls_count = 0
        self.cost = FunctionCost()
        self.function: Callable[..., Any] | None = None
        self.error: BaseException | None = None
        self.is_async = False
        try:
            function: Callable[..., Any] = load().function
        except BaseException as error:  # whatever the import of its module raises: each of its tasks is told
            let_through(error)
            self.error = error
        else:
            self.function = function
            self.is_async = inspect.iscoroutinefunction(function)

    @property
    def is_worn_out(self) -> bool:
        """Whether the process has run as many of its tasks as it may."""
        return self._max_calls is not None and self.calls_count >= self._max_calls
