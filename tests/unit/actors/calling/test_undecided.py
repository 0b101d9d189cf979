"""Calls to the actors of a node of which nobody can say whether it lives: they end, and are tried again later."""

from __future__ import annotations

from typing import Any

import pytest

from actorrt import errors
from actorrt.actors.calling.losses import Losses
from actorrt.ids import NODE_SCHEME, NodeAddress, NodeId, PeerAddress, PeerId
from actorrt.protocol.authorities import AskFate, Resolve, Sighting
from actorrt.protocol.cluster.peers import NodeUndecided
from actorrt.protocol.envelopes import ASK, CANCEL, SETTLE
from actorrt.reasons import ExitKind, ExitReason
from tests.unit.actors.calling.fakes import ACTOR, THERE, CallingSide, error_of

FAR_NODE, OTHER_NODE = NodeId(b"f" * 16), NodeId(b"o" * 16)
WHY = "nothing has been heard of node 66 for 10 s"
MAYBE, NO = (errors.ActorUnavailableError, "maybe"), (errors.ActorUnavailableError, "no")


def place(node: NodeId, peer: PeerId) -> PeerAddress:
    return PeerAddress(peer, str(NodeAddress(node, peer)))


FAR = place(FAR_NODE, THERE.peer)
FAR_DAEMON = place(FAR_NODE, PeerId(b"d" * 16))


@pytest.fixture
def side() -> CallingSide:
    side = CallingSide()
    side.losses = Losses(side.table, side.routes, side.peers, side.control, side.transits, side.loop)  # type: ignore[attr-defined]
    return side


def tell(side: CallingSide, node: NodeId, why: str) -> None:
    side.control.handlers[NodeUndecided](PeerId(bytes(16)), NodeUndecided(node=node, why=why))
    side.check()


def kinds(side: CallingSide) -> list[int]:
    return [envelope[0] for envelope in side.sent]


def test_call_that_has_left_ends_and_is_withdrawn_and_later_ones_never_leave(side: CallingSide) -> None:
    ref = side.ref(seen=FAR)
    left = side.ask(ref)
    tell(side, FAR_NODE, WHY)
    assert error_of(left) == MAYBE
    assert str(left.error()).startswith(
        "noted.note() has no outcome: nothing has been heard of node 66 for 10 s, so it"
    )
    assert [envelope[0] for _, envelope in side.control.delivered] == [CANCEL]
    later, told = side.ask(ref), side.tell(ref)
    assert [error_of(reply) for reply in (later, told)] == [NO, NO]
    assert WHY in str(later.error())
    assert kinds(side) == [ASK]
    assert side.control.asked == []  # nobody is asked about the actor
    side.check()


def test_calls_that_wait_for_room_end_without_having_left(side: CallingSide) -> None:
    ref = side.ref(seen=FAR)
    side.ask(ref)
    window = side.routes.of(ref).window
    assert window is not None
    window.granted_messages = 1
    waiting = side.ask(ref)
    tell(side, FAR_NODE, WHY)
    assert error_of(waiting) == NO


def test_calls_by_a_new_ref_and_to_actors_whose_authority_is_there_fail_too(side: CallingSide) -> None:
    tell(side, FAR_NODE, WHY)
    assert error_of(side.ask(side.ref(seen=FAR))) == NO
    unseen = side.ref(seen=None)
    unseen._authority = FAR_DAEMON
    assert error_of(side.ask(unseen)) == NO
    assert side.control.asked == []


def test_actor_that_is_sought_at_an_authority_there_is_sought_again_later(side: CallingSide) -> None:
    ref = side.ref(seen=None)
    ref._authority = FAR_DAEMON
    waiting = side.ask(ref)
    (asked,) = side.control.asked
    tell(side, FAR_NODE, WHY)
    assert error_of(waiting) == NO
    asked.set_value(Sighting(FAR, 4))  # an answer that was on its way
    assert side.routes.sighting(ACTOR) is None
    tell(side, FAR_NODE, "")
    later = side.ask(ref)
    side.control.asked[1].set_value(Sighting(FAR, 4))
    assert not later.done()
    assert kinds(side) == [ASK]
    side.check()


def test_when_the_node_is_heard_again_the_same_incarnation_is_sought_and_called(side: CallingSide) -> None:
    ref = side.ref(seen=FAR, incarnation=3)
    side.ask(ref)
    tell(side, FAR_NODE, WHY)
    tell(side, FAR_NODE, WHY)  # told twice, as to a process that attaches meanwhile
    tell(side, FAR_NODE, "")
    tell(side, FAR_NODE, "")
    again = side.ask(ref)
    (asked,) = side.control.asked
    assert asked.request == Resolve(actor=ACTOR, after=2)
    asked.set_value(Sighting(FAR, 3))
    assert kinds(side)[1:] == [SETTLE]  # the actor says what it has of the count from before
    side.routes.granted(ACTOR, 10, 1_000, side.sent[-1][2])
    assert kinds(side)[1:] == [SETTLE, ASK]
    assert not again.done()
    side.check()


def test_other_nodes_and_addresses_without_a_node_are_not_concerned(side: CallingSide) -> None:
    calls = [
        side.ask(side.ref(seen=THERE)),
        side.ask(side.ref(seen=place(OTHER_NODE, PeerId(b"q" * 16)), actor=b"2" * 16)),
    ]  # type: ignore[arg-type]
    tell(side, FAR_NODE, WHY)
    assert [call.done() for call in calls] == [False, False]
    assert not THERE.address.startswith(NODE_SCHEME)


def test_fate_of_an_actor_whose_authority_is_undecided_is_not_awaited(side: CallingSide) -> None:
    losses: Any = side.losses  # type: ignore[attr-defined]
    refs = [side.ref(actor=letter * 16) for letter in (b"1", b"2")]  # type: ignore[arg-type]
    for ref in refs:
        ref._authority = FAR_DAEMON
    calls = [side.ask(ref) for ref in refs]
    losses.process_ended(THERE.peer, ExitReason(ExitKind.KILLED, "by the test"))
    side.peers.lost(THERE.peer, ExitReason(ExitKind.KILLED, "by the test"))
    side.loop.tick()
    assert {type(asked.request) for asked in side.control.asked} == {AskFate}
    tell(side, FAR_NODE, WHY)
    assert [error_of(call) for call in calls] == [MAYBE, MAYBE]
