"""Pure: what is granted, launched, recalled, refused and dismissed at one moment, from what is there.

The wants come in the order of their shares. A want that finds room and a free worker is granted a lease. A want that
finds room but no free worker lays claim to a launch, and the room is kept for it. A want that has found too few CPUs
for `RECALL_AFTER_S` has leases recalled, and the CPUs that come back are kept for it. Nothing of this is remembered,
so a worker that is lost, or a want that is withdrawn, leaves nothing to undo.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import Final

from actorrt.errors import PlacementError
from actorrt.ids import short
from actorrt.node.leases.ledger import Ledger
from actorrt.node.leases.needs import CPUS, GPUS, Amounts
from actorrt.node.leases.orders import Dismiss, Grant, GrantOrder, Launch, Recall, Refuse, Warn
from actorrt.node.leases.pools import IDLE_S, PoolKey, TaskWorker, WorkerState
from actorrt.node.leases.recalls import Recalls
from actorrt.node.leases.wants import STARVING_AFTER_S, Lease, Want

RECALL_AFTER_S: Final = 0.005
"""How long a want finds too little before leases of others are recalled for it."""
REPORT_AFTER_S: Final = 10.0
"""How long a want that holds no lease waits before people are told."""
BLOCKED_COUNT: Final = 256
"""No further worker is launched when so many have tasks that wait."""
WORKERS_COUNT: Final = 512
"""The number of workers for tasks on a node, at most."""


class Moment:
    """What lasts from one decision to the next.

    Attributes:
        wake_at: when to decide anew if nothing else happens.
        overdrawn_since: since when more CPUs are taken than there are; None if they are not.
        has_refused: whether a want was refused because too many tasks wait, and none of them has gone on since.
        has_warned: whether people were told that there are many workers.
    """

    def __init__(self) -> None:
        self.wake_at = inf
        self.overdrawn_since: float | None = None
        self.has_refused = False
        self.has_warned = False


class Decision:
    """The decision of one moment.

    Args:
        ledger: what is there; it is changed as the orders say.
        moment: what is known from the last decision.
        now: the time.
    """

    def __init__(self, ledger: Ledger, moment: Moment, now: float) -> None:
        self._ledger = ledger
        self._pools = ledger.pools
        self._moment = moment
        self._now = now
        self._room = ledger.room()
        self._kept_room = self._room.copy()
        self._coming_room = self._room.copy()
        for worker in self._pools.workers.values():
            if worker.gpus and worker.state is WorkerState.ENDING and not worker.leases:
                self._coming_room.give({GPUS: worker.gpus})
        self._submitters = ledger.submitters()
        self._shares = ledger.shares()
        self._starving = {want for want in ledger.wants.values() if want.is_starving(now)}
        self._claims: dict[PoolKey, int] = {}
        self._stuck: list[Want] = []
        self._unmet: dict[Want, int] = {}
        self._may_launch = ledger.blocked_count() < BLOCKED_COUNT

    def orders(self) -> Iterator[GrantOrder]:
        """Decide, and yield what is to be done. All of it has to be read."""
        self._moment.wake_at = inf
        yield from self._grants()
        yield from self._refusal()
        for key, count in self._claims.items():
            yield from self._launches(key, count)
        yield from self._upkeep()
        yield from self._recalls()
        yield from self._reports()

    def _wake(self, at: float) -> bool:
        """Return whether a time has come; otherwise decide anew then."""
        if at > self._now:
            self._moment.wake_at = min(self._moment.wake_at, at)
        return at <= self._now

    # Grants

    def _grants(self) -> Iterator[GrantOrder]:
        missing = {want: want.missing_count for want in self._ledger.wants.values() if want.missing_count > 0}
        while missing:
            want = min(missing, key=lambda want: want.place(self._shares, self._starving))
            worker, amounts = self._offer(want)
            lacking = self._kept_room.lacking(amounts)
            if lacking:
                self._wake(want.since + STARVING_AFTER_S)
                self._unmet[want] = missing.pop(want)
                self._keep_for(want, amounts, lacking)
                if GPUS in lacking:
                    yield from self._evictions(want)
                continue
            if worker is None and not self._may_launch:
                self._stuck.append(want)
                del missing[want]
                continue
            for room in (self._room, self._kept_room, self._coming_room):
                room.take(amounts)
            self._shares.add(want.holder, want.amounts)
            self._starving.discard(want)
            missing[want] -= 1
            if not missing[want]:
                del missing[want]
            if worker is None:
                self._claims[want.pool] = self._claims.get(want.pool, 0) + 1
            else:
                lease = self._ledger.grant(want, worker, self._now)
                yield Grant(want.holder.submitter, want.holder.task_class, lease.number, worker.number)

    def _offer(self, want: Want) -> tuple[TaskWorker | None, Amounts]:
        """Return the worker that a want can have, or None; and what the next lease takes of what is left.

        A worker with GPUs has taken them for its life, also while it is launched.
        """
        pool = self._pools.find(want.pool)
        if pool is None:
            return None, want.amounts
        worker = pool.shared if want.need.is_light else pool.used_last
        has_gpus = worker is not None or pool.count(WorkerState.LAUNCHING) > self._claims.get(want.pool, 0)
        return worker, want.amounts_beside if has_gpus else want.amounts

    def _keep_for(self, want: Want, amounts: Amounts, lacking: list[str]) -> None:
        """Keep what comes back for a want that is due: first all but CPUs, and when it has that, CPUs."""
        if not self._is_due(want):
            return
        kept = {name: amount for name, amount in amounts.items() if name != CPUS}
        if lacking == [CPUS] and self._kept_room.cpus_can_come(amounts):
            kept[CPUS] = amounts[CPUS]
        self._kept_room.take(kept)

    def _evictions(self, want: Want) -> Iterator[GrantOrder]:
        """Dismiss free workers of other pools whose GPUs a want needs, before a want that comes later gets them."""
        while GPUS in self._coming_room.lacking(want.amounts):
            free = [worker for pool in self._pools.all() if pool.key != want.pool for worker in pool.free.values()]
            free = [worker for worker in free if worker.gpus and worker.peer not in self._submitters]
            oldest = min(free, key=lambda worker: worker.free_since, default=None)
            if oldest is None:
                return
            self._coming_room.give({GPUS: oldest.gpus})
            yield self._dismissal(oldest)
        self._coming_room.take({GPUS: want.amounts[GPUS]})

    def _is_due(self, want: Want) -> bool:
        return self._wake(want.since + RECALL_AFTER_S)

    def _refusal(self) -> Iterator[GrantOrder]:
        """Refuse the newest want for which one more worker would be needed, though too many have tasks that wait."""
        if self._may_launch:
            self._moment.has_refused = False
        if not self._stuck or self._moment.has_refused:
            return
        self._moment.has_refused = True
        newest = max(self._stuck, key=lambda want: want.newness)
        newest.count = 0
        self._ledger.drop_if_over(newest)
        text = (
            f"{BLOCKED_COUNT} workers of this node run tasks that wait for other tasks, and it starts no more: wait "
            f"for fewer tasks inside tasks, or wait in async tasks or outside of tasks"
        )
        yield Refuse(newest.holder.submitter, newest.holder.task_class, PlacementError(text))

    # Workers

    def _launches(self, key: PoolKey, count: int) -> Iterator[GrantOrder]:
        pool = self._pools.find(key)
        wanted = min(count, 1) if key.is_light else count
        if pool is not None:
            wanted -= pool.count(WorkerState.LAUNCHING)
            if wanted > 0 and not self._wake(pool.may_launch_at):
                return
        for _ in range(min(wanted, WORKERS_COUNT - len(self._pools.workers))):
            yield Launch(self._pools.launched(key, self._now).number, key.job, key.env_vars, key.is_light)

    def _upkeep(self) -> Iterator[GrantOrder]:
        """Launch spare workers, and dismiss those that nobody needs.

        A worker that has submitted tasks itself stays until these have ended.
        """
        for pool in self._pools.all():
            if self._may_launch and self._pools.needs_spare(pool):
                yield from self._launches(pool.key, 1)
            for worker in self._pools.surplus(pool, self._submitters):
                if self._wake(worker.free_since + IDLE_S):
                    yield self._dismissal(worker)
        for worker in self._pools.workers.values():
            if worker.state is WorkerState.ENDING and not worker.is_dismissed and worker.peer not in self._submitters:
                yield self._dismissal(worker, may_work=True)

    def _dismissal(self, worker: TaskWorker, *, may_work: bool = False) -> Dismiss:
        self._ledger.dismissed(worker)
        return Dismiss(worker.number, may_work)

    # Recalls and reports

    def _recalls(self) -> Iterator[GrantOrder]:
        recalls = Recalls(self._ledger.leases.values(), self._room, self._shares, self._starving, self._now)
        moment = self._moment
        if not self._room.is_overdrawn:
            moment.overdrawn_since = None
        elif moment.overdrawn_since is None:
            moment.overdrawn_since = self._now
        recalled: list[Lease] = []
        if moment.overdrawn_since is not None and self._wake(moment.overdrawn_since + RECALL_AFTER_S):
            recalled += recalls.for_overdraft()
        due = {want: count for want, count in self._unmet.items() if self._is_due(want)}
        recalled += recalls.for_wants(due)
        self._wake(recalls.again_at)
        for lease in recalled:
            assert lease.want is not None
            yield Recall(lease.want.holder.submitter, lease.number)

    def _reports(self) -> Iterator[GrantOrder]:
        workers_count, cpus = len(self._pools.workers), self._ledger.total[CPUS]
        if workers_count <= 4 * cpus:
            self._moment.has_warned = False
        elif not self._moment.has_warned:
            self._moment.has_warned = True
            blocked_count = self._ledger.blocked_count()
            text = f"{blocked_count} of them have a task that waits and keeps its worker"
            advice = "wait for fewer tasks inside tasks"
            yield Warn(f"a node of {cpus:g} CPUs has {workers_count} workers for tasks, and {text}: {advice}")
        for want in self._unmet:
            if not want.leases and not want.is_reported and self._wake(want.since + REPORT_AFTER_S):
                want.is_reported = True
                yield Warn(self._report(want))

    def _report(self, want: Want) -> str:
        waits = f"tasks of job {short(want.holder.job)} have waited for {self._now - want.since:.0f} s"
        needs = ", ".join(f"{amount:g} {name}" for name, amount in want.need.amounts)
        return f"{waits} for a worker with {needs}: {self._ledger.lacks(want)}"
