"""Pure: which worker is lent to which submitter of tasks.

`Grants` is told events and the time, and returns orders. After each event it decides anew; see `decision`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from actorrt.errors import ActorStartError, PlacementError
from actorrt.ids import JobId, PeerId
from actorrt.node.leases.decision import WORKERS_COUNT, Decision, Moment
from actorrt.node.leases.ledger import Ledger
from actorrt.node.leases.needs import MEMORY, Amounts, Need
from actorrt.node.leases.orders import Dismiss, GrantOrder, Recall, Refuse
from actorrt.node.leases.pools import FAILURES_COUNT, FAILURES_WITHIN_S, TaskWorker, WorkerState
from actorrt.node.leases.shares import Holder
from actorrt.node.leases.wants import Lease, Want


class Grants:
    """The leases of one node.

    Args:
        total: the amounts of the node.
        kept_cpus: the CPUs that actors leave to tasks in any case; see `Room`.
    """

    def __init__(self, total: Amounts, kept_cpus: float) -> None:
        self._ledger = Ledger(total, kept_cpus)
        self._moment = Moment()
        self.check_invariants = self._ledger.check_invariants
        self.lent_to = self._ledger.lent_to

    @property
    def wake_at(self) -> float:
        """When `decided` is to be called, if nothing else happens; infinite if nothing happens with time alone."""
        return self._moment.wake_at

    def decided(self, now: float) -> Sequence[GrantOrder]:
        """Called at `wake_at`. Decide anew."""
        return [*Decision(self._ledger, self._moment, now).orders()]

    def memory_limits(self) -> dict[int, float]:
        """Return the workers that are lent with a limit on their memory, with how many bytes they may use."""
        leases = self._ledger.leases.values()
        return {lease.worker.number: lease.amounts[MEMORY] for lease in leases if MEMORY in lease.amounts}

    def state_of(self, number: int) -> str | None:
        """Return the state of a worker, as the diagram of `pools` names it; None if it is not known."""
        worker = self._ledger.pools.workers.get(number)
        return None if worker is None else worker.state.value

    def leased(self) -> dict[str, float]:
        """Return the amounts that leases take now."""
        sums: dict[str, float] = {}
        for lease in self._ledger.leases.values():
            for name, amount in lease.amounts.items():
                sums[name] = round(sums.get(name, 0.0) + amount, 9)
        return sums

    def submitters(self) -> set[PeerId]:
        """Return the processes that want leases, hold some, or have tasks that have not ended."""
        return self._ledger.submitters()

    def lacks(self, now: float) -> dict[tuple[PeerId, int], str]:
        """Return what wants wait for that lack leases, in words, by submitter and class."""
        unmet = (want for want in self._ledger.wants.values() if want.missing_count > 0)
        return {(want.holder.submitter, want.holder.task_class): self._lacks(want, now) for want in unmet}

    def _lacks(self, want: Want, now: float) -> str:
        return f"{self._ledger.lacks(want) or 'a worker that starts'}, for {now - want.since:.0f} s"

    # Submitters

    def wanted(self, holder: Holder, need: Need, count: int, depth: int, now: float) -> Sequence[GrantOrder]:
        """Called when a submitter says how many leases it wants of a class.

        Raises:
            ValueError: the needs of the class have changed.
        """
        ledger = self._ledger
        want = ledger.wants.get(holder)
        if want is not None and want.need != need:
            raise ValueError(f"class {holder.task_class} of this submitter needs {want.need}, and not {need}")
        if want is None:
            if not count:
                return ()
            for name, amount in need.amounts:
                if amount > ledger.total.get(name, 0.0):
                    return (Refuse(holder.submitter, holder.task_class, self._never(name, amount)),)
            want = ledger.wants[holder] = Want(holder, need, ledger.total)
        if want.missing_count <= 0:
            want.since, want.is_reported = now, False
        if not want.count:
            want.newness = ledger.next_number()
        want.count, want.depth = min(count, WORKERS_COUNT), depth
        ledger.drop_if_over(want)
        return self.decided(now)

    def _never(self, name: str, amount: float) -> PlacementError:
        total = self._ledger.total.get(name, 0.0)
        has = f"has {total:g}" if total else "has none"
        return PlacementError(
            f"the tasks need {amount:g} {name}, and the node {has}: ask for less, or use a node that has more"
        )

    def returned(self, submitter: PeerId, number: int, now: float) -> Sequence[GrantOrder]:
        """Called when a submitter returns a lease. A lease that is over already is none of its leases any more."""
        lease = self._ledger.leases.get(number)
        if lease is None or lease.want is None or lease.want.holder.submitter != submitter:
            return ()
        if lease.is_blocked:  # a task is in hand there, of whose end nobody will hear
            self._abandon(lease, now)
        else:
            self._ledger.end(lease, now)
        return self.decided(now)

    def pending(self, submitter: PeerId, job: JobId, now: float, *, is_so: bool) -> Sequence[GrantOrder]:
        """Called when a submitter says whether it has tasks that have not ended, though it wants no leases now."""
        if is_so:
            self._ledger.pending[submitter] = job
        else:
            self._ledger.pending.pop(submitter, None)
        return self.decided(now)

    def submitter_ended(self, submitter: PeerId, now: float) -> Sequence[GrantOrder]:
        """Called when a process that may have submitted tasks has ended. Its wants and leases end."""
        self._ledger.pending.pop(submitter, None)
        for want in self._ledger.wants_of(submitter):
            self._withdraw(want, now)
        return self.decided(now)

    def _withdraw(self, want: Want, now: float) -> None:
        want.count = 0
        for lease in list(want.leases.values()):
            self._abandon(lease, now)
        self._ledger.drop_if_over(want)

    def _abandon(self, lease: Lease, now: float) -> None:
        """End a lease whose worker may have a task in hand: the worker is to end, unless others share it."""
        if lease.worker.pool.is_light:
            self._ledger.end(lease, now)
        else:
            self._ledger.disown(lease)

    def blocked(self, worker: int, number: int, now: float, *, is_blocked: bool) -> Sequence[GrantOrder]:
        """Called when the task of a lease begins to wait, or goes on."""
        lease = self._ledger.leases.get(number)
        if lease is None or lease.worker.number != worker or lease.worker.pool.is_light:
            return ()
        lease.is_blocked = is_blocked
        self._moment.has_refused = self._moment.has_refused and is_blocked
        if lease.want is not None:
            lease.worker.state = WorkerState.BLOCKED if is_blocked else WorkerState.LEASED
        return self.decided(now)

    # Workers

    def submitters_of(self, number: int) -> list[PeerId]:
        """Return the submitters that a worker is lent to."""
        wants = [lease.want for lease in self._ledger.leases.values() if lease.worker.number == number]
        return [want.holder.submitter for want in wants if want is not None]

    def worker_of(self, submitter: PeerId, number: int) -> int | None:
        """Return the worker of a lease; None if the lease is none of the submitter's."""
        lease = self._ledger.leases.get(number)
        if lease is None or lease.want is None or lease.want.holder.submitter != submitter:
            return None
        return lease.worker.number

    def worker_ready(self, number: int, peer: PeerId, now: float) -> Sequence[GrantOrder]:
        """Called when a worker that was launched is ready. It may submit tasks itself, as `peer`."""
        worker = self._ledger.pools.workers.get(number)
        if worker is None or worker.state is not WorkerState.LAUNCHING:
            return ()
        worker.peer = peer
        self._ledger.pools.ready(worker, now)
        return self.decided(now)

    def worn_out(self, number: int, now: float) -> Sequence[GrantOrder]:
        """Called when a worker runs no further tasks. Its leases are recalled, and it ends when it has none."""
        worker = self._ledger.pools.workers.get(number)
        if worker is None or worker.state in (WorkerState.LAUNCHING, WorkerState.ENDING):
            return ()
        worker.is_worn_out = True
        recalls: list[GrantOrder] = []
        if not worker.leases:
            self._ledger.pools.ending(worker)
        for lease in [self._ledger.leases[lease] for lease in worker.leases]:
            if lease.want is not None and not lease.is_recalled:
                lease.is_recalled = True
                recalls.append(Recall(lease.want.holder.submitter, lease.number))
        return (*recalls, *self.decided(now))

    def worker_ended(self, number: int, reason: str, now: float) -> Sequence[GrantOrder]:
        """Called when the process of a worker has ended, or could not be made."""
        worker = self._ledger.pools.workers.get(number)
        if worker is None:
            return ()
        has_started = worker.state is not WorkerState.LAUNCHING
        self._ledger.pools.ended(worker)
        for lease in list(worker.leases):
            self._ledger.end(self._ledger.leases[lease], now)
        refusals = [] if has_started else [*self._launch_failed(worker, reason, now)]
        return (*refusals, *self.decided(now))

    def _launch_failed(self, worker: TaskWorker, reason: str, now: float) -> Iterator[GrantOrder]:
        pool = self._ledger.pools.failed(worker, now)
        if len(pool.failures) < FAILURES_COUNT:
            return
        self._ledger.pools.forgive(pool)
        text = (
            f"{FAILURES_COUNT} workers for tasks did not start within {FAILURES_WITHIN_S:g} s; the last one: {reason}"
        )
        for want in [want for want in self._ledger.wants.values() if want.pool == pool.key and want.missing_count > 0]:
            want.count = 0
            self._ledger.drop_if_over(want)
            yield Refuse(want.holder.submitter, want.holder.task_class, ActorStartError(text))

    # The node

    def job_ended(self, job: JobId, staying: Collection[PeerId], now: float) -> Sequence[GrantOrder]:
        """Called when a job ends, and again when those that stayed are gone. Its workers end.

        Args:
            job: the job. The wants of its submitters are forgotten.
            staying: the submitters that go on, for their detached actors, with the workers that are lent to them.
            now: the time.
        """
        ledger = self._ledger
        ledger.pools.forget_use(job)
        for submitter in [one for one, of in ledger.pending.items() if of == job and one not in staying]:
            del ledger.pending[submitter]
        for want in [want for want in ledger.wants.values() if want.holder.job == job]:
            if want.holder.submitter not in staying:
                self._withdraw(want, now)
        return (*[Dismiss(worker.number) for worker in ledger.end_workers(job)], *self.decided(now))

    def reserved(self, by_actors: Amounts, now: float) -> Sequence[GrantOrder]:
        """Called when the reservations of actors have changed."""
        self._ledger.by_actors = dict(by_actors)
        return self.decided(now)
