"""Orders to end actors: whom they go to, behind what, and when they are over."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actorrt import errors
from actorrt.actors.calling import end_orders
from actorrt.actors.calling.end_orders import EndOrders
from actorrt.actors.refs.loop_thread import LoopThread
from actorrt.ids import ActorId, ActorIds, PeerAddress, PeerId
from actorrt.protocol.authorities import AskAlive, Life, Stop
from actorrt.protocol.processes import Fence
from actorrt.reasons import ExitKind, ExitReason
from actorrt.scopes import Scope
from actorrt.transport.interfaces import Lane
from tests.unit.actors.calling.fakes import ACTOR, HERE, NODE, THERE, CallingSide
from tests.unit.records import crashed

OTHER = PeerAddress(PeerId(b"o" * 16), "memory://other")
SECOND = ActorId(b"b" * 16)
KILLED = ExitReason(ExitKind.KILLED, "killed by the test")


class Ending(CallingSide):
    """A calling side that ends actors, on the test's loop."""

    def __init__(self, scope: Scope) -> None:
        super().__init__()
        threads = LoopThread()
        threads.begin(scope.loop, scope)
        self.ends = EndOrders(threads, self.control, self.routes, self.peers)

    async def asked(self, count: int) -> list[Any]:
        """Return the requests, once so many were made."""
        while len(self.control.asked) < count:
            await asyncio.sleep(0)
        assert len(self.control.asked) == count
        requests: list[Any] = self.control.asked
        return requests


@pytest.fixture
async def side() -> Any:
    scope = Scope("test", crashed)
    yield Ending(scope)
    await scope.close()


async def test_stop_comes_behind_what_was_sent_to_the_actor(side: Ending) -> None:
    ref = side.ref()
    side.tell(ref)
    stop = ref.stop("enough")
    (fence,) = await side.asked(1)
    assert (fence.to, fence.request, fence.lane) == (THERE, Fence(), Lane.USER)
    fence.set_value(None)
    _, order = await side.asked(2)
    assert (order.to, order.request) == (NODE, Stop(actors=ActorIds(ACTOR), reason="enough", kill=False))
    assert not stop.done()
    order.set_value(None)
    await stop
    assert side.routes.sighting(ACTOR) is None


async def test_process_that_does_not_answer_delays_a_stop_only_so_long(
    side: Ending, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(end_orders, "FENCE_TIMEOUT_S", 0.0)
    ref = side.ref()
    side.tell(ref)
    stop = ref.stop()
    await side.asked(1)
    (await side.asked(2))[1].set_value(None)
    await stop


async def test_kill_waits_for_nothing_that_was_sent(side: Ending) -> None:
    ref = side.ref()
    side.tell(ref)
    kill = ref.kill()
    (order,) = await side.asked(1)
    assert order.request == Stop(actors=ActorIds(ACTOR), reason="killed", kill=True)
    order.set_value(None)
    await kill


async def test_actor_of_this_endpoint_needs_no_fence(side: Ending) -> None:
    ref = side.ref(HERE)
    stop = ref.stop()
    (order,) = await side.asked(1)
    assert isinstance(order.request, Stop)
    order.set_value(None)
    await stop


async def test_group_is_ended_by_one_order_to_each_authority(side: Ending) -> None:
    one, two, three = side.ref(actor=ACTOR), side.ref(actor=SECOND), side.ref(actor=ActorId(b"c" * 16))
    three._authority = OTHER
    stop = side.ends.end_group([one, three, two], "enough", kill=True)
    orders = await side.asked(2)
    assert [(order.to, order.request.actors.packed) for order in orders] == [
        (NODE, ACTOR + SECOND),
        (OTHER, three._actor_id),
    ]
    orders[0].set_value(None)
    await asyncio.sleep(0)
    assert not stop.done()
    orders[1].set_value(None)
    assert await stop == [None, None, None]


async def test_authority_that_is_gone_took_its_actors_with_it(side: Ending) -> None:
    kill = side.ref().kill()
    (order,) = await side.asked(1)
    side.peers.lost(NODE.peer, KILLED)
    order.set_error(errors.PeerUnreachableError("no answer"))
    await kill


async def test_authority_that_lives_and_can_not_be_reached_is_an_error(side: Ending) -> None:
    kill = side.ref().kill()
    (await side.asked(1))[0].set_error(errors.PeerUnreachableError("no answer"))
    with pytest.raises(errors.PeerUnreachableError, match="no answer"):
        await kill


async def test_actor_is_alive_as_its_authority_says_and_dead_with_it(side: Ending) -> None:
    asking = side.ref().is_alive()
    (asked,) = await side.asked(1)
    assert (asked.to, asked.request) == (NODE, AskAlive(actor=ACTOR))
    asked.set_value(Life(is_alive=True))
    assert await asking is True
    side.peers.lost(NODE.peer, KILLED)
    assert await side.ref().is_alive() is False
    assert len(side.control.asked) == 1
