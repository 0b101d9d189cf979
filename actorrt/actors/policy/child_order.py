"""Pure: the order in which the children of a supervisor stop and start, one after the other.

`Supervision` decides which children are to stop and to start. The order is always the same: children stop last to first
and start first to last, and no start begins before every ordered stop is over. Neighbours with the same order share one
instruction, so that a large group costs its supervisor one message.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile

from actorrt.actors.policy.instructions import ChildState, StartOne, StartSeveral, StopOne, StopSeveral
from actorrt.actors.policy.supervised_child import SupervisedChild
from actorrt.protocol.manner import Manner


class ChildOrder:
    """The stops and starts of one supervisor's children that are planned or under way."""

    def __init__(self) -> None:
        self._to_start: deque[SupervisedChild] = deque()
        self._starting: set[SupervisedChild] = set()  # taken from `_to_start`; their starts are awaited
        self._to_stop: Sequence[SupervisedChild] = ()
        self._stopping: set[SupervisedChild] = set()  # taken from `_to_stop`; their ends are awaited

    @property
    def is_stopping(self) -> bool:
        """Whether a stop is under way."""
        return bool(self._stopping)

    @property
    def is_starting(self) -> bool:
        """Whether a start is under way."""
        return bool(self._starting)

    @property
    def has_to_start(self) -> bool:
        """Whether a start is planned."""
        return bool(self._to_start)

    # Plans

    def plan(self, *, to_stop: Sequence[SupervisedChild], to_start: Iterable[SupervisedChild]) -> None:
        """Replace the plan: stop the children in `to_stop`, then start those in `to_start`. Both are in start order."""
        self._to_stop = to_stop
        self._to_start = deque(to_start)

    def start_last(self, child: SupervisedChild) -> None:
        """Plan one more start, after all others."""
        self._to_start.append(child)

    def start_first(self, child: SupervisedChild) -> None:
        """Plan one more start, before all others."""
        self._to_start.appendleft(child)

    def forget(self, child: SupervisedChild) -> None:
        """Discard a child that was removed."""
        self._starting.discard(child)
        if child in self._to_start:
            self._to_start.remove(child)

    # What happened

    def start_over(self, child: SupervisedChild) -> None:
        """Called when the start of a child has succeeded or failed, or was not reached."""
        self._starting.discard(child)

    def ended(self, child: SupervisedChild) -> None:
        """Called when a child has ended as ordered."""
        self._stopping.discard(child)
        self._starting.discard(child)

    # What comes next

    def stop_next(self) -> Iterator[StopOne | StopSeveral]:
        """Order the next stops, unless one is under way. A child that is stopping already gets no second order."""
        while not self._stopping and self._to_stop:
            group = self._take_to_stop()
            ids = tuple(child.spec.id for child in group if child.state is not ChildState.STOPPING)
            for child in group:
                child.state = ChildState.STOPPING
            self._stopping.update(group)
            if ids:
                manner = group[0].manner
                yield StopSeveral(ids, manner) if len(ids) > 1 else StopOne(ids[0], manner=manner)

    def _take_to_stop(self) -> list[SupervisedChild]:
        """Take the next children to stop: the last ones that run and stop in the same manner, or else the last one."""
        waiting = self._to_stop = [child for child in self._to_stop if child.is_live]  # some ended before their turn
        manner = waiting[-1].manner if waiting else None

        def is_alike(child: SupervisedChild) -> bool:
            return child.state is ChildState.RUNNING and child.manner is manner

        count = sum(1 for _ in takewhile(is_alike, reversed(waiting)))
        return [waiting.pop() for _ in range(min(len(waiting), max(1, count)))]

    def start_next(self, *, alone: bool) -> StartOne | StartSeveral:
        """Order the next start and, unless `alone`, the starts behind it up to the first child without an actor."""
        group = [self._to_start.popleft()]
        while not alone and group[0].has_actor and self._to_start and self._to_start[0].has_actor:
            group.append(self._to_start.popleft())
        self._starting.update(group)
        starts = [begin_start(child) for child in group]
        return StartSeveral(tuple(start.id for start in starts)) if len(starts) > 1 else starts[0]


def begin_start(child: SupervisedChild) -> StartOne:
    """Order the start of one child."""
    child.state, child.manner = ChildState.STARTING, Manner.ORDERLY
    child.restart_count += child.was_started
    return StartOne(child.spec.id)
