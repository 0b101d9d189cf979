"""Routes: where messages go, what waits for what, and what becomes of it when an actor is elsewhere, or gone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actorrt import errors
from actorrt.actors.calling.routes import MOST_ABSENT_COUNT
from actorrt.actors.wire.credit import FIRST_MESSAGES
from actorrt.ids import PeerAddress, PeerId
from actorrt.protocol.authorities import Resolve, Sighting
from actorrt.protocol.envelopes import ASK, SETTLE, TELL
from actorrt.reasons import ExitKind, ExitReason
from tests.unit.actors.calling.fakes import ACTOR, HERE, NODE, THERE, CallingSide, FakeInbox, error_of

KILLED = ExitReason(ExitKind.KILLED, "killed by the test")
ELSEWHERE = PeerAddress(PeerId(b"e" * 16), "memory://elsewhere")


@pytest.fixture
def side() -> CallingSide:
    return CallingSide()


def bodies(sent: list[Any]) -> list[Any]:
    return [envelope[4] for envelope in sent if envelope[0] in (ASK, TELL)]


def test_actor_that_was_not_seen_is_sought_once_and_what_waits_leaves_in_order(side: CallingSide) -> None:
    ref = side.ref(seen=None)
    calls = [side.ask(ref, number) for number in range(3)]
    (asked,) = side.control.asked
    assert (asked.to, asked.request) == (NODE, Resolve(actor=ACTOR, after=0))
    assert (side.routes.waiting_before(calls[2]), side.routes.waiting_calls()) == (2, set(calls))
    side.check()
    asked.set_value(Sighting(THERE, 4))
    assert bodies(side.sent) == [(0,), (1,), (2,)]
    assert side.routes.sighting(ACTOR) == Sighting(THERE, 4)
    assert side.routes.statistics() == {"count": 1, "waiting": 0}
    side.check()


def test_actor_that_its_authority_calls_dead_ends_what_waits_and_what_comes(side: CallingSide) -> None:
    ref = side.ref(seen=None)
    waiting = side.ask(ref)
    side.control.asked[0].set_error(errors.ActorDiedError("it is gone", executed="maybe"))
    later, told = side.ask(ref), side.tell(ref)
    for reply in (waiting, later, told):
        assert error_of(reply) == (errors.ActorDiedError, "no")
    assert waiting.error() is not later.error()
    assert len(side.control.asked) == 1
    assert side.dead_letters == [("noted", "note", "it is gone")]


def test_authority_that_can_not_be_asked_fails_what_waits_and_the_next_call_asks_again(side: CallingSide) -> None:
    ref = side.ref(seen=None)
    waiting = side.ask(ref)
    side.control.asked[0].set_error(errors.PeerUnreachableError("no answer"))
    assert error_of(waiting) == (errors.ActorUnavailableError, "no")
    assert str(waiting.error()) == "noted can't be found for note(): no answer; it may live, so call it again later"
    side.ask(ref)
    assert len(side.control.asked) == 2


def test_authority_that_has_ended_took_its_actors_with_it(side: CallingSide) -> None:
    waiting = side.ask(side.ref(seen=None))
    side.peers.lost(NODE.peer, KILLED)
    side.control.asked[0].set_error(errors.PeerUnreachableError("no answer"))
    assert error_of(waiting) == (errors.ActorDiedError, "no")


def test_window_that_is_used_up_holds_messages_until_credit_comes(side: CallingSide) -> None:
    ref = side.ref()
    tells = [side.tell(ref, number) for number in range(FIRST_MESSAGES + 3)]
    assert (len(side.sent), [tell.done() for tell in tells].count(False)) == (FIRST_MESSAGES, 3)
    side.routes.granted(ACTOR, FIRST_MESSAGES + 2, 1 << 20, 0)
    assert (len(side.sent), [tell.done() for tell in tells].count(False)) == (FIRST_MESSAGES + 2, 1)
    side.routes.granted(ACTOR, FIRST_MESSAGES + 9, 1 << 20, 7)  # of another settlement
    assert len(side.sent) == FIRST_MESSAGES + 2
    side.routes.granted(ACTOR, FIRST_MESSAGES + 9, 1 << 20, 0)
    assert bodies(side.sent) == [(number,) for number in range(FIRST_MESSAGES + 3)]
    side.check()


def test_mailbox_here_that_is_full_holds_messages_until_it_has_room(side: CallingSide) -> None:
    inbox = side.host.cells[ACTOR] = FakeInbox(room=1)
    ref = side.ref(HERE)
    for number in range(3):
        side.ask(ref, number)
    route = side.routes.of(ref)
    assert ([message.body for message in inbox.delivered], inbox.local_route) == ([(0,)], route)
    inbox.room = 2
    side.routes.send_waiting(route)
    assert ([message.body for message in inbox.delivered], inbox.local_route) == ([(0,), (1,)], route)
    inbox.room = 9
    side.routes.send_waiting(route)
    assert ([message.body for message in inbox.delivered], inbox.local_route) == ([(0,), (1,), (2,)], None)
    side.check()


def test_tells_that_wait_are_known_by_the_actor_that_sent_them(side: CallingSide) -> None:
    told, asked = side.tell(ref := side.ref(seen=None)), side.ask(ref)
    mine: Any = FakeInbox()
    for call in (told, asked):
        call.parent = type("Parent", (), {"cell": mine})()
    assert side.routes.tells_waiting_from(mine) == [told]
    assert side.routes.tells_waiting_from(FakeInbox()) == []


def test_peer_that_is_lost_has_its_actors_sought_and_what_waits_there_leaves_for_their_new_place(
    side: CallingSide,
) -> None:
    ref = side.ref()
    for number in range(FIRST_MESSAGES + 1):
        side.tell(ref, number)
    assert side.routes.lost(THERE.peer) is side.transport.links[THERE.peer]
    (asked,) = side.control.asked
    assert asked.request == Resolve(actor=ACTOR, after=1)
    asked.set_value(Sighting(ELSEWHERE, 2))
    assert bodies(side.transport.links[ELSEWHERE.peer].sent) == [(FIRST_MESSAGES,)]
    side.check()


def test_peer_that_only_can_not_be_reached_has_its_actors_sought_where_they_were(side: CallingSide) -> None:
    side.ask(ref := side.ref())
    side.routes.lost(THERE.peer, is_alive=True)
    side.ask(ref)
    assert side.control.asked[0].request == Resolve(actor=ACTOR, after=0)


def test_route_that_leads_back_to_a_peer_settles_its_count_anew(side: CallingSide) -> None:
    side.ask(ref := side.ref())
    side.routes.lost(THERE.peer, is_alive=True)
    side.ask(ref, "again")
    side.control.asked[0].set_value(Sighting(THERE, 1))
    assert side.sent[-1] == (SETTLE, ACTOR, 1)  # and no message before the actor has granted some
    side.routes.granted(ACTOR, 8, 1 << 20, 1)
    assert bodies(side.sent) == [(), ("again",)]


def test_call_whose_actor_is_not_there_seeks_it_and_follows_it(side: CallingSide) -> None:
    reply = side.ask(side.ref(), 1)
    side.arrivals.not_here(THERE.peer, 1, ACTOR)
    side.control.asked[0].set_value(Sighting(ELSEWHERE, 1))
    assert bodies(side.transport.links[ELSEWHERE.peer].sent) == [(1,)]
    assert reply.peer == ELSEWHERE.peer


def test_call_that_is_sent_round_in_circles_ends_unexecuted(side: CallingSide) -> None:
    reply = side.ask(side.ref(), 1)
    for moved in range(4):
        assert not reply.done()
        side.arrivals.not_here(reply.peer, 1, ACTOR)
        if not reply.done():
            side.control.asked[-1].set_value(Sighting((THERE, ELSEWHERE)[moved % 2], 1))
            side.routes.granted(ACTOR, 8, 1 << 20, side.routes._settlements_count)
    assert error_of(reply) == (errors.ActorUnavailableError, "no")
    assert "it is not where its authority says that it is" in str(reply.error())


def test_tells_to_an_actor_that_is_never_where_it_should_be_end(side: CallingSide) -> None:
    ref = side.ref()
    tells = [side.tell(ref, number) for number in range(FIRST_MESSAGES + 1)]
    for _ in range(MOST_ABSENT_COUNT + 1):
        side.arrivals.not_here(THERE.peer, 0, ACTOR)
        if not tells[-1].done():
            side.control.asked[-1].set_value(Sighting(THERE, 1))
    assert error_of(tells[-1]) == (errors.ActorUnavailableError, "no")


def test_word_of_an_actor_that_is_elsewhere_by_now_unsettles_nothing(side: CallingSide) -> None:
    side.ask(side.ref())
    side.routes.absent(ELSEWHERE.peer, ACTOR)
    assert side.routes.sighting(ACTOR) == Sighting(THERE, 1)


def test_message_that_can_not_be_sent_fails_with_what_is_the_matter(side: CallingSide) -> None:
    ref = side.ref()
    side.ask(ref)
    side.transport.links[THERE.peer].refusal = errors.MailboxFullError("the link is full")
    asked, told = side.ask(ref), side.tell(ref)
    assert (str(asked.error()), str(told.error()), len(side.table)) == ("the link is full", "the link is full", 1)


def test_hint_of_a_place_that_can_not_be_spoken_with_is_no_error(side: CallingSide) -> None:
    side.transport.refusal = ValueError("no such scheme")
    reply = side.ask(side.ref())
    assert (reply.done(), len(side.control.asked)) == (False, 1)
    side.control.asked[0].set_value(Sighting(THERE, 1))
    assert error_of(reply) == (errors.ActorUnavailableError, "no")


def test_hint_of_a_peer_that_is_lost_is_not_followed(side: CallingSide) -> None:
    side.peers.lost(THERE.peer, KILLED)
    side.ask(side.ref())
    assert (side.transport.links, len(side.control.asked)) == ({}, 1)


def test_actor_that_has_left_this_endpoint_is_sought(side: CallingSide) -> None:
    side.host.cells[ACTOR] = FakeInbox()
    side.ask(ref := side.ref(HERE))
    del side.host.cells[ACTOR]
    side.routes.forget(ACTOR)
    side.ask(ref)
    assert (side.routes.sighting(ACTOR), len(side.control.asked)) == (None, 1)


def test_actor_that_ended_by_our_order_hears_no_more_and_its_authority_is_asked(side: CallingSide) -> None:
    side.ask(ref := side.ref())
    side.routes.ended(ACTOR)
    side.ask(ref)
    assert (len(side.sent), len(side.control.asked)) == (1, 1)


async def test_drained_waits_for_what_waits_for_one_peer(side: CallingSide) -> None:
    await side.routes.drained(THERE.peer)
    for number in range(FIRST_MESSAGES + 1):
        side.tell(side.ref(), number)
    await side.routes.drained(ELSEWHERE.peer)
    draining = asyncio.ensure_future(side.routes.drained(THERE.peer))
    await asyncio.sleep(0)
    assert not draining.done()
    side.routes.granted(ACTOR, FIRST_MESSAGES + 1, 1 << 20, 0)
    await draining


def test_close_ends_what_waits_and_what_comes(side: CallingSide) -> None:
    waiting = side.ask(side.ref(seen=None))
    side.routes.close(errors.ActorDiedError("shut down"))
    later = side.ask(side.ref(seen=None))
    assert (str(waiting.error()), str(later.error())) == ("shut down", "shut down")
