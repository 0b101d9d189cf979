"""What must be true of objects of the store: none that is reachable is deleted, and none that is not reachable stays.

The store counts who holds an object. This oracle does not believe it. It knows the refs and the views that exist in
each process, since all processes of a world share their memory. It knows the specs and snapshots of actors, the
published names, and the messages under way. It looks

* when the store deletes an object: no process may have a ref to it, or a view of it;
* when a ref arrives in a message: its object may not have been deleted meanwhile;
* from time to time: an object that was not reachable the last time, and is there still, has leaked.
"""

from __future__ import annotations

import gc
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import Any, Final

from actorrt.ids import ObjectId, PeerId, short
from actorrt.store.client import ref as refs
from actorrt.store.memory import mappings
from actorrt.store.memory.arena import align
from actorrt.store.server.connections import EXCHANGE_REQUESTS
from actorrt.store.table.entries import ObjectEntries
from actorrt.store.table.objects import ObjectEntry, State, Token
from actorrt.store.table.table import ObjectTable
from actorrt.testing.shells.host import Host
from actorrt.testing.shells.node import SimulatedNode
from actorrt.testing.virtual.processes import SimulatedProcess
from actorrt.testing.world.findings import Findings, replace
from actorrt.transport.frames.outbox import Outbox
from actorrt.transport.frames.sequence import SendWindow

_CONTAINERS: Final = (list, tuple, deque, dict, Outbox, SendWindow)
LOOKS_EVERY_S: Final = 15.0
"""Longer than a process may stand still, than a message may be cut off once, and than the store keeps what the dead
have sent: nothing else may keep an object that is not reachable."""


class Reachability:
    """Compares the object store of one host with what exists in the processes.

    Args:
        host: the machine.
        node: its node.
        findings: gets what is broken.

    Attributes:
        host: the machine.
    """

    def __init__(self, host: Host, node: SimulatedNode, findings: Findings) -> None:
        self.host = host
        self._node = node
        self._findings = findings
        self._core: Any = host.store._core
        self._table: ObjectTable = self._core._table
        self._refs: defaultdict[ObjectId, dict[int, SimulatedProcess]] = defaultdict(dict)
        """For each object the processes with refs to it, by the identity of what lives as long as the ref."""
        self._views: defaultdict[ObjectId, dict[int, SimulatedProcess]] = defaultdict(dict)
        self._deleted: set[ObjectId] = set()
        self._settled: set[Token] = set()
        self._unreachable: set[ObjectId] = set()

    # While the world runs

    def watch(self, undo: ExitStack) -> None:
        """Watch refs, views and the store until the end of `undo`."""
        self._watch_refs(undo)
        self._watch_views(undo)
        self._watch_store(undo)

    def _watch_refs(self, undo: ExitStack) -> None:
        hold, loop = refs._Hold, self.host.loop
        begin, end = hold.__init__, hold.__del__

        def begins(made: refs._Hold, client: Any, object_id: ObjectId) -> None:
            begin(made, client, object_id)
            self._refs[object_id][id(made)] = loop.present

        def ends(made: refs._Hold) -> None:
            _forget(self._refs, made._object_id, made)
            end(made)

        replace(undo, hold, "__init__", begins)
        replace(undo, hold, "__del__", ends)

    def _watch_views(self, undo: ExitStack) -> None:
        pin, loop = mappings.Pin, self.host.loop
        begin, end = pin.__init__, pin.__del__

        def begins(made: mappings.Pin, object_id: ObjectId, on_unpinned: Any) -> None:
            begin(made, object_id, on_unpinned)
            self._views[object_id][id(made)] = loop.present

        def ends(made: mappings.Pin) -> None:
            _forget(self._views, made.object_id, made)
            end(made)

        replace(undo, pin, "__init__", begins)
        replace(undo, pin, "__del__", ends)

    def _watch_store(self, undo: ExitStack) -> None:
        remove, acquire = ObjectEntries._remove, ObjectTable.acquire
        settle, node_gone = ObjectTable.settle, ObjectTable.node_gone

        def remove_and_check(table: ObjectEntries, entry: ObjectEntry) -> None:
            remove(table, entry)
            if table is self._table:
                self._deletes(entry)

        def check_and_acquire(table: ObjectTable, object_id: ObjectId, connection: int, token: Token | None) -> None:
            if table is self._table and token is not None:
                self._arrives(object_id, token)
            acquire(table, object_id, connection, token)

        def settle_and_note(table: ObjectTable, token: Token) -> None:
            if table is self._table:
                self._settled.add(token)
            settle(table, token)

        def end_with_node(table: ObjectTable, node: PeerId) -> None:
            if table is self._table:
                self._settled.update(table.transits.copies_for(node))
            node_gone(table, node)

        replace(undo, ObjectEntries, "_remove", remove_and_check)
        replace(undo, ObjectTable, "acquire", check_and_acquire)
        replace(undo, ObjectTable, "settle", settle_and_note)
        replace(undo, ObjectTable, "node_gone", end_with_node)

    def _deletes(self, entry: ObjectEntry) -> None:
        """Called when the store has deleted an object."""
        if entry.state is State.FREED:
            return
        self._deleted.add(entry.object_id)
        for what in self._known(entry.object_id):
            self._findings.add(f"the store deletes object {short(entry.object_id)}, {entry.state}, and {what}")

    def _arrives(self, object_id: ObjectId, token: Token) -> None:
        """Called when a ref has arrived in a message."""
        is_kept = self._table.get(object_id) is not None or object_id not in self._deleted
        if not is_kept and token not in self._settled and self._table.transits.sender_of(token) is not None:
            self._findings.add(f"a ref to object {short(object_id)} arrives, which was deleted while it was under way")

    # From time to time

    def look(self, looked_at: float) -> None:
        """Look for objects that are not reachable, and were not at the last look, at least `LOOKS_EVERY_S` ago."""
        self.host.store.sweep()
        reachable = self._reachable()
        unreachable = {entry.object_id for entry in self._table.entries()} - reachable
        late = {process for process in self.host.processes.values() if _was_frozen(process, looked_at)}
        for object_id in sorted(unreachable & self._unreachable):
            entry = self._table.get(object_id)
            assert entry is not None, "it is in the table"
            if not late & set(self._related(entry)):
                self._findings.add(f"object {short(object_id)} is not reachable, and stays in the store: {entry}")
        self._unreachable = unreachable
        self._check_records()
        self._check_bytes()

    def _check_records(self) -> None:
        """Check that the store has what a restart of an actor needs."""
        for record in self._node.core.registry.records():
            for object_id in (*record.objects, *record.snapshots):
                if self._table.get(object_id) is None:
                    self._findings.add(f"object {short(object_id)} of {record.label} is not in the store")

    def _check_bytes(self) -> None:
        """Check that the bytes in use are those of the objects in memory."""
        files = self._core.allocator.files
        places = [entry.place for entry in self._table.entries() if entry.place is not None]
        counted = sum(align(place.length_bytes) for place in places if place.segment_id not in files)
        used = self._core.stats()["used_bytes"]
        if used != counted:
            self._findings.add(f"{used} bytes of the store are in use, and its objects have {counted}")

    def _known(self, object_id: ObjectId) -> Iterator[str]:
        """Yield the refs to an object and the views of it, in words, that exist in processes that live."""
        for known, what in ((self._refs, "a ref to it"), (self._views, "a view of it")):
            for process in known.get(object_id, {}).values():
                if self._uses_store(process):
                    yield f"{process.name} has {what}"

    def _uses_store(self, process: SimulatedProcess) -> bool:
        """Whether a process of this host lives and has not left the store."""
        endpoint = self.host.endpoints.get(process)
        return endpoint is not None and endpoint.store is not None and not endpoint.store.is_gone

    def _reachable(self) -> set[ObjectId]:
        """Return the objects that something refers to, and what these contain."""
        found = {object_id for object_id in (*self._refs, *self._views) if any(self._known(object_id))}
        for record in self._node.core.registry.records():
            found.update(record.objects, record.snapshots)
        published = self._core._publishing._versions._published.values()
        found.update(value.object_id for value in published if value.object_id is not None)
        travelling = self._travelling()
        for entry in self._table.entries():
            is_of_nodes = any(number <= EXCHANGE_REQUESTS for number in entry.holds)  # of this one, or of other hosts
            if is_of_nodes or not travelling.isdisjoint(entry.transits):
                found.add(entry.object_id)
        unseen = list(found)
        while unseen:
            entry_of = self._table.get(unseen.pop())
            inner = (
                () if entry_of is None else [object_id for object_id in entry_of.contained if object_id not in found]
            )
            found.update(inner)
            unseen.extend(inner)
        return found

    def _travelling(self) -> set[Token]:
        """Return the transits whose messages wait or are under way. There is hardly ever one that is not."""
        tokens = {token for entry in self._table.entries() for token in entry.transits}
        if not tokens:
            return tokens
        found: set[Token] = set()
        for endpoint in self.host.endpoints.values():
            calls = [*endpoint.pending.up_to(endpoint.pending.newest_id), *endpoint.routes.waiting_calls()]
            found.update(token for call in calls if call.transit is not None for token in call.transit.tokens)
        return found & tokens | {token for token in tokens - found if self._is_in_message(token)}

    def _is_in_message(self, token: Token) -> bool:
        """Whether a message that nobody has opened carries a transit."""
        return any(token in part for part in _bytes_below(self._messages()))

    def _messages(self) -> Iterator[Any]:
        """Yield what holds the messages that were sent, and that nobody has opened."""
        loop, network = self.host.loop, self.host.network
        yield from (timer._args for _, _, timer in loop._timers)
        yield from (handle._args for process in loop.processes for handle in process.ready)
        yield from (direction._held for direction in network.holding)
        for endpoint in self.host.endpoints.values():
            yield from (link._outbox for link in endpoint.transport._links.values())  # type: ignore[attr-defined]
            for cell in endpoint.population.cells():
                queued = () if cell.mailbox is None else cell.mailbox.queue
                in_hand = () if cell.execution is None else cell.execution.running
                yield from ((message.body, message.buffers) for message in (*queued, *in_hand))

    def _related(self, entry: ObjectEntry) -> Iterable[SimulatedProcess]:
        """Return the processes that the store believes to refer to an object, and those that have sent it."""
        peers = self._peers()
        connections = {*entry.holds, *entry.pins, entry.maker, entry.declarer}
        connections |= {transit.sender for token in entry.transits if (transit := self._table.transits.get(token))}
        return [peers[number] for number in connections if number in peers]

    def _peers(self) -> dict[int | None, SimulatedProcess]:
        """Return the process of each connection."""
        by_peer: dict[PeerId | None, SimulatedProcess] = {
            endpoint.peers.own_peer: process for process, endpoint in self.host.endpoints.items()
        }
        return {known.number: by_peer[known.peer] for known in self._core._connections if known.peer in by_peer}


def _was_frozen(process: SimulatedProcess, since: float) -> bool:
    """Whether a process has stood still since a time of the run."""
    return process.was_frozen_since(since if process.clock is None else process.clock.read(since))


def _forget(known: defaultdict[ObjectId, dict[int, Any]], object_id: ObjectId, gone: object) -> None:
    """Forget a ref, or a view."""
    of_object = known.get(object_id, {})
    of_object.pop(id(gone), None)
    if not of_object:
        known.pop(object_id, None)


def _bytes_below(roots: Iterable[Any]) -> Iterator[bytes]:
    """Yield all bytes in plain containers and in the queues of links."""
    unseen, seen = list(roots), set()
    while unseen:
        thing = unseen.pop()
        if isinstance(thing, bytes | bytearray | memoryview):
            yield bytes(thing)
        elif type(thing) in _CONTAINERS and id(thing) not in seen:
            seen.add(id(thing))
            unseen += gc.get_referents(thing)
