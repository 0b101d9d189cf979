"""Nodes that are only their `Membership`, on a network and a control store that fail, in virtual time, from a seed."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from random import Random
from typing import Any

from actorrt.cluster.control.tables import Staging, Tables
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
from actorrt.cluster.membership.constants import PROBE_S, REPLACEMENT_S
from actorrt.cluster.membership.membership import Membership, Phase
from actorrt.ids import NodeId, PeerId
from actorrt.protocol.cluster.control import MEMBERS, Change, Write
from actorrt.protocol.cluster.members import Member, MemberStatus, ProbeNode

TICK_S = 0.1
ASK_TIMEOUT_S = PROBE_S
WALL_S = 1e9


def node_id(number: int) -> NodeId:
    return NodeId(number.to_bytes(16, "big"))


class SimulatedNode:
    """One incarnation of one node."""

    def __init__(self, world: MembershipWorld, number: int) -> None:
        self.world = world
        self.number = number
        self.node = node_id(number)
        self.incarnation = PeerId(world.chance.randbytes(16))
        self.is_dead = False
        self.paused_until = 0.0
        self.inbox: list[Callable[[], None]] = []  # what arrived during a pause
        self.ended: list[tuple[float, Member]] = []
        self.phases: list[tuple[float, str]] = []
        self.membership: Membership

    def row(self, status: MemberStatus) -> Member:
        return Member(
            node=self.node,
            incarnation=self.incarnation,
            addresses=[],
            resources={},
            labels={},
            status=status,
            suspicions=[],
            ended_s=None,
        )

    def run(self, function: Callable[[], Iterable[Action] | None]) -> None:
        """Let the node handle something, now or when its pause is over; carry out what it says."""
        if self.is_dead:
            return
        if self.world.now < self.paused_until:
            self.inbox.append(partial(self.run, function))
            return
        for action in function() or ():
            self.world.carry_out(self, action)
        if self.membership.phase is not Phase.GIVEN_UP:
            self.world.check(self)

    def tick(self) -> None:
        waiting, self.inbox = self.inbox, []
        for handle in waiting:
            handle()
        self.run(lambda: self.membership.tick(self.world.now))


class MembershipWorld:
    """A cluster in virtual time.

    Args:
        seed: of all chance.
        nodes_count: the nodes that are up at the start.
        store: the number of the node that has the control store; None: the store is a place of its own.
    """

    def __init__(self, seed: int, nodes_count: int, store: int | None = None) -> None:
        self.chance = Random(seed)
        self.now = 0.0
        self.store = store
        self.is_store_away = False
        self.cuts: set[tuple[int, int]] = set()  # (from, to)
        self.latency_s = 0.001
        self.tables = Tables()
        self.rows: dict[int, list[Member]] = {}
        self.dead_at: dict[PeerId, float] = {}
        self.nodes: list[SimulatedNode] = []
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        for number in range(nodes_count):
            self.start(number, MemberStatus.ALIVE)

    def start(self, number: int, status: MemberStatus = MemberStatus.JOINING) -> SimulatedNode:
        """Start a node: write its row, which buries its former incarnation, and begin its ticks."""
        node = SimulatedNode(self, number)
        if number < len(self.nodes):
            self.dead_at.setdefault(self.nodes[number].incarnation, self.now)
            self.nodes[number] = node
        else:
            self.nodes.append(node)
        self.commit([node.row(status)], None)
        node.membership = Membership(node.node, node.incarnation, self.now)
        self.after(self.chance.random() * TICK_S, partial(self._tick, node))
        return node

    def _tick(self, node: SimulatedNode) -> None:
        if node.is_dead:
            return
        if self.now < node.paused_until:
            self.after(node.paused_until - self.now, partial(self._tick, node))
            return
        node.tick()
        self.after(TICK_S, partial(self._tick, node))

    # Time

    def after(self, seconds: float, function: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._numbers), function))

    def run(self, seconds: float) -> None:
        """Let so much time pass."""
        until = self.now + seconds
        while self._events and self._events[0][0] <= until:
            self.now, _, function = heapq.heappop(self._events)
            function()
        self.now = until

    # Faults

    def cut(self, *pairs: tuple[int, int]) -> None:
        self.cuts.update(pairs)

    def part(self, one: Sequence[int], other: Sequence[int]) -> None:
        """Cut every connection between two groups of nodes, both ways."""
        self.cut(*((a, b) for a in one for b in other), *((b, a) for a in one for b in other))

    def heal(self) -> None:
        self.cuts.clear()

    def kill(self, number: int) -> None:
        self.nodes[number].is_dead = True

    def pause(self, number: int, seconds: float) -> None:
        self.nodes[number].paused_until = self.now + seconds

    # What is known

    def statuses(self) -> list[MemberStatus]:
        rows = {row.key: self._members[row.version, row.key] for row in self.tables.rows(MEMBERS)}
        return [rows[node.node].status for node in self.nodes]

    def running(self) -> list[int]:
        """Return the numbers of the nodes that live and may go on."""
        return [node.number for node in self.nodes if not node.is_dead and node.membership.phase is Phase.RUNNING]

    def check(self, node: SimulatedNode) -> None:
        node.membership.check_invariants()
        dead_at = self.dead_at.get(node.incarnation)
        until = node.membership.lease_until()
        assert dead_at is None or until <= dead_at + REPLACEMENT_S, (
            f"node {node.number}, dead since {dead_at:.3f}, has a lease until {until:.3f}"
        )

    # The network and the store

    _members: dict[tuple[int, bytes], Member]

    def carry_out(self, node: SimulatedNode, action: Action) -> None:
        membership = node.membership
        match action:
            case SendProbe():
                sent = self.now
                probe = ProbeNode(node=node.node, incarnation=node.incarnation, view=membership.view.version)
                self._ask(
                    node,
                    action.node,
                    lambda other: other.membership.probed(probe, self.now),
                    lambda answer: membership.acknowledged(action.node, sent, answer, self.now),
                )
            case AskIndirectly():
                self._probe_indirectly(node, action)
            case AskPromise():
                self._ask_promise(node, action)
            case ReadMembers():
                self._read(node)
            case WriteMembers():
                self._write(node, action)
            case Freeze() | Thaw() | GiveUp():
                node.phases.append((self.now, type(action).__name__))
            case Ended():
                node.ended.append((self.now, action.member))

    def _send(self, source: int, target: int, function: Callable[[], None]) -> None:
        if (source, target) not in self.cuts:
            self.after(self.latency_s * (0.5 + self.chance.random()), function)

    def _ask(
        self,
        node: SimulatedNode,
        to: NodeId,
        answer: Callable[[SimulatedNode], Any],
        answered: Callable[[Any], Iterable[Action] | None],
    ) -> None:
        other = self.nodes[int.from_bytes(to, "big")]

        def arrived() -> None:
            def handle() -> None:
                said = answer(other)
                if said is not None:
                    self._send(other.number, node.number, lambda: node.run(lambda: answered(said)))

            other.run(handle)

        self._send(node.number, other.number, arrived)

    def _probe_indirectly(self, node: SimulatedNode, action: AskIndirectly) -> None:
        outcome = [False]

        def reached(_: Any) -> None:
            outcome[0] = True

        for through in action.through:
            helper = self.nodes[int.from_bytes(through, "big")]

            def ask_on(helper: SimulatedNode = helper) -> None:
                def answered(_: Any) -> None:
                    helper.membership.heard(action.node, self.now)
                    helper.membership.reached_for(node.node, action.node, self.now)
                    self._send(helper.number, node.number, lambda: node.run(lambda: reached(None)))

                helper.run(lambda: self._ask(helper, action.node, lambda _: True, answered))

            self._send(node.number, helper.number, ask_on)
        self.after(
            ASK_TIMEOUT_S,
            lambda: node.run(lambda: node.membership.probed_indirectly(action.node, outcome[0], self.now)),
        )

    def _ask_promise(self, node: SimulatedNode, action: AskPromise) -> None:
        def promise(other: SimulatedNode) -> Any:
            given = other.membership.asked_promise(action.nodes, action.view, self.now)
            if given is None:  # it has to read first; the asker tries again
                self._read(other)
            return given

        self._ask(node, action.of, promise, lambda given: node.membership.promised(action.of, given, self.now))

    def _store_reachable(self, number: int) -> bool:
        if self.is_store_away:
            return False
        if self.store is None or self.store == number:
            return True
        host = self.nodes[self.store]
        is_cut = (number, self.store) in self.cuts or (self.store, number) in self.cuts
        return not is_cut and not host.is_dead and self.now >= host.paused_until

    def _read(self, node: SimulatedNode) -> None:
        sent = self.now

        def at_store() -> None:
            if not self._store_reachable(node.number):
                return
            rows, is_whole = self.tables.since(node.membership.view.version, [MEMBERS])
            view = self.tables.view
            changed = [self._members[row.version, row.key] for row in rows if row.value is not None]
            wall = WALL_S + self.now
            back = self.latency_s * (0.5 + self.chance.random())
            self.after(
                back,
                lambda: node.run(
                    lambda: node.membership.read(sent, self.now, view, changed, [], is_whole=is_whole, wall_s=wall)
                ),
            )

        self.after(self.latency_s * (0.5 + self.chance.random()), at_store)

    def _write(self, node: SimulatedNode, action: WriteMembers) -> None:
        def at_store() -> None:
            if not self._store_reachable(node.number):
                return
            is_committed = self.commit(action.rows, action.view)

            def answered() -> list[Action]:
                node.membership.written(is_committed=is_committed)
                return [ReadMembers()]

            self.after(self.latency_s, lambda: node.run(answered))

        self.after(self.latency_s, at_store)

    def commit(self, rows: Sequence[Member], view: int | None) -> bool:
        if not hasattr(self, "_members"):
            self._members = {}
        staging = Staging(self.tables)
        changes = [Change(MEMBERS, row.node, b"") for row in rows]
        outcome = staging.write(Write(changes, self.chance.randbytes(16), view))
        if outcome.is_committed:
            self.tables.add(staging.close())
            for row in rows:
                self._members[outcome.version, row.node] = row
                if row.status is MemberStatus.DEAD:
                    self.dead_at.setdefault(row.incarnation, self.now)
        return outcome.is_committed
