"""Pure: which worker is lent to which submitter of tasks: wants, leases, and the CPUs of tasks that wait.

`Grants` is told events and the time, and returns orders. After each event it decides anew what is granted, from what is
there: the wants in the order of `shares`, what is left of the node, and the free workers. A want that finds room but no
free worker lays claim to a launch, and its amounts are kept for it until the worker is ready. Since nothing else is
remembered between two events, a lost worker or a want that is withdrawn leaves nothing to undo.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from actorrt.errors import ActorStartError, PlacementError
from actorrt.ids import JobId, PeerId
from actorrt.invariants import about
from actorrt.node.leases.needs import CPUS, Amounts, Need, Room
from actorrt.node.leases.orders import Dismiss, Grant, GrantOrder, Launch, Refuse
from actorrt.node.leases.pools import FAILURES_COUNT, IDLE_S, Pool, PoolKey, Pools, TaskWorker, WorkerState
from actorrt.node.leases.shares import Holder, Place, Shares

WORKERS_COUNT: Final = 512
"""The number of workers for tasks on a node, at most."""


class Want:
    """What a submitter wants of one class.

    Attributes:
        count: the number of leases that it wants in all.
        since: when it began to lack the next lease.
        grown: a number that is higher for wants that grew later.
        turn: a number that is higher for wants that were served later.
        leases: the leases that it holds, in the order in which they were granted.
    """

    def __init__(self, holder: Holder, need: Need) -> None:
        self.holder = holder
        self.need = need
        self.amounts = dict(need.amounts)
        self.pool = PoolKey.of(holder.job, need)
        self.count = 0
        self.depth = 0
        self.since = 0.0
        self.grown = 0
        self.turn = 0
        self.leases: dict[int, Lease] = {}

    @property
    def missing_count(self) -> int:
        """The number of leases that it lacks; below 0 if it holds more than it wants."""
        wanted = min(self.count, 1) if self.need.is_light else self.count
        return wanted - len(self.leases)

    def place(self, shares: Shares) -> Place:
        return shares.place(self.holder, self.depth, self.turn)


class Lease:
    """One worker, lent to one submitter for one class.

    Attributes:
        want: whose it is; None when its submitter has ended, and its worker is about to end.
        granted_at: when it was granted.
        is_recalled: whether the submitter was told to return it.
        is_blocked: whether its task waits, so that its CPUs are lent on.
    """

    def __init__(self, number: int, want: Want, worker: TaskWorker, now: float) -> None:
        self.number = number
        self.want: Want | None = want
        self.worker = worker
        self.granted_at = now
        self.is_recalled = False
        self.is_blocked = False
        self._amounts = want.amounts
        self._amounts_if_blocked = {name: amount for name, amount in want.amounts.items() if name != CPUS}

    @property
    def amounts(self) -> Amounts:
        """What it takes now."""
        return self._amounts_if_blocked if self.is_blocked else self._amounts


class Grants:
    """The leases of one node.

    Args:
        total: the amounts of the node.
        kept_cpus: the CPUs that actors leave to tasks in any case; see `Room`.
    """

    def __init__(self, total: Amounts, kept_cpus: float) -> None:
        self._total = total
        self._kept_cpus = kept_cpus
        self._by_actors: Amounts = {}
        self._wants: dict[Holder, Want] = {}
        self._leases: dict[int, Lease] = {}
        self._pools = Pools()
        self._number = 0

    def _next_number(self) -> int:
        self._number += 1
        return self._number

    # Submitters

    def wanted(self, holder: Holder, need: Need, count: int, depth: int, now: float) -> Sequence[GrantOrder]:
        """Called when a submitter says how many leases it wants of a class.

        Raises:
            ValueError: the needs of the class have changed.
        """
        want = self._wants.get(holder)
        if want is not None and want.need != need:
            raise ValueError(f"class {holder.task_class} of this submitter needs {want.need}, and not {need}")
        if want is None:
            if not count:
                return ()
            for name, amount in need.amounts:
                if amount > self._total.get(name, 0.0):
                    return (Refuse(holder.submitter, holder.task_class, self._never(name, amount)),)
            want = self._wants[holder] = Want(holder, need)
        if want.missing_count <= 0:
            want.since = now
        if count > want.count:
            want.grown = self._next_number()
        want.count, want.depth = min(count, WORKERS_COUNT), depth
        self._forget_if_over(want)
        return self._settled(now)

    def _never(self, name: str, amount: float) -> PlacementError:
        total = self._total.get(name, 0.0)
        has = f"has {total:g}" if total else "has none"
        return PlacementError(
            f"the tasks need {amount:g} {name}, and the node {has}: ask for less, or use a node that has more"
        )

    def returned(self, submitter: PeerId, number: int, now: float) -> Sequence[GrantOrder]:
        """Called when a submitter returns a lease. A lease that is over already is none of its leases any more."""
        lease = self._leases.get(number)
        if lease is None or lease.want is None or lease.want.holder.submitter != submitter:
            return ()
        if lease.is_blocked:  # a task is in hand there, of which nobody will tell the end
            return (*self._abandon(lease, now), *self._settled(now))
        self._end(lease, now)
        self._pools.returned(lease.worker, number, now)
        return self._settled(now)

    def submitter_ended(self, submitter: PeerId, now: float) -> Sequence[GrantOrder]:
        """Called when a process that may have submitted tasks has ended. Its wants and leases end."""
        orders: list[GrantOrder] = []
        for want in [want for want in self._wants.values() if want.holder.submitter == submitter]:
            want.count = 0
            for lease in list(want.leases.values()):
                orders += self._abandon(lease, now)
            self._forget_if_over(want)
        return (*orders, *self._settled(now))

    def _abandon(self, lease: Lease, now: float) -> Iterator[GrantOrder]:
        """End a lease whose worker may have a task in hand: the worker ends, and keeps its amounts until then."""
        worker = lease.worker
        if worker.pool.is_light:
            self._end(lease, now)
            self._pools.returned(worker, lease.number, now)
        else:
            self._disown(lease)
            self._pools.ending(worker)
            yield Dismiss(worker.number, may_work=True)

    def _disown(self, lease: Lease) -> None:
        """Take a lease from its submitter. It keeps its amounts until its worker has ended."""
        want, lease.want = lease.want, None
        if want is not None:
            del want.leases[lease.number]
            self._forget_if_over(want)

    def _end(self, lease: Lease, now: float) -> None:
        """Forget a lease that is over."""
        del self._leases[lease.number]
        want = lease.want
        if want is None:
            return
        if want.missing_count <= 0:
            want.since = now
        del want.leases[lease.number]
        want.turn = self._next_number()
        self._forget_if_over(want)

    def _forget_if_over(self, want: Want) -> None:
        if not want.count and not want.leases:
            self._wants.pop(want.holder, None)

    # Tasks that wait

    def blocked(self, worker: int, number: int, now: float, *, is_blocked: bool) -> Sequence[GrantOrder]:
        """Called when the task of a lease begins to wait, or goes on."""
        lease = self._leases.get(number)
        if lease is None or lease.worker.number != worker or lease.worker.pool.is_light:
            return ()
        lease.is_blocked = is_blocked
        if lease.want is not None:
            lease.worker.state = WorkerState.BLOCKED if is_blocked else WorkerState.LEASED
        return self._settled(now)

    # Workers

    def worker_ready(self, number: int, now: float) -> Sequence[GrantOrder]:
        """Called when a worker that was launched is ready."""
        worker = self._pools.workers.get(number)
        if worker is None or worker.state is not WorkerState.LAUNCHING:
            return ()
        self._pools.ready(worker, now)
        return self._settled(now)

    def worker_ended(self, number: int, reason: str, now: float) -> Sequence[GrantOrder]:
        """Called when the process of a worker has ended, or could not be made."""
        worker = self._pools.workers.get(number)
        if worker is None:
            return ()
        self._pools.ended(worker)
        for lease in list(worker.leases):
            self._end(self._leases[lease], now)
        refusals: list[GrantOrder] = []
        if worker.state is WorkerState.LAUNCHING:
            refusals = [*self._launch_failed(worker, reason, now)]
        return (*refusals, *self._settled(now))

    def _launch_failed(self, worker: TaskWorker, reason: str, now: float) -> Iterator[GrantOrder]:
        pool = self._pools.failed(worker, reason, now)
        if pool.has_failed:
            self._pools.forgive(pool)
            text = f"{FAILURES_COUNT} workers for tasks did not start, the last one because: {reason}"
            for want in [want for want in self._wants.values() if want.pool == pool.key and want.missing_count > 0]:
                yield self._refuse(want, ActorStartError(text))

    def _refuse(self, want: Want, error: ActorStartError) -> Refuse:
        want.count = 0
        self._forget_if_over(want)
        return Refuse(want.holder.submitter, want.holder.task_class, error)

    def job_ended(self, job: JobId, staying: Collection[PeerId], now: float) -> Sequence[GrantOrder]:
        """Called when a job ends, and again when those that stayed are gone.

        Args:
            job: the job. The wants of all its submitters are forgotten, and its workers end.
            staying: the submitters that go on, for their detached actors, with the workers that are lent to them.
            now: the time.
        """
        for want in [want for want in self._wants.values() if want.holder.job == job]:
            if want.holder.submitter not in staying:
                want.count = 0
                for lease in list(want.leases.values()):
                    self._disown(lease)
                self._forget_if_over(want)
        self._pools.forget_use(job)
        orders: list[GrantOrder] = []
        for worker in list(self._pools.workers.values()):
            is_used = any(self._leases[number].want is not None for number in worker.leases)
            if worker.pool.job == job and worker.state is not WorkerState.ENDING and not is_used:
                self._pools.ending(worker)
                orders.append(Dismiss(worker.number))
        return (*orders, *self._settled(now))

    def lent_to(self, submitters: Collection[PeerId]) -> list[int]:
        """Return the workers that are lent to these submitters."""
        wants = [want for want in self._wants.values() if want.holder.submitter in submitters]
        return [lease.worker.number for want in wants for lease in want.leases.values()]

    # The node

    def reserved(self, by_actors: Amounts, now: float) -> Sequence[GrantOrder]:
        """Called when the reservations of actors have changed."""
        self._by_actors = dict(by_actors)
        return self._settled(now)

    def settled(self, now: float) -> Sequence[GrantOrder]:
        """Called at `next_at`: time has passed."""
        return self._settled(now)

    # Decisions

    def _settled(self, now: float) -> Sequence[GrantOrder]:
        """Decide what is granted, launched and dismissed now."""
        orders: list[GrantOrder] = []
        room, shares = self._room(), self._shares()
        claims: dict[PoolKey, int] = {}
        missing = {want: want.missing_count for want in self._wants.values() if want.missing_count > 0}
        while missing:
            want = min(missing, key=lambda want: want.place(shares))
            if room.lacking(want.amounts):
                del missing[want]
                continue
            room.take(want.amounts)
            shares.add(want.holder, want.amounts)
            missing[want] -= 1
            if not missing[want]:
                del missing[want]
            worker = self._worker_for(want)
            if worker is None:
                claims[want.pool] = claims.get(want.pool, 0) + 1
            else:
                orders.append(self._grant(want, worker, now))
        for key, count in claims.items():
            orders += self._launches(key, count, now)
        for pool in self._pools.all():
            if self._pools.needs_spare(pool):
                orders += self._launches(pool.key, 1, now)
            orders += self._dismissals(pool, now)
        return orders

    def _room(self) -> Room:
        room = Room(self._total, self._by_actors, self._kept_cpus)
        for lease in self._leases.values():
            room.take(lease.amounts)
        return room

    def _shares(self) -> Shares:
        shares = Shares(self._total)
        for lease in self._leases.values():
            if lease.want is not None:
                shares.add(lease.want.holder, lease.amounts)
        return shares

    def _worker_for(self, want: Want) -> TaskWorker | None:
        pool = self._pools.find(want.pool)
        if want.need.is_light:
            return None if pool is None else pool.shared
        return None if pool is None else pool.used_last

    def _grant(self, want: Want, worker: TaskWorker, now: float) -> Grant:
        number = self._next_number()
        lease = self._leases[number] = want.leases[number] = Lease(number, want, worker, now)
        want.since, want.turn = now, number
        self._pools.lease(worker, lease.number)
        return Grant(want.holder.submitter, want.holder.task_class, number, worker.number)

    def _launches(self, key: PoolKey, count: int, now: float) -> Iterator[Launch]:
        pool = self._pools.find(key)
        wanted = min(count, 1) if key.is_light else count
        if pool is not None:
            wanted -= pool.count(WorkerState.LAUNCHING)
            if now < pool.may_launch_at:
                return
        for _ in range(min(wanted, WORKERS_COUNT - len(self._pools))):
            yield Launch(self._pools.launched(key).number, key.job, key.env_vars)

    def _dismissals(self, pool: Pool, now: float) -> Iterator[Dismiss]:
        for worker in self._pools.surplus(pool):
            if now >= worker.free_since + IDLE_S:
                self._pools.ending(worker)
                yield Dismiss(worker.number)

    def next_at(self) -> float | None:
        """Return when `settled` is to be called; None if nothing happens with time alone."""
        at = [worker.free_since + IDLE_S for pool in self._pools.all() for worker in self._pools.surplus(pool)]
        failed = {pool.key: pool.may_launch_at for pool in self._pools.all() if pool.failures}
        at += [failed[want.pool] for want in self._wants.values() if want.missing_count > 0 and want.pool in failed]
        return min(at, default=None)

    def check_invariants(self) -> None:
        """Raise BrokenInvariantError if wants, leases and workers contradict each other."""
        self._pools.check_invariants()
        for number, lease in self._leases.items():
            with about(number):
                worker = lease.worker
                assert self._pools.workers.get(worker.number) is worker, f"the worker of lease {number} is unknown"
                assert number in worker.leases, f"the worker of lease {number} does not know the lease"
                if lease.want is None:
                    assert worker.state is WorkerState.ENDING, f"lease {number} has no submitter, and its worker stays"
                else:
                    assert lease.want.leases.get(number) is lease, f"the submitter of lease {number} does not hold it"
                    state = WorkerState.BLOCKED if lease.is_blocked else WorkerState.LEASED
                    assert worker.state is state, f"lease {number} is on a worker that is {worker.state.value}"
        for holder, want in self._wants.items():
            with about(holder.submitter):
                assert want.holder == holder, "a want is known under another holder"
                assert want.count or want.leases, "a want of nothing is kept"
                assert all(self._leases.get(number) is lease for number, lease in want.leases.items()), (
                    "a lease is lost"
                )
        for worker in self._pools.workers.values():
            with about(worker.number):
                assert worker.leases <= self._leases.keys(), f"worker {worker.number} has a lease that is over"
