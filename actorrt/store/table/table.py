"""Pure: the objects of one store, and what keeps them alive. Their states are in `objects`.

A connection is a number. It *holds* objects (its refs) and *pins* them (its mapped views), each by count. An object
lives while a connection holds or pins it, while it is in transit, and while an object that contains it lives. An
object that nobody refers to is deleted at the next sweep. Before a sweep the caller reads everything that has arrived,
so that a hold which is under way is counted before the last one ends. An object whose id was never sent anywhere is
deleted immediately.

An object of another node is *adopted* when a process of that node sends its ref: the store that made it holds it for
this node.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from actorrt.errors import ActorRtError, ObjectLostError
from actorrt.ids import ObjectId, PeerId, short
from actorrt.store.memory.pool import Place
from actorrt.store.table.freed import FreedIds
from actorrt.store.table.idle import IdleObjects
from actorrt.store.table.instructions import (
    Adopt,
    FreeBytes,
    ObjectFailed,
    ObjectReady,
    ReleaseAdopted,
    TableInstruction,
    TransitArrived,
)
from actorrt.store.table.invariants import check
from actorrt.store.table.objects import ObjectEntry, State, Token, lost, not_found, take_one
from actorrt.store.table.ref_transits import RefTransits
from actorrt.store.table.suspects import Suspects


class ObjectTable:
    """The one table of a store. It gathers instructions until `take`.

    Attributes:
        idle: the objects that can be moved out of memory, to be read only.
        transits: the messages under way, to be read only.
        suspects: the objects that the next sweep looks at; the caller begins a sweep there.
    """

    def __init__(self) -> None:
        self._entries: dict[ObjectId, ObjectEntry] = {}
        self._by_connection: dict[int, set[ObjectId]] = {}
        self.transits = RefTransits()
        self.idle = IdleObjects()
        self._freed = FreedIds()
        self.suspects = Suspects()
        self._instructions: list[TableInstruction] = []

    # Reading the table

    def get(self, object_id: ObjectId) -> ObjectEntry | None:
        """Return the entry of an object, to be read only."""
        return self._entries.get(object_id)

    def entries(self) -> Iterable[ObjectEntry]:
        """Return every entry, to be read only."""
        return self._entries.values()

    def take(self) -> list[TableInstruction]:
        """Return and forget the instructions, in order."""
        instructions, self._instructions = self._instructions, []
        return instructions

    def check_invariants(self) -> None:
        """Raise BrokenInvariantError with the whole entry of an object that breaks a rule; for tests."""
        check(self._entries, self._by_connection, self.transits, self.idle, self.suspects)

    # Connections

    def connect(self, connection: int, peer: PeerId | None = None) -> None:
        """Begin a connection; `peer` is given for the connection on which a process reports its holds and transits."""
        self._by_connection[connection] = set()
        if peer is not None:
            self.transits.connect(peer, connection)

    def introduce(self, peer: PeerId, node: bytes) -> None:
        """Note a process of another node that sent a message here."""
        self.transits.introduce(peer, node)

    def disconnect(self, connection: int, now: float) -> None:
        """End everything that a connection holds, waits for, is making or has declared."""
        for token, object_id in self.transits.end_sender(connection, now):
            self._end_expectation(object_id, token, lost(object_id, "the process that sent it ended"))
        for object_id in self._by_connection.pop(connection, ()):
            if (entry := self._entries.get(object_id)) is not None:
                self._leave(entry, connection)

    def _leave(self, entry: ObjectEntry, connection: int) -> None:
        entry.holds.pop(connection, None)
        if entry.pins.pop(connection, None) is not None:
            self.idle.note(entry)
        entry.waiters -= {connection}
        if entry.maker == connection and entry.is_being_written():
            self._drop_unsealed(entry)
        if entry.declarer == connection:
            entry.declarer = None
            if entry.state is State.PENDING:
                why = "the process that promised it ended before it was sealed"
                self._fail(entry, lost(entry.object_id, why))
        self.suspects.add(entry.object_id)

    def _drop_unsealed(self, entry: ObjectEntry) -> None:
        """Free the bytes of an object whose maker ended or gave up before it was sealed; others may make it again."""
        self._free_bytes(entry)
        self.suspects.add(entry.object_id)
        self._take_maker(entry)
        if entry.state is State.CREATED and entry.declarer is not None:
            entry.state = State.PENDING
        elif entry.state is State.CREATED and entry.origin is not None:
            entry.state = State.REMOTE
        elif entry.state is State.CREATED:
            self._fail(entry, lost(entry.object_id, "its maker ended or gave up before it was sealed"))

    # Making objects

    def declare(self, object_id: ObjectId, connection: int) -> None:
        """Hold an object, and promise that some process will make it; the connection's end ends the promise."""
        entry = self._entry(object_id, State.PENDING)
        self._hold(entry, connection)
        if entry.is_unmade():
            entry.declarer = connection
        if entry.state is State.EXPECTED:
            entry.state = State.PENDING

    def locate(self, object_id: ObjectId, connection: int, node: bytes, token: Token | None = None) -> None:
        """Hold an object of another node for a connection; a token ends one copy of its transit."""
        entry = self._entry(object_id, State.REMOTE)
        self._hold(entry, connection)
        self._found(entry, node, token)

    def _found(self, entry: ObjectEntry, node: bytes, token: Token | None) -> None:
        """Note that an object was made on another node. A promise of it here has been kept."""
        entry.is_private = False
        if entry.origin is None and entry.state in (State.EXPECTED, State.REMOTE, State.PENDING):
            entry.origin, entry.state = node, State.REMOTE
            self._keep_promise(entry)
            self._instructions.append(Adopt(entry.object_id, node, token))
        elif token is not None:
            self._instructions.append(TransitArrived(entry.object_id, node, token))

    def set_origin(self, object_id: ObjectId, origin: bytes | None) -> None:
        """Note the node that made an adopted object; None if that node is gone. Without a copy here it is lost then."""
        entry = self._entries.get(object_id)
        if entry is not None and entry.origin is not None:
            entry.origin = origin
        if origin is None and entry is not None and entry.state is State.REMOTE:
            self._fail(entry, lost(object_id, "its node is gone"))

    def may_create(self, object_id: ObjectId) -> bool:
        """Whether the object is still to be made; False if it is sealed.

        Raises:
            ObjectLostError: the object failed, or another connection is making it.
        """
        entry = self._entries.get(object_id)
        if entry is None or entry.state in (State.EXPECTED, State.REMOTE, State.PENDING):
            return True
        if entry.is_readable:
            return False
        what = "is being made by another process" if entry.state is State.CREATED else "was given up"
        raise ObjectLostError(f"object {short(object_id)} {what}")

    def create(
        self, object_id: ObjectId, connection: int, place: Place, *, is_promised: bool = True, line: str = ""
    ) -> None:
        """Begin an object at a place, after `may_create` returned True.

        `is_promised` says that others may know the id: the object was declared, or will be.
        """
        is_known = object_id in self._entries
        entry = self._entry(object_id, State.CREATED)
        entry.is_private = not is_promised and not is_known
        entry.state, entry.place, entry.maker, entry.line = State.CREATED, place, connection, line
        self._hold(entry, connection)

    def contain(self, object_id: ObjectId, connection: int, contained: list[ObjectId]) -> None:
        """Let an object that the connection is making hold others while it lives."""
        entry = self._made_by(object_id, connection)
        if entry is None:
            return
        known = [inner for other in contained if (inner := self._entries.get(other)) is not None]
        found = [inner for inner in known if inner.state is not State.FREED]
        for inner in found:
            inner.containers_count += 1
            inner.is_private = False
        entry.contained = [*entry.contained, *(inner.object_id for inner in found)]

    def seal(self, object_id: ObjectId, connection: int) -> None:
        """Finish an object; it is never written again."""
        entry = self._made_by(object_id, connection)
        if entry is None:
            return
        if entry.state is not State.CREATED:  # it was failed or freed while it was being written
            self._drop_unsealed(entry)
            return
        entry.state = State.SEALED
        self._take_maker(entry)
        self._keep_promise(entry)
        self.idle.note(entry)
        self._instructions.extend(ObjectReady(waiter, object_id) for waiter in self._take_waiters(entry))
        self.suspects.add(entry.object_id)

    def abort(self, object_id: ObjectId, connection: int) -> None:
        """Give up an object that the connection is making, and the hold that `create` gave."""
        entry = self._made_by(object_id, connection)
        if entry is not None:
            self._drop_unsealed(entry)
            self.release(object_id, connection)

    def fail(self, object_id: ObjectId, error: bytes) -> None:
        """Fail an object; without effect if it is sealed, failed or freed."""
        entry = self._entry(object_id, State.PENDING)
        if entry.is_unmade():
            self._fail(entry, error)

    def _made_by(self, object_id: ObjectId, connection: int) -> ObjectEntry | None:
        entry = self._entries.get(object_id)
        return entry if entry is not None and entry.maker == connection else None

    def _fail(self, entry: ObjectEntry, error: ActorRtError | bytes) -> None:
        entry.state, entry.error = State.FAILED, error
        self._keep_promise(entry)
        self._instructions.extend(ObjectFailed(waiter, entry.object_id, error) for waiter in self._take_waiters(entry))
        self.suspects.add(entry.object_id)

    def _take_maker(self, entry: ObjectEntry) -> None:
        maker, entry.maker = entry.maker, None
        if maker is not None:
            self._forget_if_unrelated(entry, maker)

    def _keep_promise(self, entry: ObjectEntry) -> None:
        """End the promise of an object, which is made now or has failed."""
        declarer, entry.declarer = entry.declarer, None
        if declarer is not None:
            self._forget_if_unrelated(entry, declarer)

    def _take_waiters(self, entry: ObjectEntry) -> Sequence[int]:
        if not entry.waiters:
            return ()
        waiters, entry.waiters = sorted(entry.waiters), frozenset()
        for waiter in waiters:
            self._forget_if_unrelated(entry, waiter)
        return waiters

    # Holding objects

    def acquire(self, object_id: ObjectId, connection: int, token: Token | None) -> None:
        """Hold an object for a connection; a token ends one copy of its transit.

        An unknown object is expected while the token's sender is connected, and failed otherwise.
        """
        if (node := self.transits.node_of(token)) is not None:
            self.locate(object_id, connection, node, token)
            return
        entry = self._entries.get(object_id)
        if entry is None:
            entry = self._entry(object_id, State.EXPECTED)
            transit = None if token is None else self.transits.get(token)
            was_announced = transit is not None and transit.balance_count > 0
            if object_id in self._freed or was_announced or self.transits.sender_of(token) is None:
                self._fail(entry, not_found(object_id, "is not known: it was freed"))
        entry.is_private = False
        self._hold(entry, connection)
        if token is not None:
            self.arrive(object_id, token)

    def arrive(self, object_id: ObjectId, token: Token) -> None:
        """End one copy of a transit, which arrived at a holder."""
        if (node := self.transits.node_of(token)) is not None:
            self._found(self._entry(object_id, State.REMOTE), node, token)
            return
        transit = self.transits.get(token)
        sender = self.transits.sender_of(token) if transit is None else transit.sender
        if sender is None:
            return
        entry = self._entries.get(object_id)
        if transit is None and entry is not None and entry.state is State.EXPECTED:
            entry.overtaken |= {token}
        self._change_transit(token, object_id, sender, -1)

    def transit(self, object_id: ObjectId, connection: int, token: Token, copies_count: int) -> None:
        """Keep an object until `copies_count` copies of a message have arrived."""
        # The sender's own messages about the object came earlier, on the same connection.
        self._end_expectation(object_id, token, not_found(object_id, "was freed before it was sent"))
        self._change_transit(token, object_id, connection, copies_count)

    def _end_expectation(self, object_id: ObjectId, token: Token, error: ActorRtError) -> None:
        """Called when a sender has announced its transit, or has ended: the last one fails an EXPECTED object."""
        entry = self._entries.get(object_id)
        if entry is not None and token in entry.overtaken:
            entry.overtaken -= {token}
            if entry.state is State.EXPECTED and not entry.overtaken:
                self._fail(entry, error)

    def settle(self, token: Token) -> None:
        """End a transit whose message is lost, whether or not copies have arrived."""
        transit = self.transits.get(token)
        if transit is not None and transit.balance_count > 0:
            self._change_transit(token, transit.object_id, transit.sender, -transit.balance_count)

    def _change_transit(self, token: Token, object_id: ObjectId, sender: int, count: int) -> None:
        holds = self.transits.change(token, object_id, sender, count)
        entry = self._entries.get(object_id)
        if entry is not None:
            entry.is_private = False
            entry.note_transit(token, holds=holds)
            self.suspects.add(entry.object_id)

    def release(self, object_id: ObjectId, connection: int) -> None:
        """End one hold of a connection."""
        entry = self._entries.get(object_id)
        if entry is not None:
            take_one(entry.holds, connection)
            self._untie(entry, connection)

    def pin(self, object_id: ObjectId, connection: int) -> Place:
        """Pin a sealed object for a connection and return its place."""
        entry = self._entries[object_id]
        assert entry.is_readable, f"pinned while {entry.state}"
        assert entry.place is not None, "a sealed object has a place"
        self.idle.pop(object_id, None)
        entry.pins[connection] = entry.pins.get(connection, 0) + 1
        self._by_connection[connection].add(object_id)
        return entry.place

    def unpin(self, object_id: ObjectId, connection: int) -> None:
        """End one pin of a connection."""
        entry = self._entries.get(object_id)
        if entry is not None:
            take_one(entry.pins, connection)
            self.idle.note(entry)
            self._untie(entry, connection)

    def free(self, object_id: ObjectId) -> None:
        """Free an object for every holder; its bytes stay while a process views or writes them."""
        entry = self._entries.get(object_id)
        if entry is None or entry.state is State.FREED:
            return
        self.idle.pop(object_id, None)
        if not entry.is_readable:
            self._fail(entry, not_found(object_id, "was freed before it was made"))
        entry.state = State.FREED
        self._freed.add(object_id)
        self.suspects.add(entry.object_id)

    # Moving to disk

    def move(self, object_id: ObjectId, source: Place, target: Place) -> bool:
        """Move an object to disk; False if it is gone or was pinned meanwhile."""
        entry = self._entries.get(object_id)
        if entry is None or not entry.is_idle or entry.place != source:
            return False
        self._instructions.append(FreeBytes(source))
        del self.idle[object_id]
        entry.place, entry.state = target, State.SPILLED
        return True

    def lose(self, object_id: ObjectId, error: ActorRtError) -> None:
        """Fail an object whose bytes on disk have changed; its readers get the error."""
        entry = self._entries.get(object_id)
        if entry is not None and entry.state is State.SPILLED:
            self._fail(entry, error)

    # Waiting

    def subscribe(self, object_id: ObjectId, waiter: int) -> None:
        """Tell a connection once that the object is sealed or failed: now, if it is."""
        entry = self._entries.get(object_id)
        if entry is None or entry.state is State.FREED:
            self._instructions.append(ObjectFailed(waiter, object_id, not_found(object_id, "was freed")))
        elif entry.is_readable:
            self._instructions.append(ObjectReady(waiter, object_id))
        elif entry.state is State.FAILED:
            assert entry.error is not None
            self._instructions.append(ObjectFailed(waiter, object_id, entry.error))
        else:
            entry.waiters |= {waiter}
            self._by_connection[waiter].add(object_id)

    # Deleting

    def sweep(self) -> None:
        """Delete every object that nobody refers to. Call it when every message that arrived has been handled."""
        for object_id in self.suspects.take():
            if (entry := self._entries.get(object_id)) is not None:
                self._collect(entry)

    def tick(self, now: float) -> None:
        """End the transits whose senders ended long enough ago."""
        for token in self.transits.expired(now):
            self.settle(token)

    def _untie(self, entry: ObjectEntry, connection: int) -> None:
        self._forget_if_unrelated(entry, connection)
        if entry.is_private:
            self._collect(entry)
        else:
            self.suspects.add(entry.object_id)

    def _collect(self, entry: ObjectEntry) -> None:
        if entry.can_be_deleted():
            self._free_bytes(entry)
            self._remove(entry)

    def _remove(self, entry: ObjectEntry) -> None:
        del self._entries[entry.object_id]
        if entry.origin is not None:
            self._instructions.append(ReleaseAdopted(entry.object_id))
        self.idle.pop(entry.object_id, None)
        for connection in {*entry.holds, *entry.pins, *entry.waiters}:
            self._by_connection[connection].discard(entry.object_id)
        self._keep_promise(entry)

    def _free_bytes(self, entry: ObjectEntry) -> None:
        """Free an object's bytes and release the objects that it contains."""
        if entry.place is not None:
            self._instructions.append(FreeBytes(entry.place))
            entry.place = None
        for object_id in entry.contained:
            inner = self._entries.get(object_id)
            if inner is not None:
                inner.containers_count -= 1
                self.suspects.add(inner.object_id)
        entry.contained = ()

    def _entry(self, object_id: ObjectId, state: State) -> ObjectEntry:
        """Return the entry; a new one is in `state` and has no holder yet."""
        entry = self._entries.get(object_id)
        if entry is None:
            entry = self._entries[object_id] = ObjectEntry(object_id, state)
            self.suspects.add(entry.object_id)
        return entry

    def _hold(self, entry: ObjectEntry, connection: int) -> None:
        entry.holds[connection] = entry.holds.get(connection, 0) + 1
        self._by_connection[connection].add(entry.object_id)

    def _forget_if_unrelated(self, entry: ObjectEntry, connection: int) -> None:
        """Drop an object from a connection's list if nothing ties them any more."""
        tied = self._by_connection.get(connection)  # None: it has just ended
        if tied is not None and entry.is_unrelated_to(connection):
            tied.discard(entry.object_id)
