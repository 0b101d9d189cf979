"""The table of routes: which are in it, for how long, and under which endpoint."""

from __future__ import annotations

from threading import Thread

import pytest

from actorrt.actors.calling.route_table import RouteTable
from actorrt.actors.refs.route import Route
from actorrt.ids import ActorId, PeerAddress, PeerId

AUTHORITY = PeerAddress(PeerId(b"a" * 16), "memory://authority")
HERE, THERE = PeerId(b"h" * 16), PeerId(b"t" * 16)


def actor(number: int) -> ActorId:
    return ActorId(number.to_bytes(16, "big"))


class Table(RouteTable):
    """A table of which the test says which peers are gone."""

    def __init__(self, kept_count: int = 0) -> None:
        self.lost: set[PeerId] = set()
        super().__init__(self.lost.__contains__, kept_count)

    def added(self, number: int, peer: PeerId | None = None) -> Route:
        route = Route(actor(number), AUTHORITY)
        self.add(route)
        if peer is not None:
            self.lead(route, peer)
        return route

    def lead(self, route: Route, peer: PeerId) -> bool:
        """Let the route lead to a peer; return whether the actor there may count already what was sent to it."""
        route.peer = peer
        return self.settled(route, peer)

    def leave(self, route: Route) -> None:
        route.peer = None
        self.unsettled(route)

    def lose(self, peer: PeerId) -> None:
        self.lost.add(peer)
        self.gone(peer)


@pytest.fixture
def table() -> Table:
    return Table()


def test_route_is_there_as_long_as_somebody_has_it(table: Table) -> None:
    route = table.added(1)
    assert table.get(actor(1)) is route
    del route
    assert (table.get(actor(1)), len(table), list(table)) == (None, 0, [])


def test_newest_routes_are_kept_though_nobody_has_them() -> None:
    table = Table(kept_count=10)
    for number in range(1_000):
        table.added(number, THERE)
    assert [route.actor_id for route in table] == [actor(number) for number in range(990, 1_000)]
    assert (len(table), len(table.leading_to(THERE))) == (10, 10)
    table.check_invariants()


def test_routes_that_other_threads_drop_leave_the_table(table: Table) -> None:
    routes = [table.added(number, THERE) for number in range(100)]
    thread = Thread(target=routes.clear)
    thread.start()
    thread.join()
    assert (len(table), table.leading_to(THERE)) == (0, [])
    table.check_invariants()


def test_routes_are_found_by_the_peer_that_they_lead_to(table: Table) -> None:
    routes = [table.added(number, peer) for number, peer in enumerate((HERE, THERE, THERE, HERE))]
    table.leave(routes[1])
    assert (table.leading_to(HERE), table.leading_to(THERE)) == ([routes[0], routes[3]], [routes[2]])
    table.check_invariants()


def test_first_settlement_is_a_strangers_and_later_ones_at_the_same_peer_are_not(table: Table) -> None:
    route = table.added(1)
    assert [table.lead(route, peer) for peer in (THERE, THERE, HERE, THERE)] == [False, True, False, True]


def test_peer_may_count_what_was_sent_on_a_route_that_is_forgotten(table: Table) -> None:
    table.added(1, THERE)
    assert table.lead(table.added(1), THERE)


def test_peer_that_is_gone_counts_nothing(table: Table) -> None:
    table.added(1, THERE)
    table.lose(THERE)
    assert not table.lead(table.added(2), THERE)


def test_processes_that_come_and_go_leave_nothing_behind(table: Table) -> None:
    for number in range(1_000):
        peer = PeerId(number.to_bytes(16, "big"))
        route = table.added(number, peer)
        table.lose(peer)
        table.leave(route)
    del route
    assert (len(table), table._met, table._by_peer) == (0, set(), {})


def test_contradiction_between_a_route_and_the_table_is_told_with_the_route(table: Table) -> None:
    route = table.added(1, THERE)
    route.peer = HERE
    with pytest.raises(AssertionError, match=r"filed under another endpoint: route to 0000.* at 7474.*<Route to 0000"):
        table.check_invariants()
