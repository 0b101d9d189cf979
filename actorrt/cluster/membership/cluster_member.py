"""One node's daemon as a member of its cluster: carries out what its `Membership` says."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

import msgpack

from actorrt.actors.wire.control import Control
from actorrt.background import in_background
from actorrt.cluster.control.store import ControlStore
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
from actorrt.cluster.membership.constants import PROBE_S
from actorrt.cluster.membership.membership import Membership, Phase
from actorrt.completion import Completion
from actorrt.errors import ActorRtError, ControlUnavailableError, RuntimeStateError
from actorrt.ids import IdSource, NodeAddress, NodeId, PeerAddress, PeerId, short
from actorrt.machine.clock import Clock
from actorrt.protocol.cluster.control import MEMBERS, Change, News, Row, Write
from actorrt.protocol.cluster.members import (
    Acknowledged,
    Member,
    MemberStatus,
    ProbeFor,
    ProbeNode,
    Promise,
    PromiseDeath,
)
from actorrt.scopes import Scope

logger = logging.getLogger(__name__)

TICK_S: Final = 0.1
READ_TIMEOUT_S: Final = 2.0
"""How long one read of the members may take before the next one is sent."""


class ClusterMember:
    """The membership of the daemon that this runs in.

    Args:
        own: the row of this node, as it joins.
        control: asks other daemons, and answers them.
        store: the control store.
        scope: owns the work.
        clock: the time, which goes on while the machine sleeps.
        ids: the source of nonces.
        also: tables of the control store that are read with the members.

    Attributes:
        on_rows: called with the rows of each read that brought some, those of the members too.
        on_probed: called with each probe of another node, which may be an incarnation that is in no view yet.
        on_viewed: called after each read of the members that brought something new.
        on_ended: called with each member that has been written dead, or has left.
        on_lease: called with the end of the node's lease, when that has changed.
        on_undecided: called with a member of which nobody can say whether it lives, and why; with an empty reason when
            that is over.
        on_phase: called when the node is frozen, goes on, or gives up, with the reason to give up.
    """

    def __init__(
        self,
        own: Member,
        control: Control,
        store: ControlStore,
        scope: Scope,
        clock: Clock,
        ids: IdSource,
        also: Sequence[str] = (),
    ) -> None:
        self._own = own
        self._control = control
        self._store = store
        self._scope = scope
        self._clock = clock
        self._ids = ids
        self._tables = (MEMBERS, *also)
        self._membership = Membership(own.node, own.incarnation, clock.now())
        self._version = 0
        self._is_reading = False
        self._read_began = float("-inf")
        self.on_rows: Callable[[Sequence[Row]], None] = lambda rows: None
        self.on_probed: Callable[[ProbeNode], None] = lambda probe: None
        self.on_viewed: Callable[[], None] = _nothing
        self.on_ended: Callable[[Member], None] = lambda member: None
        self.on_lease: Callable[[float], None] = lambda until: None
        self.on_phase: Callable[[Phase, str], None] = lambda phase, why: None
        self.on_undecided: Callable[[NodeId, str], None] = lambda node, why: None
        self._lease_until: float | None = None
        self._undecided: dict[NodeId, str] = {}

    async def join(self) -> None:
        """Write this node's row, which ends an earlier incarnation of it; begin to probe, and to be probed.

        Raises:
            ControlUnavailableError: the control store does not answer.
        """
        while True:
            news = await self._store.since(0, [MEMBERS])
            rows = members_of(news.rows)
            counts = any(row.status is MemberStatus.ALIVE and row.node != self._own.node for row in rows)
            own = self._own.replaced(status=MemberStatus.JOINING if counts else MemberStatus.ALIVE)
            sent = self._clock.now()
            outcome = await self._store.write(self._write_of([own], news.view))
            if outcome.is_committed:
                break
        self._membership = Membership(own.node, own.incarnation, sent)
        await self.read()
        self._control.handle(ProbeNode.by(lambda _, asked: self._probed(asked)))
        self._control.handle(ProbeFor.by(self._probe_for))
        self._control.handle(PromiseDeath.by(lambda _, asked: self._promise(asked)))
        self._tick()

    async def leave(self) -> None:
        """Write that this node has left, if the control store answers."""
        own = self._membership.view.members.get(self._own.node)
        if own is None or self._membership.phase is not Phase.RUNNING:
            return
        left = own.replaced(status=MemberStatus.LEFT, ended_s=self._membership.view.wall_s(self._clock.now()))
        try:
            await self._store.write(self._write_of([left], None))
        except ControlUnavailableError as error:
            logger.warning("the other nodes learn of this node's end by its silence: %s", error)

    async def bury(self, node: NodeId) -> None:
        """Write a member dead, whatever the others say: for an operator who knows that it is off.

        Raises:
            ValueError: it is this node, or no member that has not ended.
            ControlUnavailableError: the control store does not answer.
        """
        member = self.member(node)
        if member is None or node == self._own.node:
            raise ValueError(f"{short(node)} is no other member of the cluster that has not ended")
        wall_s = self._membership.view.wall_s(self._clock.now())
        dead = member.replaced(status=MemberStatus.DEAD, ended_s=wall_s)
        await self._store.write(self._write_of([dead], None))
        await self.read()

    # What is known

    @property
    def members(self) -> list[Member]:
        """The members of the cluster as this node knows them, ended ones too."""
        return list(self._membership.view.members.values())

    def member(self, node: NodeId) -> Member | None:
        """Return a member that has not ended; None if there is none."""
        view = self._membership.view
        return view.members[node] if view.belongs(node) else None

    @property
    def phase(self) -> Phase:
        """Whether this node may decide anything, and its workers run."""
        return self._membership.phase

    def lease_until(self) -> float:
        """Return when the node's lease ends, by the clock that was handed in."""
        return self._membership.lease_until()

    def heard(self, node: NodeId) -> None:
        """Something has arrived from a process of a member."""
        self._membership.heard(node, self._clock.now())

    def check_invariants(self) -> None:
        """Raise AssertionError if the state contradicts itself."""
        self._membership.check_invariants()

    # Work

    def _tick(self) -> None:
        now = self._clock.now()
        self._carry_out(self._membership.tick(now))
        self._tell_undecided(self._membership.undecided(now))
        if self._membership.phase is not Phase.GIVEN_UP:
            in_background(self._scope.after, TICK_S, self._tick)

    def _carry_out(self, actions: Sequence[Action]) -> None:
        self._tell_lease()
        for action in actions:
            match action:
                case SendProbe():
                    self._probe(action.node)
                case AskIndirectly():
                    self._start(self._ask_indirectly(action))
                case AskPromise():
                    self._ask_promise(action)
                case ReadMembers():
                    self._start(self._read_in_time())
                case WriteMembers():
                    self._start(self._write(action))
                case Freeze():
                    logger.warning("this node has no lease: its workers stop until it reaches the others again")
                    self.on_phase(Phase.FROZEN, "")
                case Thaw():
                    logger.warning("this node has its lease again, and goes on")
                    self.on_phase(Phase.RUNNING, "")
                case GiveUp():
                    logger.error("this node gives up what it has: %s", action.why)
                    self.on_phase(Phase.GIVEN_UP, action.why)
                case Ended():
                    self._ended(action.member)

    def _tell_lease(self) -> None:
        until = self._membership.lease_until()
        if until != self._lease_until:
            self._lease_until = until
            self.on_lease(until)

    def _tell_undecided(self, undecided: dict[NodeId, str]) -> None:
        before, self._undecided = self._undecided, undecided
        for node in [node for node in before if node not in undecided]:
            logger.warning("node %s is heard again, or has ended", short(node))
            self.on_undecided(node, "")
        for node, why in undecided.items():
            if node not in before:
                logger.warning("%s: calls to it end", why)
                self.on_undecided(node, why)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        in_background(self._scope.start, work, "membership")

    def _ended(self, member: Member) -> None:
        now = self._membership.view.members.get(member.node)
        has_left = now is not None and now.incarnation == member.incarnation and now.status is MemberStatus.LEFT
        logger.warning("node %s %s", short(member.node), "has left" if has_left else "is dead")
        self.on_ended(member)

    def _daemon(self, node: NodeId) -> PeerAddress | None:
        member = self._membership.view.members.get(node)
        if member is None:
            return None
        return PeerAddress(member.incarnation, str(NodeAddress(node, member.incarnation)))

    def _probed(self, asked: ProbeNode) -> Acknowledged:
        self.on_probed(asked)
        return self._membership.probed(asked, self._clock.now())

    def _probe(self, node: NodeId) -> None:
        to, sent = self._daemon(node), self._clock.now()
        if to is None:
            return
        view = self._membership.view.version
        asked = self._control.request(to, ProbeNode(node=self._own.node, incarnation=self._own.incarnation, view=view))

        def answered(answer: Completion[Any]) -> None:
            if answer.error() is None:
                self._carry_out(self._membership.acknowledged(node, sent, answer.value(), self._clock.now()))

        asked.add_callback(answered)

    async def _ask_indirectly(self, action: AskIndirectly) -> None:
        asked = [to for through in action.through if (to := self._daemon(through)) is not None]
        answers = [self._control.request(to, ProbeFor(node=action.node)) for to in asked]
        await _any_or_timeout(self._scope, answers, 2 * PROBE_S)
        was_reached = any(answer.done() and answer.error() is None and answer.value() for answer in answers)
        self._carry_out(self._membership.probed_indirectly(action.node, was_reached, self._clock.now()))

    async def _probe_for(self, asker: PeerId, asked: ProbeFor) -> bool:
        to = self._daemon(asked.node)
        if to is None:
            return False
        own = ProbeNode(node=self._own.node, incarnation=self._own.incarnation, view=self._membership.view.version)
        answer = self._control.request(to, own)
        await _any_or_timeout(self._scope, [answer], PROBE_S)
        if not answer.done() or answer.error() is not None:
            return False
        now = self._clock.now()
        self._membership.heard(asked.node, now)
        for prober in [member.node for member in self.members if member.incarnation == asker]:
            self._membership.reached_for(prober, asked.node, now)
        return True

    def _ask_promise(self, action: AskPromise) -> None:
        to = self._daemon(action.of)
        if to is None:
            return

        def answered(answer: Completion[Promise]) -> None:
            if answer.error() is None:
                self._carry_out(self._membership.promised(action.of, answer.value(), self._clock.now()))

        self._control.request(to, PromiseDeath(nodes=list(action.nodes), view=action.view)).add_callback(answered)

    async def _promise(self, asked: PromiseDeath) -> Promise:
        given = self._membership.asked_promise(asked.nodes, asked.view, self._clock.now())
        if given is None:
            await self.read()
            given = self._membership.asked_promise(asked.nodes, asked.view, self._clock.now())
        return given or Promise(is_given=False, view=self._membership.view.version)

    async def _read_in_time(self) -> None:
        """Read the members, unless a read is on its way that may still be answered."""
        now = self._clock.now()
        if self._is_reading and now - self._read_began < READ_TIMEOUT_S:
            return
        self._is_reading, self._read_began = True, now
        try:
            await self.read()
        except ActorRtError:
            logger.debug("the control store does not answer", exc_info=True)
        finally:
            if self._read_began == now:
                self._is_reading = False

    async def read(self) -> None:
        """Read the members now.

        Raises:
            ControlUnavailableError: the control store does not answer.
        """
        sent = self._clock.now()
        news = await self._store.since(self._version, self._tables)
        self._version = max(self._version, news.version)
        self._viewed(news, sent)

    def _viewed(self, news: News, sent: float) -> None:
        if news.rows:
            self.on_rows(news.rows)
        rows = [row for row in news.rows if row.table == MEMBERS]
        gone = [NodeId(row.key) for row in rows if row.value is None]
        view = self._membership.view.version
        actions = self._membership.read(
            sent,
            self._clock.now(),
            news.view,
            members_of(rows),
            gone,
            is_whole=news.is_whole,
            wall_s=news.now_s,
        )
        if self._membership.view.version != view:
            self.on_viewed()
        self._carry_out(actions)

    async def _write(self, action: WriteMembers) -> None:
        try:
            outcome = await self._store.write(self._write_of(action.rows, action.view))
        except ActorRtError:
            logger.debug("the control store does not answer", exc_info=True)
            return
        self._membership.written(is_committed=outcome.is_committed)
        await self._read_in_time()

    def _write_of(self, rows: Sequence[Member], view: int | None) -> Write:
        changes = [Change(MEMBERS, row.node, packed(row)) for row in rows]
        return Write(changes, self._ids.peer(), view)


def packed(member: Member) -> bytes:
    """Return the contents of a member's row."""
    data: bytes = msgpack.packb(member.pack())
    return data


def members_of(rows: Sequence[Row]) -> list[Member]:
    """Return the members in rows of the control store, without those that are deleted.

    Raises:
        RuntimeStateError: a row was written by a version of actorrt that this one does not understand.
    """
    try:
        return [Member.unpack(msgpack.unpackb(row.value, strict_map_key=False)) for row in rows if row.value]
    except ValueError as error:
        raise RuntimeStateError(
            f"the control store has a member that this version does not understand: {error}"
        ) from error


async def _any_or_timeout(scope: Scope, answers: Sequence[Completion[Any]], timeout_s: float) -> None:
    """Wait until one of these has a true value, or all are done, or the time is up."""
    ended: Completion[None] = Completion()
    left = len(answers)

    def answered(answer: Completion[Any]) -> None:
        nonlocal left
        left -= 1
        if not ended.done() and (not left or (answer.error() is None and answer.value())):
            ended.set_value(None)

    for answer in answers:
        answer.add_callback(answered)
    if not answers:
        return
    cancel = scope.after(timeout_s, lambda: None if ended.done() else ended.set_value(None))
    await ended
    cancel()


def _nothing() -> None:
    """Do nothing."""
