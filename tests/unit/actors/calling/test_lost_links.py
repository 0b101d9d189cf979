"""What those who wait hear when a link is lost, silent, refused or made anew: docs/messaging.md has the table."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator

import pytest

import actorrt as art
from actorrt.actors.calling.route_table import RouteTable
from actorrt.actors.refs.ref import ActorRef
from actorrt.actors.wire.credit import FIRST_MESSAGES
from actorrt.ids import PeerAddress
from actorrt.protocol.authorities import Resolve, Sighting
from tests.unit.actors.calling.linked import KILLED, World, ended, stage, turns, value, world


@pytest.fixture
async def w() -> AsyncIterator[World]:
    async with world() as made:
        yield made


# The link to the peer


async def test_peer_lost_in_hand_is_maybe_and_what_never_left_is_no(w: World) -> None:
    actor = await w.actor()
    running = await w.holding(actor)
    w.net.cut(w.here, w.peer_address(actor))
    await turns()
    unsent = actor.note("unsent")
    assert await ended(running) == (art.ActorUnavailableError, "maybe")
    assert await ended(unsent) == (art.ActorUnavailableError, "no")
    assert stage[-1].noted == ["first"]


async def test_peer_lost_and_the_calls_of_others_go_on(w: World) -> None:
    cut, well = await w.actor(), await w.actor()
    holds = await w.holding(well, "well")
    w.cut(w.here, w.peer_address(cut))
    assert await ended(cut.note(1)) == (art.ActorUnavailableError, "no")
    stage[-1].went_on.set()
    assert await value(holds) == "well"


async def test_peer_lost_what_waits_for_credit_goes_by_the_next_link(w: World) -> None:
    actor = await w.actor(mailbox_messages=FIRST_MESSAGES)
    running = await w.holding(actor)
    *_, last = [actor.note(n) for n in range(3 * FIRST_MESSAGES)]
    await turns()
    assert last.peer is None
    w.net.cut(w.here, w.peer_address(actor))
    await turns()
    assert await ended(running) == (art.ActorUnavailableError, "maybe")
    w.net.heal()
    stage[-1].went_on.set()
    assert await value(last) == 3 * FIRST_MESSAGES - 1


async def test_peer_silent_everything_waits_and_goes_on_when_it_speaks(w: World) -> None:
    actor = await w.actor()
    w.net.stall(w.peer_address(actor), w.here)
    late, limited = actor.note("late"), actor.note.options(timeout_s=0.05)("limited")
    assert await ended(limited) == (art.CallTimeoutError, "maybe")
    assert not late.done()
    w.net.heal()
    assert await value(late) == "late"


async def test_peer_that_can_not_answer_refuses_and_the_call_is_maybe(w: World) -> None:
    actor = await w.actor()
    running = await w.holding(actor, "unheard")
    w.net.cut(w.peer_address(actor), w.here)
    stage[-1].went_on.set()
    assert await ended(running) == (art.ActorUnavailableError, "maybe")
    w.net.heal()
    assert await value(actor.note("heard")) == "heard"


async def test_peer_back_in_time_nobody_hears_of_it(w: World) -> None:
    actor = await w.actor()
    w.net.connect_timeout_s = 60.0
    running = await w.holding(actor, "held")
    w.net.cut(w.here, w.peer_address(actor))
    queued = actor.note("queued")
    await turns()
    w.net.heal()
    stage[-1].went_on.set()
    assert (await value(running), await value(queued)) == ("held", "queued")
    assert stage[-1].noted == ["first", "queued"]


async def test_peer_back_after_it_was_lost_the_next_call_finds_it_and_credit_counts_anew(w: World) -> None:
    actor = await w.actor(mailbox_messages=FIRST_MESSAGES)
    for _ in range(3):
        w.net.cut(w.here, w.peer_address(actor))
        assert await ended(actor.note("lost")) == (art.ActorUnavailableError, "no")
        w.net.heal()
        *_, last = [actor.note(n) for n in range(5 * FIRST_MESSAGES)]
        assert await value(last) == 5 * FIRST_MESSAGES - 1
        w.check()
    assert stage[-1].noted == ["first", *range(5 * FIRST_MESSAGES)] + [*range(5 * FIRST_MESSAGES)] * 2


# The link to the authority


async def test_authority_lost_the_lookup_fails_unexecuted_and_the_next_one_finds_the_actor(w: World) -> None:
    actor = w.stranger(await w.actor())
    w.cut(w.here, w.authority)
    assert await ended(actor.note(1)) == (art.ActorUnavailableError, "no")
    assert await ended(actor.note(2)) == (art.ActorUnavailableError, "no")
    w.net.heal()
    assert await value(actor.note(3)) == 3
    assert stage[-1].noted == ["first", 3]


async def test_authority_lost_while_the_fate_of_a_call_is_asked_it_is_maybe_and_nobody_is_dead(w: World) -> None:
    actor = await w.actor()
    running = await w.holding(actor)
    w.cut(w.here, w.authority)
    peer = w.peer(actor)
    w.endpoint.endpoint_gone(peer, KILLED)
    assert await ended(running) == (art.ActorUnavailableError, "maybe")
    assert actor._route is not None
    assert actor._route.gone is None


async def test_authority_lost_calls_under_way_go_on(w: World) -> None:
    actor = await w.actor()
    running = await w.holding(actor, "held")
    w.cut(w.here, w.authority)
    stage[-1].went_on.set()
    assert await value(running) == "held"
    assert await value(actor.note("on the way that is known")) == "on the way that is known"


async def test_authority_silent_what_seeks_its_actor_waits(w: World) -> None:
    actor = w.stranger(await w.actor())
    w.net.stall(w.authority, w.here)
    late, limited = actor.note("late"), actor.note.options(timeout_s=0.02)("limited")
    assert await ended(limited) == (art.CallTimeoutError, "no")
    assert not late.done()
    w.net.heal()
    assert await value(late) == "late"


async def test_authority_that_can_not_answer_refuses_and_the_lookup_fails_unexecuted(w: World) -> None:
    actor = w.stranger(await w.actor())
    w.net.cut(w.authority, w.here)
    assert await ended(actor.note(1)) == (art.ActorUnavailableError, "no")
    w.net.heal()
    assert await value(actor.note(2)) == 2


async def test_authority_that_ended_takes_its_actors_with_it(w: World) -> None:
    actor = w.stranger(await w.actor())
    w.endpoint.peers.lost(w.endpoint.node.peer, KILLED)
    w.cut(w.here, w.authority)
    assert await ended(actor.note(1)) == (art.ActorDiedError, "no")
    del w.endpoint.peers._lost[w.endpoint.node.peer]


# What ends calls besides


async def test_cancelled_call_that_never_left_is_unexecuted_and_another_may_have_run(w: World) -> None:
    known = await w.actor()
    running = await w.holding(known)
    running.cancel()
    assert await ended(running) == (art.CallCancelledError, "maybe")
    actor = w.stranger(known)
    w.net.stall(w.authority, w.here)
    unsent = actor.note("unsent")
    await turns()
    unsent.cancel()
    assert await ended(unsent) == (art.CallCancelledError, "no")
    w.net.heal()
    assert await value(actor.note("next")) == "next"
    assert stage[-1].noted == ["first", "next"]


async def test_hint_of_a_place_that_can_not_be_spoken_with_is_no_error_of_the_call(w: World) -> None:
    known = await w.actor()
    seen = known._seen
    assert seen is not None
    nowhere = Sighting(PeerAddress(seen.peer_address.peer, "carrier-pigeon://1"), seen.incarnation)
    assert await value(w.stranger(known, nowhere).note("found")) == "found"


async def test_actor_that_is_never_where_its_authority_says_ends_its_calls_and_is_not_dead(w: World) -> None:
    known, other = await w.actor(), await w.actor()
    actor = w.stranger(known)
    elsewhere = Sighting(PeerAddress(w.peer(other), w.peer_address(other)), 1)
    answer = w.runtime._connection._node.core.control._handlers  # type: ignore[union-attr]
    resolve, answer["resolve"] = answer["resolve"], Resolve.by(lambda *_: elsewhere)
    assert await ended(actor.note("lost")) == (art.ActorUnavailableError, "no")
    answer["resolve"] = resolve
    assert await value(actor.note("found")) == "found"


async def test_actor_that_is_looked_up_for_each_message_has_no_more_in_its_mailbox_than_its_bound_allows(
    w: World,
) -> None:
    w.endpoint.routes._table = RouteTable(w.endpoint.peers.is_lost, kept_count=0)
    spawned = await w.actor(mailbox_messages=FIRST_MESSAGES)
    what = (spawned._actor_id, spawned._interface, None, spawned._authority, spawned._seen)
    await spawned.hold.tell()
    await stage[-1].begun.wait()
    del spawned
    gc.collect()  # a ref and its methods know each other
    assert w.endpoint.routes.statistics()["count"] == 0
    for number in range(4 * FIRST_MESSAGES):
        ActorRef(w.endpoint, *what)._method("note").tell(number)
        await turns(4)
    assert FIRST_MESSAGES <= len(stage[-1].context._cell.mailbox) <= 2 * FIRST_MESSAGES
    stage[-1].went_on.set()
    assert await value(ActorRef(w.endpoint, *what)._method("note")("last")) == "last"
    assert stage[-1].noted == ["first", *range(4 * FIRST_MESSAGES), "last"]
