"""Tells people which tasks of a submitter have not ended, and what each waits for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final

from actorrt.ids import PeerId
from actorrt.protocol.leases import ListTasks, TaskClassRow, TaskListing, TaskRow
from actorrt.scopes import parts_of
from actorrt.tasks.policy.task import TaskState
from actorrt.tasks.submitting.task_ref import TaskRef

if TYPE_CHECKING:
    from actorrt.actors.wire.control import Control
    from actorrt.tasks.policy.book import Book
    from actorrt.tasks.submitting.leasing import Leasing
    from actorrt.tasks.submitting.submission import Submission

WAITING: Final = "waiting"
QUEUED: Final = "queued"
RESTING: Final = "resting"
SENT: Final = "sent"
HERE: Final = "here"

_STEP_COUNT: Final = 10_000
_NAMED_COUNT: Final = 3
"""How many of the results that a task waits for are named."""


class Listing:
    """Lists the tasks of one submitter.

    Args:
        book: the tasks.
        leasing: has the needs of their classes.
        control: serves the request.
    """

    def __init__(self, book: Book[Submission], leasing: Leasing, control: Control) -> None:
        self._book = book
        self._leasing = leasing
        control.handle(ListTasks.by(self._list))

    async def _list(self, _: PeerId, asked: ListTasks) -> TaskListing:
        counts: dict[int, Counter[str]] = {}
        async for part in parts_of(self._book.tasks(), _STEP_COUNT):
            for task in part:
                state = state_of(task)
                if state is not None:
                    counts.setdefault(task.queue.number, Counter())[state] += 1
        classes = [self._class_row(number, count) for number, count in sorted(counts.items())]
        return TaskListing(classes=classes, tasks=[*self._rows(asked.count)])

    def _class_row(self, number: int, count: Counter[str]) -> TaskClassRow:
        return TaskClassRow(
            task_class=number,
            needs=self._leasing.in_words(number),
            waiting=count[WAITING],
            queued=count[QUEUED],
            resting=count[RESTING],
            sent=count[SENT],
            here=count[HERE],
            leases=len(self._book.classes[number].leases),
            waits_for="",
        )

    def _rows(self, count: int) -> Iterator[TaskRow]:
        listed = [task for task in islice(self._book.tasks(), count) if state_of(task) is not None]
        places = self._places({task.queue.number for task in listed}) if listed else {}
        for task in listed:
            worker = task.lease.worker.peer if task.lease is not None and task.state is TaskState.ASSIGNED else None
            waits_for = self._waits_for(task, places)
            yield TaskRow(task.number, task.ref.name, state_of(task) or "", task.attempts_count, waits_for, worker)

    def _places(self, classes: set[int]) -> dict[int, int]:
        """Return how many tasks are before each that is queued, by the task's number."""
        queues = (self._book.classes[number] for number in classes)
        return {task.number: place for queue in queues for place, task in enumerate(queue.ready())}

    def _waits_for(self, task: Submission, places: dict[int, int]) -> str:
        match task.state:
            case TaskState.WAITING:
                missing = [ref for _, ref in task.inputs if not ref.is_complete]
                names = [f"{ref.name}()" if isinstance(ref, TaskRef) else "an object" for ref in missing]
                more = f" and {len(names) - _NAMED_COUNT} more" if len(names) > _NAMED_COUNT else ""
                return f"the result of {', '.join(names[:_NAMED_COUNT])}{more}"
            case TaskState.READY:
                needs = self._leasing.in_words(task.queue.number)
                return f"a worker with {needs}, behind {places.get(task.number, 0)} tasks"
            case TaskState.RESTING:
                return "the end of its rest before another attempt"
            case _ if task.lease is None:
                return "its own end, in the place of a wait"
            case _:
                before = [*task.lease.in_hand].index(task.sequence)
                return f"its worker, behind {before} tasks" if before else "its own end"


def state_of(task: Submission) -> str | None:
    """Return the state of a task in the word for people; None if it has ended."""
    match task.state:
        case TaskState.WAITING:
            return WAITING
        case TaskState.READY:
            return QUEUED
        case TaskState.RESTING:
            return RESTING
        case TaskState.ASSIGNED:
            return HERE if task.lease is None else SENT
        case _:
            return None
