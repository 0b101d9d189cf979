"""Pure: one node's part in the membership of its cluster; see "Membership" in `docs/cluster.md`.

The shell hands in what happens and the time, and carries out the actions that are returned. Times are those of a clock
that goes on while the machine sleeps.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum, auto
from typing import Final

from actorrt.cluster.membership.actions import (
    Action,
    AskIndirectly,
    AskPromise,
    Ended,
    Freeze,
    GiveUp,
    ReadMembers,
    SendProbe,
    Thaw,
    WriteMembers,
)
from actorrt.cluster.membership.burial import Burial
from actorrt.cluster.membership.constants import (
    FREEZE_MAX_S,
    INDIRECT_COUNT,
    PARTIAL_S,
    PROBE_S,
    READ_S,
    RENEW_S,
    UNDECIDED_S,
)
from actorrt.cluster.membership.lease import Lease
from actorrt.cluster.membership.prober import Prober
from actorrt.cluster.membership.promises import Promises
from actorrt.cluster.membership.view import View, is_half
from actorrt.ids import NodeId, PeerId, short
from actorrt.protocol.cluster.members import Acknowledged, Member, MemberStatus, ProbeNode, Promise, Suspicion

_NEVER: Final = float("-inf")


class Phase(Enum):
    """Whether the node may decide anything, and its workers run."""

    RUNNING = auto()
    FROZEN = auto()
    GIVEN_UP = auto()


class Membership:
    """The membership of one incarnation of one node, whose row has been written.

    Args:
        me, incarnation: the node.
        now: the time.

    Attributes:
        view: the members as they were last read.
        phase: whether the node may go on.
    """

    def __init__(self, me: NodeId, incarnation: PeerId, now: float) -> None:
        self.me = me
        self.incarnation = incarnation
        self.view = View()
        self.phase = Phase.RUNNING
        self._lease = Lease()
        self._lease.read(now)  # the row was written just before, and so is alive
        self._prober = Prober(now)
        self._promises = Promises(me)
        self._burial: Burial | None = None
        self._own_read = _NEVER
        self._next_read = now
        self._frozen_at = _NEVER
        self._asked_indirectly: dict[NodeId, float] = {}  # when
        self._unreachable: dict[NodeId, float] = {}  # since when nobody reaches it either, or this node does not
        self._reached_for: dict[tuple[NodeId, NodeId], float] = {}  # (prober, node) that this node reached, and when
        self._frozen: dict[NodeId, float] = {}  # members that say that they have no lease, and since when
        self._knows_row: set[NodeId] = set()  # members whose view has the row of this joining node
        self._last_write = _NEVER

    # What happens

    def read(
        self,
        sent: float,
        now: float,
        version: int,
        changed: Iterable[Member],
        gone: Iterable[NodeId],
        *,
        is_whole: bool,
        wall_s: float,
    ) -> list[Action]:
        """The members have been read; the question was sent at `sent`. See `View.update`."""
        if version < self.view.version:
            return []
        ended = self.view.update(version, changed, gone, is_whole=is_whole, lag_s=wall_s - now)
        self._own_read = max(self._own_read, sent)
        self._prober.set_members(self.view.others(self.me), now)
        self._promises.viewed(self.view)
        for times in (self._asked_indirectly, self._unreachable, self._frozen):
            for node in [node for node in times if not self.view.belongs(node)]:
                del times[node]
        if self._burial is not None and self._burial.view != version:
            self._burial = None
        if not self.view.belongs(self.me, self.incarnation):
            self._lease.end(_NEVER)
            return self._give_up("the other nodes have written this node dead") + [
                Ended(member) for member in ended if member.node != self.me
            ]
        self._lease.read(sent)
        return [*(Ended(member) for member in ended), *self._phases(now)]

    def heard(self, node: NodeId, now: float) -> None:
        """Something has arrived from a member."""
        if self.view.belongs(node):
            self._prober.heard(node, now)
            self._unreachable.pop(node, None)

    def acknowledged(self, by: NodeId, sent: float, answer: Acknowledged, now: float) -> list[Action]:
        """A probe that was sent at `sent` has been acknowledged."""
        self.heard(by, now)
        if not answer.is_frozen:
            self._frozen.pop(by, None)
        elif self.view.belongs(by):
            self._frozen.setdefault(by, now)
        self._lease.acknowledged(by, sent, answer, self.view.counted, self.view.version)
        actions = self._phases(now)
        if answer.view > self.view.version:
            actions += self._read_now(now)
        if answer.is_prober_alive:
            self._knows_row.add(by)
        return actions

    def probed(self, probe: ProbeNode, now: float) -> Acknowledged:
        """Return the answer to a probe."""
        self.heard(probe.node, now)
        view, condemned = self.view, self._promises.condemned
        is_alive = view.belongs(probe.node, probe.incarnation)
        member = view.members.get(probe.node)
        is_dead = member is not None and member.incarnation == probe.incarnation and not is_alive
        return Acknowledged(
            view=view.version,
            age_s=min(now - self._lease.newest_read, 1e9),
            is_prober_alive=is_alive,
            is_prober_condemned=is_dead or probe.node in condemned,
            is_frozen=self.phase is not Phase.RUNNING,
            condemned=condemned,
            counted=[] if probe.view == view.version else list(view.counted),
        )

    def probed_indirectly(self, node: NodeId, was_reached: bool, now: float) -> list[Action]:
        """All that were asked have probed a member for this node: one has reached it, or none."""
        if node not in self._asked_indirectly or node not in self._prober.missing():
            return []
        self._unreachable.setdefault(node, now)
        return self._vote(now)

    def reached_for(self, prober: NodeId, node: NodeId, now: float) -> None:
        """This node has reached a member for another one that could not."""
        self._reached_for[prober, node] = now

    def asked_promise(self, nodes: Sequence[NodeId], view: int, now: float) -> Promise | None:
        """Return the answer to `PromiseDeath`; None if the members have to be read first."""
        return self._promises.ask(nodes, view, self.view, self._own_read, now)

    def promised(self, by: NodeId, promise: Promise, now: float) -> list[Action]:
        """An answer to `AskPromise` has arrived."""
        self.heard(by, now)
        burial = self._burial
        if burial is None:
            return []
        burial.promised(by, promise)
        if promise.view > self.view.version:
            return self._read_now(now)
        return self._write_dead(burial, now) if burial.may_write() else []

    def written(self, *, is_committed: bool) -> None:
        """`WriteMembers` has been carried out, or refused since the view had another version."""
        if not is_committed:
            self._last_write = _NEVER  # what is new is read next, and then the write is made again

    def tick(self, now: float) -> list[Action]:
        """Return what is due. To be called at least every tenth of a second."""
        if self.phase is Phase.GIVEN_UP:
            return []
        actions = self._phases(now)
        probes = self._prober.tick(now)
        if self._lease.asks_all(self.me, now):
            probes = self.view.others(self.me)
            self._lease.without_others(self.me, self.view.counted, now)
        actions += [SendProbe(node) for node in probes]
        if now >= self._next_read:
            actions += self._read_now(now)
        if self.phase is Phase.RUNNING and self.view.version:
            actions += self._ask_indirectly(now) + self._vote(now) + self._bury(now) + self._join(now)
            if self._promises.have_aged(now):
                actions += self._write([self._own_row()], now)
        return actions

    # What is known

    def lease_until(self) -> float:
        """Return when the lease ends."""
        return self._lease.until

    def undecided(self, now: float) -> dict[NodeId, str]:
        """Return the members whose rows live, but to which calls end, and why: they are silent, or have no lease."""
        found = {}
        for node in self.view.others(self.me):
            if now - self._prober.heard_at(node) >= UNDECIDED_S:
                found[node] = f"nothing has been heard of node {short(node)} for {UNDECIDED_S:g} s"
            elif now - self._frozen.get(node, now) >= UNDECIDED_S:
                found[node] = f"node {short(node)} has been without a lease for {UNDECIDED_S:g} s"
        return found

    def check_invariants(self) -> None:
        """Raise AssertionError if the state contradicts itself."""
        self.view.check_invariants()
        assert self.me not in self._promises.condemned, "the node calls itself dead"
        assert self._burial is None or self._burial.view == self.view.version, "a burial is of another view"
        for node in self._unreachable:
            assert self.view.belongs(node), f"{node.hex()} is no member, and yet unreachable"

    # Decisions

    def _phases(self, now: float) -> list[Action]:
        if self.phase is Phase.RUNNING and now >= self._lease.until:
            self.phase, self._frozen_at = Phase.FROZEN, now
            return [Freeze()]
        if self.phase is Phase.FROZEN:
            if now < self._lease.until:
                self.phase = Phase.RUNNING
                return [Thaw()]
            if now - self._frozen_at >= FREEZE_MAX_S:
                return self._give_up(f"this node had no lease for {FREEZE_MAX_S:g} s")
        return []

    def _give_up(self, why: str) -> list[Action]:
        if self.phase is Phase.GIVEN_UP:
            return []
        self.phase = Phase.GIVEN_UP
        return [GiveUp(why)]

    def _read_now(self, now: float) -> list[Action]:
        self._next_read = now + READ_S
        return [ReadMembers()]

    def _ask_indirectly(self, now: float) -> list[Action]:
        """Ask others to probe the members that have missed too many probes."""
        actions: list[Action] = []
        for node in self._prober.missing():
            if now - self._asked_indirectly.get(node, _NEVER) >= 2 * PROBE_S:
                self._asked_indirectly[node] = now
                others = [other for other in self.view.others(self.me) if other != node]
                if others:
                    actions.append(AskIndirectly(node, others[:INDIRECT_COUNT]))
                else:
                    self._unreachable.setdefault(node, now)
        return actions

    def _suspected(self, now: float) -> list[NodeId]:
        """Return the members that this node votes against: it can't reach them, or two of them can't each other."""
        suspected = [node for node in self._prober.missing() if node in self._unreachable]
        for (prober, node), when in list(self._reached_for.items()):
            if now - when >= 2 * PARTIAL_S or not (self.view.belongs(prober) and self.view.belongs(node)):
                del self._reached_for[prober, node]
                continue
            since, back = self.view.suspects_since_s(prober, node), self.view.suspects_since_s(node, prober)
            is_older = since is not None and (back is None or (since, prober) <= (back, node))
            if since is not None and is_older and self.view.wall_s(now) - since >= PARTIAL_S and node not in suspected:
                suspected.append(node)
        return suspected

    def _vote(self, now: float) -> list[Action]:
        """Write votes that are missing or have to be renewed, and take back those that no longer hold."""
        wall, rows = self.view.wall_s(now), []
        suspected = set(self._suspected(now))
        for node, member in self.view.members.items():
            if not self.view.belongs(node):
                continue
            own = next((s for s in member.suspicions if s.prober == self.me), None)
            if (node in suspected) is (own is not None) and (own is None or wall - own.renewed_s < RENEW_S):
                continue
            if own is None and len(self.view.votes(node, now)) >= self.view.needed_votes(node):
                continue  # whoever has voted writes it dead
            kept = [s for s in member.suspicions if s.prober != self.me and self.view.belongs(s.prober)]
            if node in suspected:
                kept.append(Suspicion(self.me, wall if own is None else own.since_s, wall))
            rows.append(member.replaced(suspicions=kept))
        return self._write(rows, now) if rows else []

    def _bury(self, now: float) -> list[Action]:
        """Begin to write members dead that have enough votes, if this node has voted itself."""
        if self._burial is not None and not self._burial.is_over(now):
            return []
        view, condemned = self.view, []
        for node in view.others(self.me):
            votes = view.votes(node, now)
            if self.me in votes and len(votes) >= view.needed_votes(node):
                condemned.append(node)
        if not condemned:
            self._burial = None
            return []
        promise = self._promises.ask(condemned, view.version, view, self._own_read, now)
        if promise is None:
            return self._read_now(now)
        burial = self._burial = Burial(self.me, condemned, view.version, view.counted, now)
        if burial.may_write():
            return self._write_dead(burial, now)
        return [AskPromise(node, condemned, view.version) for node in burial.asked]

    def _write_dead(self, burial: Burial, now: float) -> list[Action]:
        wall = self.view.wall_s(now)
        rows = [self.view.members[node].replaced(status=MemberStatus.DEAD, ended_s=wall) for node in burial.condemned]
        self._last_write = _NEVER  # nothing is more urgent
        return self._write(rows, now)

    def _join(self, now: float) -> list[Action]:
        """Write a joining node alive when half of the members that count know its row: it counts from then on."""
        own = self._own_row()
        if own.status is not MemberStatus.JOINING or not is_half(self.view.counted, self._knows_row):
            return []
        return self._write([own.replaced(status=MemberStatus.ALIVE)], now)

    def _own_row(self) -> Member:
        return self.view.members[self.me]

    def _write(self, rows: Sequence[Member], now: float) -> list[Action]:
        """Write rows, at most once in a probe's time, so that a refused write is made again with what is new."""
        if now - self._last_write < PROBE_S:
            return []
        self._last_write = now
        return [WriteMembers(rows, self.view.version)]
