"""Finds routes by actor and by the endpoint that they lead to. A route lives as long as something may use it.

Its users are refs through which a message was sent, pending calls, which have such refs, and messages that wait on the
route. The newest `KEPT_COUNT` routes are kept without users: a program that looks up an actor by name for each call
finds the same route again, with the count of what it has sent. The authority is asked again for an actor whose route
was forgotten.

The last ref may be dropped in any thread, at any moment, which ends the route. The end is noted then, and the route is
removed when the loop adds the next one. Everything else happens on the loop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final
from weakref import ref

from actorrt.actors.refs.route import Route
from actorrt.ids import ActorId, PeerId, short

KEPT_COUNT: Final = 10_000


class _Entry(ref[Route]):
    """A route, as long as it lives.

    Attributes:
        peer: the endpoint that the route leads to now.
        last_peer: the endpoint that it led to last, if that may live: the actor there counts what was sent.
    """

    __slots__ = ("actor_id", "last_peer", "peer")

    def __new__(cls, route: Route, ended: Callable[[_Entry], None]) -> _Entry:
        return super().__new__(cls, route, ended)

    def __init__(self, route: Route, ended: Callable[[_Entry], None]) -> None:
        super().__init__(route, ended)  # type: ignore[call-arg]
        self.actor_id = route.actor_id
        self.peer: PeerId | None = None
        self.last_peer: PeerId | None = None


class RouteTable:
    """The routes of one endpoint.

    Args:
        is_gone: returns whether an endpoint is gone for good.
        kept_count: how many routes are kept without users.
    """

    def __init__(self, is_gone: Callable[[PeerId], bool], kept_count: int = KEPT_COUNT) -> None:
        self._is_gone = is_gone
        self._entries: dict[ActorId, _Entry] = {}
        self._by_peer: dict[PeerId, dict[ActorId, _Entry]] = {}
        self._ended: deque[_Entry] = deque()
        self._newest: deque[Route] = deque(maxlen=kept_count)
        self._met: set[PeerId] = set()  # endpoints whose actors may have counts of routes that were forgotten

    def __len__(self) -> int:
        self._sweep()
        return len(self._entries)

    def __iter__(self) -> Iterator[Route]:
        return iter([route for entry in list(self._entries.values()) if (route := entry()) is not None])

    def get(self, actor_id: ActorId) -> Route | None:
        """Return the route to an actor, if there is one; any thread may ask."""
        entry = self._entries.get(actor_id)
        return None if entry is None else entry()

    def add(self, route: Route) -> None:
        """Add a route to an actor that has none."""
        self._sweep()
        self._entries[route.actor_id] = _Entry(route, self._ended.append)
        self._newest.append(route)

    def _sweep(self) -> None:
        while self._ended:
            entry = self._ended.popleft()
            if self._entries.get(entry.actor_id) is entry:
                del self._entries[entry.actor_id]
            self._leave(entry)
            self._remember(entry)

    def settled(self, route: Route, peer: PeerId) -> bool:
        """Called when the route leads to an endpoint; return whether the actor there may have a count from before."""
        self._sweep()
        entry = self._entries[route.actor_id]
        is_known = peer == entry.last_peer or peer in self._met
        if entry.last_peer != peer:
            self._remember(entry)
        entry.peer = entry.last_peer = peer
        self._by_peer.setdefault(peer, {})[route.actor_id] = entry
        return is_known

    def _remember(self, entry: _Entry) -> None:
        if entry.last_peer is not None and not self._is_gone(entry.last_peer):
            self._met.add(entry.last_peer)

    def unsettled(self, route: Route) -> None:
        """Called when the route leads nowhere now."""
        entry = self._entries.get(route.actor_id)
        if entry is not None:
            self._leave(entry)

    def _leave(self, entry: _Entry) -> None:
        if entry.peer is None:
            return
        others = self._by_peer.get(entry.peer, {})
        if others.get(entry.actor_id) is entry:
            del others[entry.actor_id]
            if not others:
                del self._by_peer[entry.peer]
        entry.peer = None

    def leading_to(self, peer: PeerId) -> list[Route]:
        """Return the routes that lead to an endpoint."""
        return [route for entry in self._by_peer.get(peer, {}).values() if (route := entry()) is not None]

    def gone(self, peer: PeerId) -> None:
        """Called when an endpoint is gone for good, with the counts of its actors."""
        self._met.discard(peer)

    def check_invariants(self) -> None:
        """Raise AssertionError, with the route concerned, if the tables contradict each other."""
        self._sweep()
        for actor_id, entry in self._entries.items():
            route = entry()
            is_filed_well = route is None or route.peer == entry.peer
            assert is_filed_well, f"it is filed under another endpoint: {_story(entry)}"
            is_filed = entry.peer is None or self._by_peer[entry.peer][actor_id] is entry
            assert is_filed, f"it is not filed: {_story(entry)}"
        filed = sum(map(len, self._by_peer.values()))
        settled = sum(entry.peer is not None for entry in self._entries.values())
        assert filed == settled, f"{filed} are filed by endpoint, and {settled} lead to one"


def _story(entry: _Entry) -> str:
    return f"route to {short(entry.actor_id)} at {'nowhere' if entry.peer is None else short(entry.peer)}: {entry()}"
