"""What a submitter keeps of one task beside its state: what it sends, and who waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actorrt.tasks.policy.options import TaskClass, TaskOptions
    from actorrt.tasks.submitting.arguments import Arguments
    from actorrt.tasks.submitting.functions import PickledFunction
    from actorrt.tasks.submitting.task_ref import TaskRef


class Submission:
    """One task that has not ended.

    Args:
        ref: the ref to its result.
        function, arguments, options: what runs.
        task_class: what its worker must offer.
        deadline: when it must have ended; None: without limit.
        depth: how many tasks it lies below.

    Attributes:
        timer: of its deadline, or of the rest before its next attempt.
        withdraw_here: withdraws the attempt that runs in this process; True: its deadline has passed.
        failures_count: how many of its attempts raised an exception that is retried.
    """

    __slots__ = (
        "arguments",
        "deadline",
        "depth",
        "failures_count",
        "function",
        "options",
        "ref",
        "task_class",
        "timer",
        "withdraw_here",
    )

    def __init__(
        self,
        ref: TaskRef[Any],
        function: PickledFunction,
        arguments: Arguments,
        options: TaskOptions,
        task_class: TaskClass,
        deadline: float | None,
        depth: int,
    ) -> None:
        self.ref = ref
        self.function = function
        self.arguments = arguments
        self.options = options
        self.task_class = task_class
        self.deadline = deadline
        self.depth = depth
        self.timer: asyncio.TimerHandle | None = None
        self.withdraw_here: Callable[[bool], None] | None = None
        self.failures_count = 0
