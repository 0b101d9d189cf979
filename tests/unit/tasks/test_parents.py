"""The attempts that have ended before the tasks that they have submitted."""

from __future__ import annotations

from typing import Any

from actorrt.ids import PeerId
from actorrt.tasks.submitting.in_hand import TaskInHand
from actorrt.tasks.working.parents import Parents

ANN, BOB = PeerId(b"a" * 16), PeerId(b"b" * 16)


class Child:
    """A ref to a task that a parent has submitted."""

    def __init__(self) -> None:
        self.is_over = self.is_cancelled = False

    def done(self) -> bool:
        return self.is_over

    def cancel(self) -> None:
        self.is_cancelled = True


def parent_of(*children: Child) -> TaskInHand:
    task = TaskInHand("f", "id", 1, None, 0, None)  # type: ignore[arg-type]
    for child in children:
        found: Any = child
        task.submitted(found)
    return task


def test_children_of_an_attempt_that_is_given_up_later_are_cancelled_and_no_others() -> None:
    parents, mine, others = Parents(), Child(), Child()
    parents.ended(ANN, 1, parent_of(mine))
    parents.ended(BOB, 1, parent_of(others))
    parents.given_up(ANN, 2)
    assert not mine.is_cancelled
    parents.given_up(ANN, 1)
    parents.given_up(ANN, 1)
    assert (mine.is_cancelled, others.is_cancelled, len(parents)) == (True, False, 1)
    parents.peer_gone(BOB)
    assert (others.is_cancelled, len(parents)) == (False, 0)


def test_attempts_whose_children_have_ended_are_not_kept() -> None:
    parents, ended = Parents(), Child()
    ended.is_over = True
    parents.ended(ANN, 1, parent_of())
    parents.ended(ANN, 2, parent_of(ended))
    assert len(parents) == 0
    children = [Child() for _ in range(10_000)]
    for number, child in enumerate(children):
        parents.ended(ANN, number, parent_of(child))
        child.is_over = True
    assert len(parents) < 100
