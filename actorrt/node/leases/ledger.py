"""Pure: the wants, leases and workers of a node, as they are between two events."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from actorrt.ids import JobId, PeerId
from actorrt.invariants import about
from actorrt.node.leases.needs import GPUS, Amounts, Room
from actorrt.node.leases.pools import Pools, TaskWorker, WorkerState
from actorrt.node.leases.shares import Holder, Shares, Turns
from actorrt.node.leases.wants import Lease, Want


class Ledger:
    """What a node has lent to whom.

    Args:
        total: the amounts of the node.
        kept_cpus: the CPUs that actors leave to tasks in any case; see `Room`.

    Attributes:
        by_actors: the amounts that actors have reserved.
        wants: what submitters want, unless they want and hold nothing.
        pending: the submitters with tasks that have not ended, though they may want and hold nothing; with their jobs.
        leases: the leases that are not over.
        pools: the workers.
    """

    def __init__(self, total: Amounts, kept_cpus: float) -> None:
        self.total = total
        self.kept_cpus = kept_cpus
        self.by_actors: Amounts = {}
        self.wants: dict[Holder, Want] = {}
        self.pending: dict[PeerId, JobId] = {}
        self.leases: dict[int, Lease] = {}
        self.pools = Pools()
        self._turns = Turns()
        self._number = 0

    def next_number(self) -> int:
        """Return a number that is higher than those before."""
        self._number += 1
        return self._number

    def submitters(self) -> set[PeerId]:
        """Return the processes that want leases, hold some, or have tasks that have not ended."""
        return {*self.pending, *(holder.submitter for holder in self.wants)}

    def wants_of(self, submitter: PeerId) -> list[Want]:
        """Return the wants of a submitter."""
        return [want for want in self.wants.values() if want.holder.submitter == submitter]

    def lent_to(self, submitters: Collection[PeerId]) -> Iterator[int]:
        """Yield the workers that are lent to these submitters."""
        for want in self.wants.values():
            if want.holder.submitter in submitters:
                yield from (lease.worker.number for lease in want.leases.values())

    def grant(self, want: Want, worker: TaskWorker, now: float) -> Lease:
        """Lend a worker."""
        lease = Lease(self.next_number(), want, worker, now)
        self.leases[lease.number] = want.leases[lease.number] = lease
        want.since, want.is_reported = now, False
        self._turns.served(want.holder, lease.number)
        self.pools.lease(worker, lease.number)
        return lease

    def end(self, lease: Lease, now: float) -> None:
        """Forget a lease that is over. Its worker is free, unless it ends or has ended."""
        del self.leases[lease.number]
        want = lease.want
        if want is not None:
            if want.missing_count <= 0:
                want.since = now
            self._turns.served(want.holder, self.next_number())
        self._leave(lease)
        self.pools.returned(lease.worker, lease.number, now)

    def disown(self, lease: Lease) -> None:
        """Take a lease from its submitter, which is gone. It keeps its amounts until its worker has ended."""
        self._leave(lease)
        self.pools.ending(lease.worker)

    def _leave(self, lease: Lease) -> None:
        want, lease.want = lease.want, None
        if want is not None:
            del want.leases[lease.number]
            self.drop_if_over(want)

    def drop_if_over(self, want: Want) -> None:
        """Forget a want of nothing that holds nothing."""
        if want.count or want.leases or self.wants.get(want.holder) is not want:
            return
        del self.wants[want.holder]
        levels = (1, 2, 3)
        used = {holder[:level] for holder in self.wants for level in levels}
        self._turns.forget({want.holder[:level] for level in levels} - used)

    def room(self) -> Room:
        """Return what is left of the node."""
        room = Room(self.total, self.by_actors, self.kept_cpus)
        for lease in self.leases.values():
            room.take(lease.amounts)
        for worker in self.pools.workers.values():
            if worker.gpus and not worker.leases:
                room.take({GPUS: worker.gpus})
        return room

    def lacks(self, want: Want) -> str:
        """Return of what a want finds too little, and who has it, in words; an empty text if it lacks only a worker."""
        lacking = self.room().lacking(want.amounts)
        holders = ", ".join(
            f"{self.by_actors.get(name, 0):g} of {self.total[name]:g} {name} reserved by actors" for name in lacking
        )
        return f"{holders}, and the rest by other tasks" if holders else ""

    def shares(self) -> Shares:
        """Return what each holder has."""
        shares = Shares(self.total, self._turns)
        for lease in self.leases.values():
            if lease.want is not None:
                shares.add(lease.want.holder, lease.amounts)
        return shares

    def blocked_count(self) -> int:
        """Return how many workers have tasks that wait."""
        return sum(worker.state is WorkerState.BLOCKED for worker in self.pools.workers.values())

    def end_workers(self, job: JobId) -> Iterator[TaskWorker]:
        """Have all workers of a job end that are lent to nobody, and yield those that were not dismissed before."""
        for worker in self.pools.workers.values():
            is_lent = any(self.leases[number].want is not None for number in worker.leases)
            if worker.pool.job == job and not is_lent and not worker.is_dismissed:
                self.dismissed(worker)
                yield worker

    def dismissed(self, worker: TaskWorker) -> None:
        """Called when a worker is dismissed."""
        worker.is_dismissed = True
        self.pools.ending(worker)

    def check_invariants(self) -> None:
        """Raise BrokenInvariantError if wants, leases and workers contradict each other."""
        self.pools.check_invariants()
        for number, lease in self.leases.items():
            with about(number):
                self._check_lease(number, lease)
        for holder, want in self.wants.items():
            with about(holder.submitter):
                assert want.holder == holder, "a want is known under another holder"
                assert want.count or want.leases, "a want of nothing is kept"
                assert all(self.leases.get(number) is lease for number, lease in want.leases.items()), "a lease is lost"
        for worker in self.pools.workers.values():
            with about(worker.number):
                assert worker.leases <= self.leases.keys(), f"worker {worker.number} has a lease that is over"

    def _check_lease(self, number: int, lease: Lease) -> None:
        worker = lease.worker
        assert self.pools.workers.get(worker.number) is worker, f"the worker of lease {number} is unknown"
        assert number in worker.leases, f"the worker of lease {number} does not know the lease"
        if lease.want is None:
            assert worker.state is WorkerState.ENDING, f"lease {number} has no submitter, and its worker stays"
            return
        assert lease.want.leases.get(number) is lease, f"the submitter of lease {number} does not hold it"
        state = WorkerState.BLOCKED if lease.is_blocked else WorkerState.LEASED
        assert worker.state is state, f"lease {number} is on a worker that is {worker.state.value}"
