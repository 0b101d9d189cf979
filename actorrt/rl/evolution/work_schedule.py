"""Pure: decides which simulator gets which work items, and which items a second simulator does as well.

Items are numbers from 0. A *round* is all items of one kind; a *share* is the items that one simulator is asked for in
one request.

* A share is a fraction of the waiting items. So shares become smaller, and all simulators end together (guided
  self-scheduling, Polychronopoulos and Kuck 1987). No share takes longer than `SHARE_S`, so that little is lost with
  its simulator. While many items wait, a simulator has two shares, so that it is never idle between them.
* Items that are lost with a simulator wait again. Simulators join and leave at any time; a leaving simulator finishes
  its shares first.
* When no items wait any more, an idle simulator repeats a share that would otherwise arrive much later. The first
  result of an item counts, so no item counts twice, and the round does not wait for a simulator that is slow, stuck or
  being restarted.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator
from dataclasses import dataclass, field

SHARE_S = 0.05
AHEAD = 2  # shares that a simulator has at once
SLOWNESS = 2.0  # a share is late if it still takes this many times as long as an idle simulator needs for it
STRAGGLER_FACTOR, STRAGGLER_FLOOR_S = 4.0, 0.1  # a share is overdue after this many times its expected duration
RETRY_FLOOR_S, RETRY_CAP_S = 0.01, 1.0


@dataclass(frozen=True, eq=False)
class WorkShare:
    """Items that one simulator is asked for in one request.

    Attributes:
        member: number of the simulator.
        numbers: the items.
        kind: kind of the items.
        round: number of their round.
    """

    member: int
    numbers: tuple[int, ...]
    kind: str
    round: int


@dataclass
class Member:
    """The state of one simulator.

    Attributes:
        shares: the shares under way, in order.
        since: when it began with the first of them.
        item_s: last duration of an item, by kind.
        failures: failures in a row.
        not_before: time from which on it can be asked again.
        is_leaving: whether it gets no more shares.
    """

    shares: list[WorkShare] = field(default_factory=list)
    since: float = 0.0
    item_s: dict[str, float] = field(default_factory=dict)
    failures: int = 0
    not_before: float = 0.0
    is_leaving: bool = False


class WorkSchedule:
    """Distributes items among members, which are simulators by number.

    Attributes:
        members: state of each member, by number.
        repeated_count: shares that were given to a second member as well.
    """

    def __init__(self) -> None:
        self.members: dict[int, Member] = {}
        self.repeated_count = 0
        self._round = 0
        self._kind = ""
        self._waiting: collections.deque[int] = collections.deque()
        self._missing: set[int] = set()
        self._holders: collections.Counter[int] = collections.Counter()  # by item

    def begin(self, kind: str, count: int) -> None:
        """Begin a round of so many items. Shares of earlier rounds that are still under way do not count any more."""
        self._round += 1
        self._kind = kind
        self._waiting = collections.deque(range(count))
        self._missing = set(range(count))
        self._holders.clear()

    @property
    def is_over(self) -> bool:
        """Whether every item of the round is done."""
        return not self._missing

    def join(self, index: int) -> None:
        """Add a member."""
        self.members[index] = Member()

    def leave(self, index: int) -> None:
        """Give a member no more shares."""
        self.members[index].is_leaving = True

    def departed(self) -> list[int]:
        """Remove the leaving members that have finished their shares, and return their numbers."""
        ended = [index for index, member in self.members.items() if member.is_leaving and not member.shares]
        for index in ended:
            del self.members[index]
        return ended

    def to_ask(self, now: float) -> Iterator[WorkShare]:
        """Yield the shares to ask for now; a share counts as under way when it is yielded."""
        for load in range(AHEAD):
            for index, member in self.members.items():
                if load and len(self._waiting) <= len(self.members):
                    break
                if self._waiting and len(member.shares) == load and self._is_ready(member, now):
                    yield self._ask(index, self._next_items(member), now)
        if not self._waiting and self._missing:
            yield from self._to_ask_again(now)

    def completed(self, share: WorkShare, now: float) -> list[int]:
        """Called when a share is done. Returns the items whose result counts."""
        member = self._end(share)
        if member is not None:
            member.item_s[share.kind] = (now - member.since) / len(share.numbers)
            member.since, member.failures = now, 0
        if share.round != self._round:
            return []
        counting = [number for number in share.numbers if number in self._missing]
        self._missing.difference_update(counting)
        return counting

    def failed(self, share: WorkShare, now: float) -> None:
        """Called when a share was lost with its simulator, which is being restarted and then pauses."""
        member = self._end(share)
        if member is not None:
            self._requeue(share)
            member.failures += 1
            member.since = now
            member.not_before = now + min(RETRY_CAP_S, RETRY_FLOOR_S * 2.0**member.failures)

    def gone(self, index: int) -> None:
        """Called when a member is gone for good."""
        if index in self.members:
            for share in list(self.members[index].shares):
                self._end(share)
                self._requeue(share)
            del self.members[index]

    def look_again_s(self, now: float) -> float | None:
        """Return after how many seconds `to_ask` may yield more although nothing arrives; None if it can't.

        Args:
            now: the time of the last `to_ask`, which has dealt with everything that was due by then.
        """
        times = [member.not_before for member in self.members.values()]
        if not self._waiting and not all(member.shares for member in self.members.values()):
            times += [due_at for _, due_at in self._overdue()]
        later = [time - now for time in times if time > now]
        return min(later) if later else None

    def _is_ready(self, member: Member, now: float) -> bool:
        return not member.is_leaving and member.not_before <= now

    def _next_items(self, member: Member) -> tuple[int, ...]:
        """Take the items of a member's next share from the waiting ones."""
        count = len(self._waiting) // (AHEAD * len(self.members))
        item_s = member.item_s.get(self._kind)
        longest = 1 if item_s is None else int(SHARE_S / item_s) if item_s > 0.0 else count
        return tuple(self._waiting.popleft() for _ in range(max(1, min(count, longest))))

    def _ask(self, index: int, numbers: tuple[int, ...], now: float) -> WorkShare:
        share, member = WorkShare(index, numbers, self._kind, self._round), self.members[index]
        if not member.shares:
            member.since = now
        member.shares.append(share)
        self._holders.update(numbers)
        return share

    def _to_ask_again(self, now: float) -> Iterator[WorkShare]:
        """Yield, for idle members, shares that would arrive too late from the members that have them."""
        for index, taker in self.members.items():
            if not taker.shares and self._is_ready(taker, now):
                share = self._late(taker, now)
                if share is None:
                    continue
                self.repeated_count += 1
                yield self._ask(index, tuple(number for number in share.numbers if number in self._missing), now)

    def _late(self, taker: Member, now: float) -> WorkShare | None:
        """Return a share that is overdue, or that `taker` would finish much sooner."""
        item_s = taker.item_s.get(self._kind)
        for share, due_at in self._overdue():
            mine_s = None if item_s is None else item_s * len(share.numbers)
            if now >= due_at or (mine_s is not None and now + SLOWNESS * mine_s < self._expected_at(share)):
                return share
        return None

    def _overdue(self) -> Iterator[tuple[WorkShare, float]]:
        """Yield the shares that only one member has, and the times from which on they are overdue."""
        if not self._knows_duration():
            return
        for member in self.members.values():
            for share in member.shares:
                if share.round == self._round and any(
                    number in self._missing and self._holders[number] == 1 for number in share.numbers
                ):
                    expected_s = self._expected_at(share) - member.since
                    yield share, member.since + max(STRAGGLER_FLOOR_S, STRAGGLER_FACTOR * expected_s)

    def _expected_at(self, share: WorkShare) -> float:
        """Return when a share should arrive from the member that has it."""
        member, total_s = self.members[share.member], 0.0
        for each in member.shares:
            total_s += len(each.numbers) * member.item_s.get(each.kind, self._usual_s(each.kind))
            if each is share:
                break
        return member.since + total_s

    def _knows_duration(self) -> bool:
        return any(self._kind in member.item_s for member in self.members.values())

    def _usual_s(self, kind: str) -> float:
        """Return the duration of an item on the fastest member; 0 if it is unknown."""
        return min((member.item_s[kind] for member in self.members.values() if kind in member.item_s), default=0.0)

    def _end(self, share: WorkShare) -> Member | None:
        """Remove a share from its member and return the member; None if the member is gone."""
        member = self.members.get(share.member)
        if member is None:
            return None
        member.shares.remove(share)
        if share.round == self._round:
            self._holders.subtract(share.numbers)
        return member

    def _requeue(self, share: WorkShare) -> None:
        """Put the items of a lost share first in line again, except those that another member has."""
        if share.round == self._round:
            lost = [number for number in share.numbers if number in self._missing and self._holders[number] <= 0]
            self._waiting.extendleft(reversed(lost))
