"""Several learners as one: each takes its share of a batch, and all step along the mean of their gradients.

They meet over torch.distributed, each in a process of its own. Whoever dies takes the others with it (`Learners` in
`runs.training`), since nobody can average with the dead. Importing this imports torch.
"""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import torch
from torch import distributed

from actorrt.rl.networks.optimiser import Vector
from actorrt.rl.rollouts.transitions import Transitions

TIMEOUT_S = 60.0  # to meet: importing torch takes its time
GRADIENT_TIMEOUT_S = 20.0  # one gradient takes all about as long; who waits longer waits for the dead


TCPStore: Any = getattr(distributed, "TCPStore")  # noqa: B009  # torch does not declare what it exports


def open_store(count: int) -> Any:
    """Open where the learners of one group meet; the first of them does, and tells the others its port."""
    timeout = datetime.timedelta(seconds=TIMEOUT_S)
    return TCPStore("127.0.0.1", 0, count, is_master=True, timeout=timeout, wait_for_workers=False)


def find_store(port: int, count: int) -> Any:
    """Find what the first learner opened."""
    timeout = datetime.timedelta(seconds=TIMEOUT_S)
    return TCPStore("127.0.0.1", port, count, is_master=False, timeout=timeout)


class LearnerGroup:
    """One learner's place among several.

    Args:
        store: where they meet.
        rank: which of them this is, from 0.
        count: how many they are.

    Raises:
        RuntimeError: (torch's) the others did not come in time.
    """

    def __init__(self, store: Any, rank: int, count: int) -> None:
        self._rank, self._count = rank, count
        store.set(f"here-{rank}", "")
        store.wait([f"here-{each}" for each in range(count)], datetime.timedelta(seconds=TIMEOUT_S))
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.device_count() >= count else "gloo"
        timeout = datetime.timedelta(seconds=GRADIENT_TIMEOUT_S)
        distributed.init_process_group(backend, store=store, rank=rank, world_size=count, timeout=timeout)

    def share(self, rows: Transitions) -> Transitions:
        """Return this learner's part of a batch."""
        return rows.rows(np.arange(self._rank, len(rows), self._count))

    def average(self, gradient: Vector) -> None:
        """Replace a gradient by the mean of all learners'."""
        distributed.all_reduce(torch.as_tensor(gradient))  # which has an array's memory
        gradient /= self._count

    def agree(self, state: Any) -> Any:
        """Return the first learner's state, whatever this one's is."""
        box = [state]
        distributed.broadcast_object_list(box, src=0)
        return box[0]

    def close(self) -> None:
        """Leave the group."""
        distributed.destroy_process_group()
