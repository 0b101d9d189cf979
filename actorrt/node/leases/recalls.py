"""Pure: which leases are recalled for wants that have found too little for a while.

A lease is recalled if its submitter holds more of its class than it wants, or if the submitter comes after the one
that waits as soon as it has returned the lease. So shares become equal, and where they can't, holders take turns. A
want that is starving takes a turn whatever the shares are. The holder that is last in the line gives first, and its
newest lease. What is on its way back already is counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import inf
from typing import Final

from actorrt.node.leases.needs import CPUS, Room
from actorrt.node.leases.shares import Place, Shares
from actorrt.node.leases.wants import Lease, Want

TURN_S: Final = 0.05
"""How long a lease lasts at least where holders with equal shares take turns."""
GPU_TURN_S: Final = 5.0
"""The same for workers with GPUs, since the next holder has to start one of its own."""


class Recalls:
    """The recalls of one decision.

    Args:
        leases: all leases.
        room: what the node has left. What is coming back is added to it.
        shares: the shares of all holders. What is coming back is subtracted.
        starving: the wants that are starving. Those that get a lease leave.
        now: the time.

    Attributes:
        again_at: when the decision is to be repeated, because a lease will have lasted long enough.
    """

    def __init__(self, leases: Iterable[Lease], room: Room, shares: Shares, starving: set[Want], now: float) -> None:
        self._room = room
        self._shares = shares
        self._starving = starving
        self._now = now
        self._givers: dict[Want, list[Lease]] = {}
        self.again_at = inf
        for lease in leases:
            if lease.is_coming_back:
                room.give(lease.amounts)
                if lease.want is not None:
                    shares.add(lease.want.holder, lease.amounts, -1)
            elif lease.want is not None and lease.amounts:
                self._givers.setdefault(lease.want, []).append(lease)

    def for_overdraft(self) -> Iterator[Lease]:
        """Yield leases to recall, because more CPUs are taken than there are. One lease with CPUs always stays."""
        while self._room.is_overdrawn:
            holders = {want: lease for want in self._givers if (lease := self._newest(want, [CPUS]))}
            if sum(CPUS in lease.amounts for leases in self._givers.values() for lease in leases) < 2:
                return
            last = max(holders, key=lambda want: (_excess_of(want) > 0, want.place(self._shares, self._starving)))
            self._give(holders[last])
            yield holders[last]

    def for_wants(self, unmet: dict[Want, int]) -> Iterator[Lease]:
        """Yield leases to recall for wants, of which each lacks so many leases."""
        while unmet:
            want = min(unmet, key=lambda want: want.place(self._shares, self._starving))
            given = self._given_for(want)
            if given is None:
                del unmet[want]
                continue
            yield from given
            self._room.take(want.amounts)
            self._shares.add(want.holder, want.amounts)
            self._starving.discard(want)
            unmet[want] -= 1
            if not unmet[want]:
                del unmet[want]

    def _given_for(self, taker: Want) -> list[Lease] | None:
        """Return the leases that make room for one more of a want; None if there are not enough of them."""
        given: list[Lease] = []
        while lacking := self._room.lacking(taker.amounts):
            lease = self._next_for(taker, lacking)
            if lease is None:
                for taken in reversed(given):
                    self._take_back(taken)
                return None
            self._give(lease)
            given.append(lease)
        return given

    def _next_for(self, taker: Want, lacking: list[str]) -> Lease | None:
        best: Lease | None = None
        best_key: tuple[bool, Place] | None = None
        for giver in self._givers:
            lease = self._newest(giver, lacking) if giver is not taker else None
            if lease is not None and self._may_take(lease, giver, taker):
                key = _excess_of(giver) > 0, giver.place(self._shares, self._starving)
                if best_key is None or best_key < key:
                    best, best_key = lease, key
        return best

    def _may_take(self, lease: Lease, giver: Want, taker: Want) -> bool:
        """Whether a lease is to be given; both may have the same place then, and take turns."""
        if _excess_of(giver) > 0:
            return True
        shares, name = self._shares, taker.scarcest
        shares.add(giver.holder, lease.amounts, -1)
        of_taker, of_giver = shares.ranks(name, taker.holder, taker.depth, giver.holder, giver.depth)
        shares.add(giver.holder, lease.amounts)
        if of_taker < of_giver:
            return True
        lasts_until = lease.granted_at + (TURN_S if giver.pool.alone is None else GPU_TURN_S)
        if lasts_until > self._now:
            self.again_at = min(self.again_at, lasts_until)
        return lasts_until <= self._now and (of_taker == of_giver or taker in self._starving)

    def _newest(self, giver: Want, lacking: list[str]) -> Lease | None:
        """Return the newest lease of a want that has something of what is lacking."""
        leases = self._givers[giver]
        return next((lease for lease in reversed(leases) if any(name in lease.amounts for name in lacking)), None)

    def _give(self, lease: Lease) -> None:
        assert lease.want is not None
        lease.is_recalled = True
        self._givers[lease.want].remove(lease)
        self._room.give(lease.amounts)
        self._shares.add(lease.want.holder, lease.amounts, -1)

    def _take_back(self, lease: Lease) -> None:
        assert lease.want is not None
        lease.is_recalled = False
        self._givers[lease.want].append(lease)
        self._room.take(lease.amounts)
        self._shares.add(lease.want.holder, lease.amounts)


def _excess_of(want: Want) -> int:
    """Return how many leases a want holds that it does not want, but for those that are recalled."""
    return sum(not lease.is_recalled for lease in want.leases.values()) - want.count
