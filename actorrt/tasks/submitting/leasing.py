"""The leases of one submitter: it says how many workers of each class it has work for, and the node lends them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from actorrt.ids import PeerAddress
from actorrt.protocol.leases import ReturnLease, TasksPending, WantLeases
from actorrt.tasks.policy.class_queue import KEEP_S, ClassQueue
from actorrt.tasks.policy.options import TaskClass

if TYPE_CHECKING:
    from actorrt.actors.wire.control import Control
    from actorrt.machine.clock import Clock
    from actorrt.tasks.policy.book import Book
    from actorrt.tasks.submitting.submission import Submission


class Leasing:
    """Asks the node for workers, and gives them back.

    Args:
        book: the tasks.
        control: carries what is asked.
        node: the node.
        clock: the time.
        after: calls a function in so many seconds.
        has_pending: says whether tasks have not ended, or results of them are not there.
    """

    def __init__(
        self,
        book: Book[Submission],
        control: Control,
        node: PeerAddress,
        clock: Clock,
        after: Callable[[float, Callable[[], None]], Any],
        has_pending: Callable[[], bool],
    ) -> None:
        self._book = book
        self._control = control
        self._node = node
        self._clock = clock
        self._after = after
        self._has_pending = has_pending
        self._has_told_pending = False
        self._queues: dict[TaskClass, ClassQueue[Submission]] = {}
        self._classes: dict[int, TaskClass] = {}
        self._told: dict[int, int] = {}
        self._is_looking = False

    def queue_of(self, task_class: TaskClass) -> ClassQueue[Submission]:
        """Return the queue of a class, which gets a number when it is first used."""
        queue = self._queues.get(task_class)
        if queue is None:
            number = len(self._queues) + 1
            self._classes[number] = task_class
            is_light = not task_class.cpus and not task_class.gpus
            queue = self._queues[task_class] = self._book.begin_class(number, is_light=is_light)
        return queue

    def in_words(self, number: int) -> str:
        """Return what a class needs, for the text of an error."""
        needs = self._classes[number]
        parts = [f"{needs.cpus:g} cpus", *([f"{needs.gpus:g} gpus"] if needs.gpus else [])]
        return ", ".join([*parts, *(f"{amount:g} {name}" for name, amount in needs.resources)])

    def update(self, queue: ClassQueue[Submission]) -> None:
        """Called when the tasks of a class have changed: tell the node how many leases there is work for."""
        wanted = _rounded(queue.wanted_count)
        told = self._told.get(queue.number, 0)
        if wanted > told or (wanted == 0 and told and not queue.leases):
            self._tell(queue, wanted)
        if queue.has_idle:
            self.is_idle()
        self.tell_pending()

    def tell_pending(self) -> None:
        """Called when tasks may be pending of which the node knows nothing: tell it, so that this process stays."""
        if not self._has_told_pending and not any(self._told.values()) and self._has_pending():
            self._has_told_pending = True
            self._control.notify(self._node, TasksPending(is_so=True))

    def one_has_ended(self) -> None:
        """Called when a task has ended, and its result is there: the node hears in a while if none is pending."""
        if self._has_told_pending and not self._has_pending():
            self.is_idle()

    def is_idle(self) -> None:
        """Called when a lease has no work: look in a while whether it still has none."""
        if not self._is_looking:
            self._is_looking = True
            self._after(KEEP_S, self._look)

    def _tell(self, queue: ClassQueue[Submission], count: int) -> None:
        self._told[queue.number] = count
        self.tell_pending()  # before it hears that nothing is wanted
        needs = self._classes[queue.number]
        depth = max((task.depth for task in queue.ready()), default=0) if count else 0
        want = WantLeases(
            task_class=queue.number,
            cpus=needs.cpus,
            gpus=needs.gpus,
            resources=dict(needs.resources),
            memory_bytes=needs.memory_bytes,
            env_vars=dict(needs.env_vars),
            count=count,
            depth=depth,
        )
        self._control.notify(self._node, want)

    def refused(self, number: int) -> None:
        """Called when the node has forgotten how many leases of a class are wanted: the next task says it again."""
        self._told.pop(number, None)
        self.tell_pending()

    def _look(self) -> None:
        """Give back the leases that have had no work for a while."""
        self._is_looking = False
        now = self._clock.now()
        for queue in self._book.classes.values():
            for lease in queue.to_return(now):
                self.give_back(lease.number)
            wanted = _rounded(queue.wanted_count)
            if wanted < self._told.get(queue.number, 0):
                self._tell(queue, wanted)
            if queue.has_idle:
                self.is_idle()
        if self._has_told_pending and not self._has_pending():
            self._has_told_pending = False
            self._control.notify(self._node, TasksPending(is_so=False))

    def give_back(self, lease: int) -> None:
        """Give a lease back to the node."""
        self._book.returned(lease)
        self._control.notify(self._node, ReturnLease(lease=lease))


def _rounded(count: int) -> int:
    """Return the next power of two, so that the node is told seldom."""
    return 1 << (count - 1).bit_length() if count > 0 else 0
