"""Pure: the attempts that have ended in a worker before the tasks that they have submitted.

These tasks run on after a normal end. But the submitter of an attempt may give it up later: a cancel may come just
behind the end, and an attempt that raised may be followed by another one. Then they are cancelled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actorrt.ids import PeerId

if TYPE_CHECKING:
    from actorrt.tasks.submitting.in_hand import TaskInHand

_SPARE_COUNT: Final = 64


class Parents:
    """The ended attempts of one worker that have tasks left, by submitter and number."""

    def __init__(self) -> None:
        self._tasks: dict[tuple[PeerId, int], TaskInHand] = {}
        self._most_count = _SPARE_COUNT

    def __len__(self) -> int:
        """How many are kept, some of which may have no tasks left."""
        return len(self._tasks)

    def ended(self, peer: PeerId, sequence: int, task: TaskInHand) -> None:
        """Called when an attempt has ended."""
        if not task.has_children:
            return
        self._tasks[peer, sequence] = task
        if len(self._tasks) > self._most_count:
            self._tasks = {key: known for key, known in self._tasks.items() if known.has_children}
            self._most_count = 2 * len(self._tasks) + _SPARE_COUNT

    def given_up(self, peer: PeerId, sequence: int) -> None:
        """Called when a submitter gives up an attempt that has ended: cancel what it has submitted."""
        task = self._tasks.pop((peer, sequence), None)
        if task is not None:
            task.cancel_children()

    def peer_gone(self, peer: PeerId) -> None:
        """Called when a submitter is gone, and gives up nothing any more."""
        self._tasks = {key: task for key, task in self._tasks.items() if key[0] != peer}
