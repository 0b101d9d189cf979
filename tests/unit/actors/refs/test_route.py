"""One route: whether a message may leave, and what may wait."""

from __future__ import annotations

from typing import Any

import pytest

from actorrt.actors.refs.message import PLAIN_MESSAGE_BYTES
from actorrt.actors.refs.route import WAITING_BYTES, WAITING_MESSAGES, Route, WaitingCalls
from actorrt.actors.wire.credit import FIRST_BYTES, FIRST_MESSAGES, Window
from actorrt.errors import ActorDiedError
from actorrt.protocol.authorities import Sighting
from tests.unit.actors.calling.fakes import ACTOR, NODE, THERE, FakeInbox, FakeLink


class Call:
    """As much of a call as a route looks at."""

    def __init__(self, body: Any = ()) -> None:
        self.body, self.buffers = body, ()


@pytest.fixture
def route() -> Route:
    return Route(ACTOR, NODE)


def settle(route: Route) -> Window:
    link: Any = FakeLink()
    route.link, route.peer, route.window, route.seen = link, THERE.peer, Window(), Sighting(THERE, 1)
    return route.window


def test_new_route_leads_nowhere(route: Route) -> None:
    assert (route.is_settled, route.is_open, route.is_full, route.waiting_count) == (False, False, False, 0)
    assert repr(route) == "<Route to 61616161, sought, incarnation 0, 0 waiting, None>"
    route.check_invariants()


def test_route_over_a_link_is_open_while_both_counts_are_below_the_grant(route: Route) -> None:
    window = settle(route)
    assert (route.is_settled, route.is_open) == (True, True)
    window.sent_messages = FIRST_MESSAGES
    assert not route.is_open
    window.sent_messages, window.sent_bytes = 1, FIRST_BYTES
    assert not route.is_open
    route.check_invariants()
    route.unsettle()
    assert (route.is_settled, route.seen, route.window) == (False, None, None)
    route.check_invariants()


def test_route_to_an_actor_here_is_open_while_its_inbox_has_room(route: Route) -> None:
    route.inbox = inbox = FakeInbox(room=1)
    assert (route.is_settled, route.is_open) == (True, True)
    inbox.room = 0
    assert not route.is_open


def test_two_ways_at_once_are_a_contradiction(route: Route) -> None:
    settle(route)
    route.gone = ActorDiedError("gone")
    with pytest.raises(AssertionError, match="two ways: <Route to 61616161"):
        route.check_invariants()


def test_calls_wait_in_order_and_their_sizes_add_up() -> None:
    waiting = WaitingCalls()
    calls: list[Any] = [Call(), Call(b"x" * 100), Call(("y" * 10,))]
    for call in calls:
        waiting.add(call)
    assert ([*waiting], waiting.size_bytes) == (calls, PLAIN_MESSAGE_BYTES + 100 + PLAIN_MESSAGE_BYTES + 10)
    waiting.check_invariants()
    assert [waiting.take() for _ in range(3)] == calls
    assert (len(waiting), waiting.size_bytes) == (0, 0)


@pytest.mark.parametrize(
    ("count", "body"), [(WAITING_MESSAGES, ()), (2, b"x" * (WAITING_BYTES // 2))], ids=["by messages", "by bytes"]
)
def test_route_is_full_by_messages_or_by_bytes_and_says_when_it_has_room(route: Route, count: int, body: Any) -> None:
    route.waiting = waiting = WaitingCalls()
    assert route.room_comes().done()
    for _ in range(count):
        call: Any = Call(body)
        waiting.add(call)
    room = route.room_comes()
    assert (route.is_full, room.done(), route.room_comes() is room) == (True, False, True)
    waiting.take()
    assert (route.is_full, route.room_comes().done()) == (False, True)
