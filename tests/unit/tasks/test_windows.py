"""How much is sent ahead to a worker: short tasks stream, and the last tasks wait for the worker that is free first."""

from __future__ import annotations

import itertools

import pytest

from actorrt.ids import PeerAddress, PeerId
from actorrt.tasks.policy.class_queue import HORIZON_S, MAX_AHEAD_COUNT, SHORT_S, ClassQueue
from actorrt.tasks.policy.task import FunctionCost, Task, TaskKind

WORKERS_COUNT = 2


def queue_of(mean_s: float | None, tasks_count: int) -> ClassQueue[Task]:
    """Return a queue of equal tasks with two workers."""
    queue: ClassQueue[Task] = ClassQueue(1, itertools.count(1).__next__)
    cost = FunctionCost()
    if mean_s is not None:
        cost.took(mean_s)
    kind = TaskKind(cost, 0)
    kind.queue = queue
    for number in range(tasks_count):
        queue.add(Task(number, kind))
    for number in range(WORKERS_COUNT):
        queue.granted(number, PeerAddress(PeerId(bytes([number]) * 16), ""), 0.0)
    return queue


def in_hand(queue: ClassQueue[Task]) -> list[int]:
    """Send what there is room for, and return how many tasks each worker has then."""
    list(queue.assign())
    return [len(lease.in_hand) for lease in queue.leases.values()]


@pytest.mark.parametrize(
    ("mean_s", "tasks_count", "each"),
    [
        (None, 1_000, 1),
        (HORIZON_S, 1_000, 1),
        (HORIZON_S / 2, 1_000, 2),
        (HORIZON_S / 5, 1_000, 5),
        (HORIZON_S / 500, 1_000, MAX_AHEAD_COUNT),
        (SHORT_S / 4, 16, 4),
    ],
    ids=["unknown", "long", "5 ms", "2 ms", "20 us", "short and few"],
)
def test_a_worker_has_so_many_tasks_in_hand(mean_s: float | None, tasks_count: int, each: int) -> None:
    assert in_hand(queue_of(mean_s, tasks_count)) == [each, each]


def test_the_last_tasks_are_sent_to_workers_that_are_free() -> None:
    queue = queue_of(HORIZON_S / 4, 40)
    sent_ahead_at = []
    while queue.ready_count:
        list(queue.assign())
        for lease in queue.leases.values():
            if len(lease.in_hand) > 1:
                sent_ahead_at.append(queue.ready_count)
            queue.take_back(lease, min(lease.in_hand), 0.0)
    assert sent_ahead_at, "while much is ready"
    assert min(sent_ahead_at) >= 2 * WORKERS_COUNT


def test_nothing_is_sent_without_a_worker() -> None:
    queue = queue_of(SHORT_S / 4, 10)
    for number in range(WORKERS_COUNT):
        queue.removed(number)
    assert list(queue.assign()) == []
    assert queue.ready_count == 10
