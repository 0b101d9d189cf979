"""Pure: the workers that run tasks, in pools of workers that can take each other's place.

```
 LAUNCHING ──▶ FREE ──▶ LEASED ⇄ BLOCKED        any ──▶ ENDING ──▶ gone
                 ▲─────────┘
```

A pool keeps one worker free while others of it are leased, for a death, or for a task that waits. Of all pools of a
job, the one that was used last keeps a worker until the job ends. Other free workers are dismissed after a while.
"""

from __future__ import annotations

from collections.abc import Set
from enum import Enum
from typing import Final, NamedTuple

from actorrt.ids import JobId, PeerId
from actorrt.invariants import about
from actorrt.node.leases.needs import GPUS, Need

IDLE_S: Final = 2.0
"""How long a free worker that no pool needs is kept."""
FAILURES_COUNT: Final = 3
FAILURES_WITHIN_S: Final = 30.0
"""So many workers of a pool that do not start within this time are the verdict on its classes."""
RETRY_S: Final = 0.1
"""The delay after the first failure of a launch; it doubles with each further failure."""


class PoolKey(NamedTuple):
    """What the workers of a pool have in common.

    Attributes:
        env_vars: the environment variables beside those of the job.
        alone: the need of the only class that the pool is for, because its workers keep GPUs; None: for all classes.
        is_light: whether the pool is one worker that all submitters share.
    """

    job: JobId
    env_vars: tuple[tuple[str, str], ...]
    alone: Need | None
    is_light: bool

    @classmethod
    def of(cls, job: JobId, need: Need) -> PoolKey:
        """Return the pool whose workers meet a need."""
        return cls(job, need.env_vars, need if need.has_gpus else None, need.is_light)


class WorkerState(Enum):
    """The state of a worker that runs tasks; see the diagram."""

    LAUNCHING = "launching"
    FREE = "free"
    LEASED = "leased"
    BLOCKED = "blocked"
    ENDING = "ending"


class TaskWorker:
    """One worker.

    Attributes:
        number: its name; never used again.
        leases: the leases of it: at most one, unless its pool is light.
        launched_at: when it was launched.
        peer: its endpoint, once it is ready.
        free_since: when it became free.
        is_worn_out: whether it runs no further tasks, and ends when it is lent to nobody.
        is_dismissed: whether it was told to end.
        gpus: the GPUs that it has for its life.
    """

    def __init__(self, number: int, pool: PoolKey, launched_at: float) -> None:
        self.number = number
        self.launched_at = launched_at
        self.pool = pool
        self.state = WorkerState.LAUNCHING
        self.leases: set[int] = set()
        self.peer: PeerId | None = None
        self.free_since = 0.0
        self.is_worn_out = self.is_dismissed = False
        self.gpus = 0.0 if pool.alone is None else dict(pool.alone.amounts)[GPUS]


class Pool:
    """The workers of one pool.

    Attributes:
        workers: its workers, by number, but for those that are ending.
        free: the free ones, those that were used last at the end.
        failures: when workers did not start, since the last one that did.
    """

    def __init__(self, key: PoolKey) -> None:
        self.key = key
        self.workers: dict[int, TaskWorker] = {}
        self.free: dict[int, TaskWorker] = {}
        self.failures: list[float] = []

    def count(self, state: WorkerState) -> int:
        """Return how many workers are in a state."""
        return sum(worker.state is state for worker in self.workers.values())

    @property
    def used_last(self) -> TaskWorker | None:
        """The free worker that was used last."""
        return next(reversed(self.free.values()), None)

    @property
    def shared(self) -> TaskWorker | None:
        """The ready worker of a light pool."""
        ready = (worker for worker in self.workers.values() if worker.state is not WorkerState.LAUNCHING)
        return next((worker for worker in ready if not worker.is_worn_out), None)

    def failed(self, worker: TaskWorker, now: float) -> None:
        """Note that a worker did not start. Those that were launched together fail together, which counts once."""
        self.failures = [at for at in self.failures if at > now - FAILURES_WITHIN_S]
        if not self.failures or worker.launched_at > self.failures[-1]:
            self.failures.append(now)

    @property
    def may_launch_at(self) -> float:
        """When the next worker may be launched."""
        return self.failures[-1] + RETRY_S * 2 ** (len(self.failures) - 1) if self.failures else 0.0


class Pools:
    """All workers of a node that run tasks."""

    def __init__(self) -> None:
        self.workers: dict[int, TaskWorker] = {}
        self._pools: dict[PoolKey, Pool] = {}
        self._used_last: dict[JobId, PoolKey] = {}
        self._last_number = 0

    def find(self, key: PoolKey) -> Pool | None:
        """Return a pool; None if it has no workers."""
        return self._pools.get(key)

    def failed(self, worker: TaskWorker, now: float) -> Pool:
        """Called when a worker did not start. Return its pool, which is kept until the failure is forgotten."""
        pool = self._pools.setdefault(worker.pool, Pool(worker.pool))
        pool.failed(worker, now)
        return pool

    def forgive(self, pool: Pool) -> None:
        """Forget the failures of a pool."""
        pool.failures.clear()
        self._drop_if_empty(pool)

    def all(self) -> list[Pool]:
        """Return every pool."""
        return list(self._pools.values())

    def launched(self, key: PoolKey, now: float) -> TaskWorker:
        """Add a worker whose process is being made."""
        self._last_number += 1
        worker = self.workers[self._last_number] = TaskWorker(self._last_number, key, now)
        self._pools.setdefault(key, Pool(key)).workers[worker.number] = worker
        return worker

    def ready(self, worker: TaskWorker, now: float) -> None:
        """Called when a worker that was launched is ready."""
        self._pools[worker.pool].failures.clear()
        self.freed(worker, now)

    def lease(self, worker: TaskWorker, lease: int) -> None:
        """Lend a worker."""
        worker.state = WorkerState.LEASED
        worker.leases.add(lease)
        self._pools[worker.pool].free.pop(worker.number, None)
        if not worker.pool.is_light:
            self._used_last[worker.pool.job] = worker.pool

    def returned(self, worker: TaskWorker, lease: int, now: float) -> None:
        """Called when a lease of a worker is over."""
        worker.leases.discard(lease)
        if worker.leases or worker.state is WorkerState.ENDING or worker.number not in self.workers:
            return
        if worker.is_worn_out:
            self.ending(worker)
        else:
            self.freed(worker, now)

    def freed(self, worker: TaskWorker, now: float) -> None:
        """Make a worker free."""
        free = self._pools[worker.pool].free
        if len(free) == 1:
            next(iter(free.values())).free_since = now  # it was kept until now, and may be surplus from now on
        worker.state = WorkerState.FREE
        worker.free_since = now
        free[worker.number] = worker

    def ending(self, worker: TaskWorker) -> None:
        """Take a worker out of its pool. It is known until its process has ended."""
        worker.state = WorkerState.ENDING
        self._leave_pool(worker)

    def ended(self, worker: TaskWorker) -> None:
        """Forget a worker whose process has ended."""
        del self.workers[worker.number]
        self._leave_pool(worker)

    def _leave_pool(self, worker: TaskWorker) -> None:
        pool = self._pools.get(worker.pool)
        if pool is not None:
            pool.workers.pop(worker.number, None)
            pool.free.pop(worker.number, None)
            self._drop_if_empty(pool)

    def _drop_if_empty(self, pool: Pool) -> None:
        if not pool.workers and not pool.failures:
            self._pools.pop(pool.key, None)

    def needs_spare(self, pool: Pool) -> bool:
        """Whether a pool should have one more worker, for the next death or the next task that waits."""
        if pool.key.is_light or pool.key.alone is not None or pool.failures:
            return False
        return all(worker.leases for worker in pool.workers.values()) and bool(pool.workers)

    def surplus(self, pool: Pool, staying: Set[PeerId]) -> list[TaskWorker]:
        """Return the free workers that the pool does not need and that may end, those that were used last at the end.

        Args:
            pool: the pool.
            staying: the endpoints of workers that may not end yet.
        """
        is_plain = not pool.key.is_light and pool.key.alone is None
        is_used = len(pool.free) < len(pool.workers) or self._used_last.get(pool.key.job) == pool.key
        kept = 1 if is_plain and is_used else 0
        may_end = [worker for worker in pool.free.values() if worker.peer not in staying]
        return may_end[: max(0, len(pool.free) - kept)]

    def forget_use(self, job: JobId) -> None:
        """Keep no worker for a job any more."""
        self._used_last.pop(job, None)

    def check_invariants(self) -> None:
        """Raise BrokenInvariantError if workers and pools contradict each other."""
        for worker in self.workers.values():
            with about(worker.number):
                pool, state = self._pools.get(worker.pool), worker.state
                is_in_pool = pool is not None and pool.workers.get(worker.number) is worker
                is_free = pool is not None and pool.free.get(worker.number) is worker
                assert is_in_pool == (state is not WorkerState.ENDING), f"a worker that is {state.value} is in its pool"
                assert is_free == (state is WorkerState.FREE), f"a worker that is {state.value} is among the free ones"
                is_lent = state in (WorkerState.LEASED, WorkerState.BLOCKED)
                assert is_lent == bool(worker.leases) or state is WorkerState.ENDING, f"a worker is {state.value}"
                assert len(worker.leases) <= 1 or worker.pool.is_light, f"a worker has leases {worker.leases}"
        for key, pool in self._pools.items():
            with about(key.job):
                assert pool.workers or pool.failures, "an empty pool is kept"
                assert all(self.workers.get(number) is worker for number, worker in pool.workers.items()), "one is lost"
