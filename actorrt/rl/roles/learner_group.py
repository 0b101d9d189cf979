"""Several learners that act as one: each takes a share of a batch, and all apply the mean of their gradients.

They communicate over torch.distributed, each in a process of its own. If one dies, all are restarted (`Learners` in
`runs.training`), since the others can't average without it. Every operation of the group then fails with
`GroupLostError`, which ends the other learners too. Importing this module imports torch.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import distributed

from actorrt.rl.foundation.failures import GroupLostError
from actorrt.rl.networks.optimiser import Vector
from actorrt.rl.rollouts.transitions import Transitions

TIMEOUT_S = 60.0  # for all learners to connect, which includes torch's import
GRADIENT_TIMEOUT_S = 20.0  # all learners need about the same time; after a longer wait, one is dead


TCPStore: Any = getattr(distributed, "TCPStore")  # noqa: B009  # torch does not declare what it exports


def open_store(count: int) -> Any:
    """Open the store over which the learners of a group connect; the first learner does, and publishes its port."""
    timeout = datetime.timedelta(seconds=TIMEOUT_S)
    return TCPStore("127.0.0.1", 0, count, is_master=True, timeout=timeout, wait_for_workers=False)


def find_store(port: int, count: int) -> Any:
    """Connect to the store that the first learner opened."""
    timeout = datetime.timedelta(seconds=TIMEOUT_S)
    return TCPStore("127.0.0.1", port, count, is_master=False, timeout=timeout)


class LearnerGroup:
    """One learner's membership in a group.

    Args:
        store: the store over which they connect.
        rank: index of this learner, from 0.
        count: number of learners.

    Raises:
        GroupLostError: the others did not connect in time.
    """

    def __init__(self, store: Any, rank: int, count: int) -> None:
        self._rank, self._count = rank, count
        if distributed.is_initialized():  # the last incarnation in this process lost its group
            distributed.destroy_process_group()
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.device_count() >= count else "gloo"
        timeout = datetime.timedelta(seconds=GRADIENT_TIMEOUT_S)
        with _raising_group_lost():
            store.set(f"here-{rank}", "")
            store.wait([f"here-{each}" for each in range(count)], datetime.timedelta(seconds=TIMEOUT_S))
            distributed.init_process_group(backend, store=store, rank=rank, world_size=count, timeout=timeout)

    def share(self, rows: Transitions) -> Transitions:
        """Return this learner's part of a batch."""
        return rows.rows(np.arange(self._rank, len(rows), self._count))

    def average(self, gradient: Vector) -> None:
        """Replace a gradient by the mean of all learners' gradients, in place.

        Raises:
            GroupLostError: another learner has died, or does not answer.
        """
        with _raising_group_lost():
            distributed.all_reduce(torch.as_tensor(gradient))  # shares the memory of an array
        gradient /= self._count

    def agree(self, state: Any) -> Any:
        """Return the first learner's state, to all learners. Raises as `average`."""
        box = [state]
        with _raising_group_lost():
            distributed.broadcast_object_list(box, src=0)
        return box[0]

    def close(self) -> None:
        """Leave the group."""
        distributed.destroy_process_group()


@contextmanager
def _raising_group_lost() -> Iterator[None]:
    """Raise `GroupLostError` in place of an error of torch.distributed."""
    try:
        yield
    except RuntimeError as error:
        raise GroupLostError(f"a learner can't learn without the others of its group: {error}") from error
