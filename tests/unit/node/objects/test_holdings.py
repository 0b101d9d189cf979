"""Who keeps objects alive that were made elsewhere: what nodes ask of each other, with answers that the test gives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from actorrt.errors import ActorDiedError, ObjectLostError
from actorrt.ids import ObjectId, PeerAddress
from actorrt.node.objects.holdings import Holdings
from actorrt.protocol.objects import Holding, HoldObject, ObjectArrived, ReleaseHold
from actorrt.scopes import Scope
from tests.unit.node.fakes import IDS, Asked, FakeControl
from tests.unit.node.objects.stores import FakeExchange, node_at
from tests.unit.records import crashed

HERE, ORIGIN, TELLER = node_at("here"), node_at("origin"), node_at("teller")
TOKEN = b"token"


class Node:
    """One node's holdings, and what they speak with."""

    def __init__(self) -> None:
        self.control, self.exchange = FakeControl(), FakeExchange()
        self.scope = Scope("test", crashed)
        self.holdings = Holdings(HERE, self.control, self.exchange, self.scope)  # type: ignore[arg-type]

    async def adopt(self, teller: PeerAddress, token: bytes | None = TOKEN) -> tuple[ObjectId, Asked]:
        """Adopt an object that `teller` told of; return it, and what `teller` is asked."""
        object_id = IDS.object()
        self.holdings.adopt(object_id, teller.packed(), token)
        await self.turns()
        asked = self.control.asked[-1]
        assert (asked.to, asked.request) == (teller, HoldObject(object=object_id, token=token))
        return object_id, asked

    async def turns(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    node = Node()
    yield node
    await node.scope.close()


async def test_object_of_the_sender_s_node_is_held_there_and_released(node: Node) -> None:
    object_id, asked = await node.adopt(ORIGIN)
    asked.set_value(Holding(node=None))
    assert await node.holdings.origin(object_id) == ORIGIN
    await node.turns()
    assert node.exchange.events == [("origin", object_id, ORIGIN.packed())]
    node.holdings.release(object_id)
    node.holdings.release(object_id)
    assert (node.control.told, len(node.holdings)) == ([(ORIGIN, ReleaseHold(object=object_id))], 0)


async def test_object_that_was_passed_on_is_held_by_its_maker_and_then_the_transit_ends(node: Node) -> None:
    object_id, asked = await node.adopt(TELLER)
    asked.set_value(Holding(node=ORIGIN.packed()))
    await node.turns()
    second = node.control.asked[-1]
    assert (second.to, second.request) == (ORIGIN, HoldObject(object=object_id, token=None))
    assert node.control.told == []
    second.set_value(Holding(node=None))
    await node.turns()
    assert node.control.told == [(TELLER, ObjectArrived(object=object_id, token=TOKEN))]
    assert await node.holdings.origin(object_id) == ORIGIN


async def test_object_that_is_released_before_it_is_held_is_released_there_as_soon_as_it_is_held(node: Node) -> None:
    object_id, asked = await node.adopt(ORIGIN)
    node.holdings.release(object_id)
    assert node.control.told == []
    asked.set_value(Holding(node=None))
    await node.turns()
    assert node.control.told == [(ORIGIN, ReleaseHold(object=object_id))]
    assert node.exchange.events == []


@pytest.mark.parametrize("maker", [HERE, ORIGIN], ids=["this node", "one that has it no longer"])
async def test_object_that_its_maker_has_no_longer_is_lost(node: Node, maker: PeerAddress) -> None:
    object_id, asked = await node.adopt(TELLER)
    waiting = asyncio.ensure_future(node.holdings.origin(object_id))
    asked.set_value(Holding(node=maker.packed()))
    await node.turns()
    if maker is ORIGIN:
        node.control.asked[-1].set_value(Holding(node=TELLER.packed()))
        await node.turns()
    with pytest.raises(ObjectLostError, match="which made it, has it no longer"):
        await waiting
    ((kind, lost, _),) = node.exchange.events
    assert (kind, lost) == ("fail", object_id)
    assert node.control.told == [(TELLER, ObjectArrived(object=object_id, token=TOKEN))]
    await node.holdings.settled(object_id)  # it raises nothing: the store has the error


async def test_object_is_lost_when_its_origin_does_not_answer_and_an_earlier_release_is_not_told(node: Node) -> None:
    (kept, asked), (gone, other) = await node.adopt(ORIGIN), await node.adopt(ORIGIN)
    node.holdings.release(gone)
    for request in (asked, other):
        request.set_error(ActorDiedError("its process ended"))
    await node.turns()
    assert [event[:2] for event in node.exchange.events] == [("fail", kept)]
    assert "it can't be held at the node that made it: its process ended" in node.exchange.events[0][2]
    with pytest.raises(ObjectLostError, match="nothing here refers to it"):
        await node.holdings.origin(gone)


async def test_node_without_an_address_of_this_transport_and_one_that_is_none_lose_the_object(node: Node) -> None:
    object_id, asked = await node.adopt(ORIGIN)
    asked.set_error(ValueError("tcp://..: no address here"))
    nobody = IDS.object()
    node.holdings.adopt(nobody, b"\xc1", TOKEN)
    await node.turns()
    told = {event[1]: event[2] for event in node.exchange.events}
    assert "can't be reached from here" in told[object_id]
    assert "does not say which node it is on: b'\\xc1'" in told[nobody]


async def test_objects_of_a_lost_node_are_lost_and_its_holds_are_released(node: Node) -> None:
    (object_id, asked), (other, other_asked) = await node.adopt(ORIGIN), await node.adopt(TELLER)
    for request in (asked, other_asked):
        request.set_value(Holding(node=None))
    await node.turns()
    node.exchange.events.clear()
    node.holdings.node_gone(ORIGIN.peer)
    assert node.exchange.events == [("node gone", ORIGIN.peer), ("origin", object_id, None)]
    assert await node.holdings.origin(other) == TELLER
    assert len(node.holdings) == 1


async def test_objects_are_held_here_for_other_nodes_until_these_release_them(node: Node) -> None:
    object_id, elsewhere = IDS.object(), IDS.object()
    node.exchange.made_elsewhere[elsewhere] = ORIGIN.packed()
    assert await node.control.serve(TELLER.peer, HoldObject(object=object_id, token=TOKEN)) == Holding(node=None)
    answer = await node.control.serve(TELLER.peer, HoldObject(object=elsewhere, token=None))
    assert answer == Holding(node=ORIGIN.packed())
    assert node.exchange.held_for == {(TELLER.peer, object_id): TOKEN, (TELLER.peer, elsewhere): None}
    node.control.serve(TELLER.peer, ObjectArrived(object=object_id, token=TOKEN))
    node.control.serve(TELLER.peer, ReleaseHold(object=object_id))
    assert node.exchange.events == [("arrived", TELLER.peer, object_id, TOKEN)]
    assert list(node.exchange.held_for) == [(TELLER.peer, elsewhere)]


async def test_node_that_is_asked_about_an_object_it_is_adopting_answers_when_it_knows(node: Node) -> None:
    object_id, asked = await node.adopt(ORIGIN)
    answer = asyncio.ensure_future(node.control.serve(TELLER.peer, HoldObject(object=object_id, token=None)))
    await node.turns()
    assert (answer.done(), node.exchange.held_for) == (False, {})
    asked.set_value(Holding(node=None))
    assert await answer == Holding(node=None)


async def test_arrival_is_told_to_the_senders_node_and_one_that_is_none_only_logged(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    object_id = IDS.object()
    node.holdings.arrived(object_id, TELLER.packed(), TOKEN)
    node.holdings.arrived(object_id, b"\xc1", TOKEN)
    assert node.control.told == [(TELLER, ObjectArrived(object=object_id, token=TOKEN))]
    assert [message for message in caplog.messages if "can't be told that it arrived" in message] != []
