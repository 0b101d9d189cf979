"""Pure: what a submitter wants of one class, and the leases that it holds."""

from __future__ import annotations

from collections.abc import Set
from typing import Final

from actorrt.node.leases.needs import CPUS, GPUS, Amounts, Need
from actorrt.node.leases.pools import PoolKey, TaskWorker
from actorrt.node.leases.shares import Holder, Place, Shares

STARVING_AFTER_S: Final = 1.0
"""How long a want may wait for its first lease while others have smaller shares."""


class Want:
    """What a submitter wants of one class.

    Attributes:
        amounts: what a lease takes.
        scarcest: the resource of which a lease takes the largest part of what the node has.
        amounts_beside: what a lease takes beside the GPUs, which its worker has already.
        count: the number of leases that it wants in all.
        depth: how deep its tasks are nested.
        since: when it began to lack the next lease.
        newness: a number that is higher for wants that are newer.
        is_reported: whether people were told that it waits, since it was served.
        leases: the leases that it holds, in the order in which they were granted.
    """

    def __init__(self, holder: Holder, need: Need, total: Amounts) -> None:
        self.holder = holder
        self.need = need
        self.amounts: Amounts = dict(need.amounts)
        self.amounts_beside: Amounts = {name: amount for name, amount in need.amounts if name != GPUS}
        self.scarcest = max(
            self.amounts, key=lambda name: (self.amounts[name] / total[name], name == CPUS), default=CPUS
        )
        self.pool = PoolKey.of(holder.job, need)
        self.count = 0
        self.depth = 0
        self.since = 0.0
        self.newness = 0
        self.is_reported = False
        self.leases: dict[int, Lease] = {}

    @property
    def missing_count(self) -> int:
        """The number of leases that it lacks; below 0 if it holds more than it wants."""
        wanted = min(self.count, 1) if self.need.is_light else self.count
        return wanted - len(self.leases)

    def is_starving(self, now: float) -> bool:
        """Whether it has waited for its first lease for so long that it comes before all that have not."""
        return not self.leases and now >= self.since + STARVING_AFTER_S

    def place(self, shares: Shares, starving: Set[Want]) -> Place:
        """Return its place in the line."""
        if self in starving:
            return (0, self.since)
        return (1, *shares.place(self.holder, self.scarcest, self.depth))


class Lease:
    """One worker, lent to one submitter for one class.

    Attributes:
        want: the submitter's; None when the submitter has ended, and the worker is about to end.
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

    @property
    def is_coming_back(self) -> bool:
        """Whether what it takes is given back without a further order."""
        return self.want is None or self.is_recalled
